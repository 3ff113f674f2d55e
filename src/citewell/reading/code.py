"""Source code as it stands: a block for each definition with its comments, under the name it is called by."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import unquote, urlsplit

from citewell.reading import versions
from citewell.reading.decode import decode
from citewell.reading.detect import detect
from citewell.reading.languages import CODE_TYPES
from citewell.reading.pieces import require_text
from citewell.reading.positions import Positions
from citewell.reading.symbols import Symbol, symbols
from citewell.types import Block, BlockKind, Document, Source, Span

_MAX_CHARS: Final = 1500  # of code that defines nothing, in one block
_GAP: Final = re.compile(r"\n[ \t]*+\n\s*+")
_WORD: Final = re.compile(r"\w")
# A string, a comment, what opens a longer one or the body of a function (`$tag$`), or the end of a statement.
_SQL: Final = re.compile(r"'(?:[^']|'')*+'|\"[^\"]*+\"|--[^\n]*+|/\*|\$\w*+\$|;")
_DOLLARS: Final = re.compile(r"(?=(\$\w*+\$))")
_CREATE: Final = re.compile(
    r"(?:\s|--[^\n]*\n|/\*.*?\*/)*+(?:CREATE|ALTER)\s+(?:OR\s+REPLACE\s+)?(?:\w+\s+){0,3}?(?:TABLE|VIEW|FUNCTION|PROCEDURE|"
    r"TRIGGER|INDEX|TYPE|SEQUENCE|SCHEMA|DATABASE|PACKAGE(?:\s+BODY)?)\s+(?:IF\s+(?:NOT\s+)?EXISTS\s+)?(?:ONLY\s+)?"
    r"([\w.\"`\[\]]{1,200})",
    re.IGNORECASE | re.DOTALL,
)  # fmt: skip


class CodeReader:
    """Reads source code; the text is the decoded file, character for character, in blocks of code.

    The heading path of a block is the path of the symbol it defines, such as `Class.method`; a class is the block of
    what stands in it before its first method. Code between definitions, and code of languages without a grammar, is
    cut at blank lines. SQL is cut into its statements.
    """

    @property
    def identity(self) -> str:
        return versions.with_grammars(versions.CODE)

    def read(self, source: Source) -> Document:
        """The document in `source`. Raises ReadError: corrupt, no_text."""
        decoded = decode(source.content)
        text, warnings = decoded.text, list(decoded.warnings)
        media_type = detect(source.content, source.uri, source.media_type)
        language = CODE_TYPES.get(media_type, "")
        found: Sequence[Symbol] = ()
        if language == "sql":
            found = list(_statements(text))
        else:
            try:
                found = _in_characters(symbols(text.encode("utf-8", "replace"), language) or (), text)
            except ImportError as error:
                warnings.append(
                    f"Definitions were not told apart: {error.name} is not installed. Install citewell[code]."
                )
        cuts = _merged(text, list(_cut(text, 0, len(text), found, ())))
        places = Positions(source.content, decoded).places([(start, end) for start, end, _ in cuts])
        blocks = tuple(
            Block(
                BlockKind.CODE,
                Span(start, end),
                heading_path=(".".join(path),) if path else (),
                language=language or None,
                source=place,
            )
            for (start, end, path), place in zip(cuts, places, strict=True)
        )
        require_text(blocks)
        return Document.of(
            source,
            reader=self.identity,
            media_type=media_type,
            title=_title(source.uri),
            text=text,
            blocks=blocks,
            metadata={"encoding": decoded.encoding, "programming_language": language},
            warnings=tuple(warnings),
        )


def _cut(
    text: str, start: int, end: int, found: Sequence[Symbol], path: tuple[str, ...]
) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    """Pieces [start, end) with the path of their symbol, without white space around them."""
    at = start
    for symbol in found:
        yield from _between(text, at, symbol.start, path)
        inner = (*path, symbol.name) if symbol.name else path
        if symbol.inside:
            yield from _cut(text, symbol.start, symbol.end, symbol.inside, inner)
        else:
            yield from _trimmed(text, symbol.start, symbol.end, inner)
        at = symbol.end
    yield from _between(text, at, end, path)


def _between(text: str, start: int, end: int, path: tuple[str, ...]) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    """The code between definitions: paragraphs of it together, as long as they are short."""
    at = start
    last = start
    for gap in _GAP.finditer(text, start, end):
        if gap.end() - at > _MAX_CHARS and last > at:
            yield from _trimmed(text, at, last, path)
            at = last
        last = gap.end()
    if end - at > _MAX_CHARS and last > at:
        yield from _trimmed(text, at, last, path)
        at = last
    yield from _trimmed(text, at, end, path)


def _trimmed(text: str, start: int, end: int, path: tuple[str, ...]) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    while start < end and text[start].isspace():
        start += 1
    # The first line keeps its indentation, which its other lines have too.
    line = text.rfind("\n", 0, start) + 1
    while start > line and text[start - 1] in " \t":
        start -= 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if end > start and not text[start:end].isspace():
        yield start, end, path


def _merged(text: str, cuts: list[tuple[int, int, tuple[str, ...]]]) -> list[tuple[int, int, tuple[str, ...]]]:
    """The same cuts, those without a word (closing brackets) joined to the one before them."""
    merged: list[tuple[int, int, tuple[str, ...]]] = []
    for first, end, path in cuts:
        start = first
        if merged:
            before, until, known = merged[-1]
            start = max(start, until)
            if not _WORD.search(text, start, end):
                merged[-1] = before, max(end, until), known
                continue
        if start < end:
            merged.append((start, end, path))
    return merged


def _in_characters(found: Sequence[Symbol], text: str) -> Sequence[Symbol]:
    """Symbols of UTF-8 bytes as symbols of characters."""
    if text.isascii():
        return found
    places: list[int] = []

    def collect(some: Sequence[Symbol]) -> None:
        for one in some:
            places.extend((one.start, one.end))
            collect(one.inside)

    collect(found)
    raw = text.encode("utf-8", "replace")
    characters: dict[int, int] = {}
    at = count = 0
    for place in sorted(set(places)):
        count += len(raw[at:place].decode("utf-8", "ignore"))
        characters[place], at = count, place

    def changed(some: Sequence[Symbol]) -> tuple[Symbol, ...]:
        return tuple(Symbol(one.name, characters[one.start], characters[one.end], changed(one.inside)) for one in some)

    return changed(found)


def _statements(text: str) -> Iterator[Symbol]:
    start = at = 0
    # Where each closing mark stands last: what it does not close any more would be looked for from each opening.
    last = {found[1]: found.start() for found in _DOLLARS.finditer(text)}
    last["*/"] = text.rfind("*/")
    while sign := _SQL.search(text, at):
        at = sign.end()
        closing = "*/" if sign[0] == "/*" else sign[0]
        if closing == ";":
            yield _statement(text, start, at)
            start = at
        elif last.get(closing, -1) >= at:
            at = text.index(closing, at) + len(closing)
        elif closing[0] == "$":
            # The second sign may open another one.
            at -= 1
    if text[start:].strip():
        yield _statement(text, start, len(text))


def _statement(text: str, start: int, end: int) -> Symbol:
    named = _CREATE.match(text, start, end)
    return Symbol(re.sub(r"[\"`\[\]]", "", named[1]) if named else "", start, end)


def _title(uri: str) -> str:
    path = unquote(urlsplit(uri).path) if "://" in uri else uri
    return PurePosixPath(path.replace("\\", "/")).name or uri
