"""Hand-made results for looking at: one of each kind, of ordinary and of hostile text."""

from __future__ import annotations

from citewell.flows.ingest_report import Ingested, IngestReport
from citewell.protocols import Contents
from citewell.reading.images import Picture
from citewell.reading.pieces import Builder, Piece
from citewell.types import (
    AbstainReason,
    Answer,
    Block,
    BlockKind,
    Citation,
    Claim,
    Conflict,
    DocumentRef,
    Found,
    Hit,
    Node,
    Outcome,
    Place,
    Reason,
    Region,
    Source,
    Span,
    Verdict,
)

HOTEL = "A room in a hotel may cost up to EUR 180 per night, breakfast included; in Zurich and Oslo up to EUR 230."
HOSTILE = "\x1b[31mred\x1b[0m \x1b]0;title\x07[bold]loud[/bold] \u202egnp.exe\u202c \x9b2Jend\x00\u2066!"


def document(uri: str = "policies/travel-policy-2025.md", title: str = "Travel policy 2025") -> DocumentRef:
    return DocumentRef(
        id="7c1f" * 8,
        uri=uri,
        title=title,
        version=2,
        bucket="handbook",
        media_type="text/markdown",
        metadata={"series": "travel-policy", "year": 2025},
        ingested_at="2025-03-01T10:00:00Z",
    )


def contents(words: str = HOTEL) -> tuple[Contents, str, tuple[Block, ...]]:
    """A document with a link, a figure, a place of each kind, and something left out."""
    builder = Builder()
    where = [Region(1), Region(2, (1.0, 2.0, 3.0, 4.0))]
    builder.add(Piece(BlockKind.PARAGRAPH, f"{words} here", regions=where, links=[(0, 3, f"https://{words}")]))
    builder.add(Piece(BlockKind.PARAGRAPH, words, source=Place(0, 1234567, "paragraphs", f"{words}.xml"), hidden=True))
    image = Picture(b"bytes", "image/png", name=f"media/{words}.png", alt=words, width=640, height=480)
    builder.add(Piece(BlockKind.FIGURE, words, asset=image, regions=where, confidence=0.7))
    builder.leave_out(Reason.UNREADABLE, images=1, characters=20)
    made = builder.document(Source("a", b"x"), reader="t@1", media_type="m/t", pages=2, warnings=[f"Lost: {words}"])
    known = Contents(document(), made.reader, made.sha256, made.pages, made.warnings, made.account, made.assets)
    return known, made.text, made.blocks


def citation(number: int = 1, quote: str = HOTEL, page: int | None = None, **about: str) -> Citation:
    return Citation(
        number=number,
        document=document(**about),
        span=Span(100, 100 + len(quote)),
        quote=quote,
        heading_path=("Travel policy 2025", "Hotels"),
        regions=(Region(page),) if page else (),
    )


def answered(quote: str = HOTEL, **about: str) -> Answer:
    claim = Claim(quote, (citation(1, quote, 3, **about),), Verdict.SUPPORTED, 1.0, ("verbatim",))
    return Answer(
        question="How much may a hotel cost per night?",
        outcome=Outcome.ANSWERED,
        text=f"{quote} [1]",
        claims=(claim,),
        run_id="3f9a2b7c41d04e6fa1b2c3d4e5f60718",
        sequence=12,
    )


def conflicting() -> Answer:
    left = citation(
        1,
        "The guest Wi-Fi password changes every 30 days.",
        uri="it/office-network.html",
        title="Office network",
    )
    right = citation(
        2,
        "The password of the guest network is changed every 90 days.",
        uri="facilities/office-guide.md",
        title="Office guide",
    )
    claims = tuple(Claim(one.quote, (one,), Verdict.SUPPORTED, 1.0) for one in (left, right))
    return Answer(
        question="How often is the guest Wi-Fi password changed?",
        outcome=Outcome.ANSWERED,
        text=f"{left.quote} [1] {right.quote} [2]",
        claims=claims,
        conflicts=(Conflict("numbers: 30 days, 90 days", left, right),),
        run_id="a" * 32,
    )


def abstained() -> Answer:
    return Answer(
        question="How much is the relocation allowance?",
        outcome=Outcome.ABSTAINED,
        text="",
        reason=AbstainReason.WEAK_EVIDENCE,
        message="Nothing in the documents you may read answers this. The nearest passages are about moving offices.",
        run_id="b" * 32,
    )


def hit(rank: int = 1, text: str = HOTEL, page: int | None = None, **about: str) -> Hit:
    held = document(**about)
    node = Node(
        id=f"{rank:032x}",
        document_id=held.id,
        span=Span(100, 100 + len(text)),
        text=text,
        kind=BlockKind.PARAGRAPH,
        heading_path=("Travel policy 2025", "Hotels"),
        page=page,
        tokens=30,
    )
    found = {"dense": Found(0.6123, rank), "lexical": Found(8.314, None if rank > 1 else 1)}
    return Hit(node=node, document=held, score=4.12 / rank, rank=rank, row=rank, found_by=found)


def report(*, failed: bool = True) -> IngestReport:
    sources = [
        Ingested("docs/a.md", "added", "1" * 32, 1, 12, 4000),
        Ingested("docs/b.pdf", "added", "2" * 32, 1, 30, 9000, warnings=("page 4 holds an image without text",)),
        Ingested("docs/c.html", "unchanged", "3" * 32, 1, 7),
    ]
    if failed:
        message = "docs/locked.pdf: this PDF asks for a password. Save a copy without one."
        sources.append(Ingested("docs/locked.pdf", "failed", kind="encrypted", message=message))
    return IngestReport("c" * 32, "handbook", False, tuple(sources))
