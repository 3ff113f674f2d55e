"""Jupyter notebooks: what is written, what is run, and what came out, cell by cell."""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from citewell.errors import ReadError
from citewell.reading import versions
from citewell.reading.decode import decode
from citewell.reading.formats import NOTEBOOK
from citewell.reading.html import fragment_pieces
from citewell.reading.images import Picture, picture
from citewell.reading.limits import MAX_CELLS, over
from citewell.reading.markdown import MarkdownReader
from citewell.reading.metadata import document_metadata
from citewell.reading.pieces import Builder, Piece
from citewell.types import BlockKind, Document, Place, Reason, Source, Value, count_characters

_MAX_CELLS: Final = 20_000
_MAX_OUTPUT: Final = 20_000  # characters: a longer one is a log, of which the start and the end tell
_ANSI: Final = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_ATTACHED: Final = re.compile(r"attachment:([^\s)\"'>]{1,200})")
_IMAGES: Final = ("image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml")


class NotebookReader:
    """Reads notebooks of format 3 to 4: Markdown cells as Markdown, code cells as code, outputs as text or images.

    Each cell is an element of the source. A table that a library printed as HTML is a table. Tracebacks and warnings
    of the run are boilerplate. A broken cell is named in a warning.
    """

    identity = versions.NOTEBOOK

    def __init__(self, *, max_cells: int = MAX_CELLS) -> None:
        self._max_cells = max_cells
        self._markdown = MarkdownReader(max_cells=max_cells)

    def read(self, source: Source) -> Document:
        """The document in `source`. Raises ReadError: corrupt, unsupported_type, limit_exceeded, no_text."""
        decoded = decode(source.content)
        book = _book(decoded.text)
        language = _language(book)
        builder = Builder(max_cells=self._max_cells)
        warnings = list(decoded.warnings)
        for number, cell in enumerate(_cells(book)):
            if number >= _MAX_CELLS:
                raise over("The notebook", number + 1, "cells", _MAX_CELLS, seen=True)
            place = Place(number, number + 1, "cells")
            try:
                for piece in self._cell(cell, language, builder, warnings):
                    piece.source = place
                    builder.add(piece)
            except (TypeError, ValueError, AttributeError, KeyError) as error:
                warnings.append(f"Cell {number + 1} is broken and was left out: {type(error).__name__}.")
        found: dict[str, Value] = {"encoding": decoded.encoding, "programming_language": language}
        metadata, left_out = document_metadata(found)
        return builder.document(
            source, reader=self.identity, media_type=NOTEBOOK, metadata=metadata, warnings=[*warnings, *left_out]
        )

    def _cell(self, cell: Mapping[str, Any], language: str, builder: Builder, warnings: list[str]) -> Iterator[Piece]:
        kind = cell.get("cell_type")
        text = _joined(cell.get("source", cell.get("input", "")))
        if kind == "markdown":
            pieces, said = self._markdown.pieces(_with_images(text, cell.get("attachments")))
            warnings.extend(said)
            yield from pieces
        elif kind == "heading":
            yield Piece(BlockKind.HEADING, text, int(cell.get("level") or 1))
        elif kind == "code":
            magic = re.match(r"%%(\w+)", text)
            ran = {"bash": "shell", "sh": "shell"}.get(magic[1], magic[1]) if magic else language
            yield Piece(BlockKind.CODE, text, language=ran or None)
            for output in cell.get("outputs") or ():
                yield from self._output(output, builder)
        else:
            yield Piece(BlockKind.CODE if kind == "raw" else BlockKind.PARAGRAPH, text)

    def _output(self, output: Mapping[str, Any], builder: Builder) -> Iterator[Piece]:
        kind = output.get("output_type")
        if kind == "stream":
            aside = output.get("name", output.get("stream")) == "stderr"
            yield Piece(BlockKind.CODE, _shortened(_joined(output.get("text")), builder), boilerplate=aside)
        elif kind in ("error", "pyerr"):
            yield Piece(
                BlockKind.CODE, f"{output.get('ename')}: {_plain(_joined(output.get('evalue')))}", boilerplate=True
            )
        elif kind in ("execute_result", "display_data", "pyout"):
            data = output.get("data") or {
                name: output[key]
                for key, name in (
                    ("text", "text/plain"),
                    ("html", "text/html"),
                    ("png", "image/png"),
                    ("jpeg", "image/jpeg"),
                )
                if key in output
            }
            yield from self._data(data, builder)

    def _data(self, data: Mapping[str, Any], builder: Builder) -> Iterator[Piece]:
        shown = next((name for name in _IMAGES if name in data), None)
        plain = _shortened(_joined(data.get("text/plain", "")), builder)
        if shown is not None:
            image = _image(shown, data[shown])
            if image is None:
                builder.leave_out(Reason.UNREADABLE, images=1)
            # `<Figure size 640x480>` says nothing that the image does not.
            alt = "" if plain.startswith("<") else plain
            yield Piece(BlockKind.FIGURE, alt, asset=image)
        elif "text/html" in data and "<table" in (html := _joined(data["text/html"])):
            yield from fragment_pieces(html, self._max_cells)
        elif "text/markdown" in data:
            yield from self._markdown.pieces(_joined(data["text/markdown"]))[0]
        elif plain:
            yield Piece(BlockKind.CODE, plain)
        elif "text/latex" in data:
            yield Piece(BlockKind.PARAGRAPH, _joined(data["text/latex"]))
        elif "text/html" in data:
            yield from fragment_pieces(_joined(data["text/html"]), self._max_cells)


