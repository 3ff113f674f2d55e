"""Bytes become text: byte order mark, then UTF-8, then what the file declares, then what the bytes look like."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from typing import Final

from citewell.errors import ReadError

_BOMS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it starts with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# What browsers do with these labels (WHATWG Encoding Standard): the wider encoding reads the narrower one rightly.
_WIDER: Final = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
}
# Python codecs that are no file's character set.
_NO_CHARSETS: Final = frozenset(
    {"idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined", "mbcs", "oem"}
)
# What files are found in besides UTF: Windows, ISO, KOI8, Mac and East Asian sets. DOS and mainframe code pages are
# left out, since they give a meaning to every byte and so win on damaged text.
_CANDIDATES: Final = (
    *(f"cp125{n}" for n in range(9)),
    *("cp874", "cp932", "cp949", "cp866", "koi8_r", "koi8_u", "mac_roman", "mac_cyrillic"),
    *("iso8859_2", "iso8859_5", "iso8859_6", "iso8859_7", "iso8859_8", "iso8859_15"),
    *("gb18030", "big5", "euc_jp", "shift_jis_2004", "johab"),
)
_CONTROLS: Final = bytes([*range(9), 11, 12, *range(14, 32), 127])
_CONTROL_TEXT: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]+")
_SAMPLE: Final = 200_000
_META: Final = re.compile(rb"""<meta[^>]{0,500}?charset\s{0,20}=\s{0,20}["']?\s{0,20}([\w:.-]{2,40})""", re.IGNORECASE)
_XML: Final = re.compile(rb"""^\s{0,20}<\?xml[^>]{0,200}?encoding\s{0,20}=\s{0,20}["']([\w:.-]{2,40})["']""")
# Letters and signs that Western European text in cp1252 uses; a run of three or more of them is no such text.
_WESTERN: Final = frozenset("ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜÝßàáâãäåæçèéêëìíîïñòóôõöøùúûüýÿŒœŸ")
_SIGNS: Final = frozenset("\xa0€‚„…†‡‰‹‘’“”•–—™›¡¢£§©ª«®°±²³´µ¶·¹º»¼½¾¿×÷")
_SPECIAL_RUN: Final = re.compile(r"[^\x00-\x7f]+")


@dataclass(frozen=True, slots=True)
class Decoded:
    """Text with `\\n` newlines and without control characters, the encoding it was read in, and what was lost.

    `raw` is the text before newlines and controls were touched, None where it is the same.
    """

    text: str
    encoding: str
    warnings: tuple[str, ...] = ()
    raw: str | None = None


def decode(content: bytes, *, declared: str | None = None) -> Decoded:
    """The text of `content`. Newlines become `\\n`, control characters go; all else stays as found.

    In particular it is not brought to a Unicode normal form: quotes must be found in the source as they stand there,
    and search normalises on its own. `declared` is a label from the file itself; it counts only where the bytes are
    neither marked nor valid UTF-8 beyond ASCII, because labels lie more often than whole files happen to be UTF-8.
    Raises ReadError corrupt when the bytes are not text.
    """
    text, encoding, notes = _read(content, declared)
    if text is None:
        raise ReadError("corrupt", "The bytes are not text in any known encoding. Save the file as UTF-8.")
    raw = text
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    cleaned = text
    if not _free_of_controls(content, encoding):
        # A form feed ends a page and a vertical tab a line; the others mean nothing in text.
        cleaned = _CONTROL_TEXT.sub("", text.replace("\f", "\n").replace("\v", "\n"))
        lost = len(text) - len(cleaned)
        if lost:
            notes.append(f"{lost} control characters were left out.")
    cleaned = cleaned.removeprefix("\ufeff")
    return Decoded(cleaned, encoding, tuple(notes), None if cleaned is raw or cleaned == raw else raw)


def decode_html(content: bytes) -> Decoded:
    """As `decode`, with the label that the page's own meta tag or XML declaration gives."""
    declared = _XML.match(content[:500]) or _META.search(content[:_SAMPLE])
    return decode(content, declared=declared[1].decode("ascii", "replace") if declared else None)


def utf16_without_mark(sample: bytes) -> str | None:
    """`utf-16-le` or `utf-16-be` when every other byte is NUL, as in Latin-script UTF-16, else None."""
    sample = sample[: len(sample) & ~1][:8192]
    if len(sample) < 4:
        return None
    even, odd, half = sample[0::2].count(0), sample[1::2].count(0), len(sample) // 2
    if odd > 0.4 * half and even < 0.05 * half:
        return "utf-16-le"
    if even > 0.4 * half and odd < 0.05 * half:
        return "utf-16-be"
    return None


