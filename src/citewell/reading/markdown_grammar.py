"""The whole of CommonMark, for the parts of a document that are not plain to see."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from citewell.reading.limits import over
from citewell.reading.markdown_blocks import Rest, boundary

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

# Raw HTML that goes on behind a blank line.
_RAW_HTML: Final = re.compile(r"\s*<(?:script|pre|style|textarea|!|\?)", re.IGNORECASE)

_NESTING: Final = frozenset(
    f"{kind}_{end}" for kind in ("blockquote", "bullet_list", "ordered_list") for end in ("open", "close")
)


class Grammar:
    """CommonMark as markdown-it-py has it, for the parts of one document in turn; their references are of them all."""

    def __init__(self, max_depth: int) -> None:
        self.env: dict[str, Any] = {}
        self._max_depth = max_depth

    @cached_property
    def parser(self) -> MarkdownIt:
        from markdown_it import MarkdownIt

        # At its own limit the grammar stops and drops the rest in silence: it has to lie behind ours. A list has two of
        # its levels, one for its items.
        parser = MarkdownIt("commonmark", {"maxNesting": 2 * self._max_depth + 1}).enable(["table", "strikethrough"])
        parser.core.ruler.disable("inline")
        return parser

    def parsed(self, text: str, start: int, end: int | None = None) -> Rest:
        """The tokens of [start, end) of `text`. Raises ReadError limit_exceeded where it nests too deep."""
        end = len(text) if end is None else end
        tokens = self.parser.parse(text[start:end], self.env)
        # Most files are nowhere near: what the grammar calls a level is at least as much as a quote or a list is here.
        if any(token.level >= self._max_depth for token in tokens):
            self._require_depth(tokens)
        return Rest(start, end, tokens)

    def _require_depth(self, tokens: Sequence[Token]) -> None:
        depth = 0
        for token in tokens:
            depth += token.nesting if token.type in _NESTING else 0
            if depth > self._max_depth:
                raise over("The file", depth, "levels of quotes and lists", self._max_depth, "Flatten it.", seen=True)

    def rest(self, text: str, start: int) -> Rest:
        """The tokens from `start` to the first boundary behind which nothing can be open."""
        end = boundary(text, start)
        while True:
            rest = self.parsed(text, start, end)
            if end == len(text) or not _may_be_open(rest.tokens, text[start:end]):
                return rest
            # Twice as much each time: what never closes is read twice as often as once, and not again and again.
            end = boundary(text, end + (end - start))

    def target(self, address: str) -> str | None:
        """`address` as a link's target is written; None where it may not be one."""
        target: str = self.parser.normalizeLink(address)
        return target if self.parser.validateLink(target) else None


def _may_be_open(tokens: Sequence[Token], text: str) -> bool:
    """Whether the last of the blocks in `text` might go on behind a blank line: an open fence, raw HTML."""
    last = tokens[-1] if tokens else None
    if last is None or last.level or last.map is None:
        return False
    if last.type == "html_block":
        return _RAW_HTML.match(last.content) is not None
    if last.type != "fence":
        return False
    lines = text.rstrip().split("\n")
    line = lines[-1].rstrip().lstrip(" ")
    closes = len(line) >= len(last.markup) and set(line) == set(last.markup)
    return not (closes and len(lines) > last.map[0] + 1 and not lines[-1].startswith("    "))
