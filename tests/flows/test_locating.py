"""From an answer back to the page: what a citation quotes can be shown where it stands."""

from __future__ import annotations

import io

import docx
import openpyxl
import pytest
from reportlab.pdfgen.canvas import Canvas

from citewell.errors import NotFound
from citewell.flows.answer import _places
from citewell.types import Block, BlockKind, Outcome, Place, Span


def test_a_citation_is_located_on_its_page_and_the_document_keeps_its_account(with_engine):
    async def work(engine):
        buffer = io.BytesIO()
        canvas = Canvas(buffer, pagesize=(600, 800), invariant=True)
        canvas.drawString(72, 700, "This page is about other things, such as the weather in autumn.")
        canvas.showPage()
        canvas.drawString(72, 300, "A room in a hotel may cost up to 180 euros per night in Norway.")
        canvas.showPage()
        canvas.save()
        report = await engine.ingest_bytes(buffer.getvalue(), uri="travel.pdf")
        assert report.account.found == report.account.kept
        assert report.account.found.pages == 2
        answer = await engine.ask("How much may a hotel room cost per night in Norway?")
        assert answer.outcome is Outcome.ANSWERED
        citation = answer.claims[0].citations[0]
        (region,) = await engine.locate(citation)
        assert region.page == 2
        assert region.box[0] == pytest.approx(72, abs=2)
        assert region.box[1] < 500 < region.box[3]
        contents = await engine.contents(citation.document.id)
        assert (contents.account, contents.pages) == (report.account, 2)
        await engine.delete("travel.pdf")
        with pytest.raises(NotFound):
            await engine.locate(citation)
        with pytest.raises(NotFound):
            await engine.contents(citation.document.id)

    with_engine(work)


def test_places_that_follow_on_each_other_are_one_and_others_are_not_joined():
    blocks, spans = [], [(0, 4), (5, 9), (10, 14), (15, 19)]
    for span, lines in zip(spans, [(8, 9), (9, 10), (1, 2), (10, 12)], strict=True):
        blocks.append(Block(BlockKind.PARAGRAPH, Span(*span), source=Place(*lines, "lines")))
    assert [place.said for place in _places(blocks, Span(0, 19))] == ["lines 9-10", "line 2", "lines 11-12"]
    assert [place.said for place in _places(blocks, Span(6, 8))] == ["line 10"]


def test_a_citation_without_pages_names_its_paragraph_or_its_cells(with_engine):
    async def work(engine):
        letter, book = docx.Document(), openpyxl.Workbook()
        letter.add_paragraph("Dear all,")
        letter.add_paragraph("The car park of the Ghent office opens at six in the morning.")
        buffer = io.BytesIO()
        letter.save(buffer)
        await engine.ingest_bytes(buffer.getvalue(), uri="letter.docx")
        for row in (("City", "Hotel limit per night"), ("Norway", "180 euros"), ("Portugal", "120 euros")):
            book.active.append(row)
        buffer = io.BytesIO()
        book.save(buffer)
        await engine.ingest_bytes(buffer.getvalue(), uri="limits.xlsx")
        await engine.ingest_bytes(b"The canteen in Porto closes at three in the afternoon.", uri="canteen.txt")

        async def cited(question):
            answer = await engine.ask(question)
            assert answer.outcome is Outcome.ANSWERED, answer
            return answer.claims[0].citations[0]

        opens = await cited("When does the car park of the Ghent office open?")
        assert (opens.page, opens.where) == (None, "document.xml paragraph 2")
        limit = await cited("What is the hotel limit per night in Portugal?")
        assert limit.where in {"Sheet!A3:B3", "Sheet!B3"}, limit
        closes = await cited("When does the canteen in Porto close?")
        assert closes.where == ""
        assert closes.places[0].unit == "bytes"

    with_engine(work)
