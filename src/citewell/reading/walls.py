"""The walls around a worker process: put up once, before it sees a file, and by nothing in it taken down again.

Which of them stand depends on the system, and `put_up` tells:

- Everywhere, the interpreter itself refuses (`sys.addaudithook`): sockets, files opened for writing, made, moved or
  removed, programs other than tesseract, and signals to others. That stops Python code, whatever library it is from;
  native code that an attacker took over does not ask the interpreter.
- `network`, on Linux: a network namespace without interfaces, for root and where users may make namespaces.
- `files`, on Linux 5.13 or newer with Landlock: nothing can be written, made, moved or removed anywhere, `private`
  folders cannot be read, and the memory and environment of other processes neither.
- `signals`, on Linux 6.12 or newer with Landlock: nothing outside the worker can be signalled.

The limits on what it may take are `setrlimit` and the owner's watch (`isolation`).
"""

from __future__ import annotations

import contextlib
import os
import struct
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final, NoReturn

PROGRAMS: Final = frozenset({"tesseract"})
"""What a reader may start, by name."""

_WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC
_NEWNET, _NEWUSER = 0x40000000, 0x10000000  # of sched.h
_CHILD_SUBREAPER, _NO_NEW_PRIVILEGES = 36, 38  # of sys/prctl.h
# Of linux/landlock.h; the numbers of the calls are the same on all machines but Alpha.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION, _PATH_BENEATH = 1, 1
_WRITE_FILE, _READ_FILE, _REFER, _TRUNCATE = 1 << 1, 1 << 2, 1 << 13, 1 << 14
_MAKE_AND_REMOVE: Final = sum(1 << bit for bit in range(4, 13))
_TCP, _SCOPES = 0b11, 0b11  # bind and connect; abstract sockets and signals
_MAX_RULES: Final = 20_000


class RefusedError(PermissionError):
    """What the file's parser tried and no parser has a reason to."""


def put_up(private: Sequence[str] = ()) -> tuple[str, ...]:
    """Put up all walls that this system has, and tell which of the kernel's now stand: network, files, signals.

    To be called while there is one thread: threads made before would stand outside. `private` are folders of which
    the worker must read nothing, except what it imports from.
    """
    held: list[str] = []
    if sys.platform == "linux":
        import ctypes

        with contextlib.suppress(OSError, AttributeError):
            libc = ctypes.CDLL(None, use_errno=True)
            libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
            # Orphans below become our children, not init's: so they are found when we are ended.
            libc.prctl(_CHILD_SUBREAPER, 1, 0, 0, 0)
            # Root may; others need a user namespace to own the network.
            if libc.unshare(_NEWNET) == 0 or libc.unshare(_NEWUSER | _NEWNET) == 0:
                held.append("network")
            held += _landlock(libc, private)
            _drop_capabilities(libc)
    sys.addaudithook(_ask)
    return tuple(held)


def _drop_capabilities(libc: Any) -> None:
    """Make root a user like others: capabilities would reach around walls, such as into other processes' memory.

    What stays is reading files of other users, without which root could not import what is not root's.
    """
    import ctypes

    kept = 1 << 2 if os.geteuid() == 0 else 0  # CAP_DAC_READ_SEARCH
    version_3 = ctypes.create_string_buffer(struct.pack("=Ii", 0x20080522, 0))
    libc.capset(version_3, ctypes.create_string_buffer(struct.pack("=6I", kept, kept, 0, 0, 0, 0)))


def _landlock(libc: Any, private: Sequence[str]) -> list[str]:
    """What Landlock holds from now on, for this thread and all that come of it."""
    version = libc.syscall(_CREATE_RULESET, None, 0, _VERSION)
    if version < 1:
        return []
    rights = _WRITE_FILE | _MAKE_AND_REMOVE | (_REFER if version >= 2 else 0) | (_TRUNCATE if version >= 3 else 0)
    readable = _all_but(private) if private else []
    if len(readable) > _MAX_RULES:
        readable = []  # a folder beside so many others; what is written there is refused all the same
    if readable:
        rights |= _READ_FILE
    handled = [rights, *([_TCP] if version >= 4 else []), *([_SCOPES] if version >= 6 else [])]
    attributes = struct.pack(f"={len(handled)}Q", *handled)
    rules = libc.syscall(_CREATE_RULESET, attributes, len(attributes), 0)
    if rules < 0:
        return []
    try:
        _allow(libc, rules, os.devnull, _WRITE_FILE | (rights & (_READ_FILE | _TRUNCATE)))
        for path in readable:
            _allow(libc, rules, path, _READ_FILE)
        if libc.syscall(_RESTRICT_SELF, rules, 0) != 0:
            return []
    finally:
        os.close(rules)
    return ["files", *(["signals"] if version >= 6 else [])]


