"""Build the handbook's PDF, DOCX and HTML files from their text in `source/`.

    python examples/handbook/build.py            writes the files into docs/
    python examples/handbook/build.py --check    writes nothing; exit status 1 if one in docs/ differs

`source/A/B.pdf.md` and `source/A/B.docx.md` (Markdown) become `docs/A/B.pdf` and `docs/A/B.docx`;
`source/A/B.html` becomes `docs/A/B.html`, in its own encoding or, without one, inside `source/page.html`.
Every source begins with TOML between two lines of `+++`.

A rebuild gives the same bytes: dates come from the sources, and nothing is compressed, since zlib's output
differs from one build of it to another. The bytes do depend on the versions of the writers, hence the pins:

    pip install reportlab==5.1.0 python-docx==1.2.0 "markdown-it-py>=4,<5"
"""

from __future__ import annotations

import argparse
import html
import io
import os
import sys
import tomllib
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from docx import Document as WordDocument
from docx.enum.style import WD_STYLE_TYPE
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Pt
from markdown_it import MarkdownIt
from markdown_it.token import Token
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.platypus import (
    BaseDocTemplate,
    Frame,
    FrameBreak,
    NextPageTemplate,
    PageTemplate,
    Paragraph,
    Spacer,
    Table,
)

HERE = Path(__file__).resolve().parent
SOURCE = HERE / "source"
DOCS = HERE / "docs"
COMPANY = "Halvenmoor Instruments"

Meta = dict[str, Any]


