"""Derived files: the index as arrays on disk, mapped into memory at open; anything that does not fit is ignored.

    manifest.json          what the other files are; written last, by rename
    vectors-GEN.f32        float32, row by row, in the order of positions; grows behind what the manifest counts
    columns-GEN.npy        int64 (6, n), see `snapshot.COLUMNS`
    names-GEN.json         kinds and sections by code
    documents-GEN.npy      key and id of every document of the catalogue: tells another history of the same store
    terms|starts|positions|counts-GEN.npy    the postings
    lock                   held while one process writes

A file is trusted when its size and time of change are those in the manifest; else its checksum decides. Several
processes may read and write one folder; it can be deleted at any time.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
import uuid
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from citewell.indexing.lexical import Postings, merged
from citewell.indexing.mask import Catalogue
from citewell.indexing.snapshot import COLUMNS, Columns, Snapshot

if TYPE_CHECKING:
    from citewell.protocols import Vectors


FORMAT = "citewell-index-1"
_MANIFEST = "manifest.json"
_ID_BYTES = 64
_LOCK_TIMEOUT_S = 10.0
_CHUNK = 1 << 24
_POSTINGS = ("terms", "starts", "positions", "counts")


@dataclass(frozen=True, slots=True)
class Base:
    """What the derived files hold, mapped into memory, and the manifest that vouches for them."""

    manifest: Mapping[str, Any]
    columns: Columns
    vectors: Vectors
    postings: Postings
    documents: NDArray[np.void]

    @property
    def sequence(self) -> int:
        """The commit it was made at."""
        return int(self.manifest["sequence"])

    def snapshot(self) -> Snapshot:
        """A snapshot of it under an empty catalogue, to be brought up to date."""
        segments, pieces = ((self.vectors,), (self.postings,)) if len(self.columns) else ((), ())
        norm = float(self.manifest["largest_norm"])
        return Snapshot(self.sequence, Catalogue([]), self.columns, segments, pieces, norm, len(self.columns))

    def fits(self, catalogue: Catalogue, sequence: int) -> bool:
        """Whether it can be an older state of the store that now has `catalogue` at `sequence`.

        A store brought back from a backup may have the same numbers for other documents: every document it still has
        from before must have been known under the same id.
        """
        if self.sequence > sequence:
            return False
        keys, ids = self.documents["key"], self.documents["id"]
        now = _documents(catalogue)
        place = np.searchsorted(keys, now["key"])
        known = place < len(keys)
        known[known] = keys[place[known]] == now["key"][known]
        older = np.fromiter((row.valid_from <= self.sequence for row in catalogue.rows), np.bool_, len(catalogue))
        return bool(np.all(known[older])) and bool(np.all(ids[place[known]] == now["id"][known]))


def _documents(catalogue: Catalogue) -> NDArray[np.void]:
    table = np.empty(len(catalogue), [("key", np.int64), ("id", f"S{_ID_BYTES}")])
    table["key"] = catalogue.keys
    table["id"] = [row.ref.id.encode("utf-8", "replace")[:_ID_BYTES] for row in catalogue.rows]
    return table


def load(folder: Path, identity: Mapping[str, str]) -> Base | None:
    """What stands in `folder`, or None when nothing does, it belongs to another store, or any part of it is damaged."""
    for _ in range(3):
        try:
            manifest = _manifest(folder)
            if manifest is None or manifest["format"] != FORMAT or manifest["store"] != dict(identity):
                return None
            return _load(folder, manifest)
        except FileNotFoundError:
            continue  # another process may just have written a new generation
        except (OSError, ValueError, KeyError, TypeError, AssertionError):
            return None
    return None


def sequence_of(folder: Path, identity: Mapping[str, str]) -> int | None:
    """The commit that the files in `folder` were made at, None when there are none for this store."""
    try:
        manifest = _manifest(folder)
    except OSError:
        return None
    if manifest is None or manifest.get("format") != FORMAT or manifest.get("store") != dict(identity):
        return None
    return int(manifest.get("sequence", -1))


def _manifest(folder: Path) -> dict[str, Any] | None:
    try:
        found = json.loads((folder / _MANIFEST).read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _load(folder: Path, manifest: dict[str, Any]) -> Base:
    parts = manifest["parts"]
    for part in parts.values():
        _check(folder / str(part["file"]), part)

    def array(name: str) -> NDArray[Any]:
        loaded: NDArray[Any] = np.load(folder / parts[name]["file"], mmap_mode="r", allow_pickle=False)
        return loaded

    rows, dimensions = int(manifest["rows"]), int(manifest["dimensions"])
    names = json.loads((folder / parts["names"]["file"]).read_text("utf-8"))
    columns = Columns(array("columns"), tuple(names["kinds"]), tuple(names["sections"]))
    assert columns.table.shape == (len(COLUMNS), rows), columns.table.shape
    if rows:
        path = folder / parts["vectors"]["file"]
        vectors: Vectors = np.memmap(path, np.float32, "r", shape=(rows, dimensions))
    else:
        vectors = np.empty((0, dimensions), np.float32)
    # np.asarray: a plain view of the mapping, without the subclass's cost at every slice.
    postings = Postings(*(np.asarray(array(name)) for name in _POSTINGS))
    return Base(manifest, columns, np.asarray(vectors), postings, np.asarray(array("documents")))


def _check(path: Path, part: Mapping[str, Any]) -> None:
    """Raise ValueError unless the file is what the manifest says: as long, and unchanged since or equal by checksum."""
    stat = path.stat()
    size = int(part["size"])
    # Vectors may be longer: another process has begun to append.
    if stat.st_size != size and not (path.suffix == ".f32" and stat.st_size > size):
        raise ValueError(f"{path.name} has {stat.st_size} bytes, not {size}")
    if (stat.st_size, stat.st_mtime_ns) != (size, part["mtime_ns"]) and _crc(path, size) != part["crc32"]:
        raise ValueError(f"{path.name} has changed")


def _crc(path: Path, size: int) -> int:
    total, left = 0, size
    with path.open("rb") as file:
        while left and (chunk := file.read(min(left, _CHUNK))):
            total, left = zlib.crc32(chunk, total), left - len(chunk)
    return total


def save(folder: Path, snapshot: Snapshot, identity: Mapping[str, str], known: Base | None) -> Base | None:
    """Write `snapshot` and map it; None when another process holds a newer state, or the disk refuses.

    `known` is what the first `snapshot.base` rows were loaded from: while it still stands there, vectors are only
    appended. Files of other generations are removed.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder) as alone:
            there = _manifest(folder)
            if not alone or (there and _is_ahead(there, snapshot, identity, known)):
                return None
            append = known is not None and there == known.manifest and snapshot.base == len(known.columns) > 0
            manifest = _write(folder, snapshot, identity, known.manifest if known and append else None)
            _sweep(folder, manifest)
    except OSError:
        return None
    return load(folder, identity)


