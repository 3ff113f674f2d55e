"""JSON and JSON lines, whatever they hold; records with questions and answers are the FAQ reader's."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Final

from citewell.errors import ReadError
from citewell.reading import versions
from citewell.reading.decode import Decoded, decode
from citewell.reading.formats import JSON
from citewell.reading.limits import MAX_CELLS
from citewell.reading.pieces import Builder, title_from_uri
from citewell.reading.positions import Positions
from citewell.reading.records import Data, Field, pieces_of
from citewell.types import Document, Place, Source

# Half of a pair without its other half.
_SURROGATES: Final = re.compile(
    r"(?<!\\)\\u(?:d[89ab][0-9a-f]{2}(?!\\ud[c-f][0-9a-f]{2})|(?<!\\ud[89ab][0-9a-f]{2}\\u)d[c-f][0-9a-f]{2})",
    re.IGNORECASE,
)


class JsonReader:
    """Reads JSON of any shape, and one JSON value a line. Keys are headings, flat records tables, fields lines.

    Numbers are shown as they are written. A line that is no JSON is left out with a warning, unless most are.
    """

    identity = versions.JSON

    def __init__(self, *, max_cells: int = MAX_CELLS) -> None:
        self._max_cells = max_cells

    def read(self, source: Source) -> Document:
        """The document in `source`. Raises ReadError: limit_exceeded, unsupported_type, no_text."""
        decoded = decode(source.content)
        data, warnings = _load(decoded.text)
        builder = Builder(max_cells=self._max_cells)
        fields = list(pieces_of(data))
        _place(source.content, decoded, fields)
        for field in fields:
            builder.add(field.piece)
        return builder.document(
            source,
            reader=self.identity,
            media_type=JSON,
            title=_title(data) or title_from_uri(source.uri),
            metadata={"encoding": decoded.encoding},
            warnings=[*decoded.warnings, *warnings],
        )


def _load(text: str) -> tuple[Data, list[str]]:
    """The data in `text`, and warnings. Raises ReadError unsupported_type."""
    try:
        return _parsed(text), []
    except RecursionError as error:
        # Not limit_exceeded: as the text that it is it can still be read.
        raise ReadError("unsupported_type", "The JSON is nested too deeply to be read as data. Flatten it.") from error
    except ValueError as error:
        failure = error
    records: list[Data] = []
    bad: list[int] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            records.append(_parsed(line))
        except RecursionError as error:
            raise ReadError("unsupported_type", f"Line {number} is nested too deeply to be read as data.") from error
        except ValueError:
            bad.append(number)
    if len(records) < 2 or len(bad) > len(records) // 10:
        raise ReadError(
            "unsupported_type", f"The file is no JSON: {str(failure)[:200]}. Correct it, or name it as the text it is."
        )
    lines = ", ".join(map(str, bad[:10]))
    return records, [f"{len(bad)} lines are no JSON and were left out: {lines}."] if bad else []


def _title(data: Data) -> str:
    """What the data calls itself at the top."""
    if not isinstance(data, dict):
        return ""
    return next((one for key in ("title", "name") if isinstance(one := data.get(key), str) and len(one) <= 200), "")


def _parsed(text: str) -> Data:
    # Numbers stay text: as they are written is how they are quoted, and long ones cost time out of proportion.
    data: Data = json.loads(
        _SURROGATES.sub(r"\\ufffd", text) if "\\ud" in text.lower() else text,
        parse_int=str, parse_float=str, parse_constant=str, object_pairs_hook=_object,
    )  # fmt: skip
    return data


def _object(pairs: list[tuple[str, Data]]) -> dict[str, Data]:
    """The pairs of an object; of equal keys all values are kept, under names that tell them apart."""
    found: dict[str, Data] = {}
    for key, value in pairs:
        name, again = key, 2
        while name in found and again < 100:
            name, again = f"{key} ({again})", again + 1
        found[name] = value
    return found


def _place(content: bytes, decoded: Decoded, fields: Sequence[Field]) -> None:
    """Give the pieces their places: each starts where its first key or value stands, after the piece before."""
    text, at = decoded.text, 0
    spans: list[tuple[int, int]] = []
    placed: list[Field] = []
    for field in fields:
        start = end = -1
        cursor = at
        for token in field.tokens:
            found = _find(text, token, cursor)
            if found is None:
                continue
            if start < 0:
                start = found[0]
            cursor = end = found[1]
        if start >= 0:
            spans.append((start, end))
            placed.append(field)
            at = end
    line = last = 0
    for field, (start, end), place in zip(placed, spans, Positions(content, decoded).places(spans), strict=True):
        line += text.count("\n", last, start)
        last = start
        # Bytes are named where a reader finds the words in them: not in escapes, nor under rearranged fields.
        exact = field.piece.table is None and _holds(text[start:end], field.piece.text)
        field.piece.source = place if exact else Place(line, line + 1 + text.count("\n", start, end), "lines")
    # A heading made of a record's number stands nowhere: its line is that of what comes before it.
    line = 0
    for field in fields:
        if field.piece.source is None:
            field.piece.source = Place(line, line + 1, "lines")
        elif field.piece.source.unit == "lines":
            line = field.piece.source.end - 1


def _holds(raw: str, shown: str) -> bool:
    letters = iter(raw)
    return all(sign in letters for sign in shown if sign.isalnum())


def _find(text: str, token: str, at: int) -> tuple[int, int] | None:
    for form in dict.fromkeys((json.dumps(token, ensure_ascii=False)[1:-1], json.dumps(token)[1:-1])):
        # What stands far away is another thing of the same name.
        start = text.find(form, at, at + 1_000_000) if form else -1
        if start >= 0:
            return start, start + len(form)
    return None
