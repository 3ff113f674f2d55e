"""Pictures described by a vision model: found by what they show, never quoted, asked about once."""

from __future__ import annotations

import base64
import struct
import zlib

from citewell.engine import Engine
from citewell.errors import ModelUnavailable
from citewell.flows.describing import Pictures
from citewell.testing import ScriptedDescriber
from citewell.types import BlockKind, Outcome, Source

CHART = "A bar chart of rainfall by month. The tallest bar is November with ninety millimetres."
PUMP = "A cutaway drawing of a centrifugal pump with an impeller."


def png(shade: int, width: int = 120, height: int = 120) -> bytes:
    """A plain picture; each shade is another one."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = zlib.compress((b"\0" + bytes([shade]) * width) * height)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def page(*pictures: bytes, uri: str = "weather.html") -> Source:
    figures = "".join(
        f'<figure><img src="data:image/png;base64,{base64.b64encode(one).decode()}">'
        f"<figcaption>Figure {number}: Station {number}</figcaption></figure>"
        for number, one in enumerate(pictures, 1)
    )
    said = (
        "<h1>Weather</h1><h2>Stations</h2><p>The gauge of the first station stands on the roof of the town hall, as "
        "figure 1 shows.</p><p>Nobody measures on Sundays, and the second station has been closed for repairs.</p>"
    )
    return Source(uri, f"<html><body>{said}{figures}</body></html>".encode(), media_type="text/html")


def describing(engine: Engine, *answers: str | Exception, **options: int) -> ScriptedDescriber:
    describer = ScriptedDescriber(answers)
    engine.pictures = Pictures(describer, **options)
    return describer


def test_a_description_is_a_derived_node_at_its_figure_and_never_evidence(with_engine) -> None:
    async def work(engine: Engine) -> None:
        describer = describing(engine, CHART)
        (line,) = (await engine.ingest_sources([page(png(10))])).sources
        assert (line.outcome, line.warnings) == ("added", ())
        assert describer.seen == [(png(10), "image/png")]
        hit = (await engine.search("tallest bar of rainfall", limit=1))[0]
        node = hit.node
        assert node.derived
        assert node.kind is BlockKind.FIGURE
        assert node.text == f"[Picture, described by scripted] {CHART}"
        assert node.context.splitlines()[0] == "Weather > Stations"
        assert "Figure 1: Station 1" in node.context
        assert "roof of the town hall" in node.context
        _, text, blocks = await engine.store.document(node.document_id, engine.principal)
        assert node.span in {block.span for block in blocks}
        assert node.span.of(text) == "Figure 1: Station 1"
        assert CHART not in text
        (asset,) = (await engine.store.contents(node.document_id, engine.principal)).assets
        assert (asset.description, asset.described_by) == (CHART, "scripted")
        answer = await engine.ask("Which month has the tallest bar of rainfall?")
        assert "November" not in answer.text
        assert all("November" not in one.quote for claim in answer.claims for one in claim.citations)
        assert answer.outcome is not Outcome.FAILED

    with_engine(work)


def test_equal_pictures_are_shown_to_the_model_once_whatever_document_has_them(with_engine) -> None:
    async def work(engine: Engine) -> None:
        describer = describing(engine, CHART, PUMP)
        await engine.ingest_sources([page(png(10), uri=f"{number}.html") for number in range(40)])
        assert len(describer.seen) == 1
        await engine.ingest_sources([page(png(10), uri="later.html"), page(png(20), uri="other.html")])
        assert [content for content, _ in describer.seen] == [png(10), png(20)]
        assert len([hit for hit in await engine.search("tallest bar", limit=99) if hit.node.derived]) >= 41

    with_engine(work)


def test_what_is_deleted_takes_its_description_along(with_engine) -> None:
    async def work(engine: Engine) -> None:
        describer = describing(engine, CHART, "Another look at it.")
        await engine.ingest_sources([page(png(10))])
        await engine.delete("weather.html")
        assert not await engine.search("tallest bar", limit=5)
        await engine.ingest_sources([page(png(10))])
        assert len(describer.seen) == 2

    with_engine(work)


def test_a_model_that_fails_is_a_warning_and_is_asked_again_by_the_next_run(with_engine) -> None:
    async def work(engine: Engine) -> None:
        describing(engine, CHART, ModelUnavailable("No answer from the model.", attempts=3))
        (line,) = (await engine.ingest_sources([page(png(10), png(20))])).sources
        assert line.outcome == "added"
        (warning,) = line.warnings
        assert warning.startswith("Pictures not described: 1, for No answer from the model.")
        again = describing(engine, PUMP)
        (line,) = (await engine.ingest_sources([page(png(10), png(20))])).sources
        assert (line.outcome, line.warnings) == ("updated", ())
        assert [content for content, _ in again.seen] == [png(20)]
        (line,) = (await engine.ingest_sources([page(png(10), png(20))])).sources
        assert line.outcome == "unchanged"

    with_engine(work)


def test_a_describer_that_is_gone_is_left_alone_and_one_that_breaks_harms_nothing(with_engine) -> None:
    async def work(engine: Engine) -> None:
        describer = describing(engine, *[RuntimeError("boom")] * 50)
        report = await engine.ingest_sources([page(png(number), uri=f"{number}.html") for number in range(50)])
        assert report.count("added") == 50
        assert all("RuntimeError: boom" in line.warnings[0] for line in report.sources)
        assert len(describer.seen) < 10

    with_engine(work)


def test_pictures_that_are_small_too_many_or_of_other_kinds_are_not_sent(with_engine) -> None:
    async def work(engine: Engine) -> None:
        describer = describing(engine, CHART, PUMP, at_most=1)
        vector = Source(
            "v.html",
            page().content.replace(
                b"</body>",
                b'<img alt="A plan" src="data:image/svg+xml;base64,'
                + base64.b64encode(b'<svg xmlns="x" width="300" height="300"/>')
                + b'"></body>',
            ),
            media_type="text/html",
        )
        report = await engine.ingest_sources([page(png(1, 40, 40), png(2), png(3)), vector])
        said = {line.uri: line.warnings for line in report.sources}
        assert [content for content, _ in describer.seen] == [png(2)]
        assert any("1, for being more than describing.max_pictures (1)" in one for one in said["weather.html"])
        assert any("neither PNG, JPEG, GIF nor WebP: 1" in one for one in said["v.html"])

    with_engine(work)


def test_a_picture_without_words_is_found_by_its_description_alone(with_engine) -> None:
    async def work(engine: Engine) -> None:
        photo = Source("pumps/centrifugal_pump.png", png(200), media_type="image/png")
        (line,) = (await engine.ingest_sources([photo])).sources
        assert (line.outcome, line.kind) == ("failed", "no_text")
        describing(engine, ModelUnavailable("Gone.", attempts=1))
        (line,) = (await engine.ingest_sources([photo])).sources
        assert (line.outcome, line.kind) == ("failed", "no_text")
        assert "Gone." in line.message
        describing(engine, PUMP)
        (line,) = (await engine.ingest_sources([photo])).sources
        assert (line.outcome, line.nodes) == ("added", 1)
        (hit,) = await engine.search("impeller", limit=5)
        assert hit.node.derived
        assert hit.document.title == "Centrifugal pump"
        assert (await engine.ask("What has an impeller?")).outcome is Outcome.ABSTAINED

    with_engine(work)


def test_another_model_describes_anew_and_without_one_nothing_is_sent(with_engine) -> None:
    async def work(engine: Engine) -> None:
        describing(engine, CHART)
        await engine.ingest_sources([page(png(10))])
        engine.pictures = Pictures(ScriptedDescriber([PUMP], identity="other"))
        (line,) = (await engine.ingest_sources([page(png(10))])).sources
        assert line.outcome == "updated"
        assert any(hit.node.text == f"[Picture, described by other] {PUMP}" for hit in await engine.search("impeller"))
        engine.pictures = None
        await engine.ingest_sources([page(png(10))])
        assert not any(hit.node.derived for hit in await engine.search("impeller"))

    with_engine(work)
