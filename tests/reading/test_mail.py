"""E-mail, mailboxes and Outlook messages: what was said, by whom, what is quoted, and the files with it."""

import base64
import struct
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_samples import PNG
from laws import assert_lawful, shown
from ole_samples import container, data, fixed, text
from proportion import out_of_proportion

from citewell.errors import ReadError
from citewell.reading.detect import detect
from citewell.reading.formats import MBOX, MSG
from citewell.reading.mail import MailReader
from citewell.reading.mbox import MboxReader
from citewell.reading.mime import parse
from citewell.reading.msg import MsgReader, unpack_rtf
from citewell.reading.tnef import read_tnef
from citewell.types import BlockKind, Document, Reason, Source

HEAD = (
    "Message-ID: <2@acme.example>\nIn-Reply-To: <1@acme.example>\nReferences: <0@acme.example>\n <1@acme.example>\n"
    "From: =?utf-8?q?Ana_L=C3=B3pez?= <ana@acme.example>\nTo: Bo <bo@acme.example>,\n  cy@acme.example\n"
    "Cc: Di <di@acme.example>\nDate: Thu, 02 Jan 2025 10:00:00 +0100\n"
    "Subject: Re: Key =?utf-8?q?rotation?=\n =?utf-8?q?_plan?=\nMIME-Version: 1.0\n"
)


def mail(content: str | bytes, uri: str = "m.eml") -> Document:
    raw = content.encode() if isinstance(content, str) else content
    document = MailReader().read(Source(uri, raw))
    assert_lawful(document)
    return document


def plain(body: str, head: str = HEAD) -> Document:
    return mail(f"{head}Content-Type: text/plain; charset=utf-8\n\n{body}")


def aside(document: Document) -> list[str]:
    return [block.span.of(document.text) for block in document.blocks if block.boilerplate]


def parts(*found: str, kind: str = "mixed", boundary: str = "b1") -> str:
    body = "".join(f"--{boundary}\n{part}\n" for part in found)
    return f'Content-Type: multipart/{kind}; boundary="{boundary}"\n\n{body}--{boundary}--\n'


def kind_of(content: str | bytes) -> str:
    with pytest.raises(ReadError) as caught:
        mail(content)
    return caught.value.kind


def test_the_head_of_a_mail_is_a_heading_a_paragraph_and_typed_metadata() -> None:
    document = plain("Rotate them.\n")
    assert [(b.kind.value, b.span.of(document.text)) for b in document.blocks] == [
        ("heading", "Re: Key rotation plan"),
        (
            "paragraph",
            "From: Ana López <ana@acme.example>\nTo: Bo <bo@acme.example>, cy@acme.example\nCc: Di <di@acme.example>\n"
            "Date: Thu, 02 Jan 2025 10:00:00 +0100",
        ),
        ("paragraph", "Rotate them."),
    ]
    assert document.title == "Re: Key rotation plan"
    assert document.metadata == {
        "author": "Ana López <ana@acme.example>",
        "subject": "Re: Key rotation plan",
        "from": ("ana@acme.example",),
        "to": ("bo@acme.example", "cy@acme.example"),
        "cc": ("di@acme.example",),
        "date": "2025-01-02T10:00:00+01:00",
        "message_id": "<2@acme.example>",
        "in_reply_to": "<1@acme.example>",
        "references": ("<0@acme.example>", "<1@acme.example>"),
    }


def test_a_quotation_below_the_answer_and_the_signature_are_boilerplate() -> None:
    document = plain(
        "Yes.\n\n-- \nAna López\nAcme\n\nOn Wed, 1 Jan 2025 at 09:00, Bo <bo@x.example> wrote:\n> Shall we?\n>> Soon.\n"
    )
    assert shown(document)[2:] == ["Yes."]
    assert aside(document) == [
        "--\nAna López\nAcme",
        "On Wed, 1 Jan 2025 at 09:00, Bo <bo@x.example> wrote:",
        "Shall we?",
        "Soon.",
    ]


def test_a_quotation_with_an_answer_below_it_stays_content() -> None:
    assert shown(plain("> Can we ship on Friday?\n\nYes.\n\n> And the docs?\n\nNo.\n"))[2:] == [
        "Can we ship on Friday?", "Yes.", "And the docs?", "No.",
    ]  # fmt: skip


def test_a_mail_that_is_all_quotation_is_content() -> None:
    assert shown(plain("> All of it.\n"))[2:] == ["All of it."]