def _allow(libc: Any, rules: int, path: str, rights: int) -> None:
    with contextlib.suppress(OSError):  # gone meanwhile, or not ours to open: then it is not ours to read either
        descriptor = os.open(path, getattr(os, "O_PATH", 0) | os.O_CLOEXEC)
        try:
            libc.syscall(_ADD_RULE, rules, _PATH_BENEATH, struct.pack("=Qi", rights, descriptor), 0)
        finally:
            os.close(descriptor)


def _all_but(private: Sequence[str]) -> list[str]:
    """Paths that together hold every file but those below `private`; Landlock can only allow, never except.

    Links are left out: what they lead to stands in its own place. What modules are imported from is always in.
    """
    closed = {os.path.realpath(path) for path in private}
    around: dict[str, set[str]] = {}
    for inner in closed:
        path = inner
        while path != (above := os.path.dirname(path)):
            around.setdefault(above, set()).add(path)
            path = above
    allowed = []
    for folder, inside in around.items():
        if any(folder == one or folder.startswith(one + os.sep) for one in closed):
            continue
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            allowed += [entry.path for entry in entries if entry.path not in inside and not entry.is_symlink()]
    return allowed + [os.path.realpath(path) for path in (*sys.path, sys.prefix, sys.base_prefix) if path]


def _ask(event: str, arguments: tuple[Any, ...]) -> None:
    check = _CHECKS.get(event)
    if check is not None:
        check(event, arguments)


def _refuse(event: str, arguments: tuple[Any, ...]) -> NoReturn:
    raise RefusedError(f"{event}({', '.join(str(one)[:100] for one in arguments[:2])})")


def _no_writing(event: str, arguments: tuple[Any, ...]) -> None:
    path, _, flags = arguments
    if isinstance(path, int):
        return  # a pipe, or what was opened before: it was asked about then
    if isinstance(flags, int) and flags & _WRITING and path != os.devnull:
        _refuse(event, (path,))


def _no_program(event: str, arguments: tuple[Any, ...]) -> None:
    program = arguments[0]
    if not (isinstance(program, (str, os.PathLike)) and os.path.basename(os.fspath(program)) in PROGRAMS):
        _refuse(event, (program,))


def _only_own(event: str, arguments: tuple[Any, ...]) -> None:
    # Our own group is killed when the owner is gone, a program that takes too long by who started it.
    if event == "os.killpg" and arguments[0] not in (0, os.getpgrp()):
        _refuse(event, arguments)
    if event == "os.kill" and (arguments[0] < 0 or arguments[0] in (1, os.getppid())):
        _refuse(event, arguments)


# Events of CPython's audit table; those that do harm and that no parser needs.
_CHECKS: Final[dict[str, Callable[[str, tuple[Any, ...]], None]]] = {
    "open": _no_writing,
    "subprocess.Popen": _no_program,
    "os.kill": _only_own,
    "os.killpg": _only_own,
    **dict.fromkeys(
        (
            *(f"socket.{name}" for name in (
                "__new__", "bind", "connect", "getaddrinfo", "gethostbyaddr", "gethostbyname", "getnameinfo",
                "sendmsg", "sendto", "sethostname",
            )),
            *(f"os.{name}" for name in (
                "chflags", "chmod", "chown", "exec", "fork", "forkpty", "link", "mkdir", "posix_spawn", "remove",
                "removexattr", "rename", "rmdir", "setxattr", "spawn", "startfile", "symlink", "system", "truncate",
                "utime",
            )),
            *("shutil.chown", "shutil.copyfile", "shutil.move", "shutil.rmtree", "pty.spawn"),
        ),
        _refuse,
    ),
}  # fmt: skip