def _is_ahead(there: Mapping[str, Any], snapshot: Snapshot, identity: Mapping[str, str], known: Base | None) -> bool:
    if there.get("format") != FORMAT or there.get("store") != dict(identity) or (known and there == known.manifest):
        return False
    return int(there.get("sequence", -1)) > snapshot.sequence


def _write(
    folder: Path, snapshot: Snapshot, identity: Mapping[str, str], grow: Mapping[str, Any] | None
) -> dict[str, Any]:
    generation = uuid.uuid4().hex[:12]
    parts: dict[str, dict[str, Any]] = {}
    if grow is not None:
        name, old = str(grow["parts"]["vectors"]["file"]), grow["parts"]["vectors"]
        parts["vectors"] = _write_vectors(folder / name, snapshot.segments[1:], int(old["size"]), int(old["crc32"]))
    else:
        parts["vectors"] = _write_vectors(folder / f"vectors-{generation}.f32", snapshot.segments, 0, 0)
    postings = merged(snapshot.pieces) if snapshot.pieces else Postings.of(*(np.empty(0, np.int64),) * 3)  # type: ignore[arg-type]
    arrays = {"columns": snapshot.columns.table, "documents": _documents(snapshot.catalogue)}
    arrays |= {name: getattr(postings, name) for name in _POSTINGS}
    for name, held in arrays.items():
        path = folder / f"{name}-{generation}.npy"
        with path.open("wb") as file:
            np.save(file, held, allow_pickle=False)
            _sync(file.fileno())
        parts[name] = _part(path)
    names = {"kinds": snapshot.columns.kind_names, "sections": snapshot.columns.section_names}
    parts["names"] = _write_text(folder / f"names-{generation}.json", json.dumps(names))
    manifest = {
        "format": FORMAT,
        "store": dict(identity),
        "generation": generation,
        "sequence": snapshot.sequence,
        "rows": len(snapshot),
        "dimensions": snapshot.dimensions or 0,
        "largest_norm": snapshot.largest_norm,
        "parts": parts,
    }
    temporary = folder / f"manifest-{generation}.tmp"
    _write_text(temporary, json.dumps(manifest, indent=1))
    os.replace(temporary, folder / _MANIFEST)
    return manifest


def _write_vectors(path: Path, segments: tuple[Vectors, ...], at: int, crc: int) -> dict[str, Any]:
    with path.open("r+b" if at else "wb") as file:
        file.seek(at)
        file.truncate()
        for segment in segments:
            raw = np.ascontiguousarray(segment).reshape(-1).view(np.uint8).data
            file.write(raw)
            crc = zlib.crc32(raw, crc)
        _sync(file.fileno())
    stat = path.stat()
    return {"file": path.name, "size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "crc32": crc}


def _write_text(path: Path, text: str) -> dict[str, Any]:
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        _sync(file.fileno())
    return _part(path)


def _sync(descriptor: int) -> None:
    # A manifest must never vouch for blocks that a power cut kept from the disk.
    os.fsync(descriptor)


def _part(path: Path) -> dict[str, Any]:
    stat = path.stat()
    crc = _crc(path, stat.st_size)
    return {"file": path.name, "size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "crc32": crc}


def _sweep(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Remove our files of other generations: what was deleted from the store must not stay on the disk."""
    keep = {part["file"] for part in manifest["parts"].values()} | {_MANIFEST, "lock"}
    for path in folder.iterdir():
        if path.name not in keep and path.suffix in (".npy", ".f32", ".json", ".tmp") and path.is_file():
            with contextlib.suppress(OSError):  # Windows keeps mapped files; the next writer tries again
                path.unlink()


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Whether this process is the only writer; waits for another a while. Always true where there is no flock."""
    try:
        import fcntl
    except ImportError:
        yield True
        return
    with (folder / "lock").open("w") as file:
        give_up = time.monotonic() + _LOCK_TIMEOUT_S
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() > give_up:
                    yield False
                    return
                time.sleep(0.01)
        yield True  # closing the file releases the lock
