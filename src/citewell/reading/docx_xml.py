"""The few things that every reader of Word's XML asks of an element."""

from __future__ import annotations

import re
from typing import Any, Final

W: Final = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
M: Final = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_MC: Final = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
FALLBACK: Final = f"{_MC}Fallback"


def name(element: Any) -> str:
    """The element's tag without its namespace; "" for comments and the like."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def child_value(parent: Any, child: str) -> str | None:
    """The `w:val` of the first `child` of `parent`, or None; `parent` may be None."""
    found = parent.find(f"{W}{child}") if parent is not None else None
    value = found.get(f"{W}val") if found is not None else None
    return str(value) if value is not None else None


def child_number(parent: Any, child: str) -> int | None:
    """As `child_value`, as a whole number; None where it is none."""
    return number(child_value(parent, child))


def number(text: str | None) -> int | None:
    """`text` as a whole number of up to nine digits, or None."""
    return int(text) if text is not None and re.fullmatch(r"-?\d{1,9}", text) else None


def is_on(properties: Any, child: str) -> bool:
    """Whether a property that is true or false is there and not switched off; `properties` may be None."""
    found = properties.find(f"{W}{child}") if properties is not None else None
    return found is not None and (found.get(f"{W}val") or "1").lower() not in {"0", "false", "off", "none"}


def choice(alternative: Any) -> Any:
    """The newest of several renderings of the same thing; reading all would double the text."""
    for tag in (f"{_MC}Choice", FALLBACK):
        found = alternative.find(tag)
        if found is not None:
            return found
    return ()
