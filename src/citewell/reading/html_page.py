"""A web page as a tree: parsed, what its head says of it, and a count of its characters by itself."""

from __future__ import annotations

from typing import Any, Final

from citewell.reading.html_survey import LEVELS
from citewell.reading.html_tags import SKIPPED
from citewell.reading.limits import over
from citewell.reading.tidy import visible
from citewell.types import Value, count_characters

_PARSER_DEPTH: Final = 2048
_META: Final = {
    "author": "author",
    "article:author": "author",
    "dc.creator": "author",
    "date": "date",
    "article:published_time": "date",
    "dc.date": "date",
    "article:modified_time": "modified",
    "last-modified": "modified",
    "description": "description",
    "og:description": "description",
    "content-language": "language",
    "dc.language": "language",
}


def parse(markup: str) -> Any:
    """The root element of a page, or None where there is none. Raises ReadError limit_exceeded."""
    from lxml import etree

    # huge_tree lifts the limit of 256 levels, which pages with unclosed tags reach; `_PARSER_DEPTH` remains.
    parser = etree.HTMLParser(encoding="utf-8", huge_tree=True, no_network=True, remove_comments=True, remove_pis=True)
    try:
        root = etree.fromstring(markup.encode("utf-8", "replace"), parser)
    except etree.XMLSyntaxError:
        return None
    last = parser.error_log.last_error
    if last is not None and last.type_name == "ERR_RESOURCE_LIMIT":
        raise over("The page", _PARSER_DEPTH + 1, LEVELS, _PARSER_DEPTH, "Flatten it.", seen=True)
    if root is not None:
        # What follows the first </html> is a root of its own; browsers show it, so it must not be lost.
        for sibling in list(root.itersiblings()):
            root.append(sibling)
    return root


def metadata_of(root: Any) -> dict[str, Value]:
    """What the head of a page says of it: author, dates, description, language, address."""
    found: dict[str, Value] = {}
    language = root.get("lang") or root.get("{http://www.w3.org/XML/1998/namespace}lang")
    if language:
        found["language"] = language.strip()
    for meta in root.iter("meta"):
        name = (meta.get("name") or meta.get("property") or meta.get("http-equiv") or "").strip().lower()
        content = " ".join((meta.get("content") or "").split())
        if content and name in _META:
            found.setdefault(_META[name], content)
    for link in root.iter("link"):
        if "canonical" in (link.get("rel") or "").lower().split() and (link.get("href") or "").strip():
            found.setdefault("canonical", link.get("href").strip())
    return found


def characters(root: Any) -> int:
    """Characters that stand in the page to be read, whatever becomes of them."""
    from lxml import etree

    text = etree.XPath("string()")
    outermost = etree.XPath(
        f"//*[{' or '.join(f'self::{tag}' for tag in sorted(SKIPPED))}]"
        f"[not(ancestor::*[{' or '.join(f'self::{tag}' for tag in sorted(SKIPPED))}])]"
    )
    unseen = "".join(str(text(element)) for element in outermost(root))
    return shown(str(text(root))) - shown(unseen)


def shown(text: str) -> int:
    """How many of its characters show anything."""
    return count_characters(visible(text))
