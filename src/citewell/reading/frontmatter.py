"""Front matter without a YAML parser: flat `key: value` lines and flat lists, nothing that can expand or execute."""

from __future__ import annotations

import re
from typing import Final

from citewell.types import Scalar, Value

_MAX_CHARS: Final = 50_000
_KEY: Final = re.compile(r"([A-Za-z_][\w.-]{0,99})[ \t]*:(?:[ \t]+(.*)|[ \t]*)$")
_ITEM: Final = re.compile(r"[ \t]*-[ \t]+(.+)$")
_NUMBER: Final = re.compile(r"[-+]?\d{1,18}(?:\.\d{1,18})?$")


def split_front_matter(text: str) -> tuple[dict[str, Value], str, list[str]]:
    """What stands between `---` lines at the very start, the text after it, and warnings on lines not understood.

    Values become numbers, truth values or text; `[a, b]` and `- a` lines become tuples; dates stay text. Nested
    values are left out with a warning. Without front matter the text comes back as it is.
    """
    if not text.startswith("---"):
        return {}, text, []
    first = text.find("\n", 0, 200)
    if first < 0 or text[3:first].strip():
        return {}, text, []
    closing = re.compile(r"^(?:---|\.\.\.)[ \t]*$", re.MULTILINE).search(text, first + 1, first + 1 + _MAX_CHARS)
    if closing is None:
        return {}, text, []
    lines = text[first + 1 : closing.start()].split("\n")
    if not lines[0].strip() or not any(_KEY.match(line) for line in lines):
        return {}, text, []  # a rule, and another rule further down
    values, skipped = _parse(lines)
    warnings = [f"Front matter not understood and left out: {', '.join(skipped[:10])}."] if skipped else []
    return values, text[closing.end() :].removeprefix("\n"), warnings


def _parse(lines: list[str]) -> tuple[dict[str, Value], list[str]]:
    values: dict[str, Value] = {}
    skipped: list[str] = []
    key = ""
    items: list[Scalar] = []
    folded: list[str] | None = None

    def close() -> None:
        nonlocal folded, items
        if key and folded is not None:
            values[key] = " ".join(folded).strip()
        elif key and items:
            values[key] = tuple(items)
        folded, items = None, []

    for line in lines:
        stripped = line.strip()
        if folded is not None and (not stripped or line[:1] in " \t"):
            folded.append(stripped)
        elif not stripped or stripped.startswith("#"):
            continue
        elif key and values.get(key) is None and (item := _ITEM.match(line)) and not _KEY.match(item[1]):
            items.append(_scalar(item[1]))
        elif found := _KEY.match(line):
            close()
            key, raw = found[1], (found[2] or "").strip()
            if raw in {"|", ">", "|-", ">-", "|+", ">+"}:
                folded = []
            elif raw.startswith("[") and raw.endswith("]"):
                values[key] = tuple(_scalar(part) for part in _parts(raw[1:-1]))
            elif raw.startswith(("{", "&", "*", "!", "[")):
                skipped.append(key)
                key = ""
            elif raw:
                values[key] = _scalar(raw)
            else:
                values.pop(key, None)
        else:
            skipped.append(stripped[:40])
    close()
    return values, skipped


def _parts(inner: str) -> list[str]:
    return [part for part in re.findall(r"\s*(\"[^\"]*\"|'[^']*'|[^,]+)", inner) if part.strip()]


def _scalar(raw: str) -> Scalar:
    raw = raw.strip()
    if len(raw) >= 2 and raw[0] == raw[-1] and raw[0] in "\"'":
        inner = raw[1:-1]
        return inner.replace('\\"', '"') if raw[0] == '"' else inner.replace("''", "'")
    raw = re.sub(r"(?<!\s)\s+#.*$", "", raw)
    if raw.lower() in {"true", "false"}:
        return raw.lower() == "true"
    if _NUMBER.match(raw):
        return float(raw) if "." in raw else int(raw)
    return raw
