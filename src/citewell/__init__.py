"""Citewell: answers from your own documents, each sentence cited and checked.

    import citewell
    kb = citewell.open("./kb")
    kb.ingest("./docs")
    answer = kb.ask("How do I rotate keys?")
    print(answer.text, answer.claims[0].citations[0].quote)

Names are loaded on first use: `import citewell` costs neither numpy nor a model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os

    from citewell.config import Settings, assemble
    from citewell.engine import Engine
    from citewell.errors import (
        CitewellError,
        ConfigError,
        FilterError,
        IndexMismatch,
        ModelUnavailable,
        NotFound,
        ReadError,
        StoreError,
    )
    from citewell.sync import KnowledgeBase
    from citewell.types import Access, Answer, Citation, Claim, Hit, Outcome, Principal, Verdict

__version__ = "0.1.0"

_HOMES = {
    "assemble": "config",
    "Settings": "config",
    "Engine": "engine",
    "KnowledgeBase": "sync",
    **dict.fromkeys(
        [
            "CitewellError",
            "ConfigError",
            "FilterError",
            "IndexMismatch",
            "ModelUnavailable",
            "NotFound",
            "ReadError",
            "StoreError",
        ],
        "errors",
    ),
    **dict.fromkeys(["Access", "Answer", "Citation", "Claim", "Hit", "Outcome", "Principal", "Verdict"], "types"),
}

__all__ = [
    "Access",
    "Answer",
    "Citation",
    "CitewellError",
    "Claim",
    "ConfigError",
    "Engine",
    "FilterError",
    "Hit",
    "IndexMismatch",
    "KnowledgeBase",
    "ModelUnavailable",
    "NotFound",
    "Outcome",
    "Principal",
    "ReadError",
    "Settings",
    "StoreError",
    "Verdict",
    "assemble",
    "open",
]


def open(  # the name users expect
    folder: str | os.PathLike[str],
    settings: Settings | None = None,
    *,
    principal: Principal | None = None,
    create: bool = True,
) -> KnowledgeBase:
    """The knowledge base in `folder`, created if missing, for the single user of this session.

    `principal` says who that is (default: `Principal.local()`, a member of no group); `settings` replace the folder's
    `citewell.toml`. Raises ConfigError, StoreError or IndexMismatch.
    """
    from citewell.config import assemble
    from citewell.sync import KnowledgeBase
    from citewell.types import Principal

    who = principal or Principal.local()
    return KnowledgeBase(lambda: assemble(folder, settings, principal=who, create=create))


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'citewell' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"citewell.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
