"""What this machine can read beyond text: pictures and scans by OCR, source code by its definitions."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from importlib import import_module, metadata
from typing import Final

from citewell.cli.doctor import Check
from citewell.errors import CitewellError
from citewell.reading.ocr import AUTO, NONE, NOT_INSTALLED, engine_identity
from citewell.reading.tesseract import installed_languages

_OCR_PACKAGES: Final = {"citewell-ppocr": "citewell_ppocr", "pillow": "PIL.Image"}
_INSTALL_OCR: Final = "Install it: pip install 'citewell[ocr]'; or have pictures left out: reading.ocr = \"none\""


def reading_checks(ocr: str) -> Iterator[Check]:
    """The engine that reads pictures under the setting `reading.ocr`, and the grammars for source code."""
    yield _ocr(ocr)
    yield _grammars()


def _ocr(setting: str) -> Check:
    if setting == NONE:
        return Check("OCR", "ok", 'off (reading.ocr = "none"): pictures and scans are not read')
    try:
        used = engine_identity(setting)
    except CitewellError as error:
        return Check("OCR", "fail", str(error), "Correct reading.ocr.")
    for package, module in _OCR_PACKAGES.items():
        if not _installed(module.partition(".")[0]) or (package != "pillow" and used.startswith("tesseract")):
            continue
        try:
            import_module(module)
        except Exception as error:  # noqa: BLE001 - a package may fail to load in any way, and that is the finding
            said = f"{package} cannot be imported: {type(error).__name__}: {error}"
            return Check("OCR", "fail", said, f"Install it again: pip install --force-reinstall {package}")
    there = installed_languages()
    beside = f"; the program tesseract is installed for {', '.join(there)}" if there else ""
    chosen = setting.partition(":")[0]
    if not used or used.startswith("tesseract@none"):
        remedy = _INSTALL_OCR if chosen in (AUTO, "ppocr") else "Install the program tesseract, or set reading.ocr."
        return Check("OCR", "warn" if setting == AUTO else "fail", f"{NOT_INSTALLED}{beside}", remedy)
    if not used.startswith("tesseract"):
        return Check("OCR", "ok", f"{used} (Latin, Greek, Chinese, Japanese), of citewell[ocr]{beside}")
    wanted = (setting.partition(":")[2] or "eng").split("+")
    if lacking := [one for one in wanted if one not in there]:
        said = f"{used}: tesseract has no language data for {', '.join(lacking)}{beside}"
        return Check("OCR", "fail", said, "Install its language data, or set reading.ocr to languages it has.")
    return Check("OCR", "ok", f"{used}{beside}")


def _grammars() -> Check:
    from citewell.reading.symbols import grammar_modules

    modules = grammar_modules()
    lacking = sorted(one for one in modules if not _installed(one))
    remedy = "To find functions and classes by their names: pip install 'citewell[code]'"
    if lacking == sorted(modules):
        return Check("Source code", "ok", "read in blocks: no grammars are installed", remedy)
    version = metadata.version("tree-sitter") if _installed("tree_sitter") else ""
    if lacking or not version:
        said = f"read in part by definitions; not installed: {', '.join(lacking) or 'tree_sitter'}"
        return Check("Source code", "warn", said, remedy)
    return Check("Source code", "ok", f"read by definitions: tree-sitter {version} with {len(modules)} grammars")


def _installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None
