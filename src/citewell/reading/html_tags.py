"""What the elements of HTML mean to a reader: which begin a block, and which are never text."""

from __future__ import annotations

from typing import Final

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
