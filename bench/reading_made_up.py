"""How well made-up files are read, of which all is known: parts of `eval_reading.py`."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable

from citewell.evaluation.adjacency import f1
from citewell.evaluation.office import cells, headings, lines
from citewell.evaluation.shingles import shingle_f1
from citewell.reading.readers import Readers
from citewell.testing.docx_samples import docx_files
from citewell.testing.office_files import OfficeFile
from citewell.testing.pptx_samples import pptx_files
from citewell.testing.web_samples import web_pages
from citewell.testing.xlsx_samples import xlsx_files
from citewell.types import Document, Source


def main_text(readers: Readers) -> dict[str, float]:
    """How well the main text of made-up pages is told, beside trafilatura where that is installed (4-word runs)."""
    peers: dict[str, Callable[[str], str]] = {"citewell": lambda html: _main_of(readers, html)}
    try:
        import trafilatura  # not a dependency: a peer

        peers["trafilatura"] = lambda html: trafilatura.extract(html, include_comments=False) or ""
    except ImportError:
        pass
    pages = list(web_pages(160, seed=5))
    figures: dict[str, float] = {}
    for name, extract in peers.items():
        found: dict[str, list[float]] = defaultdict(list)
        for page in pages:
            found[page.layout].append(shingle_f1(extract(page.html), "\n".join(page.main)))
        layouts = {layout: statistics.mean(scores) for layout, scores in found.items()}
        figures[f"main-text.{name}.f1"] = statistics.mean(score for scores in found.values() for score in scores)
        said = ", ".join(f"{layout} {score:.3f}" for layout, score in layouts.items())
        print(f"main text, {name}: F1 {figures[f'main-text.{name}.f1']:.4f}; {said}")
    return figures


def _main_of(readers: Readers, html: str) -> str:
    document = readers.read(Source("page.html", html.encode()))
    return "\n".join(b.span.of(document.text) for b in document.blocks if not (b.boilerplate or b.hidden))


def word_headings(readers: Readers, *, loud: bool) -> dict[str, float]:
    """Headings of Word documents by level, number and text."""
    return _office(readers, "docx.citewell.heading_f1", docx_files(96, seed=5), headings, loud=loud)


def workbook_cells(readers: Readers, *, loud: bool) -> dict[str, float]:
    """Cells of workbooks by address, text as shown, reach, and whether they can be seen."""
    return _office(readers, "xlsx.citewell.cells", xlsx_files(96, seed=5), cells, loud=loud)


def slide_text(readers: Readers, *, loud: bool) -> dict[str, float]:
    """Lines of slides by slide, part of the slide, and text."""
    return _office(readers, "pptx.citewell.text", pptx_files(96, seed=5), lines, loud=loud)


def _office(
    readers: Readers,
    figure: str,
    files: Iterable[OfficeFile],
    said: Callable[[Document], Counter[tuple[str, ...]]],
    *,
    loud: bool,
) -> dict[str, float]:
    """The mean F1, over made-up office files, of what was read of them."""
    scores = []
    for file in files:
        found = said(readers.read(Source(file.name, file.content)))
        scores.append(f1(found, file.said))
        if loud and found != file.said:
            print(f"  {file.name}: lacks {sorted(file.said - found)[:5]}, has {sorted(found - file.said)[:5]}")
    print(f"{figure}: F1 {statistics.mean(scores):.4f} over {len(scores)} files")
    return {figure: statistics.mean(scores)}
