"""Files and folders become sources, one at a time: what cannot be read is reported, never skipped in silence."""

from __future__ import annotations

import datetime as dt
import errno
import os
import re
import stat
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeAlias

from citewell.errors import ReadError
from citewell.reading.limits import MAX_BYTES
from citewell.reading.readers import too_large
from citewell.reading.rules import RULES_FILE, Rules, apply_all, glob, load_rules, require_matches, rules_above
from citewell.types import Access, Metadata, Source

_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_KINDS: Final = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISDIR, "a folder"),
)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Something that was named or found and cannot be read. `source` has its place and rule, but no content."""

    source: Source
    error: ReadError


_Identity: TypeAlias = tuple[int, int]
_Item: TypeAlias = tuple[Source | Unreadable, _Identity | None]


@dataclass(frozen=True, slots=True)
class _Finder:
    bucket: str
    tenant: str
    access: Access
    metadata: Metadata
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    hidden: bool
    max_bytes: int


def find(
    paths_or_urls: Iterable[str | os.PathLike[str]],
    *,
    bucket: str = "default",
    tenant: str = "local",
    access: Access | None = None,
    metadata: Metadata | None = None,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    hidden: bool = False,
    max_bytes: int = MAX_BYTES,
) -> Iterator[Source | Unreadable]:
    """Sources under the named files and folders, in the order named and sorted by path within a folder.

    The uri of a file is its POSIX path below the folder that was named, or its name when it was named itself, in
    Unicode NFC: it does not change when the folder moves. Two different files with the same uri in one call are a
    mistake that would make one a version of the other, so the second is reported as Unreadable; name a folder above
    both, or use two buckets. The same file found twice comes once.

    `include` and `exclude` are globs; one without `/` is matched against the name alone, others against the uri.
    They pick from folders, not from files named themselves. Hidden files are left out unless `hidden`. Symbolic
    links are not followed: what they show within the folder is found anyway, and one that leads out is reported.

    Every file is opened only when it is its turn, and only when it is a regular file of at most `max_bytes`.
    `citewell-rules.toml` beside or above a file decides on its access and metadata (rules.py), also when a subfolder
    or a file is named itself. Raises ConfigError, before anything is found, when any of them cannot be understood.
    """
    finder = _Finder(
        bucket,
        tenant,
        Access.everyone() if access is None else access,
        metadata or {},
        tuple(include),
        tuple(exclude),
        hidden,
        max_bytes,
    )
    named = [os.fspath(path) for path in paths_or_urls]
    rules = {name: _rules_for(name, hidden) for name in named}
    return _find(finder, named, rules)


def _find(finder: _Finder, named: Sequence[str], rules: dict[str, list[Rules]]) -> Iterator[Source | Unreadable]:
    taken: set[str] = set()
    read: dict[_Identity, int] = {}
    for number, name in enumerate(named):
        for item, identity in _under(finder, name, rules[name]):
            # Hard links in one folder are two documents; the same file under two named paths is a repetition.
            if identity is not None and read.setdefault(identity, number) != number:
                continue
            source = item.source if isinstance(item, Unreadable) else item
            if source.uri not in taken:
                taken.add(source.uri)
                yield item
                continue
            message = (
                f"A file of this name was already found in this call; one would replace the other ({_clean(name)}). "
                "Name a folder above both, or ingest them into two buckets."
            )
            yield Unreadable(replace(source, content=b""), ReadError("not_permitted", message))


def _rules_for(name: str, hidden: bool) -> list[Rules]:
    """All rules at, above and below `name`, outermost first; none for what is no file."""
    path = Path(name)
    if _URL.match(name) or "\0" in name or not path.exists():
        return []
    path = path.resolve()
    rules = rules_above(path)
    if path.is_dir():
        below: list[Path] = []
        for folder, folders, files in os.walk(path):
            folders[:] = sorted(inner for inner in folders if hidden or not inner.startswith("."))
            if RULES_FILE in files and Path(folder) != path:
                rules.append(load_rules(Path(folder, RULES_FILE)))
            below.extend(Path(folder, file) for file in files)
        for one in rules:
            # Rules from above speak of files elsewhere too, which are not looked at here.
            if one.folder.is_relative_to(path):
                inside = [file for file in below if file.is_relative_to(one.folder)]
                require_matches(one, [file.relative_to(one.folder).as_posix() for file in inside])
    return rules


def _under(finder: _Finder, name: str, rules: Sequence[Rules]) -> Iterator[_Item]:
    if _URL.match(name):
        message = "URLs are not fetched yet; only files and folders are read. Save the page and ingest the file."
        yield _unreadable(finder, name, "not_permitted", message)
        return
    path, shown = Path(name), _clean(name)
    try:
        found = path.stat()
    except PermissionError:
        yield _unreadable(finder, shown, "not_permitted", "The path may not be looked at. Check its permissions.")
        return
    except (OSError, ValueError):
        yield _unreadable(finder, shown, "missing", "There is no such file or folder. Check the path.")
        return
    root = path.resolve()
    if not stat.S_ISDIR(found.st_mode):
        yield _load(finder, root, _clean(path.name), rules)
        return
    count = 0
    for file in _files(root, finder.hidden):
        uri = _clean(file.path.relative_to(root).as_posix())
        if file.error is not None or _wanted(finder, uri):
            count += 1
            yield (
                _load(finder, file.path, uri, rules)
                if file.error is None
                else (
                    Unreadable(_source(finder, uri), file.error),
                    None,
                )
            )
    if not count:
        what = "no files that match" if finder.include or finder.exclude else "no files"
        yield _unreadable(finder, shown, "missing", f"The folder holds {what}.")


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    error: ReadError | None = None


def _files(root: Path, hidden: bool) -> Iterator[_File]:
    """Files under `root`, folder by folder, entries sorted by name; links and folders that cannot be listed as errors.

    A link to something within `root` is left out: that is found under its own name, where its own rules hold.
    """
    stack = [iter((root,))]
    while stack:
        path = next(stack[-1], None)
        if path is None:
            stack.pop()
        elif path != root and (path.name == RULES_FILE or (path.name.startswith(".") and not hidden)):
            continue
        elif path.is_symlink():
            if (error := _link_error(path, root)) is not None:
                yield _File(path, error)
        elif path.is_dir():
            try:
                stack.append(iter(sorted(path.iterdir(), key=lambda inner: inner.name)))
            except OSError as error:
                message = f"The folder cannot be listed: {error.strerror}. Check its permissions."
                yield _File(path, ReadError("not_permitted", message))
        else:
            yield _File(path)


def _link_error(path: Path, root: Path) -> ReadError | None:
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError):
        return ReadError("missing", "The link leads to nothing. Mend or remove it.")
    if target.is_relative_to(root):
        return None
    return ReadError("not_permitted", "The link leads out of the folder and is not followed. Name what it leads to.")


def _wanted(finder: _Finder, uri: str) -> bool:
    def any_of(globs: Iterable[str]) -> bool:
        name = uri.rpartition("/")[2]
        return any(glob(text).matches(uri if "/" in text else name) for text in globs)

    return (not finder.include or any_of(finder.include)) and not any_of(finder.exclude)


def _load(finder: _Finder, path: Path, uri: str, rules: Sequence[Rules]) -> _Item:
    below = [each for each in rules if path.is_relative_to(each.folder)]
    access, metadata = apply_all(below, path, finder.access, finder.metadata)
    source = replace(_source(finder, uri), access=access, metadata=metadata)
    try:
        # Not blocking: opening a pipe that nobody writes to would wait for ever. Not following: `path` was resolved,
        # so a link here was put in since.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        descriptor = os.open(path, flags)
    except OSError as error:
        kind = "missing" if error.errno == errno.ENOENT else "not_permitted"
        return Unreadable(source, ReadError(kind, f"The file cannot be opened: {error.strerror}.")), None
    with open(descriptor, "rb", buffering=0) as file:
        found = os.fstat(descriptor)
        identity = (found.st_dev, found.st_ino)
        if not stat.S_ISREG(found.st_mode):
            what = next((name for test, name in _KINDS if test(found.st_mode)), "no regular file")
            return Unreadable(source, ReadError("not_permitted", f"This is {what}; only files are read.")), identity
        if found.st_size > finder.max_bytes:
            return Unreadable(source, too_large(found.st_size, finder.max_bytes)), identity
        # A file that grows while it is read, or that lies about its size as those of /proc do, ends here too.
        try:
            content = b"".join(_chunks(file.read, finder.max_bytes + 1))
        except OSError as error:
            return Unreadable(source, ReadError("corrupt", f"The file cannot be read: {error.strerror}.")), identity
    if len(content) > finder.max_bytes:
        return Unreadable(source, too_large(len(content), finder.max_bytes)), identity
    modified = dt.datetime.fromtimestamp(found.st_mtime, dt.UTC).isoformat(timespec="seconds")
    fetched = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    return replace(source, content=content, modified_at=modified, fetched_at=fetched), identity


def _chunks(read: Callable[[int], bytes], most: int) -> Iterator[bytes]:
    left = most
    while left > 0 and (chunk := read(min(left, 1 << 24))):
        left -= len(chunk)
        yield chunk


def _source(finder: _Finder, uri: str) -> Source:
    return Source(
        uri=uri,
        content=b"",
        tenant=finder.tenant,
        bucket=finder.bucket,
        access=finder.access,
        metadata=finder.metadata,
    )


def _unreadable(finder: _Finder, uri: str, kind: str, message: str) -> _Item:
    return Unreadable(_source(finder, uri), ReadError(kind, message)), None


def _clean(name: str) -> str:
    """The name as text: bytes that are not UTF-8 become U+FFFD, and the rest Unicode NFC.

    macOS hands out decomposed names; the same folder must give the same uris everywhere.
    """
    return unicodedata.normalize("NFC", os.fsencode(name).decode("utf-8", "replace"))
