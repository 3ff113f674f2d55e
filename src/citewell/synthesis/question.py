"""Understanding a question without a model: what kind of answer it wants, and which words that answer must meet."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from citewell.language import content, fold, words


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


MAX_CHARACTERS = 2000

_MONTHS = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_KINDS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern, re.IGNORECASE))
    for kind, pattern in (
        ("money", r"\bhow much (?:does|do|did|is|are|was|were|will|would|can|could)?\b.*\b(?:cost|pay|paid|spend"
                  r"|price|charge|fee|earn|worth|reimburse\w*)|"
                  r"\b(?:price|cost|fee|salary|budget|per diem|allowance|fine|fare|amount of money|revenue"
                      r"|turnover|income)\b.*\?*$|"
                  r"\bwie teuer|\bwas kostet|\bcombien coûte|\bcuánto cuesta"),
        ("duration", r"\bhow long\b|\bhow many (?:\w+ )?(?:seconds|minutes|hours|days|weeks|months|years)\b|\bwie"
                     r" lange\b|\bcombien de temps|"
                     r"\bnotice period\b|\bcuánto tiempo"),
        ("date", r"\bwhen\b|\b(?:what|which|on what|on which|in what|in which|by which|by what) (?:date|day|year"
                 r"|month|century|time)\b|"
                 r"\buntil when\b|\bdeadline\b|\bwann\b|\bquand\b|\bcuándo\b|\bbis wann\b|\bseit wann\b|\bwhat year\b"),
        ("number", r"\bhow (?:many|much|old|tall|high|far|big|large|often|fast|deep|wide|heavy)\b|\b(?:what|which)"
                   r" (?:percentage|percent|number|share|ratio|"
                   r"rate|limit|size|age|height|length|weight|population|temperature|distance|maximum|minimum)\b|"
                   r"\bwie (?:viel|viele|groß|hoch|alt|oft|schnell|weit)\b|\bcombien\b|\bcuánt[oa]s?\b|多少|几"),
        ("person", r"\bwho(?:se|m)?\b|\bwhich (?:person|employee|player|actor|actress|author|president|manager)\b"
                   r"|\bwer\b|\bwem\b|\bwen\b|\bqui\b|\bquién|谁"),
        ("place", r"\bwhere\b|\b(?:what|which|in which|in what) (?:city|country|place|state|office|building|room"
                  r"|town|location|continent|river)\b|"
                  r"\bwo\b|\bwohin\b|\bwoher\b|\boù\b|\bdónde\b|哪里"),
        ("how-to", r"\bhow (?:do|does|can|could|should|would|to|did|must)\b|\bwhat (?:do|should|must|can) (?:i|we"
                   r"|you) do\b|\bsteps\b|"
                   r"\bwie (?:kann|muss|soll|mache|geht)\b|\bcomment\b|\bcómo\b|怎么|如何"),
        ("list", r"\b(?:list|name|enumerate) (?:all|the|every|some)\b|\bwhat (?:are|were) (?:the )?\w+s\b|\bwhich"
                 r" \w+s (?:are|were|do|can|have)\b|\bwelche\b"),
        ("definition", r"\bwhat (?:is|are|was|were) (?:an?|the)? ?[\w\s'-]{1,60}\??$|\bwhat does\b.*\b(?:mean"
                       r"|stand for)\b|\bdefin(?:e|ition)\b|\bmeaning of\b|"
                       r"\bwas (?:ist|sind|bedeutet)\b|\bqu'est-ce\b|\bqué (?:es|significa)\b|什么是"),
        ("yes-no", r"^(?:\W*(?:and|but|so|also|please)\W+)?(?:is|are|was|were|do|does|did|can|could|may|must|shall"
                   r"|should|will|would|has|have|had|am|"
                   r"ist|sind|darf|dürfen|kann|können|muss|müssen|hat|haben|est-ce|puedo|puede)\b"),
    )
)  # fmt: skip
_SMALL_TALK = re.compile(
    r"\W*(?:(?:hi|hello|hey|good (?:morning|afternoon|evening|day)|thanks?|thank you|thx|bye|goodbye|ok(?:ay)?"
    r"|cool|great|test|ping|"
    r"hallo|guten (?:tag|morgen|abend)|danke|tschüss|bonjour|salut|merci|hola|gracias"
    r"|how are you(?: doing)?(?: today)?|"
    r"who are you|what can you do|there|you|very much|so much)\W*)+",
    re.IGNORECASE,
)
# A change is compared only where it is what is asked for: "How often is the password changed?" asks of one version.
_COMPARE = re.compile(
    r"\b(?:compar\w+|versus|vs\.?|differ(?:s|ed|ence|ences|ent)?|conflict\w*|contradict\w*|disagree\w*|inconsisten\w+|"
    r"what (?:(?:has|have|had|was|is) )?(?:\w+ )?changed|what changes (?:between|for|from|in|on|since|with)|"
    r"how (?:has|have|had) [^?]{1,80} changed|how did (?!i |we |you )[^?]{1,80} change|"
    r"chang(?:es?|ed) (?:\w+ ){0,4}?(?:between|since)|"
    r"unterschied\w*|vergleich\w*|was (?:hat|haben) sich [^?]{0,80}(?:ge|ver)ändert|"
    r"différence|qu'est-ce qui a changé|diferencia|qué ha cambiado)\b",
    re.IGNORECASE,
)
_UPCOMING = re.compile(
    r"\b(?:upcoming|from now on|next (?:year|month|version)|future|new version|not yet in force|planned)\b",
    re.IGNORECASE,
)
_YEAR = re.compile(r"(?<![\w.,/-])((?:19|20|21)\d{2})(?![\w]|[.,]\d|-\d{3})|(?<!\w)(?:19|20|21)\d{2}(?=-\d{2}-\d{2})")
_VERSION = re.compile(r"\b(?:version|v|release|revision|edition|rev\.?)\s*(\d+(?:\.\d+)*)\b", re.IGNORECASE)
_DATE = re.compile(
    rf"\b\d{{4}}-\d{{2}}-\d{{2}}\b|\b\d{{1,2}}(?:st|nd|rd|th)?\s+{_MONTHS}(?:\s+\d{{4}})?\b"
    rf"|\b{_MONTHS}\s+\d{{1,2}}(?:st|nd|rd|th)?(?:,?\s+\d{{4}})?\b|"
    rf"\b{_MONTHS}\s+\d{{4}}\b",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"[\"“„«]([^\"”“»]{2,120})[\"”“»]|(?<!\w)'([^']{2,120})'(?!\w)")
_NAMES = re.compile(
    r"(?<![\w])(?:[A-Za-z]+[-_]?\d[\w-]*|\w+_\w+|[A-Z][\w'-]*(?:\s+(?:of|de|von|van|the|for|and|&)?\s*[A-Z][\w'-]*)*)"
)
_NUMBER = re.compile(r"(?<![\w.])\d+(?:[.,]\d+)*(?!\w)")
_QUESTION_WORDS = _set(
    """many much long often kind type sort name list tell say says give know please mean means want need find show
    explain describe define happen viel viele lange"""
)


@dataclass(frozen=True, slots=True)
class Intent:
    """A question as the flow needs it.

    `kind`: number, money, date, duration, person, place, yes-no, how-to, definition, list or other. `terms` are the
    stems of its content words in order; `names`, `numbers` and `phrases` (quoted) stand as written. `years`,
    `versions` and `dates` are those it mentions. `compares`: it asks for differences or versions side by side.
    `problem`: "" or why it cannot be answered as it is (`empty`, `too_long`, `small_talk`); `message` says it in words.
    """

    text: str
    kind: str
    terms: tuple[str, ...]
    names: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()
    years: tuple[int, ...] = ()
    versions: tuple[str, ...] = ()
    dates: tuple[str, ...] = ()
    compares: bool = False
    upcoming: bool = False
    problem: str = ""
    message: str = ""


def understand(question: str) -> Intent:
    """The intent of `question`; the same for the same text, whatever the clock or the corpus."""
    text = fold("".join(ch for ch in question if unicodedata.category(ch) not in ("Cc", "Cf", "Cs") or ch in "\n\t "))
    found = words(text[: MAX_CHARACTERS + 1])
    if not found:
        return Intent(text, "other", (), problem="empty", message="The question is empty. Ask something.")
    if len(text) > MAX_CHARACTERS:
        return Intent(
            text[:MAX_CHARACTERS], "other", (), problem="too_long",
            message=f"The question has {len(text)} characters; at most {MAX_CHARACTERS} can be answered. Shorten it.",
        )  # fmt: skip
    if _SMALL_TALK.fullmatch(text):
        return Intent(
            text, "other", (), problem="small_talk",
            message="Ask about something your documents may say, and the answer will cite them.",
        )  # fmt: skip
    kind = next((name for name, pattern in _KINDS if pattern.search(text)), "other")
    terms = tuple(dict.fromkeys(word.stem for word in content(found) if word.lower not in _QUESTION_WORDS)) or tuple(
        dict.fromkeys(word.stem for word in found)
    )
    return Intent(
        text,
        kind,
        terms,
        names=_names(text),
        numbers=tuple(_NUMBER.findall(text)),
        phrases=tuple(one or two for one, two in _QUOTED.findall(text)),
        years=tuple(dict.fromkeys(int(match.group()) for match in _YEAR.finditer(text))),
        versions=tuple(dict.fromkeys(_VERSION.findall(text))),
        dates=tuple(_DATE.findall(text)),
        compares=bool(_COMPARE.search(text)),
        upcoming=bool(_UPCOMING.search(text)),
    )


def _names(text: str) -> tuple[str, ...]:
    """Capitalised sequences and identifiers; the capital of the first word alone means nothing."""
    if not any(ch.islower() for ch in text):
        return ()
    found = []
    for match in _NAMES.finditer(text):
        name = match.group()
        if match.start() <= 1:
            first, _, rest = name.partition(" ")
            if not any(ch.isdigit() or ch == "_" for ch in first) and first[1:].islower() | (len(first) == 1):
                name = rest if rest and rest[:1].isupper() else ""
        if name and name not in ("I",):
            found.append(name)
    return tuple(dict.fromkeys(found))
