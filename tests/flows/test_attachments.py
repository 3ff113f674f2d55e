"""What is inside a source comes, changes and goes with it, and stands under names of its own."""

from __future__ import annotations

import json

import pytest

from citewell.errors import ReadError
from citewell.flows import ingest
from citewell.reading.pieces import Builder, Piece
from citewell.types import Access, BlockKind, Principal, Source


class Boxes:
    """Reads JSON `{"text": ..., "inside": {name: box}}` as a document with what is inside attached."""

    identity = "boxes@1"

    def __init__(self) -> None:
        self.read_uris: list[str] = []
        self.broken = frozenset()

    def read(self, source):
        self.read_uris.append(source.uri)
        if source.uri in self.broken:
            raise ReadError("corrupt", "broken for now")
        box = json.loads(source.content)
        builder = Builder()
        builder.add(Piece(BlockKind.PARAGRAPH, box["text"]))
        for name, inner in box.get("inside", {}).items():
            builder.attach(name, json.dumps(inner).encode(), metadata={"kept": "yes", "team": "inner"})
        return builder.document(source, reader=self.identity, media_type="application/x-box")


def box(text, /, **inside):
    return {"text": text, "inside": inside}


def source(uri, content, **more):
    return Source(uri, json.dumps(content).encode(), **more)


def outcomes(report):
    return {one.uri: one.outcome for one in report.sources}


async def found(engine, **more):
    """The uris of all that can be found: similarity leaves nothing out."""
    return sorted(hit.document.uri for hit in await engine.search("zebra", limit=100, **more))


def test_parts_become_documents_under_the_rule_and_the_metadata_of_the_outer_source(with_engine):
    async def work(engine):
        engine.reader = Boxes()
        outer = box("zebra", first=box("yak"), second=box("xerus", third=box("wolf")))
        rule = Access(frozenset({"group:zoo"}))
        keeper = Principal("local", "keeper", frozenset({"zoo"}))
        given = source("mail", outer, access=rule, metadata={"team": "outer", "title": "The mail"})
        report = await engine.ingest_sources([given], principal=keeper)
        assert outcomes(report) == dict.fromkeys(
            ["mail", "mail!/first", "mail!/second", "mail!/second!/third"], "added"
        )
        assert report.account.found.characters == len("zebrayakxeruswolf")
        assert await found(engine) == []
        hits = {hit.document.uri: hit.document for hit in await engine.search("wolf yak", principal=keeper)}
        third = hits["mail!/second!/third"]
        assert third.metadata["part_of"] == "mail!/second"
        assert (third.metadata["team"], third.metadata["kept"]) == ("outer", "yes")
        assert (third.title, hits["mail!/first"].title) == ("Third", "First")
        assert await found(engine, where={"part_of": "mail"}, principal=keeper) == [
            "mail!/first",
            "mail!/second",
        ]

    with_engine(work)


def test_what_is_no_longer_inside_goes_with_the_commit_of_the_new_version(with_engine):
    async def work(engine):
        engine.reader = Boxes()
        await engine.ingest_sources([source("m", box("zebra", a=box("yak", x=box("wolf")), b=box("xerus")))])
        report = await engine.ingest_sources([source("m", box("zebra", b=box("xerus"), c=box("vole")))])
        assert outcomes(report) == {
            "m": "updated",
            "m!/a": "deleted",
            "m!/a!/x": "deleted",
            "m!/b": "unchanged",
            "m!/c": "added",
        }
        assert await found(engine) == ["m", "m!/b", "m!/c"]
        await engine.delete("m")
        assert await found(engine) == []

    with_engine(work)


def test_an_unchanged_source_is_read_again_only_for_parts_that_failed(with_engine):
    async def work(engine):
        engine.reader = reader = Boxes()
        outer = source("m", box("zebra", a=box("yak"), b=box("xerus", x=box("wolf"))))
        reader.broken = frozenset({"m!/b!/x"})
        report = await engine.ingest_sources([outer])
        assert outcomes(report) == {"m": "added", "m!/a": "added", "m!/b": "added", "m!/b!/x": "failed"}
        reader.broken = frozenset()
        reader.read_uris.clear()
        report = await engine.ingest_sources([outer])
        assert outcomes(report) == {"m": "unchanged", "m!/a": "unchanged", "m!/b": "unchanged", "m!/b!/x": "added"}
        assert {one.version for one in report.sources} == {1}
        assert reader.read_uris == ["m", "m!/b", "m!/b!/x"]
        reader.read_uris.clear()
        assert set(outcomes(await engine.ingest_sources([outer])).values()) == {"unchanged"}
        assert reader.read_uris == []

    with_engine(work)


def test_mirroring_keeps_the_parts_of_what_is_still_there(with_engine, tmp_path):
    async def work(engine):
        engine.reader = Boxes()
        (tmp_path / "m.json").write_text(json.dumps(box("zebra", a=box("yak"))))
        (tmp_path / "n.json").write_text(json.dumps(box("xerus", a=box("wolf"))))
        await engine.ingest(str(tmp_path), mirror=True)
        (tmp_path / "n.json").unlink()
        report = await engine.ingest(str(tmp_path), mirror=True)
        assert (report.count("unchanged"), report.count("deleted")) == (2, 2)
        assert [uri.rpartition("/")[2] for uri in await found(engine)] == ["m.json", "a"]

    with_engine(work)


@pytest.mark.parametrize("depth", [3, 4])
def test_sources_lie_three_deep_inside_each_other_and_no_deeper(with_engine, depth):
    async def work(engine):
        engine.reader = Boxes()
        content = box("innermost")
        for number in range(depth, 0, -1):
            content = box(f"number {number}", x=content)
        report = await engine.ingest_sources([source("m", content)])
        assert report.count("added") == 3 + (depth == 3)
        failed = [(one.uri, one.kind) for one in report.failed]
        assert failed == ([] if depth == 3 else [("m!/x!/x!/x", "limit_exceeded")])

    with_engine(work)


def test_the_limits_on_what_is_inside_hold_for_all_depths_together(with_engine, monkeypatch):
    async def work(engine):
        engine.reader = Boxes()
        monkeypatch.setattr(ingest, "MAX_PARTS", 4)
        inner = {f"p{number}": box(f"part {number}") for number in range(2)}
        report = await engine.ingest_sources([source("m", box("outer", a=box("a", **inner), b=box("b")))])
        assert not report.failed
        inner["p2"] = box("part 2")
        report = await engine.ingest_sources([source("n", box("outer", a=box("a", **inner), b=box("b")))])
        assert [(one.uri, one.kind) for one in report.failed] == [("n!/a", "limit_exceeded")]
        assert report.count("added") == 2
        assert "5 files inside; the limit is 4" in report.failed[0].message

    with_engine(work)
