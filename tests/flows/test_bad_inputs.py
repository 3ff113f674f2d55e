"""Bad input costs one clear line in the report; the rest of the folder is ingested and nothing is half visible."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen.canvas import Canvas

GOOD = "# Travel\n\nThe hotel limit is EUR 180 per night.\n"


def pdf(path: Path, password: str | None = None) -> bytes:
    canvas = Canvas(str(path), encrypt=StandardEncryption(password, canPrint=0) if password else None)
    for page in range(5):
        canvas.drawString(72, 700, f"Page {page} of a document about secrets.")
        canvas.showPage()
    canvas.save()
    return path.read_bytes()


def bomb(path: Path) -> None:
    """A DOCX of about a megabyte whose document.xml inflates to 600 MB."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        with archive.open("word/document.xml", "w", force_zip64=True) as member:
            member.write(b"<w:document>")
            for _ in range(600):
                member.write(b"A" * 1_000_000)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("docs")
    (made / "good.md").write_text(GOOD)
    (made / "empty").mkdir()
    (made / "unknown.bin").write_bytes(bytes(range(256)) * 40)
    (made / "zero.txt").write_bytes(b"")
    whole = pdf(made / "whole.pdf")
    (made / "truncated.pdf").write_bytes(whole[: len(whole) // 2])
    (made / "whole.pdf").unlink()
    pdf(made / "encrypted.pdf", "geheim")
    bomb(made / "bomb.docx")
    (made / "latin.txt").write_bytes("Die Überstunden der Angestellten dürfen nicht verfallen.\n".encode("cp1252") * 20)
    with (made / "huge.txt").open("wb") as file:
        file.write(b"words " * 1000)
        file.truncate(100_000_000)
    return made


def citewell(kb: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "CITEWELL_EMBEDDING__PROVIDER": "hashing", "CITEWELL_KB": str(kb)}
    return subprocess.run(
        [sys.executable, "-m", "citewell", *arguments], capture_output=True, text=True, timeout=300, env=environment
    )


def test_each_bad_file_is_one_line_and_the_rest_answers(folder, tmp_path):
    kb = tmp_path / "kb"
    done = citewell(kb, "ingest", str(folder), str(folder / "missing"), str(folder / "empty"), "--json")
    assert done.returncode == 1, done.stderr
    report = json.loads(done.stdout)
    kinds = {one["uri"].split("/")[-1]: one["kind"] for one in report["sources"] if one["outcome"] == "failed"}
    assert kinds == {
        "unknown.bin": "unsupported_type",
        "zero.txt": "empty",
        "truncated.pdf": "corrupt",
        "encrypted.pdf": "encrypted",
        "bomb.docx": "limit_exceeded",
        "huge.txt": "limit_exceeded",
        "missing": "missing",
        "empty": "missing",  # an unmounted disk looks the same: with --mirror nothing may be deleted for it
    }
    for one in report["sources"]:
        if one["outcome"] == "failed":
            assert "\n" not in one["message"]
            assert 20 < len(one["message"]) < 400
            assert "Traceback" not in one["message"]

    shown = citewell(kb, "documents", "--json")
    states = {one["uri"]: one["state"] for one in json.loads(shown.stdout)["documents"]}
    assert {uri for uri, state in states.items() if state == "active"} == {"good.md", "latin.txt"}

    found = json.loads(citewell(kb, "search", "secrets words hotel Überstunden", "--json").stdout)
    assert {hit["document"]["uri"] for hit in found["hits"]} == {"good.md", "latin.txt"}
    latin = next(hit for hit in found["hits"] if hit["document"]["uri"] == "latin.txt")
    assert "Überstunden" in latin["node"]["text"]

    answered = citewell(kb, "ask", "What is the hotel limit per night?", "--json")
    assert "EUR 180" in json.loads(answered.stdout)["text"]


def test_report_for_people_is_one_line_for_each_failure(folder, tmp_path):
    done = citewell(tmp_path / "kb", "ingest", str(folder))
    assert done.returncode == 1
    text = done.stdout + done.stderr
    for name in ("unknown.bin", "zero.txt", "truncated.pdf", "encrypted.pdf", "bomb.docx", "huge.txt"):
        assert name in text
    assert "Traceback" not in text
