"""What the elements of HTML mean to a reader: which begin a block, which are never text, which are not shown."""

from __future__ import annotations

import re
from typing import Any, Final

BLOCKS: Final = frozenset({
    "address", "article", "aside", "blockquote", "body", "center", "dd", "details", "dialog", "dir", "div", "dl",
    "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header",
    "hgroup", "hr", "html", "legend", "li", "main", "menu", "nav", "ol", "p", "pre", "section", "summary",
    "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul", "caption", "noscript", "optgroup", "select",
})  # fmt: skip
SKIPPED: Final = frozenset({
    "script", "style", "template", "svg", "iframe", "object", "embed", "canvas", "audio", "video", "head",
    "title", "meta", "link", "base", "annotation", "annotation-xml", "noframes",
})  # fmt: skip
_HIDING: Final = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|font-size\s*:\s*0(?![.\d]*[1-9])|opacity\s*:\s*0(?![.\d])",
    re.IGNORECASE,
)
_COLOUR: Final = re.compile(r"(?:^|[;\s])(background(?:-color)?|color)\s*:\s*([^;!]{1,60})", re.IGNORECASE)


def is_hidden(element: Any) -> bool:
    """Whether the element's own attributes keep it from being shown. Style sheets are not looked at."""
    if element.get("hidden") is not None and element.get("hidden") != "until-found":
        return True
    style = element.get("style")
    if not style:
        return False
    if _HIDING.search(style):
        return True
    colours = {name.lower()[:5]: _colour(value) for name, value in _COLOUR.findall(style)}
    return len(colours) == 2 and len(set(colours.values())) == 1


def _colour(value: str) -> str:
    value = value.strip().lower()
    if re.fullmatch("#[0-9a-f]{3}", value):
        value = "#" + "".join(2 * digit for digit in value[1:])
    return {"white": "#ffffff", "black": "#000000"}.get(value, value)
