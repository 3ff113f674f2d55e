"""What of a web page is its main text is told by flags, whatever the layout; nothing is dropped."""

from __future__ import annotations

from collections import defaultdict
from statistics import mean

from citewell.evaluation.shingles import shingle_f1
from citewell.reading.html import HtmlReader
from citewell.testing.web_samples import web_pages
from citewell.types import Source


def read(html: str):
    return HtmlReader().read(Source("page.html", html.encode()))


def main_of(document) -> str:
    return "\n".join(
        block.span.of(document.text) for block in document.blocks if not (block.boilerplate or block.hidden)
    )


def test_main_text_of_made_up_pages_is_told_from_what_is_around_it():
    scores = defaultdict(list)
    for page in web_pages(64, seed=11):
        document = read(page.html)
        scores[page.layout].append(shingle_f1(main_of(document), "\n".join(page.main)))
        assert all(text in " ".join(document.text.split()) for text in page.main if len(text) > 40)
    assert mean(score for found in scores.values() for score in found) >= 0.97
    assert min(mean(found) for found in scores.values()) >= 0.9


def test_a_page_of_nothing_but_teasers_is_about_them():
    cards = "".join(
        f'<div><h3><a href="/{n}">Story number {n}</a></h3><p>How story {n} begins.</p></div>' for n in range(9)
    )
    assert "How story 4 begins." in main_of(read(f"<html><body><h1>All stories</h1>{cards}</body></html>"))


def test_a_heading_over_what_is_beside_the_text_goes_with_it():
    text = "<p>A sentence that is long enough to be what this page is about, and then some more of it.</p>" * 6
    links = "<ul>" + "".join(f'<li><a href="/{n}">Other page {n}</a></li>' for n in range(6)) + "</ul>"
    document = read(f"<html><body><h1>Title</h1>{text}<h2>Related pages</h2>{links}<h2>Next</h2>{text}</body></html>")
    assert "Related pages" not in main_of(document)
    assert "Next" in main_of(document)
    assert "Related pages" in document.text


def test_headings_that_link_to_themselves_are_no_teasers():
    parts = "".join(
        f'<div><h2><a href="#s{n}">Part {n}</a></h2><p>What part {n} says about the matter at hand.</p></div>'
        for n in range(5)
    )
    document = read(f"<html><body><h1>Guide</h1>{parts}<p>{'And so on. ' * 60}</p></body></html>")
    assert "What part 3 says" in main_of(document)


def test_shingles_are_counted_as_often_as_they_stand():
    assert shingle_f1("a b c d", "a b c d") == 1.0
    assert shingle_f1("a b", "a b") == 1.0
    assert shingle_f1("", "") == 1.0
    assert shingle_f1("a b c d", "") == 0.0
    assert shingle_f1("a b c d a b c d", "a b c d") == 2 / 6
