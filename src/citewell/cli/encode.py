"""What `--json` prints: every dataclass as an object of its fields, in one place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from citewell.cli.plain import escape_json

# Properties that are part of the documented shape, by class name: `answer.claims[0].citations[0].page`.
_SHOWN = {"Citation": ("uri", "version", "page", "start", "end")}


def encode(value: object) -> Any:
    """The JSON form of `value`: dataclasses and mappings as objects, sequences as lists, sets as sorted lists.

    Spans, regions and the like are objects of their fields; enums their values. Raises TypeError for anything else.
    """
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        made = {field.name: encode(getattr(value, field.name)) for field in fields(value)}
        for name in _SHOWN.get(type(value).__name__, ()):
            made[name] = encode(getattr(value, name))
        return made
    if isinstance(value, Mapping):
        return {str(name): encode(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [encode(one) for one in value]
    if isinstance(value, set | frozenset):
        return sorted(encode(one) for one in value)
    raise TypeError(f"{type(value).__name__} has no JSON form.")


def document(value: object) -> str:
    """One JSON document, indented, ending in a line feed. Safe on a terminal and always valid UTF-8."""
    return escape_json(json.dumps(encode(value), ensure_ascii=False, indent=2, allow_nan=False)) + "\n"