def test_what_outlook_puts_below_an_answer_is_boilerplate() -> None:
    document = plain("Fine.\n\n-----Original Message-----\nFrom: Bo\nSent: Monday\n\nIs it?\n\nReally?")
    assert shown(document)[2:] == ["Fine."]
    assert aside(document)[-1] == "Really?"


def test_flowed_lines_are_joined_and_lists_are_lists() -> None:
    head = f"{HEAD}Content-Type: text/plain; format=flowed\n\n"
    document = mail(f"{head}One long \nparagraph.\n\n- first\n- second\n  more\n")
    assert shown(document)[2:] == ["One long paragraph.", "first", "second\nmore"]
    assert document.blocks[-1].kind is BlockKind.LIST_ITEM


def test_places_of_plain_text_are_its_lines() -> None:
    place = plain("One.\n\nTwo\nmore.\n").blocks[-1].source
    assert place is not None
    assert (place.start, place.end, place.unit, place.part) == (2, 4, "lines", "1")


HTML = (
    "Content-Type: text/html; charset=utf-8\n\n<html><body><p>The <b>limit</b> is 5.</p><table><tr><th>a<th>b<tr><td>1<td>2"  # noqa: E501
    "</table><p><img src='cid:pic@x' alt='Chart'></p><div class='gmail_signature'>Ana</div>"
    "<div class='gmail_quote'>On 1 Jan Bo wrote:<blockquote>What is the limit?</blockquote></div></body></html>"
)


def test_html_is_preferred_and_the_plain_text_that_says_the_same_is_counted_as_duplicate() -> None:
    same = "Content-Type: text/plain\n\nThe limit is 5.\n"
    document = mail(HEAD + parts(same, HTML, kind="alternative"))
    assert shown(document)[2:] == ["The limit is 5.", "a | b\n1 | 2", "Chart"]
    assert aside(document) == ["Ana", "On 1 Jan Bo wrote:", "What is the limit?"]
    assert document.account.left_out[Reason.DUPLICATE].characters == len("Thelimitis5.")


def test_what_only_the_plain_alternative_says_is_kept_after_the_html() -> None:
    other = "Content-Type: text/plain\n\nThe limit is 5.\n\nUse the code 4711.\n"
    assert shown(mail(HEAD + parts(other, HTML, kind="alternative")))[-1] == "Use the code 4711."


def test_files_become_attachments_and_images_in_the_text_become_assets() -> None:
    image = f"Content-Type: image/png\nContent-ID: <pic@x>\nContent-Transfer-Encoding: base64\n\n{base64.b64encode(PNG).decode()}\n"  # noqa: E501
    file = (
        "Content-Type: application/octet-stream\nContent-Disposition: attachment; filename*=utf-8''pl%C3%A1n.csv\n"
        "Content-Transfer-Encoding: base64\n\nYSxiCjEsMgo=\n"
    )
    inner = "Content-Type: message/rfc822\n\nSubject: Old one\nFrom: x@y.example\n\nHello.\n"
    document = mail(HEAD + parts(parts(HTML, image, kind="related", boundary="b2"), file, inner))
    assert [(one.uri, one.media_type) for one in document.attachments] == [
        ("m.eml!/plán.csv", None),
        ("m.eml!/Old one.eml", "message/rfc822"),
    ]
    assert document.attachments[0].content == b"a,b\n1,2\n"
    assert [(one.media_type, one.alt, one.content) for one in document.assets] == [("image/png", "Chart", PNG)]
    figure = next(block for block in document.blocks if block.kind is BlockKind.FIGURE)
    assert figure.asset == document.assets[0].id
    assert "Hello." not in document.text


def test_an_attachment_that_names_a_path_stays_inside_its_mail() -> None:
    file = 'Content-Type: text/plain\nContent-Disposition: attachment; filename="../../etc/passwd"\n\nx\n'
    (found,) = mail(HEAD + parts("Content-Type: text/plain\n\nsee file\n", file)).attachments
    assert found.uri.startswith("m.eml!/")
    assert ".." not in found.uri.split("/")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"])
def test_a_mail_saved_in_another_encoding_reads_the_same(encoding: str) -> None:
    content = f"{HEAD}Content-Type: text/plain; charset=iso-8859-1\n\nDie Grüße.\n"
    assert mail(content.encode(encoding)).text == mail(content.replace("iso-8859-1", "utf-8")).text


