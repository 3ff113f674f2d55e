"""Text of documents made safe to show: nothing in it can steer a terminal or reorder what is read."""

from __future__ import annotations

import re
from typing import Any

# Whole sequences first, so that the letters of "\x1b[31m" or a window title do not stay behind. A sequence that is not
# ended on its line loses its introducer only: it must not swallow the rest of a document.
_SEQUENCES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor, erasing
    # OSC, DCS, SOS, PM, APC; the body holds no start of another, so that no stretch is looked at from each of many.
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x90\x98\x9c-\x9f\n]{0,4096}(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]*[0-Z\\-~]"  # two- and three-character escapes
)
# Line and paragraph separators end lines; tabs would move text under columns.
_SPACES = re.compile(r"[\t\x0b\x0c\x85\u2028\u2029]|\r\n?")
# Controls, marks and overrides of direction, invisible operators, tags, private shift characters.
_DROPPED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f]"
)
_SURROGATES = re.compile("[\ud800-\udfff]")
_UNSAFE_IN_JSON = re.compile(
    "[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)


def clean(text: str) -> str:
    """`text` without escape sequences, control characters but the line feed, and invisible or reordering ones."""
    if text.isascii() and text.isprintable():
        return text
    text = _SEQUENCES.sub("", text)
    text = _SPACES.sub(lambda found: " " if found.group() == "\t" else "\n", text)
    return _SURROGATES.sub("\ufffd", _DROPPED.sub("", text))


def line(text: str) -> str:
    """`text` cleaned, as one line: every run of white space is one space."""
    return " ".join(clean(text).split())


def visible(text: str) -> str:
    """`text` with every character that `clean` would drop written out (`\\x1b`): what was there can be seen."""
    return _SURROGATES.sub(_written, _DROPPED.sub(_written, text))


def escape_json(document: str) -> str:
    """A JSON document with the same meaning, in which no character can steer a terminal or is not valid UTF-8."""
    return _UNSAFE_IN_JSON.sub(_escaped, document)


def _written(found: re.Match[str]) -> str:
    return repr(found.group())[1:-1]


def _escaped(found: re.Match[str]) -> str:
    code = ord(found.group())
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"


def text_of(value: Any) -> str:
    """A recorded value on one line: text as it is, lists joined, everything else as Python would say it."""
    match value:
        case str():
            return line(value)
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.4g}"
        case list() | tuple() | set() | frozenset():
            return ", ".join(text_of(one) for one in value) or "none"
        case {"type": str(), "value": held} if len(value) == 2:  # how a journal records a value of several types
            return text_of(held)
        case dict():
            return ", ".join(f"{line(str(name))} = {text_of(one)}" for name, one in value.items()) or "none"
        case _:
            return line(str(value))
