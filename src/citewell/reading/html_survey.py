"""What of a page is its content: told before it is read, from where its text and its links stand."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

from citewell.reading.html_consent import is_consent
from citewell.reading.html_tags import SKIPPED
from citewell.reading.limits import over

LEVELS: Final = "levels of nested elements"
_BOILER_TAGS: Final = frozenset({"nav", "footer", "menu", "noscript", "button", "select"})
_BOILER_ROLES: Final = frozenset({
    "navigation", "banner", "contentinfo", "complementary", "search", "menu", "menubar", "toolbar", "alertdialog",
    "dialog",
})  # fmt: skip
_HINTS: Final = frozenset({
    "nav", "navbar", "navigation", "navbox", "menu", "topbar", "sidebar", "breadcrumb", "breadcrumbs", "footer",
    "masthead", "banner", "social", "share", "sharing", "related", "advert", "advertisement", "ads", "promo",
    "newsletter", "subscribe", "skip", "pagination", "pager", "toc", "toolbar", "popup", "modal", "copyright",
})  # fmt: skip
_HINTED: Final = frozenset({
    "div", "section", "ul", "ol", "aside", "table", "form", "p", "span", "header", "dialog", "a", "li",
})  # fmt: skip
_DENSE: Final = frozenset({"div", "section", "ul", "ol", "td", "table", "p", "dl"})
_WORD: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
_HEADINGS: Final = frozenset({"h2", "h3", "h4", "h5", "h6"})
_COPYRIGHT: Final = re.compile(r"\s*(?:©|\(c\)\s|copyright\b)", re.IGNORECASE)
_NOTICE: Final = 250  # characters of the longest line that says whose the page is
_VOTE: Final = 300  # characters of the longest question that is answered by buttons
_TEASER: Final = 400  # characters of the longest teaser of another page
_TEASERS: Final = 3  # side by side, before they are taken for such
_MIN_MAIN: Final = 200  # characters: less is no main part, whatever it is called


@dataclass(slots=True)
class Survey:
    """What is known of a page before its text is read.

    `texts`, `linked`, `links` and `sizes` have one entry an element, in document order: characters of text, characters
    of link text, number of links, and number of elements, its own included; `buttons` is how many there are in it.
    `layout` are the tables that only lay out the page, `main` is the element that the page names as its main part,
    `teasers` those that lead to other pages by their titles and beginnings, several side by side.
    """

    texts: list[int] = field(default_factory=list)
    linked: list[int] = field(default_factory=list)
    links: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    buttons: list[int] = field(default_factory=list)
    teasers: set[int] = field(default_factory=set)
    layout: set[int] = field(default_factory=set)
    main: int | None = None
    main_has_h1: bool = False

    def is_boilerplate(self, element: Any, tag: str, index: int, *, sectioned: bool) -> bool:
        """Whether element number `index` is navigation, a page header or footer, a banner or a mere list of links.

        `sectioned` says that it stands within the main part or an article.
        """
        if tag in _BOILER_TAGS or (tag == "aside" and not sectioned) or element.get("role") in _BOILER_ROLES:
            return True
        size, total, links = self.texts[index], self.texts[0], self.links[index]
        if index in self.teasers or (size <= _NOTICE and _COPYRIGHT.match(element.text or "")):
            return True
        if tag in _HINTED:
            votes = self.buttons[index] > 1 and size <= min(_VOTE, 0.3 * total)
            if votes and any("?" in text for text in element.itertext()):
                return True
            if is_consent(element, size, total, sectioned=sectioned, buttons=self.buttons[index]):
                return True
        if tag == "header" and not sectioned:
            # A page header that holds the title alone is content.
            return links > 1
        if tag in _HINTED and size <= 0.4 * total:
            names = f"{element.get('class') or ''} {element.get('id') or ''}"
            if names != " " and not _HINTS.isdisjoint(word.lower() for word in _WORD.findall(names)):
                return True
        if tag not in _DENSE or sectioned or self.linked[index] < 0.85 * size or size > 0.5 * total:
            return False
        return (links >= 4 and size < 40 * links) or (links >= 2 and size < 12 * links)


def survey(root: Any, max_depth: int) -> Survey:
    """What there is in the page under `root`. Raises ReadError limit_exceeded where it nests over `max_depth`."""
    from lxml import etree

    found = Survey()
    texts, linked, links, sizes = found.texts, found.linked, found.links, found.sizes
    stack: list[int] = []
    tables: list[_TableNote] = []
    mains: list[int] = []
    articles: list[int] = []
    h1s: list[int] = []
    skipped = 0
    # One an open element: its headings, whether one of them leads elsewhere, and which children are teasers.
    notes: list[_Note] = []
    for event, element in etree.iterwalk(root, events=("start", "end")):
        tag = element.tag
        if event == "start":
            index = len(texts)
            stack.append(index)
            if len(stack) > max_depth:
                raise over("The page", len(stack), LEVELS, max_depth, "Flatten it.", seen=True)
            skipped += tag in SKIPPED
            size = 0 if skipped or not element.text else len(element.text.strip())
            texts.append(size)
            linked.append(0)
            links.append(0)
            sizes.append(1)
            found.buttons.append(int(tag == "button"))
            notes.append(_Note())
            if tag == "table":
                tables.append(_TableNote(element.get("role") in ("presentation", "none")))
            elif tables:
                tables[-1].note(tag)
            if tag == "main" or element.get("role") == "main":
                mains.append(index)
            elif tag == "article":
                articles.append(index)
            elif tag == "h1":
                h1s.append(index)
            continue
        index = stack.pop()
        skipped -= tag in SKIPPED
        if tag == "a" and element.get("href"):
            linked[index] = texts[index]
            links[index] = 1
            notes[-1].away = not element.get("href").startswith("#")
        if tag == "table":
            if tables.pop().is_layout(texts[index]):
                found.layout.add(index)
            if tables:
                tables[-1].inner += texts[index]
        note = notes.pop()
        if tag in _HEADINGS:
            note.headings += 1
            note.leading = note.away and linked[index] >= 0.9 * texts[index] > 0
        if len(note.teasers) >= _TEASERS:
            found.teasers.update(note.teasers)
        if stack:
            above = stack[-1]
            found.buttons[above] += found.buttons[index]
            notes[-1].headings += note.headings
            notes[-1].leading = notes[-1].leading or note.leading
            notes[-1].away = notes[-1].away or note.away
            if note.leading and note.headings == 1 and tag not in _HEADINGS and texts[index] <= _TEASER:
                notes[-1].teasers.append(index)
            tail = 0 if skipped or not element.tail else len(element.tail.strip())
            texts[above] += texts[index] + tail
            linked[above] += linked[index]
            links[above] += links[index]
            sizes[above] += sizes[index]
    # Where they are most of what there is, they are what the page is about.
    if sum(texts[index] for index in found.teasers) > 0.5 * sum(texts[:1]):
        found.teasers.clear()
    candidates = mains or (articles if len(articles) == 1 else [])
    best = max(candidates, key=lambda index: texts[index], default=None)
    if best is not None and texts[best] >= max(_MIN_MAIN, texts[0] // 4):
        found.main = best
        found.main_has_h1 = any(best <= index < best + sizes[best] for index in h1s)
    return found


@dataclass(slots=True)
class _Note:
    """What is known of an open element: its headings, whether one is a link, whether links lead away, its teasers."""

    headings: int = 0
    leading: bool = False
    away: bool = False
    teasers: list[int] = field(default_factory=list)


@dataclass(slots=True)
class _TableNote:
    """What tells a table of data from one that lays out a page."""

    presentation: bool
    named: bool = False  # has header cells or a caption
    rich: bool = False  # has lists, code or headings
    rows: int = 0
    widest: int = 0
    cells: int = 0
    inner: int = 0  # characters in tables inside

    def note(self, tag: str) -> None:
        if tag in ("th", "caption"):
            self.named = True
        if tag == "tr":
            self.rows += 1
            self.cells = 0
        elif tag in ("td", "th"):
            self.cells += 1
            self.widest = max(self.widest, self.cells)
        elif tag in ("ul", "ol", "dl", "pre", "h1", "h2", "h3", "h4", "h5", "h6"):
            self.rich = True

    def is_layout(self, size: int) -> bool:
        if self.presentation or self.inner > size // 2:
            return True
        return not (self.named or (self.rows > 1 and self.widest > 1 and not self.rich))
