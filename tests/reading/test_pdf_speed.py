"""What PDF reading does by short cuts comes to the same as the plain way."""

from __future__ import annotations

import io
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import both, pasted, pdf, photograph, text
from PIL import Image
from test_pdf import tagged

from citewell.reading.pdf import PdfReader
from citewell.reading.pdf_bitmap import CONTRAST, Bitmap
from citewell.reading.pdf_grid import Word, _between_edges, _crossing
from citewell.reading.pdf_layout import Item, Items, Page, hundredths, parsed
from citewell.reading.pdf_pages import PagePiece
from citewell.reading.pdf_places import _letters
from citewell.reading.pdf_scan import _BROKEN, _is_broken, _is_odd
from citewell.reading.pdf_signs import restore
from citewell.reading.pdf_text import letters, offsets_of
from citewell.types import BlockKind, Source

OPTIONS = {
    "ocr_enabled": False,
    "quiet": True,
    "extract_blocks": True,
    "extract_structure_tree": True,
    "extract_text_metadata": True,
    "emit_word_boxes": True,
}
points = st.integers(-40, 40).map(lambda place: place / 4)
sizes = st.integers(0, 20).map(lambda place: place / 4)


def item(x: float, y: float, width: float, height: float) -> Item:
    native = SimpleNamespace(x=x, y=y, width=width, height=height, rotation=0.0, font_size=9.0, mcid=None)
    return Item(native, "word")


def said(page: Page) -> Any:
    """All that is taken of a page."""

    def below(element: Any) -> Any:
        marks = list(element.marked_content_ids)
        return element.type, marks, dict(element.attributes), [below(child) for child in element.children]

    return (
        (page.page_num, page.width, page.height),
        [(one.text, one.box, one.rotation, one.font_size, one.mcid, one.bold) for one in page.text_items],
        [[(word.text, word.x, word.y, word.width, word.height) for word in one.words] for one in page.text_items],
        [(block.kind, block.text, block.level, block.marker, block.bbox and block.bbox.x) for block in page.blocks],
        [below(root) for root in page.roots],
    )


@pytest.mark.parametrize("size", [None, 1])
def test_what_is_taken_from_the_native_parser_is_what_its_own_conversion_says(
    monkeypatch: pytest.MonkeyPatch, size: int | None
) -> None:
    import liteparse

    texts = ["18 Tf 72 700|Travel", "11 Tf 72 660|- Trains first", "11 Tf 72 630|Every traveller books alone."]
    content = tagged(texts, "(H1 0)(L (LI 1))(P 2)")
    native = [said(page) for pages in parsed(content, batch_size=size, **OPTIONS) for page in pages]
    assert len(native) == 1
    assert native[0][1]
    assert native[0][4]

    class Converting:
        """A liteparse that keeps its native parser where we do not look."""

        def __init__(self, **options: Any) -> None:
            self._made = liteparse_class(**options)
            self.parse, self.parse_batches = self._made.parse, self._made.parse_batches

    liteparse_class = liteparse.LiteParse
    monkeypatch.setattr(liteparse, "LiteParse", Converting)
    assert [said(page) for pages in parsed(content, batch_size=size, **OPTIONS) for page in pages] == native


@settings(max_examples=50)
@given(st.floats(-1e6, 1e6) | st.integers(-(10**8), 10**8).map(lambda number: number / 1000))
def test_hundredths_are_rounded_as_python_rounds(value: float) -> None:
    assert hundredths(value) == round(value, 2)


@settings(max_examples=50)
@given(st.lists(st.tuples(points, points, sizes, sizes)), st.tuples(points, points, points, points))
def test_items_in_a_box_are_those_that_are_found_one_by_one(
    places: list[tuple[float, float, float, float]], box: tuple[float, float, float, float]
) -> None:
    items = Items(item(*place) for place in [*places, (0.0, float("nan"), 1.0, 1.0)])
    x0, y0, x1, y1 = box
    assert items.inside(box) == [
        number
        for number, one in enumerate(items)
        if x0 - 1 <= one.x + one.width / 2 <= x1 + 1 and y0 - 1 <= one.y + one.height / 2 <= y1 + 1
    ]


