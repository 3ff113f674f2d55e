"""Lines of text in a picture by the program `tesseract`, where it is installed: for languages it was taught."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache, cached_property
from typing import TYPE_CHECKING, Final

from citewell.errors import ModelUnavailable, ReadError
from citewell.reading.ocr import Line, Word

if TYPE_CHECKING:
    from PIL.Image import Image

_SHORT_SIDE = 1400  # pixels: below, small print is lost to it
_GAP = 1.5  # times a line's height: what stands further apart is of two columns
_NOISE = 30  # of 100


class Tesseract:
    """A Recogniser that runs `tesseract` once a picture, for at most `timeout_s`; `languages` as in `eng+deu`.

    It turns no pages: one that stands sideways gives no text.
    """

    def __init__(self, *, languages: str = "eng", timeout_s: float = 30.0) -> None:
        self._languages = languages
        self._timeout_s = timeout_s

    @cached_property
    def identity(self) -> str:
        """`tesseract@VERSION(LANGUAGES)`; the version is `none` where the program is not installed."""
        program = shutil.which("tesseract")
        if program is None:
            return f"tesseract@none({self._languages})"
        return f"tesseract@{_version(program)}({self._languages})"

    def lines(self, image: Image) -> list[Line]:
        """Lines as tesseract orders them.

        Raises ModelUnavailable when the program or a language is missing, ReadError limit_exceeded when it takes too
        long.
        """
        program = shutil.which("tesseract")
        if program is None:
            raise ModelUnavailable(
                "The program tesseract is not installed. Install it, or choose the engine ppocr (citewell[ocr])."
            )
        scale = max(1, min(3, round(_SHORT_SIDE / min(image.size))))
        grey = image.convert("L")
        if scale > 1:
            grey = grey.resize((image.width * scale, image.height * scale), 3)
        picture = f"P5 {grey.width} {grey.height} 255\n".encode() + grey.tobytes()
        try:
            done = subprocess.run(  # noqa: S603 - found on PATH; the picture goes in as bytes
                [program, "stdin", "stdout", "-l", self._languages, "--psm", "3", "--dpi", str(150 * scale), "tsv"],
                input=picture,
                capture_output=True,
                timeout=self._timeout_s,
                env={**os.environ, "OMP_THREAD_LIMIT": "1"},
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise ReadError(
                "limit_exceeded", f"tesseract took longer than {self._timeout_s:g} s for one picture."
            ) from None
        if done.returncode:
            said = " ".join(done.stderr.decode("utf-8", "replace").split())[-200:]
            raise ModelUnavailable(f"tesseract failed: {said}")
        return _lines(done.stdout.decode("utf-8", "replace"), scale)


def installed_languages() -> tuple[str, ...]:
    """The languages that the program tesseract has data for, sorted; none where it is not installed."""
    program = shutil.which("tesseract")
    if program is None:
        return ()
    listed = _said(program, "--list-langs").splitlines()[1:]
    return tuple(sorted({one.strip() for one in listed} - {"", "osd", "equ"}))  # two that are no languages


@cache
def _version(program: str) -> str:
    # Once a process: every ingestion asks five readers for their identity.
    words = _said(program, "--version").split()
    return words[1] if len(words) > 1 else "unknown"


def _said(program: str, option: str) -> str:
    """What the program says to `option`; "" where it cannot be run or fails."""
    try:
        done = subprocess.run([program, option], capture_output=True, text=True, timeout=10, check=False)  # noqa: S603 - found on PATH, no words of ours
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return "" if done.returncode else done.stdout or done.stderr


_WORD: Final = "5"  # the level of words in its table


def _lines(table: str, scale: int) -> list[Line]:
    """The lines of tesseract's table of words, cut where words stand far apart."""
    rows: dict[tuple[str, ...], list[tuple[str, float, float, float, float, float]]] = {}
    for row in table.splitlines()[1:]:
        fields = row.split("\t")
        if len(fields) < 12 or fields[0] != _WORD or not fields[11].strip() or float(fields[10]) < _NOISE:
            continue
        x, y, width, height = (int(field) / scale for field in fields[6:10])
        rows.setdefault(tuple(fields[1:5]), []).append(
            (fields[11].strip(), x, y, x + width, y + height, float(fields[10]) / 100)
        )
    lines: list[Line] = []
    for words in rows.values():
        height = sorted(word[4] - word[2] for word in words)[len(words) // 2]
        start = 0
        for place in range(1, len(words) + 1):
            if place == len(words) or words[place][1] - words[place - 1][3] > _GAP * height:
                lines.append(_line(words[start:place]))
                start = place
    return lines


def _line(words: Sequence[tuple[str, float, float, float, float, float]]) -> Line:
    x0, x1 = min(word[1] for word in words), max(word[3] for word in words)
    y0, y1 = min(word[2] for word in words), max(word[4] for word in words)
    width = max(x1 - x0, 1e-6)
    return Line(
        " ".join(word[0] for word in words),
        ((x0, y0), (x1, y0), (x1, y1), (x0, y1)),
        round(sum(word[5] * len(word[0]) for word in words) / sum(len(word[0]) for word in words), 4),
        tuple(Word(word[0], (word[1] - x0) / width, (word[3] - x0) / width) for word in words),
    )
