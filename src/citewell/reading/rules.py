"""`citewell-rules.toml`: who may read which files of a folder, and what is known of them beforehand."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import translate
from functools import lru_cache
from pathlib import Path
from typing import Final

from citewell.errors import ConfigError
from citewell.reading.metadata import check_metadata, check_names
from citewell.types import Access, Metadata, Value

RULES_FILE: Final = "citewell-rules.toml"
_MAX_BYTES: Final = 1_000_000
_END: Final = re.compile("(?!)")
_KEYS: Final = frozenset({"match", "allow", "deny", "series", "version", "effective", "metadata"})


@dataclass(frozen=True, slots=True)
class Rule:
    """One `[[rule]]`: what it says of the files that match `glob`. `where` names it in messages."""

    glob: Glob
    where: str = ""
    allow: frozenset[str] | None = None
    deny: frozenset[str] = frozenset()
    metadata: Metadata = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one file, in its order; their patterns are matched against paths below `folder`."""

    folder: Path
    rules: tuple[Rule, ...] = ()

    def apply(self, relative: str, access: Access, metadata: Metadata) -> tuple[Access, Metadata]:
        """Access and metadata of the file at `relative` (POSIX, below `folder`), starting from the given ones.

        Of all rules that match, the last `allow` replaces the one before, every `deny` adds up, and metadata is
        overridden key by key.
        """
        allow, deny, merged = access.allow, access.deny, dict(metadata)
        for rule in self.rules:
            if rule.glob.matches(relative):
                allow = allow if rule.allow is None else rule.allow
                deny = deny | rule.deny
                merged.update(rule.metadata)
        return Access(allow, deny), merged


def load_rules(path: Path) -> Rules:
    """The rules in the file at `path`. Raises ConfigError naming file, rule and key: a rule that cannot be understood
    must stop the ingestion, since the files it protects would otherwise be open."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ConfigError(f"{path} is larger than {_MAX_BYTES:,} bytes.")
        with path.open("rb") as file:
            found = tomllib.load(file)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}. Nothing was ingested.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}. Nothing was ingested.") from error
    unknown = sorted(set(found) - {"rule"})
    if unknown:
        raise ConfigError(f"{path}: unknown key {unknown[0]!r}. Only [[rule]] tables are known.")
    tables = found.get("rule", [])
    if not isinstance(tables, list) or not all(isinstance(table, Mapping) for table in tables):
        raise ConfigError(f"{path}: write [[rule]] with two brackets, once for each rule.")
    return Rules(path.parent, tuple(_rule(table, f"{path}: rule {n}") for n, table in enumerate(tables, 1)))


class Glob:
    """A pattern for POSIX paths: `*`, `?` and `[abc]` stay within one name, a name that is `**` stands for folders.

    `**/x` also matches `x`; `a/**` matches everything below `a`. Case counts. Takes no more than the product of both
    lengths, however many stars there are.
    """

    __slots__ = ("_parts",)

    def __init__(self, glob: str) -> None:
        # fnmatch's patterns never go back over an earlier star.
        self._parts = [None if part == "**" else re.compile(translate(part)) for part in glob.split("/")]

    def matches(self, path: str) -> bool:
        """Whether the whole of `path` matches."""
        parts, names = self._parts, path.split("/")
        part = name = 0
        star, restart = -1, 0
        while name < len(names):
            current = parts[part] if part < len(parts) else _END
            if current is None:
                if part == len(parts) - 1:
                    return True
                star, restart = part, name
                part += 1
            elif current is not _END and current.match(names[name]):
                part, name = part + 1, name + 1
            elif star >= 0:
                # The shortest stretch under the last ** is as good as any: let it take one name more.
                restart += 1
                part, name = star + 1, restart
            else:
                return False
        return part == len(parts)


@lru_cache(maxsize=4096)
def glob(text: str) -> Glob:
    """The glob for `text`, kept for the next time."""
    return Glob(text)


def _rule(table: Mapping[str, object], where: str) -> Rule:
    unknown = sorted(set(table) - _KEYS)
    if unknown:
        raise ConfigError(f"{where}: unknown key {unknown[0]!r}. Known are {', '.join(sorted(_KEYS))}.")
    match = table.get("match")
    if not isinstance(match, str) or not match.strip():
        raise ConfigError(f"{where}: 'match' must be a glob such as 'hr/*.md'.")
    if match.startswith("/") or ".." in match.split("/") or "\\" in match:
        raise ConfigError(f"{where}: 'match' is {match!r}; it must be a relative path with '/' and without '..'.")
    metadata = table.get("metadata", {})
    if not isinstance(metadata, Mapping):
        raise ConfigError(f"{where}: 'metadata' must be a table such as {{ audience = \"all\" }}.")
    named: dict[str, object] = {}
    for key, name in (("series", "series"), ("version", "version_label"), ("effective", "effective")):
        if key in table:
            value = table[key]
            if not isinstance(value, str) and (key != "effective" or not hasattr(value, "isoformat")):
                kind = "a date such as 2025-01-01" if key == "effective" else "text in quotes"
                raise ConfigError(f"{where}: {key!r} must be {kind}, not {value!r}.")
            if key == "effective" and isinstance(value, str) and not re.match(r"\d{4}-\d\d-\d\d", value):
                raise ConfigError(f"{where}: 'effective' is {value!r}; write a date such as 2025-01-01.")
            named[name] = value
    merged: dict[str, Value] = {**check_metadata(metadata, f"{where}: metadata"), **check_metadata(named, where)}
    allow = check_names(table["allow"], f"{where}: 'allow'") if "allow" in table else None
    deny = check_names(table["deny"], f"{where}: 'deny'") if "deny" in table else frozenset()
    match = match.removeprefix("./")
    return Rule(glob(f"{match}**" if match.endswith("/") else match), f"{where} ({match!r})", allow, deny, merged)


def require_matches(rules: Rules, paths: Sequence[str]) -> None:
    """Raises ConfigError for a rule on who may read that meets none of `paths` (POSIX, below the rules' folder).

    Its files would be open to everyone: a misspelt glob must stop the ingestion, as a misspelt key does.
    """
    for rule in rules.rules:
        if (rule.allow is not None or rule.deny) and not any(map(rule.glob.matches, paths)):
            raise ConfigError(
                f"{rule.where}: no file matches, so nothing would be protected. Correct 'match' (case counts) or "
                "take the rule out."
            )


def rules_above(path: Path) -> list[Rules]:
    """The rules that hold for everything at or below `path`'s own folder, outermost first."""
    folder = path if path.is_dir() else path.parent
    files = [above / RULES_FILE for above in (*reversed(folder.parents), folder)]
    return [load_rules(file) for file in files if file.is_file()]


def apply_all(all_rules: Sequence[Rules], path: Path, access: Access, metadata: Metadata) -> tuple[Access, Metadata]:
    """What `all_rules`, outermost first, make of the file at the absolute `path`: inner folders speak last."""
    for rules in all_rules:
        access, metadata = rules.apply(path.relative_to(rules.folder).as_posix(), access, metadata)
    return access, metadata
