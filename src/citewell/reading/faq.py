"""Question/answer pairs: told by their marks in running text, by their keys in records."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from citewell.errors import ReadError
from citewell.reading import versions
from citewell.reading.decode import decode
from citewell.reading.limits import over
from citewell.reading.metadata import document_metadata
from citewell.reading.pieces import Builder, Piece
from citewell.types import BlockKind, Document, Place, Reason, Source, Value, count_characters

SOFT_BREAK: Final = "\x1e"
"""A line end that means a space; decoded text never holds it (decoding removes control characters)."""

_BREAK: Final = re.compile(f"[\n{SOFT_BREAK}]")
_Q: Final = r"(?:Q|Question|Frage|Pregunta|Domanda|Pergunta|Vraag|Вопрос|问题?|問|質問)"
_A: Final = r"(?:A|Answer|Antwort|Respuesta|R[ée]ponse|Risposta|Resposta|Antwoord|Ответ|答案?|回答)"
_MARK: Final = r"[ \t]{{0,8}}[*_]{{0,3}}{word}[ \t]?\d{{0,4}}[ \t]?[*_]{{0,3}}[:：.)][*_]{{0,3}}[ \t]*"
_QUESTION: Final = re.compile(_MARK.format(word=_Q), re.IGNORECASE)
_ANSWER: Final = re.compile(_MARK.format(word=_A), re.IGNORECASE)
# Each starts with one character, so that a long text is searched three times as fast as for a set of the two.
_HINT: Final = re.compile("\n" + _MARK.format(word=_Q), re.IGNORECASE)
_SOFT_HINT: Final = re.compile(SOFT_BREAK + _MARK.format(word=_Q), re.IGNORECASE)
QUESTION_KEYS: Final = frozenset({"question", "q", "frage", "pregunta", "domanda", "prompt"})
ANSWER_KEYS: Final = frozenset({"answer", "a", "antwort", "respuesta", "réponse", "reponse", "risposta", "response"})
SECTION_KEYS: Final = frozenset({"category", "section", "topic", "kategorie", "group"})


def has_marks(text: str) -> bool:
    """Whether some line starts as a question does; a cheap test before `paired`."""
    if _QUESTION.match(text) or _HINT.search(text):
        return True
    return SOFT_BREAK in text and _SOFT_HINT.search(text) is not None


def paired(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """The pieces with `Q: … A: …` made into FAQ pieces; all else passes through.

    The marks themselves go. An answer is what follows its mark in the same paragraph, with the list items and code
    right after it; further paragraphs belong to it when another question follows before the next heading. A question
    that no answer follows stays as it was.
    """
    items = list(_cut(pieces))
    at = 0
    while at < len(items):
        piece = items[at]
        asked = " ".join(_QUESTION.sub("", piece.text, count=1).split()).strip("*_ ")
        if not (asked and at + 1 < len(items) and _is(_QUESTION, piece) and _is(_ANSWER, items[at + 1])):
            yield piece
            at += 1
            continue
        end = _answer_end(items, at + 2)
        answer, links = _answer(items[at + 1 : end])
        yield Piece(
            BlockKind.FAQ,
            answer,
            question=asked,
            boilerplate=piece.boilerplate,
            hidden=piece.hidden,
            links=links,
            source=_around(items[at:end]),
        )
        at = end


def _answer(items: Sequence[Piece]) -> tuple[str, list[tuple[int, int, str]]]:
    """The text of an answer, without its mark, and its links."""
    parts: list[str] = []
    links: list[tuple[int, int, str]] = []
    at = 0
    for number, item in enumerate(items):
        mark = _ANSWER.match(item.text) if number == 0 else None
        start = mark.end() if mark else 0
        text = item.text[start:].strip()
        start = item.text.find(text, start)
        links += _moved(item.links, at - start, at, at + len(text))
        parts.append(text)
        at += len(text) + 1
    return "\n".join(parts), links


def _moved(links: Sequence[tuple[int, int, str]], by: int, start: int, end: int) -> list[tuple[int, int, str]]:
    """Those of `links` that lie in [start, end) once moved `by` characters."""
    moved = [(first + by, last + by, target) for first, last, target in links]
    return [link for link in moved if start <= link[0] and link[1] <= end]


def _around(items: Sequence[Piece]) -> Place | None:
    """The place from the first of `items` to the last."""
    places = [item.source for item in items]
    first = places[0]
    if first is None or any(one is None or (one.unit, one.part) != (first.unit, first.part) for one in places):
        return first
    return Place(min(one.start for one in places if one), max(one.end for one in places if one), first.unit, first.part)


def _cut(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """The pieces cut before lines with a mark, so that each mark stands at the start of a piece."""
    asked = False
    for piece in pieces:
        if not (_running(piece) or piece.kind is BlockKind.HEADING) or not (asked or has_marks(piece.text)):
            yield piece
            asked = False
            continue
        lines: list[str] = []
        gap = SOFT_BREAK if SOFT_BREAK in piece.text else "\n"
        cut = False
        waiting = False  # a question without its answer, in this piece or right before it
        at = start = 0
        for n, line in enumerate(_BREAK.split(piece.text)):
            question = _QUESTION.match(line) is not None
            # "A." also starts an ordinary list: it is an answer only while a question waits for one.
            if question or ((asked or waiting) and _ANSWER.match(line)):
                if n:
                    yield _part(piece, lines, gap, start)
                    cut = True
                lines, start = [], at
                asked, waiting = False, question
            lines.append(line)
            at += len(line) + 1
        yield _part(piece, lines, gap, start) if cut else piece
        asked = waiting


def _part(piece: Piece, lines: list[str], gap: str, start: int) -> Piece:
    """A copy of `piece` with these of its lines alone, of which the first starts at `start`."""
    text = gap.join(lines)
    return replace(piece, text=text, links=_moved(piece.links, -start, 0, len(text)), asset=None)


def _answer_end(items: Sequence[Piece], at: int) -> int:
    end = at
    while (
        end < len(items) and items[end].kind in (BlockKind.LIST_ITEM, BlockKind.CODE) and not _is(_QUESTION, items[end])
    ):
        end += 1
    # Only where the run of pairs goes on is a further paragraph surely part of the answer. 20 pieces are a long
    # answer, and the bound keeps the search linear.
    for n in range(end, min(len(items), end + 20)):
        if _is(_QUESTION, items[n]):
            return n
        if not (_running(items[n]) or items[n].kind is BlockKind.CODE):
            break
    return end


def _is(mark: re.Pattern[str], piece: Piece) -> bool:
    return (_running(piece) or piece.kind is BlockKind.HEADING) and mark.match(piece.text) is not None


def _running(piece: Piece) -> bool:
    return piece.kind in (BlockKind.PARAGRAPH, BlockKind.LIST_ITEM) and not piece.question


class FaqReader:
    """Reads a JSON list, or one JSON object a line, of records with a question and an answer."""

    identity = versions.FAQ

    def __init__(self, *, max_pairs: int = 1_000_000) -> None:
        self._max_pairs = max_pairs

    def read(self, source: Source) -> Document:
        """One FAQ block a record. Raises ReadError unsupported_type for JSON that is not a list of such records."""
        decoded = decode(source.content)
        records = _records(decoded.text)
        if not records:
            raise ReadError(
                "unsupported_type",
                "The JSON is no list of records with question and answer; only those are read.",
            )
        if len(records) > self._max_pairs:
            raise over("The file", len(records), "pairs", self._max_pairs)
        builder = Builder()
        known = _known(records)
        for number, record in enumerate(records):
            builder.add(replace(record_piece(record), source=Place(number, number + 1, "records")))
            unused = "".join(text for key, text in record.items() if key not in known)
            builder.leave_out(Reason.UNREADABLE, characters=count_characters(unused))
        left_out = sorted({key for record in records for key in record} - known)
        warnings = [*decoded.warnings]
        if left_out:
            warnings.append(f"Fields beside question and answer were left out: {', '.join(left_out[:20])}.")
        metadata: dict[str, Value] = {"encoding": decoded.encoding}
        return builder.document(
            source,
            reader=self.identity,
            media_type="application/json",
            metadata=document_metadata(metadata)[0],
            warnings=warnings,
        )


def record_piece(record: Mapping[str, str]) -> Piece:
    """The FAQ piece of one record that has a question and an answer; its category becomes its heading path."""
    question, answer = record_keys(record)
    assert question
    assert answer
    section = next((record[key] for key in record if key.strip().lower() in SECTION_KEYS), "").strip()
    return Piece(
        BlockKind.FAQ, record[answer], question=record[question].strip() or "?", path=(section,) if section else None
    )


def record_keys(keys: Iterable[str]) -> tuple[str | None, str | None]:
    """Which of `keys` hold the question and the answer."""
    names = list(keys)
    question = next((key for key in names if key.strip().lower() in QUESTION_KEYS), None)
    answer = next((key for key in names if key.strip().lower() in ANSWER_KEYS), None)
    return question, answer


def _known(records: Sequence[Mapping[str, str]]) -> set[str]:
    return {
        key for record in records for key in record if key.strip().lower() in QUESTION_KEYS | ANSWER_KEYS | SECTION_KEYS
    }


def _records(text: str) -> list[dict[str, str]]:
    try:
        loaded: object = json.loads(text)
    except (ValueError, RecursionError):
        try:
            loaded = [json.loads(line) for line in text.split("\n") if line.strip()]
        except (ValueError, RecursionError):
            return []
    if isinstance(loaded, Mapping):
        # {"faqs": [...]} and {"question": ..., "answer": ...}
        lists = [value for value in loaded.values() if isinstance(value, list)]
        loaded = lists[0] if len(lists) == 1 and not all(record_keys(map(str, loaded))) else [loaded]
    if not isinstance(loaded, list):
        return []
    records: list[dict[str, str]] = []
    for item in loaded:
        if not isinstance(item, Mapping):
            return []
        record = {str(key): value if isinstance(value, str) else json.dumps(value) for key, value in item.items()}
        question, answer = record_keys(record)
        if question is None or answer is None or not (record[question].strip() and isinstance(item[question], str)):
            return []
        records.append(record)
    return records
