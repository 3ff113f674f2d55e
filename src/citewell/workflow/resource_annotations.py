"""The annotations of a resource factory, whatever kind of callable it is."""

import contextlib
import functools
import inspect
import sys
import types
from collections.abc import Callable, Mapping
from typing import Any, get_type_hints


def evaluate(factory: Callable[..., Any], parameter: inspect.Parameter, names: Mapping[str, Any]) -> Any:
    """One parameter's annotation, evaluated alone: the others, and the return type, need not be importable."""
    if parameter.annotation is parameter.empty:
        return None
    called = _called(factory)
    known = getattr(called, "__globals__", None)
    if known is None:
        known = vars(sys.modules[factory.__module__]) if getattr(factory, "__module__", None) in sys.modules else {}
    # The names where the step was defined come last: the factory means its own closure and module.
    local = {name: value for name, value in names.items() if name not in known}
    code, cells = getattr(called, "__code__", None), getattr(called, "__closure__", None)
    for name, cell in zip(code.co_freevars if code else (), cells or (), strict=False):
        with contextlib.suppress(ValueError):  # a cell that is not filled yet
            local[name] = cell.cell_contents
    owner = types.SimpleNamespace(__annotations__={parameter.name: parameter.annotation})
    return get_type_hints(owner, globalns=known, localns=local, include_extras=True)[parameter.name]


def _called(factory: Callable[..., Any]) -> Any:
    """The function whose globals and closure the annotations of the factory are written in."""
    while isinstance(factory, functools.partial):
        factory = factory.func
    if isinstance(factory, type):
        return inspect.unwrap(factory.__init__)  # type: ignore[misc]  # it is only looked at
    if not isinstance(factory, (types.FunctionType, types.MethodType)):
        factory = type(factory).__call__
    return inspect.unwrap(factory)
