"""`provider:name` → factory: built-in parts and those of installed packages come through the same door.

A part of another package is offered by an entry point in the group `citewell.KIND` (for example `citewell.embedder`),
named after its provider; it is loaded only when a setting names it.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from citewell.errors import ConfigError

# Text, not objects: nothing here is imported before it is named.
_BUILT_IN: dict[str, dict[str, str]] = {
    "embedder": {
        "minilm": "citewell.models.minilm:MiniLM",
        "hashing": "citewell.models.hashing:HashEmbedder",
        "openai": "citewell.models.remote:OpenAIEmbedder",
    },
    "describer": {
        "llm": "citewell.models.describe:ModelDescriber",
    },
    "generator": {
        "llm": "citewell.models.generate:ModelGenerator",
    },
    "store": {
        "sqlite": "citewell.storage.sqlite:SqliteStore",
    },
}


def providers(kind: str) -> list[str]:
    """Names of all providers of a kind, built-in and installed, in order."""
    return sorted({*_BUILT_IN.get(kind, {}), *(point.name for point in entry_points(group=f"citewell.{kind}"))})


def factory(kind: str, name: str) -> Callable[..., Any]:
    """What makes parts of `kind` (`describer`, `embedder`, `generator`, `store`) for the provider `name`.

    Raises ConfigError for an unknown name, and for a provider whose package cannot be imported.
    """
    target = _BUILT_IN.get(kind, {}).get(name)
    if target is None:
        found = [point.value for point in entry_points(group=f"citewell.{kind}") if point.name == name]
        if not found:
            raise ConfigError(f"No {kind} is called {name!r}. Known: {', '.join(providers(kind))}.")
        target = found[0]
    module, _, attribute = target.partition(":")
    try:
        made: Callable[..., Any] = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"The {kind} {name!r} ({target}) cannot be loaded: {error}.") from error
    return made
