"""Made-up web pages of several layouts, of which it is known what their main text is."""

# ruff: noqa: E501 (markup is easier to read unbroken)

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from citewell.testing.prose import Prose

_SITES: Final = ("Harbour Times", "Northwind", "Fieldnotes", "Lumen", "Kestrel")


@dataclass(slots=True)
class WebPage:
    """A page, the layout it has, and the paragraphs, headings, items and cells of its main text in order."""

    layout: str
    html: str
    main: list[str] = field(default_factory=list)


def web_pages(count: int, seed: int = 1) -> Iterator[WebPage]:
    """`count` pages, of all layouts in turns; the same for the same `seed`."""
    chance = random.Random(seed)  # noqa: S311 (no secret)
    for number in range(count):
        layout = list(_LAYOUTS)[number % len(_LAYOUTS)]
        yield _LAYOUTS[layout](_Maker(chance, layout))


class _Maker(Prose):
    """Text and common parts of one page; what is made with `said` belongs to its main text."""

    def __init__(self, chance: random.Random, layout: str) -> None:
        super().__init__(chance)
        self.page = WebPage(layout, "")
        self.site = chance.choice(_SITES)
        self.hashed = "".join(chance.choices("abcdefghjkmnpqrstuvwxyz", k=5))

    def said(self, text: str) -> str:
        self.page.main.append(text)
        return text

    def p(self) -> str:
        """A paragraph of the main text, some with a link or bold words in it."""
        text = self.said(self.prose())
        words = text.split(" ")
        at = self.chance.randrange(len(words) - 2)
        kind = self.chance.random()
        if kind < 0.25:
            words[at] = f'<a href="/{at}">{words[at]}'
            words[at + 1] += "</a>"
        elif kind < 0.4:
            words[at] = f"<b>{words[at]}</b>"
        return f"<p>{' '.join(words)}</p>"

    def h(self, level: int) -> str:
        return f"<h{level}>{self.said(self.title())}</h{level}>"

    def items(self) -> str:
        return "<ul>" + "".join(f"<li>{self.said(self.words(4, 14))}</li>" for _ in range(4)) + "</ul>"

    def body(self, sections: int) -> str:
        """Sections of main text."""
        made = [self.p() for _ in range(3)]
        for _ in range(sections):
            made.append(self.h(2))
            made += [self.p() for _ in range(self.chance.randint(1, 4))]
            if self.chance.random() < 0.4:
                made.append(self.items())
        return "\n".join(made)

    def nav(self, count: int = 8) -> str:
        return (
            "<ul>" + "".join(f'<li><a href="/{n}">{self.words(1, 2).title()}</a></li>' for n in range(count)) + "</ul>"
        )

    def cards(self, count: int = 5, wrap: str = "div", name: str = "") -> str:
        """Teasers of other pages: a title that leads there, the beginning of what it says."""
        label = f' class="{name}"' if name else ""
        return "".join(
            f'<{wrap}{label}><a href="/s/{n}"><img src="/{n}.jpg"></a><h3><a href="/s/{n}">{self.title()}</a></h3>'
            f"<p>{self.sentence()}</p><span>{self.chance.randint(1, 28)} May</span></{wrap}>"
            for n in range(count)
        )

    def cookies(self, name: str = "") -> str:
        label = f' class="{name}"' if name else ""
        return (
            f"<div{label}><p>We and our partners use cookies to store and read information on your device, to measure "
            "what is read, and to show advertisements. You can change your choice at any time.</p>"
            "<button>Accept all</button><button>Reject</button></div>"
        )

    def legal(self) -> str:
        return (
            f'<p>© 2026 {self.site}. All rights reserved.</p><p><a href="/t">Terms</a> <a href="/p">Privacy</a> '
            '<a href="/i">Imprint</a> <a href="/c">Contact</a> <a href="/j">Jobs</a></p>'
        )

    def done(self, body: str, head: str = "") -> WebPage:
        self.page.html = (
            f'<!DOCTYPE html><html lang="en"><head><title>{self.page.main[0]} | {self.site}</title>{head}'
            f"<script>var a = {{}};</script></head><body>{body}</body></html>"
        )
        return self.page


def _news(m: _Maker) -> WebPage:
    head = f'<header><a href="/">{m.site}</a><nav>{m.nav()}</nav></header>{m.cookies("consent-layer")}'
    story = f'<div class="story"><div class="headline">{m.h(1)}</div><div class="story-body">{m.body(2)}</div></div>'
    side = f'<aside><h2>Most read</h2><ol>{m.nav(6)}</ol></aside><div class="related-stories"><h2>More</h2>{m.cards()}</div>'
    letter = f'<div class="newsletter-box"><h3>Get our newsletter</h3><p>{m.sentence()}</p><form><input></form></div>'
    return m.done(f'{head}<div class="page">{story}{side}{letter}</div><footer>{m.legal()}</footer>')


def _docs(m: _Maker) -> WebPage:
    side = f'<div class="sidebar">{m.nav(14)}</div>'
    made = [m.h(1), m.p(), m.p()]
    for _ in range(3):
        made += [m.h(2), m.p(), f"<pre><code>{m.said(f'run --{m.words(1, 1)} {m.words(2, 3)}')}</code></pre>", m.p()]
        rows = [[m.words(1, 1), m.words(3, 6)] for _ in range(3)]
        made.append("<table><tr><th>Name</th><th>Meaning</th></tr>")
        m.said("Name Meaning")
        made += (f"<tr><td>{m.said(a)}</td><td>{m.said(b)}</td></tr>" for a, b in rows)
        made.append("</table>")
    turn = '<div class="pagination"><a href="/b">Previous</a><a href="/n">Next page</a></div>'
    edit = '<p class="edit"><a href="/e">Edit this page</a></p>'
    toc = f'<div class="toc"><p>On this page</p>{m.nav(4)}</div>'
    return m.done(f"{side}<main>{toc}{''.join(made)}{edit}{turn}</main><footer>{m.legal()}</footer>")


