"""Inline Markdown that is plain to see: emphasis, code and links that hold nothing else, and signs that mean nothing.

What they mean depends on what is around them, so only those are taken whose surroundings leave no doubt: emphasis
between words, code without a space at its ends, links to a simple address. All else is for the full grammar.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

_SPACED_BREAK: Final = re.compile(r"[^\S\n]\n|\n[^\S\n]")
_TOKEN: Final = re.compile(
    r"`(?P<code>[^`\n ](?:[^`\n]*[^`\n ])?)`(?!`)"
    r"|(?<![^ \t\n(])(?P<mark>\*\*?|__?)(?P<strong>[^\W_](?:[^*_`\[\]<&!~\\]*[^\W_])?[.,:;?)%]?)(?P=mark)"
    r"(?=[ \t\n.,;:!?)]|\Z)"
    r"|(?<!!)\[(?P<words>[^\[\]*_`<&!~\\\n]+)\]\((?P<target>[A-Za-z0-9/.#?=:%+,~-]+)\)"
    r"|(?P<bracket>\[[^\[\]*_`\\~<&]*\](?![(:\[]))"
    r"|(?<=[^\W_])_+(?=[^\W_])"
    r"|(?<![^ \t\n])\*+(?![^ \t\n])"
    r"|&(?![#A-Za-z])|<(?![A-Za-z/!?])|~(?!~)"
    r"|(?P<other>[*_`\[\\~<&])"
)


def simple(
    content: str, target_of: Callable[[str], str | None], *, references: bool, soft_break: str
) -> tuple[str, list[tuple[int, int, str]]] | None:
    """`content` without its marks, line ends as `soft_break`, and its links; None where the full grammar must tell.

    Links are (start, end, target) in the text. `target_of` gives the target of an address as the grammar writes it,
    None where it refuses it. With `references` every bracket may be a link.
    """
    if "\n" in content and _SPACED_BREAK.search(content):
        return None
    parts: list[str] = []
    links: list[tuple[int, int, str]] = []
    at = size = 0
    for found in _TOKEN.finditer(content):
        kind = found.lastgroup
        if kind == "other" or (kind == "bracket" and references):
            return None
        if kind is None or kind == "bracket":
            continue
        start = found.start()
        parts.append(content[at:start])
        size += start - at
        if kind == "target":
            said = found["words"]
            target = target_of(found["target"])
            if target is None or said.isspace():
                return None
            links.append((size, size + len(said), target))
        else:
            said = found[kind]
        parts.append(said)
        size += len(said)
        at = found.end()
    parts.append(content[at:])
    return "".join(parts).replace("\n", soft_break), links
