"""What people see: complete, inert, and within 80 columns."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable
from dataclasses import replace

import cli_samples as samples
import pytest

from citewell.cli.screen import Screen
from citewell.cli.show.answer import show_answer
from citewell.cli.show.contents import account_table, show_contents
from citewell.cli.show.documents import show_documents
from citewell.cli.show.hits import show_hits, snippet, terms_of
from citewell.cli.show.ingest import show_report
from citewell.protocols import SourceState
from citewell.types import Account, Place, Reason, Tally

Drawn = Callable[[Callable[[Screen], None]], str]


@pytest.fixture
def drawn(capsys: pytest.CaptureFixture[str]) -> Drawn:
    """What a view prints to stdout, at 80 columns and not on a terminal."""

    def drawn(show: Callable[[Screen], None]) -> str:
        capsys.readouterr()
        show(Screen())
        return capsys.readouterr().out

    return drawn


def words(text: str) -> str:
    return re.sub(r"\s+", " ", text)


VIEWS: dict[str, Callable[[Screen], None]] = {
    "answered": lambda screen: show_answer(screen, samples.answered()),
    "conflict": lambda screen: show_answer(screen, samples.conflicting()),
    "abstained": lambda screen: show_answer(screen, samples.abstained()),
    "hostile answer": lambda screen: show_answer(
        screen, samples.answered(samples.HOSTILE, uri=samples.HOSTILE, title=samples.HOSTILE)
    ),
    "hits": lambda screen: show_hits(screen, "hotel night", [samples.hit(1), samples.hit(2, page=3)]),
    "scores": lambda screen: show_hits(screen, "hotel", [samples.hit(1, samples.HOSTILE * 9)], explain=True),
    "contents": lambda screen: show_contents(screen, *samples.contents(), every=False),
    "hostile contents": lambda screen: show_contents(screen, *samples.contents(samples.HOSTILE), every=True),
    "report": lambda screen: show_report(screen, samples.report()),
    "long uri": lambda screen: show_hits(screen, "a", [samples.hit(uri="https://example.org/" + "a/" * 200)]),
}


@pytest.mark.parametrize("name", VIEWS)
def test_every_view_fits_80_columns_without_escape_codes(name: str, drawn: Drawn) -> None:
    out = drawn(VIEWS[name])
    assert out.strip()
    assert max(map(len, out.splitlines())) <= 80
    assert "\x1b" not in out
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", out)
    assert all(one == one.rstrip() for one in out.splitlines())


def test_a_source_is_shown_with_number_title_heading_version_page_uri_and_quote(drawn: Drawn) -> None:
    out = words(drawn(VIEWS["answered"]))
    assert f"{samples.HOTEL} [1] ✓ Answered" in out
    assert (
        "Sources [1] Travel policy 2025 › Hotels version 2 · page 3 · policies/travel-policy-2025.md "
        f"“{samples.HOTEL}”" in out
    )


def test_a_source_without_pages_is_shown_with_its_cells_or_lines(drawn: Drawn) -> None:
    said = samples.answered()
    places = (Place(2, 4, "rows", "Limits!A3:B4"), Place(8, 9, "lines"))
    one = replace(said.claims[0].citations[0], regions=(), places=places)
    answer = replace(said, claims=(replace(said.claims[0], citations=(one,)),))
    assert "version 2 · Limits!A3:B4, line 9 · policies" in words(drawn(lambda screen: show_answer(screen, answer)))


def test_a_conflict_shows_both_places_and_does_not_repeat_them(drawn: Drawn) -> None:
    out = words(drawn(VIEWS["conflict"]))
    assert "The sources disagree (numbers: 30 days, 90 days):" in out
    for one in ("it/office-network.html", "facilities/office-guide.md", "“The guest Wi-Fi password changes"):
        assert out.count(one) == 1


def test_an_abstention_says_why_and_shows_no_sources(drawn: Drawn) -> None:
    out = words(drawn(VIEWS["abstained"]))
    assert "Not answered · weak evidence Nothing in the documents you may read answers this." in out
    assert "Sources" not in out


def test_rejected_claims_are_counted(drawn: Drawn) -> None:
    answer = samples.answered()
    out = words(drawn(lambda screen: show_answer(screen, replace(answer, rejected=answer.claims))))
    assert "1 sentence left out: not supported" in out


def test_what_was_left_out_is_shown_with_its_reason_and_never_as_all(drawn: Drawn) -> None:
    account = Account.of(Tally(99_999, 4), {Reason.HIDDEN: Tally(1), Reason.TOO_SMALL: Tally(images=2)})
    rows = [words(row) for row in drawn(lambda screen: screen.show(account_table(account))).splitlines()]
    assert rows == [
        " found kept hidden too small",
        "characters 100,000 99,999 (99.9 %) 1",
        "cells 4 4 (100 %)",
        "images 2 0 (0 %) 2",
    ]


def test_places_count_from_one_and_bytes_from_zero(drawn: Drawn) -> None:
    contents, text, blocks = samples.contents()
    places = [Place(4, 5, "lines", "text/one.xhtml"), Place(0, 3, "rows"), Place(0, 3)]
    placed = [replace(blocks[1], source=one) for one in places]
    out = words(drawn(lambda screen: show_contents(screen, contents, text, placed, every=True)))
    for number, said in enumerate(("one.xhtml line 5", "rows 1-3", "bytes 0-3"), 1):
        assert f"{number} paragraph {said} hidden" in out


def test_blocks_are_cut_and_the_rest_is_counted(drawn: Drawn) -> None:
    contents, text, blocks = samples.contents()
    many = blocks * 30
    assert "and 50 blocks more" in drawn(lambda screen: show_contents(screen, contents, text, many, every=False))
    assert "more:" not in drawn(lambda screen: show_contents(screen, contents, text, many, every=True))


def test_markup_in_a_document_is_shown_as_text(drawn: Drawn) -> None:
    assert "[bold]loud[/bold]" in drawn(VIEWS["hostile answer"])
    assert "[bold]loud[/bold]" in drawn(VIEWS["scores"])


def test_a_failed_source_has_its_uri_kind_and_message_once(drawn: Drawn) -> None:
    out = drawn(VIEWS["report"])
    assert out.count("docs/locked.pdf") == 1
    assert "✗ docs/locked.pdf\n  encrypted  this PDF asks for a password. Save a copy without one.\n" in out
    assert "! docs/b.pdf\n  page 4 holds an image without text\n" in out
    assert out.splitlines()[-1].split() == ["2", "0", "1", "0", "1", "42", "handbook"]


def test_a_failed_document_that_still_answers_keeps_its_version_in_the_list(drawn: Drawn) -> None:
    state = SourceState(
        uri="a.pdf",
        bucket="handbook",
        state="failed",
        fingerprint="",
        document=samples.document("a.pdf"),
        nodes=3,
        error_kind="corrupt",
        error="a.pdf: the file ends too early.",
        updated_at="2025-03-01T10:00:00Z",
    )
    out = words(drawn(lambda screen: show_documents(screen, [state])))
    assert "a.pdf failed 2 3 2025-03-01" in out
    assert "✗ a.pdf a.pdf: the file ends too early." in out


def test_a_snippet_shows_the_matched_words_of_a_long_text() -> None:
    text = "Filler words come first. " * 40 + samples.HOTEL + " More words follow." * 40
    found = snippet(Screen(), text, terms_of("hotels by night"))
    assert "hotel may cost up to EUR 180 per night" in found.plain
    assert len(found.plain) <= 210
    marked = {found.plain[span.start : span.end] for span in found.spans if "bold" in str(span.style)}
    assert marked == {"hotel", "night"}


def test_a_screen_without_unicode_gets_ascii_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(buffer, encoding="ascii"))
    for show in VIEWS.values():
        show(Screen())
    sys.stdout.flush()
    out = buffer.getvalue().decode("ascii")
    assert '"A room in a hotel' in out
    assert "+ Answered" in out
    assert "Travel policy 2025 > Hotels" in out
