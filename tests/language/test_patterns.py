"""Every regular expression of Citewell takes time in proportion to the text, on texts made to be slow for it.

Patterns are found where modules hold them and where they stand in calls of `re`; each runs as the code runs it
(`match`, `search`, `sub`…), on repetitions of what it looks for: 1.5 and 12 KB, and 100 KB in the long form. (G6.)
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import signal
import time
from collections.abc import Iterator
from functools import cache
from itertools import chain, product
from pathlib import Path
from re import _parser as parser  # type: ignore[attr-defined]
from types import FrameType
from typing import Any

import pytest

import citewell

METHODS = ("match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer")
SHORT, SCREEN, LONG = 1_500, 3_000, 100_000
FAST_S = 0.006  # for 3 KB: what grows with the square takes millions of steps for them, which is more
MOST_S = 5.0  # 1 s is the goal, on a machine that does nothing else; what is not linear takes minutes


def modules() -> list[str]:
    found = pkgutil.walk_packages(citewell.__path__, "citewell.")
    return [one.name for one in found if not one.name.endswith("__main__")]


@cache
def tree(name: str) -> ast.Module:
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    return ast.parse(Path(spec.origin).read_text("utf-8"))


@cache
def uses(name: str) -> dict[str, frozenset[str]]:
    """Name of a variable → what this module does with it, when it is a pattern."""
    found: dict[str, set[str]] = {}
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Attribute) and node.attr in METHODS and isinstance(node.value, ast.Name):
            found.setdefault(node.value.id, set()).add(node.attr)
    return {variable: frozenset(methods) for variable, methods in found.items()}


def used(name: str, variable: str) -> frozenset[str]:
    """How the pattern of this variable is run: in its module, or wherever it is imported. Unknown means `search`."""
    own = uses(name).get(variable, frozenset())
    if variable.startswith("_"):
        return own or frozenset({"search"})
    others = [uses(other).get(variable, frozenset()) for other in modules()]
    return own.union(*others) or frozenset({"search"})


def held(value: object, depth: int = 0) -> Iterator[re.Pattern[Any]]:
    if isinstance(value, re.Pattern):
        yield value
    elif depth < 4 and isinstance(value, (list, tuple, set, frozenset)):
        for one in value:
            yield from held(one, depth + 1)
    elif depth < 4 and isinstance(value, dict):
        yield from held([*value, *value.values()], depth + 1)


def patterns(name: str) -> dict[tuple[Any, int], frozenset[str]]:
    """The patterns of a module with their flags, and how they are run."""
    found: dict[tuple[Any, int], set[str]] = {}
    try:
        module = importlib.import_module(name)
    except ImportError:
        pytest.skip("needs an extra that is not installed")
    for variable, value in vars(module).items():
        for pattern in held(value):
            found.setdefault((pattern.pattern, pattern.flags), set()).update(used(name, variable))
    for node in ast.walk(tree(name)):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "re"
            and node.func.attr in METHODS
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            flags = re.IGNORECASE if "IGNORECASE" in ast.dump(node) else 0
            flags |= re.MULTILINE if "MULTILINE" in ast.dump(node) else 0
            flags |= re.DOTALL if "DOTALL" in ast.dump(node) else 0
            pattern = re.compile(node.args[0].value, flags)
            found.setdefault((pattern.pattern, pattern.flags), set()).add(node.func.attr)
    return {key: frozenset(methods) for key, methods in found.items()}


def literals(pattern: Any, flags: int) -> list[str]:
    """Signs that the pattern speaks of, in its order."""
    text = pattern.decode("latin-1") if isinstance(pattern, bytes) else pattern
    found: list[str] = []

    def walk(parsed: Any) -> None:
        for code, value in parsed:
            if str(code) in ("LITERAL", "NOT_LITERAL"):
                found.append(chr(value))
            elif str(code) == "RANGE":
                found.extend(map(chr, value))
            else:
                for inner in value if isinstance(value, (tuple, list)) else (value,):
                    for one in inner if isinstance(inner, list) else (inner,):
                        if hasattr(one, "data"):
                            walk(one)
                        elif isinstance(one, tuple) and len(one) == 2 and not isinstance(one[0], int):
                            walk([one])

    walk(parser.parse(text, flags & ~re.UNICODE if isinstance(pattern, bytes) else flags))
    return list(dict.fromkeys(one for one in found if ord(one) < 0x3000))


def texts(pattern: Any, flags: int, size: int) -> Iterator[Any]:
    """Texts of `size` characters that the pattern begins to match everywhere and matches nowhere to the end."""
    signs = literals(pattern, flags)
    head = "".join(signs[:12])
    units = dict.fromkeys(
        chain(
            (" ", "\n", "a", "0", "a ", "a\n", "0,", "A b", "a-", ". ", "\t", "é"),
            signs[:12],
            map("".join, product(signs[:4], signs[:4])),
            (f"{one} " for one in signs[:6]),
            (f"{one}a" for one in signs[:6]),
            (head, head[:3], head[:6]),
        )
    )
    for unit in units:
        if not unit:
            continue
        repeated = (unit * (size // len(unit) + 1))[:size]
        for text in (repeated + "\x01", head[:4] + repeated + "\x01"):
            yield text.encode("utf-8", "replace") if isinstance(pattern, bytes) else text


def seconds(pattern: re.Pattern[Any], method: str, text: Any) -> float:
    began = time.process_time()
    if method in ("sub", "subn"):
        pattern.sub(b"" if isinstance(text, bytes) else "", text)
    elif method == "finditer":
        for _ in pattern.finditer(text):
            pass
    else:
        getattr(pattern, method)(text)
    return time.process_time() - began


def too_slow(_number: int, _frame: FrameType | None) -> None:
    raise TimeoutError


def growth(pattern: re.Pattern[Any], method: str, text: Any) -> float:
    """How many times as long one text takes as eight of an eighth of it: 1 where time is linear, 8 where it is squared.

    Both take about as long, so that other work weighs on both; of some tries the least counts.
    """
    longer = text[:-1] * 8 + text[-1:]
    least = 8.0
    for _ in range(8):
        short = sum(seconds(pattern, method, text) for _ in range(8))
        least = min(least, seconds(pattern, method, longer) / max(short, 0.004))
        if least < 2:
            break
    return least


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a clock that can stop a search")
@pytest.mark.parametrize("size", [SHORT, pytest.param(LONG, marks=pytest.mark.long)])
@pytest.mark.parametrize("name", modules())
def test_every_pattern_takes_time_in_proportion_to_its_text(name: str, size: int) -> None:
    before = signal.signal(signal.SIGALRM, too_slow)
    try:
        for (source, flags), methods in patterns(name).items():
            pattern = re.compile(source, flags)
            for method, text in product(sorted(methods), texts(source, flags, min(size, SCREEN))):
                said = (source, method, text[:40])
                # Not ITIMER_PROF: while that runs, Linux tells CPU time in ticks of 4 ms, and 2 ms may be none.
                signal.setitimer(signal.ITIMER_REAL, 6 * MOST_S)
                try:
                    if seconds(pattern, method, text) < FAST_S * (len(text) / SCREEN) ** 2:
                        continue
                    assert growth(pattern, method, text) < 4, said
                    if size == LONG:
                        assert seconds(pattern, method, text[:-1] * (LONG // SCREEN) + text[-1:]) < MOST_S, said
                except TimeoutError:
                    pytest.fail(f"{said} does not end")
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.signal(signal.SIGALRM, before)


def test_the_test_sees_the_patterns_and_catches_one_that_is_not_linear() -> None:
    found = [key for name in modules() if "workflow" not in name for key in patterns(name)]
    assert len(found) > 150
    slow = re.compile(r"a+$")
    text = "a" * SHORT + "\x01"
    assert seconds(slow, "search", text) > FAST_S / 4
    assert growth(slow, "search", text) > 4