@pytest.mark.parametrize("charset", ["iso-2022-jp", "shift_jis", "euc-jp", "utf-8", "utf-7"])
def test_the_charset_of_a_part_is_followed(charset: str) -> None:
    raw = f"{HEAD}Content-Type: text/plain; charset={charset}\n\n".encode() + "鍵を更新します。".encode(charset)
    assert shown(mail(raw))[-1] == "鍵を更新します。"


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("Subject: x\nContent-Type: multipart/mixed\n\nno boundary anywhere\n", "no boundary anywhere"),
        ("Subject: x\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nfirst\n--b\n\nsecond, never closed", "second, never closed"),  # noqa: E501
        ("Subject: x\nContent-Type: multipart/mixed; boundary=b\n\n--other\n\nwords\n", "words"),
        ("Subject: x\nthis line is no header\n\nbody", "body"),
        ("Subject: x\nContent-Type: bogus\n\nbody", "body"),
        ("Subject: x\nContent-Type: text/plain; charset=klingon\n\nbody", "body"),
        ("Subject: x\nContent-Transfer-Encoding: base64\n\nYm9k*eQ=", "body"),
        ("Subject: x\nContent-Transfer-Encoding: base64\n\nYm9keQ==\nnot base64 at all", "body"),
        ("Subject: x\nDate: yesterday\nTo: <<<>>>, @@\nFrom: a b c\n\nbody", "body"),
        ("Subject: =?utf-8?b?bro!ken?= =?zz?q?x?=\n\nbody", "body"),
        ("just words and no head", "just words and no head"),
    ],
)  # fmt: skip
def test_a_malformed_mail_keeps_its_readable_part(broken: str, said: str) -> None:
    assert said in mail(broken).text


def test_an_encoded_line_break_in_a_header_adds_no_header() -> None:
    document = plain("x", "Subject: =?utf-8?q?Hi=0D=0ABcc:_evil@x.example=00?=\nFrom: a@b.example\n")
    assert document.title == "Hi Bcc: evil@x.example"
    assert "bcc" not in document.metadata
    assert not any(sign in f"{document.metadata}{document.text}" for sign in ("\\r", "\0"))


def test_a_mail_that_is_encrypted_says_so() -> None:
    assert kind_of(HEAD + parts("Content-Type: application/octet-stream\n\nx", kind="encrypted")) == "encrypted"


