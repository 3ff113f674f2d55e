"""Quantifiers, modals, bounds, the reach of a negation: small words that turn a true sentence into a false one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from citewell.language import Word, is_negation

_CLASSES: dict[str, dict[str, str]] = {
    "bound": {
        "least": r"at least|no less than|not less than|no fewer than|a minimum of|minimum|or more|mindestens|au"
        r" moins|al menos|más de",
        "most": r"at most|no more than|not more than|up to|a maximum of|maximum|or less|or fewer|höchstens|maximal"
        r"|au plus|como máximo|bis zu",
    },
    "compare": {
        "more": r"more than|greater than|longer than|higher than|larger than|over(?= \d)|above|exceed\w*|exceeding"
        r"|mehr als",
        "less": r"less than|fewer than|shorter than|lower than|smaller than|under(?= \d)|below|weniger als",
    },
    "modal": {
        "must": r"must|shall|required|requires?|mandatory|obligatory|compulsory|ha[sd] to|have to|need(?:s|ed)? to"
        r"|muss|müssen|doit|debe",
        "may": r"may|can|could|might|optional|optionally|allowed|permitted|kann|können|dürfen|darf|peut|puede",
        "should": r"should|recommended|ought to|sollte[n]?|devrait",
    },
    "amount": {
        "all": r"all|every|each|always|entire(?:ly)?|everyone|everybody|alle[nrsm]?|jede[rsnm]?|immer|tous|toutes"
        r"|toujours|todos|todas|siempre",
        "some": r"some|sometimes|several|certain|occasionally|manche|einige|manchmal|quelques|algunos|algunas",
        "most": r"most|mostly|usually|generally|often|majority|meist|meistens|oft|souvent",
        "few": r"few|rarely|seldom|selten|rarement",
        "only": r"only|solely|exclusively|nur|ausschließlich|seulement|uniquement|solamente|sólo",
    },
    "exception": {
        "except": r"except|excepting|excluding|exclusive of|apart from|other than|ausgenommen|außer|sauf|excepto",
        "including": r"including|inclusive|einschließlich|y compris|incluyendo",
        "unless": r"unless|es sei denn",
    },
    "order": {
        "before": r"before|prior to|until|earlier|vor dem|bevor|avant|antes",
        "after": r"after|following|since|later|nach dem|nachdem|après|después",
    },
    "trend": {
        "up": r"increas\w*|rise[sn]?|rose|rising|grow(?:s|n|ing)?|grew|gain(?:s|ed)?|higher|improv\w*|steigt|stieg",
        "down": r"decreas\w*|declin\w*|fall(?:s|en|ing)?|fell|drop(?:s|ped)?|reduc\w*|lower(?:ed|s)?|worsen\w*"
        r"|sinkt|sank",
    },
    "side": {
        "allow": r"allow(?:s|ed)?|permit(?:s|ted)?|approv\w*|accept(?:s|ed)?|enabled?|includ(?:es?|ed)|erlaubt",
        "forbid": r"forbid(?:s|den)?|prohibit(?:s|ed)?|ban(?:s|ned)?|reject(?:s|ed)?|disabled?|refus\w*|den(?:y"
        r"|ies|ied)|exclud\w*|verboten",
    },
}
_PATTERN = {
    name: re.compile(
        r"(?<!\w)(?:" + "|".join(f"(?P<{value}>{rx})" for value, rx in values.items()) + r")(?!\w)", re.IGNORECASE
    )
    for name, values in _CLASSES.items()
}


@dataclass(frozen=True, slots=True)
class Turn:
    """One small word at characters [start, end): its kind (`modal`) and value (`must`)."""

    kind: str
    value: str
    start: int
    end: int


def turns(text: str) -> list[Turn]:
    """All quantifiers, modals, bounds, exceptions, trends and permissions of `text`, by kind, then place."""
    return [
        Turn(kind, str(match.lastgroup), *match.span())
        for kind, pattern in _PATTERN.items()
        for match in pattern.finditer(text)
    ]


def is_turn(word: Word) -> bool:
    """Whether `word` alone is a quantifier, modal, bound, exception, trend or permission."""
    return any(pattern.fullmatch(word.lower) for pattern in _PATTERN.values()) or word.lower in (
        "least",
        "most",
        "more",
        "less",
    )


def negated(found: Sequence[Word], language: str, stops: frozenset[str]) -> dict[str, bool]:
    """Stem → whether it stands negated: the first three content words after a negation, within its clause."""
    state: dict[str, bool] = {}
    reach = 0
    for word in found:
        if is_negation(word, language):
            reach = 3
        elif word.lower in ("but", "aber", "mais", "pero", "however", "although"):
            reach = 0
        elif word.lower not in stops:
            state[word.stem] = state.get(word.stem, False) or reach > 0
            reach = max(0, reach - 1)
    return state
