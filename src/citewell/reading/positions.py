"""From characters of decoded text back to the bytes they were decoded from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Final

from citewell.reading.decode import Decoded
from citewell.types import Place

# What decoding removed: the rest of its changes put one character in the place of one.
_REMOVED: Final = re.compile("\r(?=\n)|[\x00-\x08\x0e-\x1f\x7f]+")
# A byte order mark that is left, which decoding takes off after the controls.
_FIRST: Final = re.compile("[\x00-\x08\x0e-\x1f\x7f]*\ufeff")
_WIDTHS: Final = {"utf-32-le": 4, "utf-32-be": 4}
_VARIABLE: Final = ("utf-8", "utf-16-le", "utf-16-be", "gb18030", "cp932", "cp949", "big5", "euc_jp", "johab")


class Positions:
    """The places of spans of `decoded.text` in `content`: bytes, or lines where the bytes do not tell.

    They do not where they were not valid in their encoding, and in encodings with shifts (ISO-2022).
    """

    def __init__(self, content: bytes, decoded: Decoded) -> None:
        self._text = decoded.text
        self._raw = decoded.text if decoded.raw is None else decoded.raw
        self._encoding = decoded.encoding
        self._width = _WIDTHS.get(decoded.encoding, 1)
        self._variable = False
        size = len(content)
        if self._encoding in _VARIABLE and size != len(self._raw):
            self._variable = True
            self._head = size - self._encoded(self._raw)
        else:
            self._head = size - self._width * len(self._raw)
        # What stands before the text can only be a byte order mark.
        head = (0, 2, 3, 4) if self._encoding.startswith("utf") else (0,)
        self._exact = self._head in head and "\ufffd" not in self._raw
        if decoded.raw is None and self._exact and not self._variable and self._width == 1:
            self._shift: int | None = self._head
        else:
            self._shift = None

    def places(self, spans: Sequence[tuple[int, int]]) -> list[Place]:
        """One place for each of `spans`, which ascend and may share ends but not overlap."""
        if self._shift is not None:
            shift = self._shift
            return [Place(start + shift, end + shift) for start, end in spans]
        if not self._exact:
            return self._lines(spans)
        offsets = self._bytes(self._raws([offset for span in spans for offset in span]))
        return [Place(start, end) for start, end in zip(offsets, offsets, strict=True)]

    def _lines(self, spans: Iterable[tuple[int, int]]) -> list[Place]:
        at = line = 0
        made = []
        for start, end in spans:
            line += self._text.count("\n", at, start)
            last = line + self._text.count("\n", start, end)
            made.append(Place(line, last + 1, "lines"))
            at, line = end, last
        return made

    def _raws(self, offsets: Sequence[int]) -> Iterator[int]:
        """Where each offset into the text stood before characters were removed."""
        text, raw = self._text, self._raw
        mark = _FIRST.match(raw)
        skipped = 1 if mark and mark.end() == 1 else 0
        lost = len(raw) - skipped - len(text)
        if not lost:
            yield from (offset + skipped for offset in offsets)
        elif lost == raw.count("\r\n") == text.count("\n"):
            at = 0
            for offset in offsets:
                skipped += text.count("\n", at, offset)
                at = offset
                yield offset + skipped
        else:
            skipped = 0
            gone = chain.from_iterable(range(*found.span()) for found in _REMOVED.finditer(raw))
            if mark:
                gone = chain([], sorted({*range(mark.end()), *gone}))
            place = next(gone, len(raw) + 1)
            for offset in offsets:
                while place <= offset + skipped:
                    skipped += 1
                    place = next(gone, len(raw) + 1)
                yield offset + skipped

    def _bytes(self, offsets: Iterable[int]) -> Iterator[int]:
        if not self._variable:
            yield from (self._head + self._width * offset for offset in offsets)
            return
        at, size = 0, self._head
        for offset in offsets:
            size += self._encoded(self._raw[at:offset])
            at = offset
            yield size

    def _encoded(self, text: str) -> int:
        return len(text.encode(self._encoding, "replace"))


def line_starts(text: str) -> list[int]:
    """The offset at which each line of `text` starts, and one past its end as if a line followed."""
    starts = [0]
    at = 0
    while (found := text.find("\n", at)) >= 0:
        at = found + 1
        starts.append(at)
    starts.append(len(text) + 1)
    return starts
