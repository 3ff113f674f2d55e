"""Documents into which only scans were pasted are read by OCR; those with text are left alone."""

from __future__ import annotations

import io
import sys
from typing import Any

import docx
import pytest
from pictures import photograph, saved, scan, text
from PIL import Image, ImageDraw
from pptx import Presentation
from pptx.util import Pt

from citewell.errors import ReadError
from citewell.reading import picture_text
from citewell.reading.docx import DocxReader
from citewell.reading.formats import DOCX, ODT, PDF, PPTX
from citewell.reading.images import Picture
from citewell.reading.isolation import Isolated
from citewell.reading.ocr import Line
from citewell.reading.pptx import PptxReader
from citewell.reading.readers import Lazy, default_factories
from citewell.reading.scan import picture_words
from citewell.reading.worker import make_reader
from citewell.types import BlockKind, Source

LINE = "The lease ends on 31 March 2027."


def letter(*pictures: bytes, words: str = "") -> Source:
    made = docx.Document()
    if words:
        made.add_paragraph(words)
    for picture in pictures:
        made.add_picture(io.BytesIO(picture))
    buffer = io.BytesIO()
    made.save(buffer)
    return Source("letter.docx", buffer.getvalue())


def test_a_letter_that_is_a_scan_is_read_within_the_default_limits() -> None:
    source = letter(saved(scan(text(LINE, size=14))), saved(photograph()))
    with Isolated(DocxReader) as reader:
        document = reader.read(source)
    (block,) = document.blocks
    assert (block.kind, document.text) == (BlockKind.FIGURE, LINE)
    assert block.confidence is not None
    assert block.confidence > 0.8
    assert block.asset == document.assets[0].id
    assert len(document.assets) == 2
    assert not document.account.left_out
    assert document.account.kept.characters == sum(not sign.isspace() for sign in LINE)


def test_a_letter_with_text_is_not_read_by_its_pictures() -> None:
    document = DocxReader().read(letter(saved(scan(text(LINE, size=14))), words="See below."))
    assert document.text == "See below."
    assert len(document.assets) == 1


def test_slides_that_are_screenshots_are_pages_that_were_read() -> None:
    deck = Presentation()
    made = deck.slides.add_slide(deck.slide_layouts[6])
    made.shapes.add_picture(io.BytesIO(saved(scan(text(LINE, size=14)))), Pt(0), Pt(0))
    buffer = io.BytesIO()
    deck.save(buffer)
    document = PptxReader().read(Source("deck.pptx", buffer.getvalue()))
    assert document.text == LINE
    assert document.blocks[0].regions[0].page == 1
    assert document.account.kept.pages == 1


def test_pictures_in_which_nobody_looked_for_words_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_text, "_MAX_PICTURES", 1)
    scans = [saved(scan(text(line, size=14))) for line in (LINE, "Nobody reads this.")]
    document = DocxReader().read(letter(*scans))
    assert document.text == LINE
    assert document.warnings == ("Words were looked for in the first 1 of 2 pictures.",)
    assert DocxReader().read(letter(scans[0])).warnings == ()


def test_a_photograph_alone_is_no_text() -> None:
    with pytest.raises(ReadError) as caught:
        DocxReader().read(letter(saved(photograph())))
    assert caught.value.kind == "no_text"


def test_without_ocr_it_is_said_that_there_are_pictures_and_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    source = letter(saved(scan(text(LINE))))
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ReadError, match=r"in its pictures \(1\)\. .*Install citewell\[ocr\]") as caught:
        DocxReader().read(source)
    assert caught.value.kind == "no_text"


class Watching:
    """A recogniser that finds nothing, and counts the pictures it was shown."""

    identity = "watching@1"

    def __init__(self) -> None:
        self.shown = 0

    def lines(self, image: Image.Image) -> list[Line]:
        self.shown += 1
        return []


def test_pictures_in_which_no_word_can_stand_are_not_looked_at() -> None:
    watching = Watching()
    slope = Image.radial_gradient("L").resize((400, 300))
    for plain in (Image.new("RGB", (400, 300), (90, 120, 200)), slope, Image.new("L", (1, 900), 0)):
        assert picture_words(watching, Picture(saved(plain), "image/png")) == ("", None)
    assert watching.shown == 0
    faint = Image.new("L", (400, 300), 240)
    ImageDraw.Draw(faint).text((180, 140), "Fig", fill=205)
    picture_words(watching, Picture(saved(faint), "image/png"))
    assert watching.shown == 1


@pytest.mark.parametrize("options", [{}, {"ocr": "none"}, {"ocr": "tesseract:eng"}, {"figure_words": False}])
def test_readers_are_known_by_the_options_of_ocr_before_they_are_made(options: dict[str, Any]) -> None:
    made = default_factories(**options, workers=1)
    names = {name.identity for factories in made.values() for name in factories if isinstance(name, Lazy)}
    for kind in (PDF, DOCX, PPTX, ODT, "image/png"):
        (lazy,) = made[kind]
        assert isinstance(lazy, Lazy)
        assert make_reader(lazy.spec, lazy.options).identity == lazy.identity
    usual = {
        name.identity for factories in default_factories().values() for name in factories if isinstance(name, Lazy)
    }
    assert (names == usual) is (not options)
