"""What can be wrong with an installation or a knowledge base, looked at one by one; each trouble with its remedy."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module, metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from citewell.errors import CitewellError, ConfigError, IndexMismatch

if TYPE_CHECKING:
    from citewell.config import Settings
    from citewell.engine import Engine
    from citewell.types import Principal

# Distribution → what is imported of it: all that the main job needs.
_PACKAGES = {
    "charset-normalizer": "charset_normalizer",
    "liteparse": "liteparse",
    "lxml": "lxml.etree",
    "markdown-it-py": "markdown_it",
    "numpy": "numpy",
    "puremagic": "puremagic",
    "pydantic": "pydantic",
    "pypdfium2": "pypdfium2",
    "pystemmer": "Stemmer",
    "rich": "rich",
    "typer": "typer",
}
_LOW_DISK_BYTES, _NO_DISK_BYTES = 1 << 30, 100 << 20


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: `ok`, `warn` (works, but) or `fail`, and then what to do."""

    name: str
    status: Literal["ok", "warn", "fail"]
    message: str
    remedy: str = ""


def failed(checks: list[Check]) -> bool:
    """Whether anything does not work."""
    return any(one.status == "fail" for one in checks)


def checks(folder: Path, principal: Principal) -> list[Check]:
    """All checks in the order in which they build on one another. Changes nothing and creates nothing."""
    found = [_python(), _sqlite(), *_packages()]
    settings, said = _settings(folder)
    found.append(said)
    if settings:
        from citewell.cli.doctor_reading import reading_checks

        found += [*_provider(settings), *reading_checks(settings.reading.ocr)]
    found.append(_disk(folder))
    found += _knowledge_base(folder, settings, principal)
    return found


def _python() -> Check:
    # An interpreter that is too old does not get here: it cannot read this file.
    return Check("Python", "ok", f"{sys.version.split()[0]} at {sys.executable}")


def _sqlite() -> Check:
    if sqlite3.sqlite_version_info < (3, 37):
        remedy = "Use a Python built with SQLite 3.37 or newer."
        return Check("SQLite", "fail", sqlite3.sqlite_version, remedy)
    return Check("SQLite", "ok", sqlite3.sqlite_version)


def _packages() -> Iterator[Check]:
    good = []
    for name, module in _PACKAGES.items():
        bad = _import(name, module)
        if bad:
            yield bad
        else:
            good.append(f"{name} {metadata.version(name)}")
    if good:
        yield Check("Packages", "ok", ", ".join(good))


def _import(name: str, module: str) -> Check | None:
    """What is wrong with a package; a broken binary shows only when it is imported."""
    remedy = f"Install it again: pip install --force-reinstall {name}"
    try:
        import_module(module)
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return Check(name, "fail", "not installed", remedy)
    except Exception as error:  # noqa: BLE001 - a package may fail to load in any way, and that is the finding
        return Check(name, "fail", f"cannot be imported: {type(error).__name__}: {error}", remedy)
    return None


def _settings(folder: Path) -> tuple[Settings | None, Check]:
    from citewell.config import FILE_NAME, load

    file = folder / FILE_NAME
    try:
        settings = load(folder)
    except CitewellError as error:
        return None, Check("Settings", "fail", str(error), f"Correct {file}, or the CITEWELL_… variable.")
    return settings, Check("Settings", "ok", str(file) if file.is_file() else "defaults and environment")


def _provider(settings: Settings) -> Iterator[Check]:
    """The embedder that is set, and the writer's model where one is."""
    name = settings.embedding.provider
    if name == "minilm":
        for package, module in {"onnxruntime": "onnxruntime", "tokenizers": "tokenizers"}.items():
            if bad := _import(package, module):
                yield bad
        yield _model_files()
    elif name == "openai":
        yield _import("httpx", "httpx") or Check("Embedder", "ok", f"{name}, over the network")
    else:
        yield Check("Embedder", "ok", name)
    if settings.answering.writer == "generative":
        bad = _import("pydantic-ai-slim", "pydantic_ai")
        yield bad or Check("Writer", "ok", f"generative, {settings.answering.model or 'no model named'}")


