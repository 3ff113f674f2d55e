"""What callers, rules and a document itself may say of it: typed values under names that are not Citewell's own."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Mapping
from typing import Final

from citewell.errors import ConfigError
from citewell.types import EVERYONE, Metadata, Scalar, Value

RESERVED: Final = frozenset({"uri", "bucket", "kind", "page", "section", "media_type", "version", "ingested_at"})
"""Names that filters already use for what Citewell itself knows of a document."""

_PRINCIPAL: Final = re.compile(r"(?:user|group):[^\s:][^\r\n:]*$")
_MAX_KEY: Final = 100


def check_metadata(mapping: Mapping[str, object], where: str = "metadata") -> Metadata:
    """The same metadata as typed values: lists become tuples, dates ISO 8601 text. None removes a key.

    Raises ConfigError naming `where` and the key for reserved names, nested or mixed values, and numbers that are
    not finite.
    """
    checked: dict[str, Value] = {}
    for key, value in mapping.items():
        if not isinstance(key, str) or not key.strip() or len(key) > _MAX_KEY:
            raise ConfigError(f"{where}: {key!r} is no metadata name. Use text of 1 to {_MAX_KEY} characters.")
        if key in RESERVED:
            hint = " Use version_label for the name of a version." if key == "version" else ""
            raise ConfigError(f"{where}: {key!r} is a name of Citewell's own and cannot be set.{hint}")
        if isinstance(value, (list, tuple, set, frozenset)):
            items = sorted(value, key=repr) if isinstance(value, (set, frozenset)) else value
            checked[key] = tuple(_scalar(item, f"{where}: {key!r}") for item in items)
        elif value is not None:
            checked[key] = _scalar(value, f"{where}: {key!r}")
    return checked


def check_names(names: object, where: str) -> frozenset[str]:
    """Names of an access rule. Raises ConfigError for anything but `everyone`, `user:NAME` and `group:NAME`."""
    if not isinstance(names, (list, tuple, set, frozenset)):
        raise ConfigError(f"{where} must be a list of names such as 'group:finance', not {names!r}.")
    for name in names:
        if not isinstance(name, str) or not (name == EVERYONE or _PRINCIPAL.match(name)):
            raise ConfigError(f"{where}: {name!r} is no name. Write 'everyone', 'user:NAME' or 'group:NAME'.")
    return frozenset(names)


def document_metadata(found: Mapping[str, Value]) -> tuple[dict[str, Value], list[str]]:
    """What a document says of itself, less the names that belong to Citewell, and warnings on what was left out.

    A document's own `version` becomes `version_label`: which version is active is decided by ingestion alone.
    """
    kept: dict[str, Value] = {}
    dropped: list[str] = []
    for key, value in found.items():
        if key == "version":
            kept.setdefault("version_label", str(value))
        elif key in RESERVED or not key:
            dropped.append(key)
        elif value is not None and value != "":
            kept[key] = value
    warnings = [f"Metadata keys reserved by Citewell were left out: {', '.join(dropped)}."] if dropped else []
    return kept, warnings


def _scalar(value: object, where: str) -> Scalar:
    if isinstance(value, (dt.datetime, dt.date, dt.time)):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{where} is {value}; only finite numbers can be compared.")
    if isinstance(value, (str, int, float, bool)):
        return value
    raise ConfigError(f"{where} is a {type(value).__name__}; use text, numbers, true/false, dates, or lists of these.")
