"""Names from files, mails, archives and callers never become paths: whatever they say, nothing is written outside."""

from __future__ import annotations

import asyncio
import io
import os
import zipfile
from email.message import EmailMessage
from pathlib import Path

import pytest

from citewell.config import EmbeddingSettings, Settings, assemble
from citewell.reading.attachments import safe_name
from citewell.types import Principal

ME = Principal("local", "local")
HOSTILE = [
    "../../../escaped.txt",
    "/tmp/../escaped.txt",
    "..\\..\\escaped.txt",
    "C:\\Windows\\escaped.txt",
    "\\\\server\\share\\escaped.txt",
    "a\0b.txt",
    "CON",
    "nul.txt",
    "a/./b/../../escaped.txt",
    "\u202etxt.exe",
    "x" * 300 + ".txt",
    "é" * 150 + ".txt",
    ".",
    "..",
    "~/escaped.txt",
    "a\r\nb.txt",
    "file:///etc/escaped.txt",
    "%2e%2e%2fescaped.txt",
]


def mail() -> bytes:
    made = EmailMessage()
    made["From"], made["Subject"] = "a@example.org", "Names"
    made.set_content("The hotel limit is EUR 180.")
    for name in HOSTILE:
        clean = name.replace("\0", "").replace("\r\n", "")
        made.add_attachment(f"Inner text of {len(clean)}.".encode(), "text", "plain", filename=clean)
    return made.as_bytes()


def book() -> bytes:
    """An EPUB whose parts and pictures lie outside of the archive, by their names."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("mimetype", "application/epub+zip")
        archive.writestr(
            "META-INF/container.xml",
            '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
            '<rootfile full-path="../../c.opf" media-type="application/oebps-package+xml"/></rootfiles></container>',
        )
        archive.writestr(
            "../../c.opf",
            '<package xmlns="http://www.idpf.org/2007/opf"><metadata/><manifest><item id="a" '
            'href="../../../escaped.xhtml" media-type="application/xhtml+xml"/></manifest><spine><itemref idref="a"/>'
            "</spine></package>",
        )
        archive.writestr("../../../escaped.xhtml", "<html><body><p>Slipped text.</p></body></html>")
        archive.writestr("/etc/escaped", "x")
    return buffer.getvalue()


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_hostile_names_stay_names(tmp_path: Path) -> None:
    place = tmp_path / "a" / "b" / "c"
    docs, kb = place / "docs", place / "kb"
    docs.mkdir(parents=True)
    (tmp_path / "outside.txt").write_text("CANARY outside of the folder.")
    (docs / "link.txt").symlink_to(tmp_path / "outside.txt")
    (docs / "folder").symlink_to(tmp_path)
    for name in ("..hidden-dots.txt", "x" * 240 + ".txt", "CON.txt", "a\\b.txt"):
        (docs / name).write_text(f"A name of {len(name)}.")
    before = files(tmp_path)

    async def work() -> tuple[dict[str, str], list[str]]:
        settings = Settings(embedding=EmbeddingSettings(provider="hashing"))
        async with await assemble(kb, settings, principal=ME) as engine:
            outcomes = {}
            report = await engine.ingest(str(docs))
            outcomes |= {one.uri: one.outcome for one in report.sources}
            for number, name in enumerate(HOSTILE):
                done = await engine.ingest_bytes(f"Text number {number}.".encode(), uri=name)
                outcomes |= {one.uri: one.outcome for one in done.sources}
            for name, content in (("names.eml", mail()), ("slip.epub", book())):
                done = await engine.ingest_bytes(content, uri=name)
                outcomes |= {one.uri: one.outcome for one in done.sources}
            hits = await engine.search("CANARY outside folder text", limit=100)
            return outcomes, [hit.node.text for hit in hits]

    outcomes, found = asyncio.run(work())
    assert outcomes["link.txt"] == outcomes["folder"] == "failed"
    assert not any("CANARY" in text for text in found)
    assert all(outcomes[name] in ("added", "updated", "failed") for name in HOSTILE)
    inside = [uri for uri in outcomes if uri.startswith("names.eml!/")]
    assert len(inside) == len(HOSTILE)
    for uri in inside:
        name = uri.removeprefix("names.eml!/")
        assert ".." not in name.split("/")
        assert not name.startswith("/")
        assert len(name.encode()) < 2000
    # Everything that was made is the knowledge base's own, under names that no source chose.
    made = files(tmp_path) - before
    assert all(path.startswith("a/b/c/kb/") for path in made), made
    assert not any(word in path for path in made for word in ("escaped", "Inner", "x" * 50, "CON", "nul"))


@pytest.mark.parametrize("name", HOSTILE)
def test_safe_name_leads_nowhere_and_is_its_own_safe_name(name: str) -> None:
    safe = safe_name(name, (), 7)
    assert safe == safe_name(safe, (), 7)
    assert os.path.normpath(os.path.join("/data", safe)).startswith("/data/")
    assert all(len(part.encode()) <= 210 for part in safe.split("/"))
    assert safe.isprintable()


def test_names_in_a_rules_file_lead_nowhere(tmp_path: Path) -> None:
    from citewell.errors import ConfigError
    from citewell.reading.folder import find

    (tmp_path / "x.md").write_text("# x")
    for match in ("../x.md", "/etc/*", "a/../../x.md", "..\\\\x.md"):
        (tmp_path / "citewell-rules.toml").write_text(f'[[rule]]\nmatch = "{match}"\nallow = ["group:a"]\n')
        with pytest.raises(ConfigError, match="relative path"):
            list(find([tmp_path]))
