"""RTF as a stream of tokens, in one pass over the bytes: no group is ever called for, so none is too deep."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

# A control word with its number, a control symbol, a brace, or text; a space after a control word belongs to it.
_TOKEN: Final = re.compile(
    rb"\\([A-Za-z]{1,32})(-?\d{1,10})?[ ]?|\\'([0-9A-Fa-f]{2})|\\([^A-Za-z])|([{}])|([^\\{}\r\n]+)|[\r\n]+|\\"
)
_SYMBOLS: Final = {b"~": "\xa0", b"_": "\u2011", b"-": "", b"\\": "\\", b"{": "{", b"}": "}", b"\n": "\n", b"\r": "\n"}


class Token(NamedTuple):
    """`word` with its `number`, or bytes of `text`, or a brace; `at` is where it stands in the bytes."""

    at: int
    word: str = ""
    number: int | None = None
    text: bytes = b""
    brace: str = ""
    symbol: str | None = None


def tokens(content: bytes) -> Iterator[Token]:
    """The tokens of `content`; the bytes after a `\\bin` are skipped."""
    at = 0
    while at < len(content):
        found = _TOKEN.match(content, at)
        if found is None:
            at += 1
            continue
        start, at = at, found.end()
        if found[1]:
            word = found[1].decode("ascii")
            number = int(found[2]) if found[2] else None
            if word == "bin" and number:
                at += max(number, 0)
            yield Token(start, word, number)
        elif found[3]:
            yield Token(start, text=bytes.fromhex(found[3].decode("ascii")))
        elif found[4]:
            if found[4] == b"*":
                yield Token(start, "*")
            else:
                yield Token(start, symbol=_SYMBOLS.get(found[4], ""))
        elif found[5]:
            yield Token(start, brace=found[5].decode("ascii"))
        elif found[6]:
            yield Token(start, text=found[6])
