"""Model output to plain text: no link, image, markup or invisible character survives, whatever form it came in."""

from __future__ import annotations

import html
import re
import unicodedata

REMOVED = "(link removed)"

_JOINERS = frozenset("\u200c\u200d")
_SCHEME = r"(?:h\s?t\s?t\s?p\s?s?|ftps?|wss?|file|mailto|javascript|vbscript|tel|sms|blob|intent)"
_URL = re.compile(
    rf"(?<![\w]){_SCHEME}\s?:\s*(?://)?[^\s<>\"')\]]+|(?<![\w])data:[\w/+.-]*[;,][^\s<>\"')\]]*"
    rf"|(?<!\w)[\\/]{{2,64}}+[\w.-]+\.[a-z]{{2,}}[^\s<>\"')\]]*|"
    r"(?<![\w@])www\.[\w-]+\.[^\s<>\"')\]]+|"
    r"(?<![\w@.])(?:[\w-]{1,63}+\.)+(?:com|net|org|io|dev|example|test|invalid|info|biz|co|me|app|xyz|ai|site|online"
    r"|cloud|link|top|ru|cn)"
    r"(?::\d+)?(?:[/?#][^\s<>\"')\]]*)?(?![\w@])",
    re.IGNORECASE,
)
_STEPS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), new)
    for pattern, new in (
        (r"<!--.*?(?:-->|\Z)", " "),
        (r"<(script|style|iframe|object|svg|math|template|noscript)\b.*?(?:</\1\s*>|\Z)", " "),
        (r"!\[([^\]]{0,500})\]\s*\([^)]*(?:\)|\Z)", r"\1"),
        (r"!\[([^\]]{0,500})\]\s*\[[^\]]*\]", r"\1"),
        (r"\[([^\[\]]{0,500})\]\s*\((?!\d+\))[^)]*(?:\)|\Z)", r"\1"),
        (r"\[([^\[\]]{1,500})\]\[(?!\d)[^\]]*\]", r"\1"),
        (r"(?m:^)[ \t]*\[[^\]\n]{1,200}\]:[ \t]*\S+[^\n]*", " "),
        (r"\\(?:href|url|includegraphics|input|include)\s*(?:\[[^\]]*\])?\{[^}]*\}", " "),
        (r"<\s*/?\s*[a-z!?][^<>]*(?:>|\Z)", " "),
        (r"</?\s*[a-z][\w-]*(?=\s|/|>)", " "),
    )
)
_DECORATION = re.compile(
    r"(?m)^[ \t]*(?:#{1,6}|>+|[-*+•])[ \t]+|^[ \t]*(?:```|~~~)[^\n]*$|^[ \t]*(?:[-*_][ \t]*){3,}$|\*{1,3}"
    r"|(?<!\w)_{1,2}(?=\w)|(?<=\w)_{1,2}(?!\w)|`+|~~"
)


def plain(text: str) -> str:
    """`text` without control and invisible characters, HTML, Markdown, LaTeX links, and addresses; line ends are kept.

    Repeated until nothing changes, so that what removal puts together is removed too. Addresses become
    `(link removed)`. Joiners that Arabic and Indic scripts need stay.
    """
    for _ in range(8):
        before = text
        text = html.unescape(text)
        text = "".join(
            ch
            for ch in text
            if ch in "\n\t" or ch in _JOINERS or unicodedata.category(ch) not in ("Cc", "Cf", "Cs", "Co", "Cn")
        )
        for pattern, new in _STEPS:
            text = pattern.sub(new, text)
        text = _URL.sub(REMOVED, text)
        if text == before:
            break
    text = _DECORATION.sub("", text).replace("![", "[")
    # What is left of brackets that might be read as a link or a tag is made harmless: only [n] stays bracketed.
    text = re.sub(r"\]\s*(?=\((?!link removed\)))", "] ", text).replace("<", "‹").replace(">", "›")
    return re.sub(r"[ \t]+", " ", text).strip()