def _read(content: bytes, declared: str | None) -> tuple[str | None, str, list[str]]:
    for bom, encoding in _BOMS:
        if content.startswith(bom):
            return _lenient(content[len(bom) :], encoding)
    if encoding16 := utf16_without_mark(content):
        return _lenient(content, encoding16)
    label = _codec(declared)
    # ISO-2022 and HZ are all ASCII bytes: only the label can tell.
    if label and label.startswith(("iso2022", "hz")):
        try:
            return content.decode(label), label, []
        except (UnicodeError, LookupError):
            pass
    try:
        return content.decode("utf-8"), "utf-8", []
    except UnicodeDecodeError:
        pass
    if label and label not in {"utf-8", "utf_8_sig"} and not label.startswith("utf"):
        try:
            return content.decode(label), label, []
        except (UnicodeError, LookupError):
            pass
    return _guess(content)


def _guess(content: bytes) -> tuple[str | None, str, list[str]]:
    sample = _telling(content)
    forgiving = sample.decode("utf-8", "replace")
    bad = forgiving.count("\ufffd")
    good = sum(map(len, _SPECIAL_RUN.findall(forgiving))) - bad
    if good > 4 * bad:
        # Mostly right UTF-8 with a few broken places is damaged UTF-8, not another encoding.
        return _lenient(content, "utf-8")
    if _looks_western(sample):
        text = content.decode("cp1252", "replace")
        return text, "cp1252", _replaced(text)
    from charset_normalizer import from_bytes

    best = from_bytes(sample, cp_isolation=list(_CANDIDATES)).best()
    if best is not None and best.encoding != "ascii":
        encoding = _codec(best.encoding) or best.encoding
        text = content.decode(encoding, "replace")
        if text.count("\ufffd") <= len(text) // 100:
            return text, encoding, _replaced(text)
    if len(forgiving) and bad <= len(forgiving) * 0.3 and len(_CONTROL_TEXT.findall(forgiving)) <= len(forgiving) // 50:
        return _lenient(content, "utf-8")
    return None, "", []


def _telling(content: bytes) -> bytes:
    """Whole lines around the first bytes beyond ASCII, at most `_SAMPLE` bytes: the rest tells no encoding."""
    if len(content) <= _SAMPLE:
        return content
    first = re.search(rb"[\x80-\xff]", content)
    start = max(0, (first.start() if first else 0) - 2000)
    start = content.rfind(b"\n", 0, start) + 1 if b"\n" in content[max(0, start - 4000) : start] else start
    end = content.rfind(b"\n", start, start + _SAMPLE)
    return content[start : end if end > start else start + _SAMPLE]


def _looks_western(sample: bytes) -> bool:
    try:
        text = sample.decode("cp1252")
    except UnicodeDecodeError:
        return False
    runs = _SPECIAL_RUN.findall(text)
    letters = sum(len(run) for run in runs)
    # Capitals inside lower-case words, as in "äÅñ", are other encodings read as this one.
    return (
        letters <= 0.3 * len(text)
        and sum(1 for run in runs if len(run) <= 2 and set(run) <= _WESTERN | _SIGNS) >= 0.98 * len(runs)
        and len(re.findall("[a-z][À-Þ][a-z]|[a-zà-ÿ][²³¹¼½¾ªº¿¡][a-z]|[a-z][¤¦¨¬¯¸]", text)) <= 0.02 * len(runs)
    )


def _lenient(content: bytes, encoding: str) -> tuple[str, str, list[str]]:
    text = content.decode(encoding, "replace")
    return text, encoding, _replaced(text)


def _replaced(text: str) -> list[str]:
    count = text.count("\ufffd")
    return [f"{count} places were not valid in the file's encoding and read as U+FFFD."] if count else []


def _codec(label: str | None) -> str | None:
    if not label:
        return None
    try:
        name = codecs.lookup(label.strip()).name
    except LookupError:
        return None
    if name in _NO_CHARSETS:
        return None
    return _WIDER.get(name, name)


def _free_of_controls(content: bytes, encoding: str) -> bool:
    # In UTF-16 and UTF-32 control bytes are everywhere; looking at the text is the only way there.
    return not encoding.startswith("utf-16") and not encoding.startswith("utf-32") and not _has_controls(content)


def _has_controls(content: bytes) -> bool:
    return len(content.translate(None, _CONTROLS)) != len(content)
