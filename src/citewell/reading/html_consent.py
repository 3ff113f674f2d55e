"""Banners that ask for consent to cookies: told from pages about cookies by how they stand, not by what they are about.

Never a large part of a page, never inside its main part, and never by a word alone: a product of consent tools by its
own name, a part that is named as a banner for consent, a part that lies over the page and asks for consent, or a short
one that speaks of cookies and has buttons.
"""

from __future__ import annotations

import re
from typing import Any, Final

_MOST: Final = 4_000  # characters; long lists of purposes are in the banners of such tools as well
_MOST_SHARE: Final = 0.4
_MOST_BUTTONED: Final = 1_500  # characters of what is told by its buttons and its words alone
_MOST_BUTTONED_SHARE: Final = 0.3
_BLOCKS: Final = frozenset({"div", "section", "aside", "form", "dialog", "p"})

_PRODUCTS: Final = re.compile(
    r"(?:^|[\s_-])(?:onetrust|optanon|cookiebot|cybot|usercentrics|uc-banner|didomi|qc-cmp|truste|trustarc|iubenda-cs|"
    r"klaro|osano|cookieyes|cky-|cmplz|complianz|borlabs|termly|axeptio|tarteaucitron|cookiefirst|cookiescript|"
    r"cc-window|sp_message|evidon|quantcast|civic-cookie|cookielaw|cookieconsent|cookie-law)",
    re.IGNORECASE,
)
_CONSENT: Final = frozenset({
    "cookie", "cookies", "consent", "gdpr", "ccpa", "dsgvo", "rgpd", "lgpd", "einwilligung",
    "zustimmung", "consentement", "consentimiento", "consentimento", "consenso", "toestemming", "samtycke", "samtykke",
    "suostumus", "zgoda", "zgody", "souhlas", "rodo",
})  # fmt: skip
_SHAPE: Final = frozenset({
    "banner", "bar", "popup", "pop", "modal", "overlay", "notice", "notification", "dialog", "wall", "layer", "toast",
    "alert", "message", "manager", "prompt", "hinweis", "leiste", "bandeau", "banniere", "bannière", "aviso", "avviso",
    "melding", "ilmoitus", "komunikat",
})  # fmt: skip
_WORD: Final = re.compile(r"[A-ZÀ-Þ]?[a-zß-ÿ]+|[A-ZÀ-Þ]+")
_OVER: Final = re.compile(r"position\s*:\s*(?:fixed|sticky)", re.IGNORECASE)
_COOKIES: Final = re.compile(
    r"cookie|kakor|informasjonskapsler|evästei|ciasteczk|plik[iów]+ cookie|クッキー|쿠키|файл[а-я]+ cookie|куки",
    re.IGNORECASE,
)
_ASKING: Final = re.compile(
    r"\b(?:accept|agree|allow|reject|decline|got it|consent|manage preferences|akzeptieren|zustimmen|einverstanden|"
    r"ablehnen|accepter|refuser|j'accepte|aceptar|acepto|rechazar|aceitar|recusar|accett\w+|rifiut\w+|accepteren|"
    r"weigeren|akkoord|godkänn\w*|acceptera|tillat|godta|accepter\w*|hyväksy\w*|akceptuj\w*|zgadzam|odrzu\w+|přijmout|"
    r"souhlasím|odmítnout|elfogad\w*|принять|принимаю|согласен)\b|同意|接受|承諾|동의",
    re.IGNORECASE,
)


def is_consent(element: Any, size: int, total: int, *, sectioned: bool, buttons: int) -> bool:
    """Whether `element`, with `size` of the `total` characters of its page and `buttons`, asks for consent to cookies.

    `sectioned` says that it stands within the main part or an article.
    """
    if sectioned or not size:
        return False
    short = size <= min(_MOST_BUTTONED, _MOST_BUTTONED_SHARE * total)
    if buttons and short and "cookie" in "".join(element.itertext()).lower():
        return True
    if element.tag not in _BLOCKS or size > min(_MOST, _MOST_SHARE * total):
        return False
    names = f"{element.get('class') or ''} {element.get('id') or ''}"
    if names != " ":
        if _PRODUCTS.search(names):
            return True
        # Both words in one name: `cookie-banner`, not `cookies` on a page whose body is a `banner`.
        for name in names.split():
            words = {word.lower() for word in _WORD.findall(name)}
            if not words.isdisjoint(_CONSENT) and not words.isdisjoint(_SHAPE):
                return True
    if not _lies_over(element):
        return False
    text = " ".join(element.itertext())
    return bool(_COOKIES.search(text) and _ASKING.search(text))


def _lies_over(element: Any) -> bool:
    """Whether the element is shown over the page, as far as its own attributes tell."""
    return (
        element.tag == "dialog"
        or element.get("role") in ("dialog", "alertdialog", "alert")
        or element.get("aria-modal") == "true"
        or bool(_OVER.search(element.get("style") or ""))
    )