# --- Reading the sources ---


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch of text in one style: "" (plain), "b" or "i"."""

    text: str
    style: str = ""


@dataclass(frozen=True, slots=True)
class Block:
    """`kind` is "h1", "h2", "p", "bullet" or "number"; `depth` counts from 0 and is for list items only."""

    kind: str
    runs: tuple[Run, ...]
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Grid:
    """A table; the first row is its header."""

    rows: tuple[tuple[tuple[Run, ...], ...], ...]


def read(path: Path) -> tuple[Meta, str]:
    """The TOML between the two lines of `+++`, and the text after it."""
    _, head, body = path.read_text(encoding="utf-8").split("+++\n", 2)
    return tomllib.loads(head), body


def parse(markdown: str) -> list[Block | Grid]:
    """The blocks of the small part of Markdown that the sources use; anything else is an error."""
    blocks: list[Block | Grid] = []
    lists: list[str] = []
    kind = "p"
    rows: list[list[tuple[Run, ...]]] = []
    for token in MarkdownIt("commonmark").enable("table").parse(markdown):
        match token.type:
            case "heading_open":
                kind = token.tag
            case "bullet_list_open":
                lists.append("bullet")
            case "ordered_list_open":
                lists.append("number")
            case "bullet_list_close" | "ordered_list_close":
                lists.pop()
            case "table_open":
                rows = []
            case "tr_open":
                rows.append([])
            case "td_open" | "th_open":
                kind = "cell"
            case "table_close":
                blocks.append(Grid(tuple(tuple(row) for row in rows)))
                kind = "p"
            case "inline" if kind == "cell":
                rows[-1].append(inline(token))
            case "inline" if lists:
                blocks.append(Block(lists[-1], inline(token), depth=len(lists) - 1))
            case "inline":
                blocks.append(Block(kind, inline(token)))
                kind = "p"
            case other if not other.endswith(("_open", "_close")):
                raise ValueError(f"No {other!r} in the handbook's sources; teach build.py or write it otherwise.")
    return blocks


def inline(token: Token) -> tuple[Run, ...]:
    runs: list[Run] = []
    style = ""
    for child in token.children or ():
        match child.type:
            case "text":
                runs.append(Run(child.content, style))
            case "softbreak":
                runs.append(Run(" ", style))
            case "strong_open" | "em_open":
                style = child.tag[0].replace("s", "b").replace("e", "i")
            case "strong_close" | "em_close":
                style = ""
            case other:
                raise ValueError(f"The handbook's sources have no {other!r} inside a line.")
    return tuple(run for run in runs if run.text)


# --- PDF ---

BODY = ParagraphStyle("body", fontName="Helvetica", fontSize=11, leading=15, spaceBefore=6, spaceAfter=6)
HEADING = ParagraphStyle("heading", BODY, fontName="Helvetica-Bold", keepWithNext=1)
STYLES = {
    "title": ParagraphStyle("title", BODY, fontName="Helvetica-Bold", fontSize=22, leading=27, spaceAfter=3),
    "subtitle": ParagraphStyle("subtitle", BODY, textColor=colors.HexColor("#555555"), spaceAfter=14),
    "h1": ParagraphStyle("h1", HEADING, fontSize=14, leading=18, spaceBefore=10),
    "h2": ParagraphStyle("h2", HEADING, fontSize=11.5, leading=15, spaceBefore=6),
    "p": BODY,
    "bullet": ParagraphStyle("bullet", BODY, spaceBefore=0, spaceAfter=3, bulletIndent=6, leftIndent=20),
    "number": ParagraphStyle("number", BODY, spaceBefore=0, spaceAfter=3, bulletIndent=6, leftIndent=24),
    "cell": ParagraphStyle("cell", BODY, fontSize=9.5, leading=12.5, spaceBefore=0, spaceAfter=0),
}
MARGIN = 22 * mm
GUTTER = 8 * mm


class Handbook(BaseDocTemplate):
    """A document that enters its headings into the PDF outline when asked to."""

    def __init__(self, file: io.BytesIO, meta: Meta) -> None:
        super().__init__(
            file,
            pagesize=A4,
            invariant=1,
            pageCompression=0,
            title=meta["title"],
            author=meta["author"],
            subject=meta["code"],
            creator="examples/handbook/build.py",
            lang="en",
        )
        self.meta = meta

    def afterFlowable(self, flowable: Any) -> None:  # noqa: N802 - reportlab's name
        style = getattr(getattr(flowable, "style", None), "name", "")
        if self.meta["outline"] and style in ("h1", "h2"):
            text = flowable.getPlainText()
            self.canv.bookmarkPage(text)
            self.canv.addOutlineEntry(text, text, level=int(style[1]) - 1)


def pdf(meta: Meta, markdown: str) -> bytes:
    width, height = A4
    columns = 2 if meta.get("layout") == "columns" else 1
    column = (width - 2 * MARGIN - (columns - 1) * GUTTER) / columns

    def frames(top: float) -> list[Frame]:
        return [
            Frame(MARGIN + n * (column + GUTTER), 24 * mm, column, height - 24 * mm - top, 0, 0, 0, 0)
            for n in range(columns)
        ]

    def furniture(canvas: Any, _: BaseDocTemplate) -> None:
        canvas.setFont("Helvetica", 8)
        canvas.setFillColor(colors.HexColor("#555555"))
        canvas.drawString(MARGIN, height - 14 * mm, f"{COMPANY} · {meta['title']}")
        canvas.drawRightString(width - MARGIN, height - 14 * mm, meta["code"])
        canvas.line(MARGIN, height - 16 * mm, width - MARGIN, height - 16 * mm)
        canvas.drawString(MARGIN, 13 * mm, f"{meta['author']} · {meta['date']:%d.%m.%Y} · Internal")
        canvas.drawRightString(width - MARGIN, 13 * mm, f"Page {canvas.getPageNumber()}")

    masthead = Frame(MARGIN, height - 46 * mm, width - 2 * MARGIN, 26 * mm, 0, 0, 0, 0)
    story: list[Any] = [
        NextPageTemplate("later"),
        Paragraph(html.escape(meta["title"]), STYLES["title"]),
        Paragraph(html.escape(meta.get("subtitle") or f"{COMPANY} · {meta['code']}"), STYLES["subtitle"]),
    ]
    if columns == 2:
        story.append(FrameBreak())  # the title has a frame of its own above the columns
    number = 0
    for block in parse(markdown):
        if isinstance(block, Grid):
            story += [grid(block, column), Spacer(1, 9)]
            continue
        number = number + 1 if block.kind == "number" else 0
        bullet = {"bullet": "•", "number": f"{number}."}.get(block.kind)
        story.append(Paragraph(markup(block.runs), STYLES[block.kind], bulletText=bullet))

    file = io.BytesIO()
    template = Handbook(file, meta)
    first = [masthead, *frames(47 * mm)] if columns == 2 else frames(20 * mm)
    template.addPageTemplates(
        [
            PageTemplate("first", first, onPage=furniture),
            PageTemplate("later", frames(20 * mm), onPage=furniture),
        ]
    )
    with dated(meta["date"]):
        template.build(story)
    return file.getvalue()


def grid(table: Grid, width: float) -> Table:
    """A ruled table whose header is repeated on each page; columns share the width by their longest cell."""
    longest = [max(sum(len(run.text) for run in row[n]) for row in table.rows) for n in range(len(table.rows[0]))]
    shares = [min(max(size, 13), 26) for size in longest]
    cells = [
        [Paragraph(f"<b>{markup(runs)}</b>" if n == 0 else markup(runs), STYLES["cell"]) for runs in row]
        for n, row in enumerate(table.rows)
    ]
    return Table(
        cells,
        colWidths=[width * share / sum(shares) for share in shares],
        repeatRows=1,
        hAlign="LEFT",
        style=[
            ("GRID", (0, 0), (-1, -1), 0.6, colors.black),
            ("BACKGROUND", (0, 0), (-1, 0), colors.HexColor("#e4ebf0")),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("TOPPADDING", (0, 0), (-1, -1), 4),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 5),
        ],
    )


def markup(runs: Sequence[Run]) -> str:
    """reportlab's inline markup. Raises on what is not in windows-1252: built-in fonts print a box."""
    "".join(run.text for run in runs).encode("windows-1252")
    texts = ((html.escape(run.text, quote=False), run.style) for run in runs)
    return "".join(f"<{style}>{text}</{style}>" if style else text for text, style in texts)