def _blog(m: _Maker) -> WebPage:
    top = f'<div id="masthead"><a href="/">{m.site}</a>{m.nav(5)}</div>'
    post = f'<article class="post"><header>{m.h(1)}</header><div class="entry">{m.body(3)}</div></article>'
    tags = f'<div class="tags">Tagged: {m.nav(4)}</div><div class="share-bar">{m.nav(4)}</div>'
    author = f'<div class="author-bio"><img src="/a.png"><h4>About the author</h4><p>{m.prose(1, 2)}</p></div>'
    said = "".join(
        f'<li class="comment"><b>{m.words(1, 2).title()}</b><p>{m.prose(1, 3)}</p><a href="#r">Reply</a></li>'
        for _ in range(4)
    )
    more = f'<section class="related-posts"><h3>You may also like</h3>{m.cards(3)}</section>'
    return m.done(
        f'{top}{post}{tags}{author}{more}<div id="comments"><h3>4 comments</h3><ol>{said}</ol></div>'
        f'<div id="footer">{m.legal()}</div>'
    )


def _shop(m: _Maker) -> WebPage:
    top = f'<div class="topbar">{m.nav(6)}</div><div class="breadcrumbs"><a href="/">Home</a> › <a href="/c">Bags</a></div>'
    title = m.h(1)
    about = f'<div class="description">{m.p()}{m.p()}{m.items()}{m.p()}</div>'
    rows = "".join(
        f"<tr><th>{m.said(m.words(1, 2).title())}</th><td>{m.said(m.words(1, 4))}</td></tr>" for _ in range(6)
    )
    buy = '<div class="buy"><select><option>S</option><option>M</option></select><button>Add to basket</button></div>'
    more = f'<div class="recommendations"><h2>Customers also bought</h2>{m.cards(6, name="card")}</div>'
    return m.done(
        f'{top}<div class="product">{title}{buy}{about}<table>{rows}</table></div>{more}{m.cookies("cookie-bar")}'
        f"<footer>{m.nav(10)}{m.legal()}</footer>"
    )


def _forum(m: _Maker) -> WebPage:
    top = f'<div class="menu">{m.nav(6)}</div><div class="breadcrumb"><a href="/">Forum</a> » <a href="/g">General</a></div>'
    title = m.h(1)
    posts = "".join(
        f'<div class="post"><div class="profile"><a href="/u">{m.words(1, 1)}</a><span>Joined 2019</span></div>'
        f'<div class="content">{m.p()}{m.p()}</div><div class="actions"><a href="#q">Quote</a> <a href="#r">Report</a></div></div>'
        for _ in range(5)
    )
    more = f'<div class="similar-threads"><h3>Similar threads</h3>{m.nav(7)}</div>'
    return m.done(f'{top}{title}<div class="thread">{posts}</div>{more}<div class="footer">{m.legal()}</div>')


def _tables(m: _Maker) -> WebPage:
    left = "<br>".join(f'<a href="{n}.htm"><font size="2">{m.words(1, 3)}</font></a>' for n in range(12))
    text = f"<font size='3'>{m.h(1)}{m.body(2)}</font>"
    return m.done(
        '<table width="100%" border="0"><tr><td colspan="3" bgcolor="#003366"><img src="logo.gif"> '
        '<a href="/">Home</a> | <a href="/m">Map</a> | <a href="/s">Search</a> | <a href="/l">Links</a> | <a href="/g">Guest</a>'
        f'</td></tr><tr><td width="150" valign="top">{left}</td><td valign="top">{text}</td>'
        f'<td width="120"><b>News</b><br>{m.cards(3, "p")}</td></tr>'
        f'<tr><td colspan="3" align="center"><font size="1">{m.legal()}</font></td></tr></table>'
    )


def _soup(m: _Maker) -> WebPage:
    """Names that say nothing, as style libraries make them, and no elements that do."""
    n = iter(range(100))

    def div(inner: str) -> str:
        return f'<div class="css-{m.hashed}{next(n)}">{inner}</div>'

    links = "".join(div(f'<a href="/{at}">{m.words(1, 2)}</a>') for at in range(9))
    story = div(div(m.h(1)) + div(m.body(3)))
    return m.done(div(div(links) + div(story + div(div("Read next") + m.cards(6))) + div(m.legal()) + m.cookies()))


def _help(m: _Maker) -> WebPage:
    top = f'<div role="banner"><a href="/">{m.site} help</a><form role="search"><input></form></div>'
    text = f'<section class="article-content">{m.h(1)}{m.body(2)}</section>'
    vote = '<div class="vote"><p>Was this article helpful?</p><button>Yes</button><button>No</button><p>12 out of 15 found this helpful</p></div>'
    more = f"<div><h2>Related articles</h2>{m.nav(5)}</div><div><h2>Recently viewed</h2>{m.nav(4)}</div>"
    return m.done(f'{top}<div class="wrap">{text}{vote}{more}</div><div role="contentinfo">{m.legal()}</div>')


_LAYOUTS: Final[dict[str, Callable[[_Maker], WebPage]]] = {
    "news": _news,
    "docs": _docs,
    "blog": _blog,
    "shop": _shop,
    "forum": _forum,
    "tables": _tables,
    "soup": _soup,
    "help": _help,
}
