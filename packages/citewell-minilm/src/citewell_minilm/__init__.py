"""Where the files of the all-MiniLM-L6-v2 int8 model are, and what they are: data, and three functions to find it.

Nothing is loaded on import, and nothing here needs onnxruntime, tokenizers or numpy.
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

__all__ = ["card", "model_path", "tokenizer_path"]


def model_path() -> Path:
    """The ONNX model: `input_ids` int32 (1, n), n from 1 to 256 → `embedding` float32 (1, 384), a unit vector."""
    return _path("model.onnx")


def tokenizer_path() -> Path:
    """The `tokenizer.json` of the original model, unchanged; it pads and truncates to 128 tokens unless told not to."""
    return _path("tokenizer.json")


def card() -> dict[str, Any]:
    """What `build_model.py` recorded: sha256 and size in bytes of each file, source, quantisation, recipe, tools."""
    content: dict[str, Any] = json.loads(_path("card.json").read_text(encoding="utf-8"))
    return content


def _path(name: str) -> Path:
    path = Path(str(files(__name__) / name))
    # onnxruntime maps the model by file name, so a package imported from inside a zip archive cannot serve it.
    if not path.is_file():
        raise FileNotFoundError(f"citewell-minilm has no file {name!r} at {path}. Reinstall it as an unpacked wheel.")
    return path
