"""Banners that ask for consent are boilerplate; pages and sections about cookies are not."""

import pytest
from laws import read

TEXT = "<h1>Travel</h1><p>" + "The hotel limit is 180 euros a night, and trains are to be booked early. " * 6 + "</p>"
ASKED = "We use cookies to make this page better. <button>Accept all</button> <button>Reject</button>"


def flagged(page: str) -> str:
    document = read(page, "t.html")
    return " ".join(block.span.of(document.text) for block in document.blocks if block.boilerplate)


@pytest.mark.parametrize(
    "banner",
    [
        "<div id=onetrust-consent-sdk>We value your privacy.</div>",
        "<div id=CybotCookiebotDialog>We value your privacy.</div>",
        "<div class='cky-consent-container'>We value your privacy.</div>",
        "<div class=cookieBanner>We value your privacy.</div>",
        "<section class='site gdpr_notice'>We value your privacy.</section>",
        "<div class=cookie-hinweis>We value your privacy.</div>",
        "<div id=bandeau-cookies>We value your privacy.</div>",
        "<div class=aviso-cookies>We value your privacy.</div>",
        "<dialog open>We value your privacy. Cookies: <button>OK, accept</button></dialog>",
        "<div aria-modal=true>We value your privacy. We use cookies. <button>Agree</button></div>",
        "<div style='position: fixed'>We value your privacy. Wir nutzen Cookies. <a>Akzeptieren</a></div>",
        "<div style='position:fixed'>We value your privacy. Nous utilisons des cookies. <b>Refuser</b></div>",
        "<div style='position:fixed'>We value your privacy. Usamos cookies. <b>Aceptar</b></div>",
        "<div style='position:sticky'>We value your privacy. Używamy plików cookie. <b>Akceptuję</b></div>",
        "<div style='position:fixed'>We value your privacy. クッキーを使用します。<b>同意する</b></div>",
    ],
)
def test_a_banner_is_flagged_wherever_it_stands(banner: str) -> None:
    for page in (banner + TEXT, TEXT + banner):
        assert "We value your privacy." in flagged(page)
        assert "hotel limit" not in flagged(page)


@pytest.mark.parametrize(
    "part",
    [
        "<div class=cookies><h2>Cookies</h2><p>Bake the cookies for ten minutes.</div>",
        "<section id=cookies><h2>Cookies</h2><p>You may accept or reject cookies in your browser.</section>",
        "<div class=cookie-recipe>Bake the cookies for ten minutes and accept that they are soft.</div>",
        "<div class=consent>Patients give their consent in writing before the operation.</div>",
        "<p>A site must ask before it sets cookies; who does not accept them must be let in all the same.</p>",
        "<div style='position:fixed'>The chapter on cookies and sessions</div>",
        "<div style='position:fixed'>I accept the invitation to the party</div>",
        "<div class=gdpr-guide>The GDPR asks for consent; a banner alone is not enough.</div>",
        "<div class=privacy-notice>We keep the data of applicants for six months.</div>",
        "<div class='message about-cookies'>Cookies keep the session of a user.</div>",
    ],
)
def test_a_part_about_cookies_is_content(part: str) -> None:
    assert flagged(TEXT + part) == ""


def test_a_page_about_cookies_is_content_and_its_own_banner_is_not() -> None:
    policy = "<h1>Cookie policy</h1><p>" + "We use cookies. You accept or reject them in the settings. " * 9 + "</p>"
    for page in (f"<body class=cookie-banner-open>{policy}", f"<div class=cookie-notice>{policy}</div>"):
        assert flagged(page) == ""
    assert flagged(f"{policy}<div class=cookie-notice>{ASKED}</div>").startswith("We use cookies to make")


def test_what_stands_in_the_main_part_is_its_content() -> None:
    shown = f"<main>{TEXT}<h2>A banner</h2><div class=cookie-notice>{ASKED}</div></main>"
    assert "We use cookies" not in flagged(shown)
