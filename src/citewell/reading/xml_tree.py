"""XML from strangers: parsed without DTDs, entities, network or recursion, and forgivingly where asked."""

from __future__ import annotations

import re
from html.entities import html5
from typing import Any, Final

from citewell.errors import ReadError
from citewell.reading.limits import over

MAX_DEPTH: Final = 256
"""Elements in each other, the outermost included: what the XML parser itself allows without `huge_tree`."""

_ENTITY: Final = re.compile(rb"<!ENTITY\s", re.IGNORECASE)
_DOCTYPE: Final = re.compile(rb"<!DOCTYPE\s[^>\[]{0,2000}(?:\[[^\]]{0,20000}\]\s*)?>", re.IGNORECASE)
_NAMED: Final = re.compile(rb"&([A-Za-z][A-Za-z0-9]{1,40});")
_KEPT: Final = frozenset({b"lt", b"gt", b"amp", b"quot", b"apos"})


def parse_xml(content: bytes, what: str = "The XML") -> Any:
    """The root element of `content`; comments, processing instructions and document types are gone.

    Characters that HTML names (`&nbsp;`) are put in. Raises ReadError unsafe_content for entities of its own, corrupt
    for what is no XML, limit_exceeded for elements that nest over `MAX_DEPTH` deep.
    """
    from lxml import etree

    head = content[:1_000_000]
    if b"\0" in head[:200]:  # UTF-16, in which no sign can be searched for
        content = _recoded(content)
        head = content[:1_000_000]
    if _ENTITY.search(head):
        raise ReadError(
            "unsafe_content", f"{what} declares entities of its own, which is refused. Save it without them."
        )
    content = _DOCTYPE.sub(lambda found: b"\n" * found[0].count(b"\n"), content, count=1)
    if b"&" in content:
        content = _NAMED.sub(_named, content)
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        said = str(error)
        if "depth" in said.lower():
            raise too_deep(what) from error
        raise ReadError("corrupt", f"{what} is damaged: {said[:200]}. Save it again.") from error
    if root.getroottree().docinfo.doctype:
        raise ReadError("unsafe_content", f"{what} declares a DTD that hides behind others; it is refused.")
    return root


def too_deep(what: str) -> ReadError:
    """The error for elements in each other to a depth that the XML parser refuses."""
    return over(what, MAX_DEPTH + 1, "levels of nested elements", MAX_DEPTH, "Flatten it.", seen=True)


def local(element: Any) -> str:
    """The element's tag without its namespace; "" for what is no element."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def attribute(element: Any, name: str) -> str:
    """The value of the first attribute of that name in whatever namespace, or ""."""
    for key, value in element.attrib.items():
        if key.rpartition("}")[2] == name:
            return str(value)
    return ""


def _recoded(content: bytes) -> bytes:
    from citewell.reading.decode import decode

    text = decode(content).text
    return re.sub(r"^(\s*<\?xml[^>]{0,200}?)\s+encoding\s*=\s*[\"'][^\"']*[\"']", r"\1", text).encode()


def _named(found: re.Match[bytes]) -> bytes:
    if found[1] in _KEPT:
        return found[0]
    sign = html5.get(found[1].decode("ascii") + ";")
    return sign.encode("ascii", "xmlcharrefreplace") if sign and sign not in "<&" else found[0]