def _model_files() -> Check:
    remedy = "Install it again: pip install --force-reinstall citewell-minilm"
    try:
        package: Any = import_module("citewell_minilm")
        card = package.card()
        paths: list[Path] = [package.model_path(), package.tokenizer_path()]
        for path in paths:
            expected = card["files"][path.name]["sha256"]
            with path.open("rb") as file:
                actual = hashlib.file_digest(file, "sha256").hexdigest()
            if actual != expected:
                return Check("Model", "fail", f"{path} is damaged: its sha256 is not that of its card", remedy)
    except ImportError:
        return Check("Model", "fail", "citewell-minilm is not installed", remedy)
    except (OSError, KeyError, TypeError, ValueError) as error:
        return Check("Model", "fail", f"cannot be verified: {type(error).__name__}: {error}", remedy)
    return Check("Model", "ok", f"all-MiniLM-L6-v2, {len(paths)} files have the sha256 of their card")


def _disk(folder: Path) -> Check:
    place = next(one for one in [folder.absolute(), *folder.absolute().parents] if one.exists())
    free = shutil.disk_usage(place).free
    said = f"{free / (1 << 30):,.1f} GiB free at {place}"
    if free < _NO_DISK_BYTES:
        return Check("Disk", "fail", said, "Free some space: nothing can be ingested safely.")
    if free < _LOW_DISK_BYTES:
        return Check("Disk", "warn", said, "Free some space before ingesting more.")
    return Check("Disk", "ok", said)


def _knowledge_base(folder: Path, settings: Settings | None, principal: Principal) -> list[Check]:
    from citewell.storage.schema import FILE_NAME

    if not (folder / FILE_NAME).is_file():
        return [Check("Knowledge base", "warn", f"none in {folder.absolute()}", "Make one there: citewell ingest PATH")]
    if settings is None:
        return [Check("Knowledge base", "warn", "not opened: its settings are wrong", "Correct the settings first.")]
    return asyncio.run(_inside(folder.absolute(), settings, principal))


async def _inside(folder: Path, settings: Settings, principal: Principal) -> list[Check]:
    from citewell.config import assemble

    try:
        engine = await assemble(folder, settings, principal=principal, create=False)
    except IndexMismatch as error:
        remedy = "Set what it was built with, or ingest into a new folder."
        return [Check("Knowledge base", "fail", str(error), remedy)]
    except ConfigError as error:
        return [Check("Knowledge base", "warn", f"not opened: {error}", "Correct the settings first.")]
    except CitewellError as error:
        return [Check("Knowledge base", "fail", str(error), "Restore it from a backup, or ingest into a new folder.")]
    try:
        status = await engine.status()
        nodes = sum(one.nodes for one in status.buckets)
        documents = sum(one.active for one in status.buckets)
        found = [Check("Knowledge base", "ok", f"{documents:,} documents, {nodes:,} passages in {folder}")]
        found += [await _integrity(engine), await _index(engine, nodes, principal)]
        if bad := sum(one.failed for one in status.buckets):
            found.append(Check("Sources", "warn", f"{bad:,} could not be read", "See why: citewell documents --failed"))
        if status.outdated:
            said = f"{status.outdated:,} documents were read by an older reader"
            found.append(
                Check("Readers", "warn", said, "Ingest them again: what has not changed otherwise is read anew")
            )
        return found
    except CitewellError as error:
        return [Check("Knowledge base", "fail", str(error), "Restore it from a backup, or ingest into a new folder.")]
    finally:
        await engine.close()


async def _integrity(engine: Engine) -> Check:
    remedy = "Restore it from a backup, or ingest into a new folder."
    check = getattr(engine.store, "check", None)
    if check is None:
        return Check("Integrity", "ok", "this store has no check of its own")
    problems: list[str] = await check()
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        return Check("Integrity", "fail", "; ".join(problems[:3]) + more, remedy)
    return Check("Integrity", "ok", "the file and its tables hang together")


async def _index(engine: Engine, nodes: int, principal: Principal) -> Check:
    """The index as seen by who asks against the store: the same commit, the same number of passages."""
    from citewell.types import Query

    view = await engine.index.view(Query(text=""), principal)
    sequence = await engine.store.sequence()
    remedy = "Delete the folder `index` in the knowledge base: it is rebuilt when next used."
    if view.sequence != sequence:
        return Check("Index", "fail", f"at commit {view.sequence}, the store at {sequence}", remedy)
    if view.size != nodes:
        return Check("Index", "fail", f"{view.size:,} passages, the store has {nodes:,}", remedy)
    return Check("Index", "ok", f"in step with the store at commit {sequence:,}")