@contextmanager
def dated(day: date) -> Iterator[None]:
    """Within it reportlab writes `day` as the dates of a file: it takes them from SOURCE_DATE_EPOCH only."""
    before = os.environ.get("SOURCE_DATE_EPOCH")
    os.environ["SOURCE_DATE_EPOCH"] = str(int(midnight(day).timestamp()))
    try:
        yield
    finally:
        if before is None:
            del os.environ["SOURCE_DATE_EPOCH"]
        else:
            os.environ["SOURCE_DATE_EPOCH"] = before


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


# --- DOCX ---


def docx(meta: Meta, markdown: str) -> bytes:
    word = WordDocument()
    drop_unused(word)
    properties = word.core_properties
    properties.title, properties.author, properties.subject = meta["title"], meta["author"], meta["code"]
    properties.last_modified_by, properties.revision, properties.language = meta["author"], 1, "en"
    properties.comments = ""
    properties.created = properties.modified = midnight(meta["date"])
    word.styles["Normal"].font.name = "Calibri"
    word.styles["Normal"].font.size = Pt(11)

    section = word.sections[0]
    section.header.paragraphs[0].text = f"{COMPANY}\t\t{meta['code']}"
    section.footer.paragraphs[0].text = f"{meta['author']} · {meta['date']:%d.%m.%Y} · Internal"
    section.footer.paragraphs[0].alignment = WD_ALIGN_PARAGRAPH.CENTER

    blocks = parse(markdown)
    # Word counts on through a document for one list style: a second list would go on where the first ended.
    starts = [block for before, block in pairwise(blocks) if kind(block) == "number" != kind(before)]
    lists = {id(start): n for n, start in enumerate(starts)}
    style = "List Number"
    for block in blocks:
        if isinstance(block, Grid):
            word_table(word, block)
            continue
        if id(block) in lists:
            style = ("List Number", "List Number 2", "List Number 3")[lists[id(block)]]
        match block.kind:
            case "h1" | "h2" as level:
                # A source begins with its title; the sections are Heading 1, as Word users write them.
                name = "Title" if block is blocks[0] else f"Heading {level[1]}"
            case "bullet":
                name = "List Bullet" if block.depth == 0 else f"List Bullet {block.depth + 1}"
            case "number":
                name = style
            case _:
                name = "Normal"
        write(word.add_paragraph(style=name), block.runs)

    raw = io.BytesIO()
    word.save(raw)
    return restamped(raw.getvalue(), meta["date"])


