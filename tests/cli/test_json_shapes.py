"""`--json` prints one document whose keys programs can rely on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ran import Run

REF = {"id", "uri", "title", "version", "bucket", "media_type", "metadata", "ingested_at"}
SPAN = {"start", "end"}
CITATION = {
    *("number", "document", "span", "quote", "heading_path", "regions", "places"),
    *("uri", "version", "page", "where", "start", "end"),
}
CLAIM = {"text", "citations", "verdict", "score", "reasons"}
ANSWER = {
    *("question", "outcome", "text", "claims", "rejected", "conflicts", "reason", "message"),
    *("run_id", "sequence", "usage"),
}
HIT = {"node", "document", "score", "rank", "row", "found_by"}
NODE = {
    *("id", "document_id", "span", "text", "context", "kind", "heading_path", "page", "tokens", "derived"),
}
SOURCE = {
    *("uri", "bucket", "state", "fingerprint", "reader", "document", "nodes", "error_kind", "error", "updated_at"),
}
INGESTED = {
    *("uri", "outcome", "document_id", "version", "nodes", "characters", "kind", "message", "warnings", "account"),
}
BLOCK = {
    *("kind", "text", "span", "level", "heading_path", "regions", "source", "boilerplate", "hidden", "confidence"),
    *("language", "links", "figure", "cells"),
}
RECORD = {"run_id", "flow", "principal", "status", "started_at", "ended_at", "summary"}
STEP = {"step", "attempt", "started_at", "duration_s", "inputs", "outputs", "error"}


def keys(found: dict[str, Any]) -> set[str]:
    return set(found)


def test_ask(run: Run, kb: Path) -> None:
    answer = run("ask", "How much may a room in a hotel cost per night?", "--kb", str(kb), "--json").json
    assert keys(answer) == ANSWER
    assert answer["outcome"] == "answered"
    assert keys(answer["claims"][0]) == CLAIM
    citation = answer["claims"][0]["citations"][0]
    assert keys(citation) == CITATION
    assert keys(citation["document"]) == REF
    assert keys(citation["span"]) == SPAN
    assert citation["uri"] == citation["document"]["uri"] == "travel.md"
    assert citation["span"] == {"start": citation["start"], "end": citation["end"]}
    assert keys(answer["usage"]) == {"input_tokens", "output_tokens", "model_calls"}


def test_search(run: Run, kb: Path) -> None:
    found = run("search", "hotel", "--kb", str(kb), "--json").json
    assert keys(found) == {"query", "hits"}
    hit = found["hits"][0]
    assert keys(hit) == HIT
    assert keys(hit["node"]) == NODE
    assert keys(hit["document"]) == REF
    assert keys(hit["found_by"]) == {"dense", "lexical"}
    assert keys(hit["found_by"]["dense"]) == {"score", "rank"}


def test_ingest(run: Run, kb: Path, corpus: Path) -> None:
    report = run("ingest", str(corpus), "--kb", str(kb), "--json").json
    assert keys(report) == {"run_id", "bucket", "mirror", "counts", "nodes", "account", "repeated", "sources"}
    assert keys(report["repeated"]) == {"documents", "blocks"}
    assert keys(report["counts"]) == {"added", "updated", "unchanged", "deleted", "failed"}
    assert keys(report["sources"][0]) == INGESTED


def test_status(run: Run, kb: Path) -> None:
    found = run("status", "--kb", str(kb), "--json").json
    assert keys(found) == {"folder", "status"}
    assert keys(found["status"]) == {"sequence", "outdated", "buckets", "identity", "writer", "retriever"}
    assert keys(found["status"]["buckets"][0]) == {"name", "active", "failed", "nodes"}


def test_documents(run: Run, kb: Path) -> None:
    found = run("documents", "--kb", str(kb), "--json").json
    assert keys(found) == {"documents"}
    assert keys(found["documents"][0]) == SOURCE
    shown = run("documents", "show", "travel.md", "--kb", str(kb), "--json").json
    assert keys(shown) == {"source", "content", "warnings", "account", "figures", "blocks"}
    assert keys(shown["account"]) == {"found", "kept", "left_out"}
    assert keys(shown["account"]["found"]) == {"characters", "cells", "images", "pages"}
    assert shown["account"]["found"]["characters"] > 0
    assert keys(shown["blocks"][0]) == BLOCK
    assert keys(shown["content"]) == {"characters", "blocks", "kinds", "nodes"}


def test_delete(run: Run, kb: Path) -> None:
    found = run("delete", "travel.md", "--kb", str(kb), "--json").json
    assert keys(found) == {"deleted"}
    assert keys(found["deleted"][0]) == SOURCE


def test_runs(run: Run, kb: Path) -> None:
    run("ask", "How much may a room in a hotel cost per night?", "--kb", str(kb))
    found = run("runs", "--kb", str(kb), "--json").json
    assert keys(found) == {"runs"}
    assert keys(found["runs"][0]) == RECORD
    assert keys(found["runs"][0]["principal"]) == {"tenant", "user", "groups"}
    run_id = found["runs"][0]["run_id"]
    shown = run("runs", "show", run_id, "--kb", str(kb), "--json").json
    assert keys(shown) == {"run", "steps"}
    assert keys(shown["steps"][0]) == STEP
    explained = run("runs", "explain", run_id, "--kb", str(kb), "--json").json
    assert keys(explained) == {"run", "steps", "shown"}
    assert keys(explained["steps"][0]) == STEP
    assert keys(explained["steps"][0]["outputs"][0]) == {"event", "content"}
    only = run("runs", "explain", run_id, "--kb", str(kb), "--json", "--shown").json
    assert only == {"shown": explained["shown"]}


def test_doctor(run: Run, kb: Path) -> None:
    found = run("doctor", "--kb", str(kb), "--json").json
    assert keys(found) == {"ok", "checks"}
    assert keys(found["checks"][0]) == {"name", "status", "message", "remedy"}


def test_version(run: Run) -> None:
    assert keys(run("--version", "--json").json) == {"version"}
    assert run("--json", "--version").json == run("--version", "--json").json


@pytest.mark.parametrize(
    ("arguments", "code", "kind"),
    [
        (["ask", "x"], 2, "MissingKnowledgeBase"),
        (["ask"], 2, "UsageError"),
        (["ask", "x", "--no-such-option"], 2, "UsageError"),
        (["ingest", "x", "--metadata", "y"], 2, "ConfigError"),
    ],
)
def test_errors_are_documents_too(arguments: list[str], code: int, kind: str, run: Run) -> None:
    ran = run(*arguments, "--json")
    assert ran.code == code
    assert keys(ran.json) == {"error"}
    assert keys(ran.json["error"]) == {"type", "message"}
    assert ran.json["error"]["type"] == kind
    assert ran.error == ""


def test_filter_errors_and_missing_documents_have_their_types(run: Run, kb: Path) -> None:
    assert run("search", "x", "--where", "(", "--kb", str(kb), "--json").json["error"]["type"] == "FilterError"
    assert run("documents", "show", "x", "--kb", str(kb), "--json").json["error"]["type"] == "NotFound"


def test_a_dash_dash_ends_the_options(run: Run) -> None:
    ran = run("ask", "--", "--json")
    assert ran.code == 2
    assert ran.error.startswith("citewell: There is no knowledge base")
