"""Where the two PP-OCRv6 networks are, and what they are: data, and three functions to find it.

Nothing is loaded on import, and nothing here needs onnxruntime or numpy.
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

__all__ = ["card", "finder_path", "reader_path"]


def finder_path() -> Path:
    """The network that finds lines: `x` float32 (n, 3, height, width), both sides multiples of 32 → (n, 1, h, w)."""
    return _path("find.onnx")


def reader_path() -> Path:
    """The network that reads lines: `x` float32 (n, 3, 48, width) → (n, steps, characters), softmax; 0 is the blank.

    Its metadata `character` lists the characters from 1 on, one a line; the last one is the space.
    """
    return _path("read.onnx")


def card() -> dict[str, Any]:
    """What `build_model.py` recorded: sha256 and size in bytes of each file, model and carrier."""
    content: dict[str, Any] = json.loads(_path("card.json").read_text(encoding="utf-8"))
    return content


def _path(name: str) -> Path:
    path = Path(str(files(__name__) / name))
    # onnxruntime opens a network by file name, so a package imported from inside a zip archive cannot serve it.
    if not path.is_file():
        raise FileNotFoundError(f"citewell-ppocr has no file {name!r} at {path}. Reinstall it as an unpacked wheel.")
    return path
