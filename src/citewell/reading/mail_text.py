"""The text of a plain mail: what its writer says, what is quoted from an earlier one, and the signature."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from citewell.reading.pieces import Piece
from citewell.types import BlockKind, Place

_QUOTED: Final = re.compile(r"((?:>[ ]?)+)(.*)", re.DOTALL)
_BULLET: Final = re.compile(r"[ \t]{0,8}(?:[-*•·–]|\(?\d{1,3}[.)])[ \t]+(?=\S)")
_ATTRIBUTION: Final = re.compile(
    r"(?:On|Am|Le|El|Il|Op|Den|Em|Dnia|W dniu|Den)\b[^\n]{3,300}\b"
    r"(?:wrote|schrieb|a écrit|escribió|ha scritto|schreef|skrev|escreveu|napisał\(?a?\)?)\b[^\n]{0,200}:\s*$"
    r"|[^\n]{3,200} (?:writes|wrote|schrieb|schreibt|a écrit|escribió)\s?:\s*$|[^\n]{0,100}在[^\n]{0,100}写道[：:]\s*$"
)
# What mail programs write above the whole of an earlier mail that they do not mark line by line.
_EARLIER: Final = re.compile(
    r"-{3,}[ \t]*(?:Original Message|Ursprüngliche Nachricht|Message d'origine|Mensaje original|Messaggio originale|"
    r"Oorspronkelijk bericht)[ \t]*-{3,}\s*$",
    re.IGNORECASE,
)
_OUTLOOK: Final = re.compile(
    r"(?:From|Von|De|Da|Van):[ \t]*\S[^\n]*\n(?:[^\n]*\n)?"
    r"(?:Sent|Gesendet|Envoyé|Enviado|Inviato|Verzonden|Date|Datum):",
)
_SIGNATURE: Final = re.compile(r"--[ \t]?$")
_LIST_FOOTER: Final = re.compile(r"_{20,}$|-{30,}$")
_MAX_SIGNATURE: Final = 20  # lines; what is longer below "-- " is text


@dataclass(slots=True)
class Line:
    """How deep a line is quoted, what it says, and the lines [start, end) of the text that it is made of."""

    depth: int
    text: str
    start: int
    end: int


def plain_pieces(text: str, *, flowed: bool = False, delete_space: bool = False, part: str = "") -> list[Piece]:
    """The paragraphs and list items of a plain mail.

    A quotation at its end, as replies above it leave it, and the signature are boilerplate; a quotation with an
    answer below it is what the answer speaks of, so it stays content. `flowed` joins lines as RFC 3676 has it.
    """
    lines = _joined(_lines(text), delete_space) if flowed else _lines(text)
    runs = _runs(lines)
    kinds = _kinds(runs)
    last = max((n for n, kind in enumerate(kinds) if kind == "own"), default=-1)
    pieces: list[Piece] = []
    for n, (run, kind) in enumerate(zip(runs, kinds, strict=True)):
        aside = last >= 0 and (kind == "signature" or (kind != "own" and n > last))
        pieces.extend(_pieces(run, aside, part))
    return pieces


def settle(pieces: list[Piece]) -> list[Piece]:
    """The same pieces of an HTML mail, in which programs' own marks have flagged quotations and signatures.

    What stands below a line that starts an earlier mail is flagged too, and so is the line that says who wrote it.
    A quotation with own words below it is what they speak of, and a mail that is all quotation is content.
    """
    for n, piece in enumerate(pieces):
        if n and (_EARLIER.match(piece.text.strip()) or _OUTLOOK.match(piece.text)):
            for below in pieces[n:]:
                below.boilerplate = True
            break
    for piece, below in pairwise(pieces):
        if below.boilerplate and (piece.text.strip() in ("--", "---") or _is_attribution(piece.text)):
            piece.boilerplate = True
    last = max((n for n, piece in enumerate(pieces) if not (piece.boilerplate or piece.hidden)), default=len(pieces))
    for piece in pieces[:last]:
        piece.boilerplate = False
    return pieces


def _lines(text: str) -> list[Line]:
    lines: list[Line] = []
    for n, raw in enumerate(text.split("\n")):
        found = _QUOTED.match(raw)
        lines.append(Line(found[1].count(">") if found else 0, found[2] if found else raw, n, n + 1))
    return lines


def _joined(lines: Sequence[Line], delete_space: bool) -> list[Line]:
    joined: list[Line] = []
    open_ = False
    for line in lines:
        stuffed = line.text.removeprefix(" ") if line.depth == 0 else line.text
        signature = stuffed == "-- "
        if open_ and joined and joined[-1].depth == line.depth and not signature and stuffed.strip():
            above = joined[-1]
            text = above.text[:-1] if delete_space else above.text
            joined[-1] = Line(line.depth, text + stuffed, above.start, line.end)
        else:
            joined.append(Line(line.depth, stuffed, line.start, line.end))
        open_ = stuffed.endswith(" ") and not signature
    return joined


def _runs(lines: Sequence[Line]) -> list[list[Line]]:
    """Lines of one paragraph together: they are not blank, and quoted equally deep."""
    runs: list[list[Line]] = []
    open_ = False
    for line in lines:
        if not line.text.strip():
            open_ = False
            continue
        stops = (
            _SIGNATURE.match(line.text) or _LIST_FOOTER.match(line.text.strip()) or _EARLIER.match(line.text.strip())
        )
        if open_ and not stops and runs[-1][-1].depth == line.depth:
            runs[-1].append(line)
        else:
            runs.append([line])
        open_ = True
    return runs


def _kinds(runs: Sequence[Sequence[Line]]) -> list[str]:
    """What each run is: `own`, `quote` or `signature`."""
    kinds: list[str] = []
    earlier = False  # below a line that says that all the rest is an earlier mail
    signed = 0  # lines left of a signature
    for n, run in enumerate(runs):
        first = run[0].text.strip()
        body = "\n".join(line.text for line in run)
        if run[0].depth:
            kinds.append("quote")
            signed = 0
            continue
        if not earlier and n and (_EARLIER.match(first) or _OUTLOOK.match(body.lstrip("*"))):
            earlier = True
        if earlier:
            kinds.append("quote")
        elif _SIGNATURE.match(run[0].text) or (n and _LIST_FOOTER.match(first) and len(runs) - n <= 4):
            signed = _MAX_SIGNATURE
            kinds.append("signature")
        elif signed > 0:
            kinds.append("signature")
        elif _is_attribution(body) and n + 1 < len(runs) and (runs[n + 1][0].depth or n + 2 == len(runs)):
            kinds.append("quote")
        else:
            kinds.append("own")
        signed -= len(run)
    return kinds


def _is_attribution(body: str) -> bool:
    return body.count("\n") <= 2 and _ATTRIBUTION.match(" ".join(body.split())) is not None


def _pieces(run: Sequence[Line], aside: bool, part: str) -> list[Piece]:
    if all(_BULLET.match(line.text) or (n and line.text[:1] in " \t") for n, line in enumerate(run)):
        items: list[tuple[list[str], Line]] = []
        for line in run:
            if found := _BULLET.match(line.text):
                items.append(([line.text[found.end() :].strip()], line))
            else:
                items[-1][0].append(line.text.strip())
        if len(items) > 1:
            return [
                Piece(
                    BlockKind.LIST_ITEM,
                    "\n".join(item),
                    boilerplate=aside,
                    source=Place(line.start, line.start + len(item), "lines", part),
                )
                for item, line in items
            ]
    place = Place(run[0].start, run[-1].end, "lines", part)
    text = "\n".join(line.text.rstrip() for line in run)
    return [Piece(BlockKind.PARAGRAPH, text, boilerplate=aside, source=place)]
