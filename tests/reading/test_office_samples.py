"""Floors of what is read of made-up office files, whose headings, cells and texts are known."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterable
from statistics import mean

import docx
import openpyxl
import pptx

from citewell.evaluation.adjacency import f1
from citewell.evaluation.office import cells, headings, lines
from citewell.protocols import Reader
from citewell.reading.docx import DocxReader
from citewell.reading.pptx import PptxReader
from citewell.reading.xlsx import XlsxReader
from citewell.testing.docx_samples import docx_files
from citewell.testing.office_files import OfficeFile
from citewell.testing.pptx_samples import pptx_files
from citewell.testing.xlsx_samples import xlsx_files
from citewell.types import Document, Source


def mean_score(
    files: Iterable[OfficeFile],
    reader: Reader,
    said: Callable[[Document], Counter[tuple[str, ...]]],
    *,
    each: float,
) -> float:
    """The mean F1 of what `reader` says of these files; every file has at least `each`."""
    scores = []
    for file in files:
        found = said(reader.read(Source(file.name, file.content)))
        scores.append(f1(found, file.said))
        assert scores[-1] >= each, (file.name, found - file.said, file.said - found)
    return mean(scores)


def test_headings_of_made_up_word_documents_are_found_with_their_levels_and_numbers():
    assert mean_score(docx_files(48, seed=11), DocxReader(ocr="none"), headings, each=0.9) >= 0.99


def test_made_up_word_documents_are_files_that_others_read():
    for file in docx_files(8, seed=12):
        assert len(docx.Document(io.BytesIO(file.content)).paragraphs) > 5


def test_cells_of_made_up_workbooks_are_found_at_their_addresses():
    assert mean_score(xlsx_files(40, seed=11), XlsxReader(), cells, each=0.95) >= 0.997


def test_made_up_workbooks_hold_what_openpyxl_finds_in_them():
    for file in xlsx_files(8, seed=12):
        book = openpyxl.load_workbook(io.BytesIO(file.content), data_only=True)
        held = [(sheet, cell) for sheet in book for cell in sheet._cells.values()]
        filled = {(sheet.title, cell.coordinate): cell.value for sheet, cell in held if cell.value is not None}
        assert filled.keys() == {key[:2] for key in file.said}
        words = {key: " ".join(value.split()) for key, value in filled.items() if isinstance(value, str)}
        assert len(words) > 10
        assert words.items() <= {key[:2]: key[2] for key in file.said}.items()


def test_text_of_made_up_presentations_is_found_on_its_slide_and_as_what_it_is():
    assert mean_score(pptx_files(48, seed=11), PptxReader(ocr="none"), lines, each=0.9) >= 0.99


def test_made_up_presentations_are_files_that_others_read():
    for file in pptx_files(8, seed=12):
        slides = pptx.Presentation(io.BytesIO(file.content)).slides
        titles = {
            (str(n), slide.shapes.title.text_frame.text) for n, slide in enumerate(slides, 1) if slide.shapes.title
        }
        told = {(n, text) for n, part, text in file.said if part == "title"}
        assert told <= {(n, " ".join(text.split())) for n, text in titles}
