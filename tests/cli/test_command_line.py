"""The commands end to end: what they print, what they return, and what wrong use comes to."""

from __future__ import annotations

import importlib.util
import io
import json
import sys
from pathlib import Path

import pytest
from ran import Run

from citewell.cli.app import main
from citewell.cli.doctor import _PACKAGES

QUESTION = "How much may a room in a hotel cost per night?"


def test_a_question_is_answered_with_its_source(run: Run, kb: Path) -> None:
    ran = run("ask", QUESTION, "--kb", str(kb))
    assert ran.code == 0, ran
    assert "EUR 180" in ran.out
    assert "[1]" in ran.out
    assert "travel.md" in ran.out
    assert "\x1b" not in ran.out + ran.error
    assert f"citewell --kb {kb} runs explain" in ran.error


def test_what_nothing_answers_is_exit_code_1_and_says_so(run: Run, kb: Path) -> None:
    ran = run("ask", "Who won the chess championship of 1972 in Reykjavik?", "--kb", str(kb))
    assert ran.code == 1
    assert "Not answered" in ran.out
    assert "Sources" not in ran.out


def test_a_group_reads_what_others_cannot(run: Run, kb: Path) -> None:
    question = "Where does the salary band for level E4 begin?"
    outsider = run("ask", question, "--kb", str(kb))
    assert outsider.code == 1
    assert "62,400" not in outsider.out + outsider.error
    assert "bands.md" not in run("documents", "--kb", str(kb)).out
    member = run("--as", "user:imke", "ask", question, "--group", "people", "--kb", str(kb))
    assert member.code == 0, member
    assert "62,400" in member.out


def test_search_shows_hits_and_explains_scores(run: Run, kb: Path) -> None:
    ran = run("search", "hotel room", "--limit", "1", "--explain-scores", "--kb", str(kb))
    assert ran.code == 0, ran
    assert ran.out.split()[:4] == ["#", "score", "dense", "lexical"]
    assert "travel.md" in ran.out
    assert "(1)" in ran.out


def test_a_filter_decides_what_is_found(run: Run, kb: Path) -> None:
    assert run("search", "hotel", "--where", "year == 2025", "--kb", str(kb)).code == 0
    ran = run("search", "hotel", "--where", "year == 1999", "--kb", str(kb))
    assert ran.code == 1
    assert "Nothing found" in ran.out


@pytest.mark.parametrize(
    "arguments",
    [
        ["search", "hotel", "--where", "year ==="],
        ["search", "hotel", "--limit", "0"],
        ["search", "  "],
        ["ask", "x" * 9000],
        ["ask", QUESTION, "--as", "imke"],
        ["ask", QUESTION, "--group", ""],
        ["runs", "--limit", "0"],
        ["ingest", "docs", "--metadata", "year"],
        ["ingest", "docs", "--metadata", "a=1", "--metadata", "a=2"],
        ["ingest", "docs", "--allow", "imke"],
        ["ingest", "docs", "--bucket", " x"],
        ["search", "hotel", "--no-such-option"],
        ["search", "hotel", "--limit", "many"],
        ["no-such-command"],
        ["ask"],
        [],
    ],
)
def test_wrong_use_is_exit_code_2_with_one_line(arguments: list[str], run: Run, kb: Path) -> None:
    ran = run(*arguments, *(["--kb", str(kb)] if arguments[1:] else []))
    assert ran.code == 2, ran
    if arguments:
        assert ran.out == ""
        assert ran.error.startswith("citewell: ")
        assert ran.error.count("\n") == 1


@pytest.mark.parametrize(
    "command", ["ask x", "search x", "status", "documents", "documents show x", "delete x", "runs"]
)
def test_reading_without_a_knowledge_base_says_where_it_looked_and_makes_nothing(
    command: str, run: Run, tmp_path: Path
) -> None:
    ran = run(*command.split())
    assert ran.code == 2
    assert str(tmp_path / ".citewell") in ran.error
    assert "citewell ingest" in ran.error
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_setting_is_wrong_use(run: Run, kb: Path) -> None:
    (kb / "citewell.toml").write_text("[retrieval]\nfussion = 'rrf'\n", "utf-8")
    ran = run("status", "--kb", str(kb))
    assert ran.code == 2
    assert "retrieval.fussion: unknown key. Known are dense_weight, fusion, lexical_weight, pool" in ran.error
    (kb / "citewell.toml").write_text("[retrival]\nfusion = 'rrf'\n", "utf-8")
    ran = run("status", "--kb", str(kb))
    known = "answering, describing, embedding, ingestion, reading, retrieval, splitting"
    assert f"retrival: unknown key. Known are {known}" in ran.error