@settings(max_examples=50)
@given(st.lists(st.lists(st.tuples(points, sizes), min_size=1)), st.lists(points))
def test_rows_that_cross_a_point_are_counted_once_each(rows: list[list[tuple[float, float]]], at: list[float]) -> None:
    spans = [sorted((start, start + size) for start, size in row) for row in rows]
    places = sorted(at)
    assert _crossing(spans, places) == [
        sum(any(start < place < end for start, end in row) for row in spans) for place in places
    ]


@settings(max_examples=50)
@given(st.lists(points, min_size=1), st.lists(points))
def test_words_fall_between_the_edges_they_stand_between(edges: list[float], tops: list[float]) -> None:
    words = [Word(0.0, top, 1.0, 0.0, "word", number) for number, top in enumerate(tops)]
    found = _between_edges(sorted(edges), words, lambda word: word.middle)
    assert found == [[word for word in words if low <= word.middle < high] for low, high in pairwise(sorted(edges))]


@settings(max_examples=50)
@given(st.text(), st.data())
def test_letters_and_their_places_are_those_that_python_calls_alphanumeric(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    plain = [at for at in range(start, end) if text[at].isalnum()]
    assert letters(text) == "".join(filter(str.isalnum, text))
    assert letters(text * 50) == letters(text) * 50
    assert offsets_of(list(range(len(plain))), text, start, end) == plain
    said, places = _letters(text)
    assert said == letters(text)
    assert places.tolist() == [at for at, sign in enumerate(text) if sign.isalnum()]


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        (True, "Wkh ohdvh hqgv rq wkh odvw gdb ri Pdufk xqohvv hlwkhu vlgh"),
        (False, "THE LEASE ENDS ON THE LAST DAY OF MARCH UNLESS"),
    ],
)
def test_a_text_is_odd_by_its_vowels_whatever_their_case(odd: bool, words: str) -> None:
    assert _is_odd(words) is odd


@given(st.text(st.sampled_from("ab \n\ufffd\ue001\uf8ff\x00\x08\x0e\x1f\u00ad(cid:7)"), max_size=30))
def test_a_text_is_nonsense_by_the_share_of_its_signs_without_a_meaning(said: str) -> None:
    whole = sum(not sign.isspace() for sign in said)
    bad = sum(len(found[0]) for found in _BROKEN.finditer(said))
    assert _is_broken(said) == (whole > 0 and bad > 0.3 * whole)


@pytest.mark.parametrize(("spot", "seen"), [(None, False), ((3, 2), True), ((3, 7), True)])
def test_a_spot_is_seen_on_the_middle_line_and_beside_it(spot: tuple[int, int] | None, seen: bool) -> None:
    grey = bytearray([200] * (8 * 10))
    if spot is not None:
        grey[spot[1] * 8 + spot[0]] -= CONTRAST + 1
    made = SimpleNamespace(width=8, height=10, stride=8, n_channels=1, buffer=bytes(grey))
    assert Bitmap(made, 0, 0, 8, 10).varies((0, 0, 8, 10)) is seen


def test_quotes_come_back_behind_words_of_any_kind() -> None:
    piece = PagePiece(BlockKind.PARAGRAPH, "The \"lease's\" end - as a 'day' - is 2020-21, \"as\" said 'as' he", 1)
    restore([piece], "The “lease’s” end – as a ‘day’ — is 2020–21, “as” said 'as' he")
    assert piece.text == "The “lease’s” end – as a ‘day’ — is 2020–21, “as” said 'as' he"


@pytest.mark.parametrize("mode", ["1", "L", "RGB"])
def test_a_picture_keeps_its_points_and_one_of_black_and_white_no_more_than_it_needs(mode: str) -> None:
    picture = photograph(203, 160).convert(mode)
    as_grey = picture.convert("L") if mode == "1" else picture
    content = pdf(both(text("A page about a picture."), pasted(as_grey, 30, 20, 101, 80)))
    (asset,) = PdfReader(ocr="none").read(Source("file:///page.pdf", content)).assets
    kept = Image.open(io.BytesIO(asset.content))
    assert kept.mode == mode
    assert kept.convert("RGB").tobytes() == picture.convert("RGB").tobytes()