def drop_unused(word: Any) -> None:
    """Take the thumbnail and the 100 table styles of python-docx's template out: 0.75 MB a file."""
    for rels in (word.part.rels, word.part.package.rels):
        for name in [n for n, rel in rels.items() if rel.reltype.endswith(("/stylesWithEffects", "/thumbnail"))]:
            del rels[name]
    for style in [s for s in word.styles if s.type == WD_STYLE_TYPE.TABLE]:
        if style.name not in ("Normal Table", "Table Grid"):
            style.delete()


def kind(block: Block | Grid) -> str:
    return "table" if isinstance(block, Grid) else block.kind


def word_table(word: Any, table: Grid) -> None:
    made = word.add_table(rows=len(table.rows), cols=len(table.rows[0]), style="Table Grid")
    repeat = OxmlElement("w:tblHeader")
    repeat.set(qn("w:val"), "true")
    made.rows[0]._tr.get_or_add_trPr().append(repeat)
    for n, (row, cells) in enumerate(zip(made.rows, table.rows, strict=True)):
        for cell, runs in zip(row.cells, cells, strict=True):
            write(cell.paragraphs[0], [Run(run.text, "b") for run in runs] if n == 0 else runs)
    word.add_paragraph()


def write(paragraph: Any, runs: Sequence[Run]) -> None:
    for run in runs:
        made = paragraph.add_run(run.text)
        made.bold, made.italic = run.style == "b" or None, run.style == "i" or None


def restamped(package: bytes, day: date) -> bytes:
    """The same parts in the same order, stored, all dated `day`; python-docx writes the time of the build."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(package)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as new:
        for name in old.namelist():
            part = zipfile.ZipInfo(name, (day.year, day.month, day.day, 0, 0, 0))
            part.create_system = 0  # or the same file would differ between Windows and the others
            new.writestr(part, old.read(name))
    return out.getvalue()


# --- HTML ---


def page(meta: Meta, body: str) -> bytes:
    """A whole page as it stands, in its own encoding; or a fragment inside the intranet's page, in UTF-8."""
    if "encoding" in meta:
        # utf-16-le and a mark: plain "utf-16" takes the byte order of the machine.
        utf16 = meta["encoding"] == "utf-16"
        return ("\ufeff" + body).encode("utf-16-le") if utf16 else body.encode(meta["encoding"])
    whole = (SOURCE / "page.html").read_text(encoding="utf-8")
    for name, value in meta.items():
        whole = whole.replace("{{" + name + "}}", html.escape(value))
    return whole.replace("{{main}}", body.strip()).encode("utf-8")


# --- All of it ---

WRITERS = {".pdf.md": pdf, ".docx.md": docx, ".html": page}


def build() -> dict[Path, bytes]:
    """The built files by their path below docs/."""
    built: dict[Path, bytes] = {}
    for source in sorted(SOURCE.glob("*/*")):
        ending = "".join(source.suffixes)
        target = source.relative_to(SOURCE).with_name(source.name.removesuffix(".md"))
        built[target] = WRITERS[ending](*read(source))
    return built


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with docs/ and write nothing")
    check = parser.parse_args().check
    differs = 0
    for target, content in build().items():
        path = DOCS / target
        if path.is_file() and path.read_bytes() == content:
            continue
        differs += 1
        print(f"{'differs' if check else 'wrote'} {path.relative_to(HERE).as_posix()} ({len(content)} bytes)")
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    return 1 if check and differs else 0


if __name__ == "__main__":
    sys.exit(main())