def test_a_misspelt_command_is_told_the_nearest_one(run: Run) -> None:
    ran = run("aks", "x")
    assert ran.code == 2
    assert "Did you mean 'ask'? Try `citewell --help`." in ran.error


def test_options_work_before_and_after_the_command(run: Run, kb: Path) -> None:
    before = run("--kb", str(kb), "--json", "documents", "--bucket", "default")
    after = run("documents", "--bucket", "default", "--kb", str(kb), "--json")
    assert before.code == after.code == 0
    assert before.json == after.json


def test_the_folder_can_come_from_the_environment(run: Run, kb: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CITEWELL_KB", str(kb))
    assert run("status").code == 0


def test_ingesting_again_changes_nothing(run: Run, kb: Path, corpus: Path) -> None:
    again = run("ingest", str(corpus), "--kb", str(kb), "-m", "year=2025", "--json")
    assert again.code == 0
    assert again.json["counts"] == {"added": 0, "updated": 0, "unchanged": 3, "deleted": 0, "failed": 0}


def test_a_failed_source_is_named_and_the_rest_is_ingested(run: Run, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "good.md").write_text("# Good\n\nThe good page can be read.\n", "utf-8")
    (docs / "broken.pdf").write_bytes(b"%PDF-1.7\n1 0 obj\n<<")
    (docs / "empty.md").write_bytes(b"")
    ran = run("ingest", "docs", "gone.md")
    assert ran.code == 1
    for name in ("broken.pdf", "empty.md", "gone.md"):
        assert f"✗ {name}" in ran.out
    assert ran.out.splitlines()[-1].split()[:5] == ["1", "0", "0", "0", "3"]
    assert run("search", "good page").code == 0
    assert "empty.md" in run("documents", "--failed").out


def test_an_empty_folder_is_a_failure(run: Run, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    assert run("ingest", "nothing").code == 1


def test_mirroring_deletes_what_is_gone(run: Run, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    for name in ("a.md", "b.md"):
        (docs / name).write_text(f"# {name}\n\nSome words about {name}.\n", "utf-8")
    assert run("ingest", "docs").code == 0
    (docs / "b.md").unlink()
    ran = run("ingest", "docs", "--mirror", "--json")
    assert ran.json["counts"] == {"added": 0, "updated": 0, "unchanged": 1, "deleted": 1, "failed": 0}


def test_metadata_is_typed_by_how_it_is_written(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# A\n\nSome words.\n", "utf-8")
    given = ["year=2025", "draft=false", 'tags=["x","y"]', 'code="007"', "owner=Ann = Bob", "empty="]
    assert run("ingest", "a.md", *(part for one in given for part in ("-m", one))).code == 0
    (state,) = run("documents", "--json").json["documents"]
    held = state["document"]["metadata"]
    assert {name: held[name] for name in ("year", "draft", "tags", "code", "owner")} == {
        "year": 2025,
        "draft": False,
        "tags": ["x", "y"],
        "code": "007",
        "owner": "Ann = Bob",
    }


def test_a_document_is_shown_by_uri_or_beginning_of_its_id(run: Run, kb: Path) -> None:
    ran = run("documents", "show", "travel.md", "--kb", str(kb), "--json")
    assert ran.code == 0, ran
    same = run("documents", "show", ran.json["source"]["document"]["id"][:8], "--kb", str(kb), "--json")
    assert same.json == ran.json
    assert "headings" in run("documents", "show", "travel.md", "--kb", str(kb)).out
    missing = run("documents", "show", "none.md", "--kb", str(kb))
    assert missing.code == 1
    assert "none.md" in missing.error


def test_delete_removes_a_document_for_good(run: Run, kb: Path) -> None:
    assert run("delete", "travel.md", "nope.md", "--kb", str(kb)).code == 1
    assert run("search", "hotel room", "--kb", str(kb)).out.count("travel.md")
    assert run("delete", "travel.md", "--kb", str(kb)).code == 0
    assert "travel.md" not in run("search", "hotel room", "--kb", str(kb)).out
    assert run("delete", "travel.md", "--kb", str(kb)).code == 1


@pytest.mark.parametrize(("typed", "code", "left"), [("n\n", 1, True), ("y\n", 0, False)])
def test_delete_asks_on_a_terminal(
    typed: str, code: int, left: bool, *, run: Run, kb: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = io.StringIO(typed)
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stdin", terminal)
    ran = run("delete", "travel.md", "--kb", str(kb))
    assert ran.code == code
    assert "Delete travel.md" in ran.error
    assert ("travel.md" in run("documents", "--kb", str(kb)).out) is left


def test_a_question_can_come_from_stdin(run: Run, kb: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(QUESTION + "\n"))
    assert "EUR 180" in run("ask", "-", "--kb", str(kb)).out


def test_the_runs_of_a_knowledge_base_are_listed_shown_and_explained(run: Run, kb: Path) -> None:
    run_id = run("ask", QUESTION, "--kb", str(kb), "--json").json["run_id"]
    assert run_id[:12] in run("runs", "--kb", str(kb)).out
    shown = run("runs", "show", run_id[:12], "--kb", str(kb)).out
    for step in ("understand", "retrieve", "pack", "write", "judge", "conclude"):
        assert step in shown
    explained = run("runs", "explain", run_id[:12], "--kb", str(kb)).out
    for said in ("question", "dense", "lexical", "shown to the writer, 1 of", "end of what was shown", "supported"):
        assert said in explained
    assert "EUR 180" in explained
    missing = run("runs", "show", "no-such-run", "--kb", str(kb))
    assert missing.code == 1
    assert "no-such-run" in missing.error


def test_explain_shown_is_byte_for_byte_what_the_writer_was_shown(
    kb: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert main(["ask", QUESTION, "--kb", str(kb), "--json"]) == 0
    run_id = json.loads(capfdbinary.readouterr().out)["run_id"]
    assert main(["runs", "explain", run_id, "--kb", str(kb), "--json"]) == 0
    shown = json.loads(capfdbinary.readouterr().out)["shown"]
    assert shown
    assert main(["runs", "explain", run_id, "--kb", str(kb), "--shown"]) == 0
    assert capfdbinary.readouterr().out == "\n\n".join(shown).encode()


def test_there_is_nothing_shown_in_an_ingestion(run: Run, kb: Path) -> None:
    ingestion = run("runs", "--kb", str(kb), "--json").json["runs"][-1]["run_id"]
    assert run("runs", "explain", ingestion, "--kb", str(kb)).code == 0
    assert run("runs", "explain", ingestion, "--kb", str(kb), "--shown").code == 1


def test_a_hostile_document_is_inert_wherever_it_is_shown(run: Run, tmp_path: Path) -> None:
    hostile = "\x1b[31mPay\x1b[0m [bold]now[/bold] \u202eevil\u202c \x9b2J the ransom of 500 euro is due today."
    (tmp_path / "x.md").write_text(f"# Title \x1b]0;owned\x07[red]\n\n{hostile}\n", "utf-8")
    assert run("ingest", "x.md").code == 0
    asked = run("ask", "How much ransom is due today?", "--json")
    for ran in (
        run("ask", "How much ransom is due today?"),
        run("search", "ransom"),
        run("documents"),
        run("documents", "show", "x.md"),
        run("runs"),
        run("runs", "explain", asked.json["run_id"]),
        asked,
    ):
        assert not set(ran.out) & set("\x1b\x9b\x07\u202e\u202c"), ran.out
    assert "[bold]now[/bold]" in run("search", "ransom").out


def test_doctor_finds_a_sound_knowledge_base_sound(run: Run, kb: Path) -> None:
    ran = run("doctor", "--kb", str(kb), "--json")
    assert ran.code == 0, ran
    assert ran.json["ok"] is True
    assert {one["name"] for one in ran.json["checks"]} >= {"Python", "Packages", "Settings", "Knowledge base", "Index"}


def test_doctor_names_a_damaged_file_and_a_remedy(run: Run, kb: Path) -> None:
    file = kb / "citewell.db"
    content = bytearray(file.read_bytes())
    content[100:4000] = b"\x55" * 3900
    file.write_bytes(content)
    ran = run("doctor", "--kb", str(kb), "--json")
    assert ran.code == 1
    bad = [one for one in ran.json["checks"] if one["status"] == "fail"]
    assert bad
    assert all(one["remedy"] for one in bad)


def test_doctor_names_a_missing_package(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_PACKAGES, "no-such-distribution", "no_such_module")
    ran = run("doctor")
    assert ran.code == 1
    assert "no-such-distribution" in ran.out
    assert "pip install" in ran.out


def said_by_doctor(run: Run, name: str) -> tuple[str, str, str]:
    (found,) = [one for one in run("doctor", "--json").json["checks"] if one["name"] == name]
    return found["status"], found["message"], found["remedy"]


def tesseract(folder: Path, *languages: str) -> None:
    """A program in `folder` that says that it is tesseract, with these languages."""
    listed = "\\n".join(["List of languages (1):", *languages, "osd"])
    script = f"#!/bin/sh\ncase $1 in --version) echo tesseract 5.9.9;; *) printf '{listed}\\n';; esac\n"
    file = folder / "tesseract"
    file.write_text(script)
    file.chmod(0o755)


def without(monkeypatch: pytest.MonkeyPatch, *beginnings: str) -> None:
    """As if no module were installed whose name begins so."""
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name.startswith(beginnings) else real(name))


def test_doctor_says_what_reads_text_in_pictures(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    status, message, remedy = said_by_doctor(run, "OCR")
    assert (status, remedy) == ("ok", "")
    assert message.startswith("ppocr")
    tesseract(programs, "deu", "eng")
    assert "tesseract is installed for deu, eng" in said_by_doctor(run, "OCR")[1]
    monkeypatch.setenv("CITEWELL_READING__OCR", "tesseract:deu")
    assert said_by_doctor(run, "OCR")[:2] == (
        "ok",
        "tesseract@5.9.9(deu); the program tesseract is installed for deu, eng",
    )
    monkeypatch.setenv("CITEWELL_READING__OCR", "tesseract:eng+rus")
    status, message, remedy = said_by_doctor(run, "OCR")
    assert status == "fail"
    assert "no language data for rus" in message
    assert "language data" in remedy
    monkeypatch.setenv("CITEWELL_READING__OCR", "none")
    assert said_by_doctor(run, "OCR")[0] == "ok"


def test_doctor_wants_the_setting_of_an_unknown_engine_corrected_and_no_knowledge_base_restored(
    run: Run, kb: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CITEWELL_READING__OCR", "magic")
    ran = run("doctor", "--kb", str(kb), "--json")
    bad = {one["name"]: one for one in ran.json["checks"] if "No OCR engine is called 'magic'" in one["message"]}
    assert {name: one["remedy"] for name, one in bad.items()} == {
        "OCR": "Correct reading.ocr.",
        "Knowledge base": "Correct the settings first.",
    }


def test_doctor_says_how_to_have_pictures_and_code_read(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    without(monkeypatch, "citewell_ppocr", "tree_sitter")
    status, message, remedy = said_by_doctor(run, "OCR")
    assert status == "warn"
    assert "not installed" in message
    assert "pip install 'citewell[ocr]'" in remedy
    status, message, remedy = said_by_doctor(run, "Source code")
    assert (status, message) == ("ok", "read in blocks: no grammars are installed")
    assert "pip install 'citewell[code]'" in remedy
    monkeypatch.setenv("CITEWELL_READING__OCR", "tesseract")
    assert said_by_doctor(run, "OCR")[0] == "fail"


def test_doctor_names_a_package_of_the_engine_in_use_that_does_not_load_and_no_other(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tesseract(tmp_path, "eng")
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "citewell_ppocr.py").write_text("import no_such_module")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "citewell_ppocr", raising=False)
    status, message, remedy = said_by_doctor(run, "OCR")
    assert (status, message.partition(":")[0]) == ("fail", "citewell-ppocr cannot be imported")
    assert "pip install" in remedy
    monkeypatch.setenv("CITEWELL_READING__OCR", "tesseract")
    assert said_by_doctor(run, "OCR")[0] == "ok"


def test_doctor_says_that_tesseract_does_not_answer(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "tesseract"
    broken.write_text("no program at all\x00")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CITEWELL_READING__OCR", "tesseract")
    status, message, remedy = said_by_doctor(run, "OCR")
    assert (status, "no language data for eng" in message) == ("fail", True)
    assert remedy


def test_doctor_names_the_grammars_that_are_lacking(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    status, message, _ = said_by_doctor(run, "Source code")
    assert status == "ok"
    assert "12 grammars" in message
    without(monkeypatch, "tree_sitter_go")
    status, message, _ = said_by_doctor(run, "Source code")
    assert status == "warn"
    assert message.endswith("not installed: tree_sitter_go")


def test_doctor_says_which_setting_is_wrong_and_makes_nothing(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CITEWELL_RETRIEVAL__POOL", "many")
    ran = run("doctor")
    assert ran.code == 1
    assert "retrieval.pool" in ran.out
    assert list(tmp_path.iterdir()) == []


def test_quiet_ingestion_says_nothing_when_all_is_well(run: Run, kb: Path, corpus: Path) -> None:
    ran = run("-q", "ingest", str(corpus), "--kb", str(kb))
    assert (ran.code, ran.out, ran.error) == (0, "", "")