def test_ten_thousand_parts_and_endless_nesting_are_refused() -> None:
    assert kind_of(HEAD + parts(*["\nx"] * 10_000)) == "limit_exceeded"
    deep = "".join(f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n" for n in range(5000))
    assert kind_of(f"Subject: x\n{deep}\nbody") == "limit_exceeded"


def test_five_hundred_nested_parts_are_read() -> None:
    deep = "".join(f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n" for n in range(500))
    assert "body" in mail(f"Subject: x\n{deep}\nbody").text


def test_a_mail_inside_a_mail_is_handed_on_and_not_followed() -> None:
    inner = "Subject: end\n\nx"
    for _ in range(300):
        inner = f"Content-Type: message/rfc822\n\n{inner}"
    document = mail(f"Subject: outer\nContent-Type: multipart/mixed; boundary=q\n\n--q\n\nsee\n--q\n{inner}\n--q--\n")
    assert len(document.attachments) == 1


def test_long_headers_and_many_boundaries_take_time_in_proportion() -> None:
    def seconds(size: int) -> float:
        content = f"Subject: {'=?utf-8?q?a?= ' * (size // 14)}\nTo: {'<a@b>, ' * (size // 7)}\n"
        content += parts("\n" + "--b1x\n--b\n" * (size // 10))
        start = time.process_time()
        MailReader().read(Source("x.eml", content.encode()))
        return time.process_time() - start

    assert not out_of_proportion(seconds, 50_000)


def test_parts_know_where_their_bytes_are() -> None:
    raw = (HEAD + parts("Content-Type: text/plain\n\nfirst", "\nsecond")).replace("\n", "\r\n").encode()
    message = parse(raw)
    assert [(part.path, raw[part.start : part.end]) for part in message.root.children] == [
        ("1.1", b"first"),
        ("1.2", b"second"),
    ]


MBOX_TEXT = (
    "From ana@x Thu Jan  2 10:00:00 2025\nFrom: ana@x.example\nSubject: One\nMessage-ID: <1@x>\n\nFirst mail.\n>From here on.\n\n"  # noqa: E501
    "From the start 2025 was hard.\nNo new mail.\n\n"
    "From bo@x Fri Jan  3 10:00:00 2025\nFrom: bo@x.example\nSubject: Two\n\nSecond mail.\n"
)


def test_a_mailbox_is_one_document_with_a_heading_for_each_mail() -> None:
    assert detect(MBOX_TEXT.encode(), "x") == MBOX
    document = MboxReader().read(Source("team-mail.mbox", MBOX_TEXT.encode()))
    assert_lawful(document)
    assert document.title == "Team mail"
    assert shown(document) == [
        "One", "From: ana@x.example", "First mail.\nFrom here on.", "From the start 2025 was hard.\nNo new mail.",
        "Two", "From: bo@x.example", "Second mail.",
    ]  # fmt: skip
    assert document.metadata["mails"] == 2
    place = document.blocks[-1].source
    assert place is not None
    assert MBOX_TEXT.encode()[place.start : place.end].endswith(b"Second mail.\n")


MESSAGE = {
    **text(0x0037, "Budget"),
    **text(0x0C1A, "Ana López"),
    **text(0x5D01, "ana@acme.example"),
    **text(0x1035, "<9@acme.example>"),
    **text(0x1000, "The budget is 5,000.\r\n"),
    **fixed(32, (0x40, 0x0039, 133_802_496_000_000_000), (0x03, 0x3FDE, 65001)),
    "__recip_version1.0_#00000000": {
        **text(0x3001, "Bo"),
        **text(0x39FE, "bo@acme.example"),
        **fixed(8, (3, 0x0C15, 1)),
    },
    "__recip_version1.0_#00000001": {**text(0x3003, "cy@acme.example"), **fixed(8, (3, 0x0C15, 2))},
    "__attach_version1.0_#00000000": {**text(0x3707, "plan.csv"), **data(0x3701, b"a,b\n1,2\n")},
    "__attach_version1.0_#00000001": {
        "__substg1.0_3701000D": {**text(0x0037, "Earlier"), **text(0x1000, "Old words."), **fixed(24)}
    },
}


def outlook(tree: dict[str, object]) -> Document:
    return MsgReader().read(Source("m.msg", container(tree)))  # type: ignore[arg-type]


def test_an_outlook_message_reads_like_any_mail() -> None:
    assert detect(container(MESSAGE), "x.eml") == MSG
    document = outlook(dict(MESSAGE))
    assert_lawful(document)
    assert shown(document) == [
        "Budget",
        "From: Ana López <ana@acme.example>\nTo: Bo <bo@acme.example>\nCc: cy@acme.example\n"
        "Date: Thu, 02 Jan 2025 00:00:00 +0000",
        "The budget is 5,000.",
    ]
    assert document.metadata["message_id"] == "<9@acme.example>"
    assert [(one.uri, one.content[:8]) for one in document.attachments] == [
        ("m.msg!/plan.csv", b"a,b\n1,2\n"), ("m.msg!/Earlier.eml", b"Subject:"),
    ]  # fmt: skip
    assert "Old words." in mail(document.attachments[1].content).text


def test_the_html_of_an_outlook_message_is_read_in_its_codepage() -> None:
    tree = {**text(0x0037, "x"), **data(0x1013, "<p>Größe</p>".encode("cp1252")), **fixed(32, (3, 0x3FDE, 1252))}
    assert shown(outlook(tree))[-1] == "Größe"


def test_a_damaged_outlook_message_is_corrupt() -> None:
    whole = container(MESSAGE)
    for cut in (520, 1000, len(whole) // 2):
        with pytest.raises(ReadError) as caught:
            MsgReader().read(Source("m.msg", whole[:cut]))
        assert caught.value.kind in ("corrupt", "no_text")


def test_packed_rtf_is_unpacked_with_references_into_what_was_written() -> None:
    # The example of [MS-OXRTFCP] 3.1.1.
    packed = bytes.fromhex(
        "2d0000002b0000004c5a4675f1c5c7a703000a00726370673132354232 0af32068656c0900206277 05b06c647d0a800fa0"
    )
    assert unpack_rtf(packed) == b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"


def der(tag: int, *inside: bytes, endless: bool = False) -> bytes:
    """An element of ASN.1, of known length or `endless`."""
    body = b"".join(inside)
    if endless:
        return bytes([tag, 0x80]) + body + b"\0\0"
    size = len(body).to_bytes(4, "big")
    return bytes([tag, 0x84]) + size + body


def enveloped(kind: str, content: bytes, *, endless: bool = False) -> str:
    """A mail that is one opaque S/MIME part: signed, or locked, by its object identifier."""
    octets = der(0x04, content)
    if endless:
        octets = der(0x24, der(0x04, content[:20]), der(0x04, content[20:]), endless=True)
    data = bytes.fromhex("06092a864886f70d010701")
    held = der(0x30, data, der(0xA0, octets, endless=endless), endless=endless)
    signed = der(0x30, b"\x02\x01\x01", der(0x31), held, der(0x31), endless=endless)
    whole = der(0x30, bytes.fromhex(f"06092a864886f70d0107{kind}"), der(0xA0, signed, endless=endless), endless=endless)
    coded = base64.encodebytes(whole).decode()
    return f"{HEAD}Content-Type: application/pkcs7-mime; name=smime.p7m\nContent-Transfer-Encoding: base64\n\n{coded}"


SIGNED = parts(
    "Content-Type: text/plain\n\nThe gate opens at nine.", 'Content-Type: text/csv; name="a.csv"\n\nx,y\n1,2\n'
)


@pytest.mark.parametrize("endless", [True, False])
def test_what_is_inside_a_signed_mail_is_read(endless: bool) -> None:
    document = mail(enveloped("02", SIGNED.encode(), endless=endless))
    assert document.text.endswith("The gate opens at nine.")
    assert [one.uri for one in document.attachments] == ["m.eml!/a.csv"]


def test_an_opaque_mail_that_is_locked_or_damaged_says_so() -> None:
    assert kind_of(enveloped("03", b"x")) == "encrypted"
    assert kind_of(enveloped("02", SIGNED.encode())[:-80]) == "corrupt"
    deep = b"0\x80" * 500
    coded = base64.encodebytes(deep).decode()
    assert (
        kind_of(f"{HEAD}Content-Type: application/pkcs7-mime\nContent-Transfer-Encoding: base64\n\n{coded}")
        == "corrupt"
    )


def winmail(*attributes: tuple[int, int, bytes]) -> bytes:
    made = struct.pack("<IH", 0x223E9F78, 1)
    for level, name, value in attributes:
        made += struct.pack("<BHHI", level, name, 6, len(value)) + value + struct.pack("<H", sum(value) & 0xFFFF)
    return made


def mapi(tag: int, value: bytes, *, kind: int = 31) -> bytes:
    return struct.pack("<HHII", kind, tag, 1, len(value)) + value + b"\0" * (-len(value) % 4)


def test_files_and_text_in_a_winmail_dat_are_read() -> None:
    name = "Zahlen für Mai.csv".encode("utf-16-le") + b"\0\0"
    content = winmail(
        (1, 0x9003, struct.pack("<I", 1) + mapi(0x1013, b"<p>All <b>numbers</b> of May.</p>", kind=258)),
        (2, 0x9002, b"\0" * 14),
        (2, 0x8010, b"ZAHLEN~1.CSV\0"),
        (2, 0x800F, b"x,y\n1,2\n3,4\n"),
        (2, 0x9005, struct.pack("<I", 1) + mapi(0x3707, name)),
    )
    coded = base64.encodebytes(content).decode()
    part = f"Content-Type: application/ms-tnef; name=winmail.dat\nContent-Transfer-Encoding: base64\n\n{coded}"
    document = mail(HEAD + parts(part))
    assert document.text.endswith("All numbers of May.")
    (file,) = document.attachments
    assert (file.uri, file.content) == ("m.eml!/Zahlen für Mai.csv", b"x,y\n1,2\n3,4\n")
    said = mail(HEAD + parts("Content-Type: text/plain\n\nSee the file.", part))
    assert said.text.endswith("See the file.")
    assert len(said.attachments) == 1


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 400), st.binary(max_size=20))
def test_a_damaged_winmail_dat_never_stops_a_mail(cut: int, noise: bytes) -> None:
    content = winmail(
        (1, 0x9003, struct.pack("<I", 9) + mapi(0x1000, b"a\0")), (2, 0x9002, b""), (2, 0x800F, b"x" * 300)
    )
    found = read_tnef(content[:cut] + noise + content[cut:])
    assert all(file.content for file in found.files)