def _book(text: str) -> Mapping[str, Any]:
    try:
        book: object = json.loads(text)
    except RecursionError as error:
        raise ReadError("limit_exceeded", "The notebook is nested too deeply to be read.") from error
    except ValueError as error:
        raise ReadError("corrupt", f"The notebook is no JSON: {str(error)[:200]}. Save it again.") from error
    if not isinstance(book, dict) or not isinstance(book.get("cells", book.get("worksheets")), list):
        raise ReadError("unsupported_type", "The file has no cells of a notebook. Name it .json if it is data.")
    return book


def _cells(book: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    sheets: Sequence[Any] = [book] if "cells" in book else book["worksheets"]
    for sheet in sheets:
        cells = sheet.get("cells") if isinstance(sheet, dict) else None
        for cell in cells if isinstance(cells, list) else ():
            yield cell if isinstance(cell, dict) else {"cell_type": "raw", "source": None}


def _language(book: Mapping[str, Any]) -> str:
    metadata = book.get("metadata")
    for name in ("language_info", "kernelspec"):
        part = metadata.get(name) if isinstance(metadata, dict) else None
        found = part.get("name" if name == "language_info" else "language") if isinstance(part, dict) else None
        if isinstance(found, str) and found:
            return found.lower()
    return "python"


def _joined(value: object) -> str:
    """The text of a multiline string: a string, or a list of its lines. Raises TypeError for anything else."""
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        value = "".join(value)
    if not isinstance(value, str):
        raise TypeError("no text")
    return _plain(value)


def _plain(text: str) -> str:
    text = _ANSI.sub("", text).replace("\r\n", "\n").replace("\f", "\n").replace("\v", "\n")
    # What is written after a carriage return takes the place of what stands before it, as a progress bar does.
    text = re.sub(r"^[^\n]*\r(?=[^\n])", "", text, flags=re.MULTILINE)
    return re.sub("[\x00-\x08\x0e-\x1f\x7f\r\ud800-\udfff]", "", text)


def _shortened(text: str, builder: Builder) -> str:
    if len(text) <= _MAX_OUTPUT:
        return text
    half = _MAX_OUTPUT // 2
    builder.leave_out(Reason.BOILERPLATE, characters=count_characters(text[half:-half]))
    return f"{text[:half]}\n[…]\n{text[-half:]}"


def _image(kind: str, value: object) -> Picture | None:
    text = _joined(value)
    if kind == "image/svg+xml":
        return picture(text.encode("utf-8", "replace"))
    try:
        return picture(binascii.a2b_base64(text))
    except binascii.Error:
        return None


def _with_images(text: str, attachments: object) -> str:
    """The Markdown of a cell with the images that are attached to it written into it."""
    if not isinstance(attachments, dict) or not attachments:
        return text

    def written(found: re.Match[str]) -> str:
        held = attachments.get(found[1])
        if isinstance(held, dict):
            for kind, value in held.items():
                if kind in _IMAGES and isinstance(value, str):
                    return f"data:{kind};base64,{''.join(value.split())}"
        return found[0]

    return _ATTACHED.sub(written, text)
