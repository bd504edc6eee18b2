"""Mail is kept without numbers of payment cards where the house says so."""

import base64
import email
import email.policy
import quopri
import re
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.email import adapter
from channels.email.body import html_text, readable_text
from channels.email.hiding import NotHidden, masked_mail, masked_words
from channels.email.parse import read_letter
from channels.email.settings import Settings, check
from router.engine.views import Attachment, MessageView
from router.errors import ConfigError
from router.service.finders import mask_cards
from router.service.masking import Kind, Masking, MaskingSettings
from tests.email.corpora import corpus_files
from tests.email.world import open_world

CARD = "4111 1111 1111 1111"


def mail(**more: str) -> EmailMessage:
    made = EmailMessage(policy=email.policy.SMTP)
    made["From"], made["To"], made["Subject"] = "Ann <ann@a.example>", "support@b.example", "Bill"
    made["Message-ID"] = "<4111111111111111@a.example>"
    for name, value in more.items():
        made[name] = value
    return made


@pytest.mark.parametrize("coding", ["7bit", "quoted-printable", "base64"])
@pytest.mark.parametrize("kind", ["plain", "html"])
def test_a_number_is_gone_however_the_text_is_written(coding: str, kind: str) -> None:
    made = mail()
    made.set_content(f"<p>Charge {CARD}, please</p>", subtype=kind, cte=coding)
    kept = masked_mail(made.as_bytes(), mask_cards)
    assert "•••• 1111" in readable_text(kept).text
    text = email.message_from_bytes(kept, policy=email.policy.default).get_content()
    assert CARD not in text
    assert "•••• 1111" in text


def test_a_number_that_html_parts_into_elements_is_gone() -> None:
    made = mail()
    made.set_content("<p>My card is <b>4111</b><i> 1111</i><b> 1111</b> 1111</p>", subtype="html")
    assert mask_cards(readable_text(made.as_bytes()).text) != readable_text(made.as_bytes()).text, "people see one"
    kept = masked_mail(made.as_bytes(), mask_cards)
    assert b"<b>4111" not in kept
    assert "My card is •••• 1111" in readable_text(kept).text


def test_a_subject_and_an_attached_text_are_covered_and_other_parts_keep_their_bytes() -> None:
    made = mail()
    made.replace_header("Subject", f"Grüße, {CARD}")
    made.set_content("See below")
    made.add_attachment(f"{CARD}\n", filename="card.txt")
    made.add_attachment(b"%PDF-1.4 " + CARD.encode(), maintype="application", subtype="pdf", filename="a.pdf")
    read = email.message_from_bytes(masked_mail(made.as_bytes(), mask_cards), policy=email.policy.default)
    assert read["Subject"] == "Grüße, •••• 1111"
    body, text, pdf = read.iter_parts()
    assert (body.get_content(), text.get_content()) == ("See below\r\n", "•••• 1111\r\n")
    assert (text.get_filename(), pdf.get_content()) == ("card.txt", b"%PDF-1.4 " + CARD.encode())


def leaves(raw: bytes) -> list[tuple[str, bytes]]:
    """What each part holds, decoded, as another reader than the product's sees it: the standard one of today."""
    read = email.message_from_bytes(raw, policy=email.policy.default)
    return [
        (part.get_filename() or "", payload)
        for part in read.walk()
        if isinstance(payload := part.get_payload(decode=True), bytes)
    ]


def head(raw: bytes) -> dict[str, str]:
    return {
        name.lower(): str(value) for name, value in email.message_from_bytes(raw, policy=email.policy.default).items()
    }


@pytest.mark.promise("OB-6")
def test_every_field_of_the_head_is_covered_and_addresses_stay() -> None:
    raw = (
        f"From: Ann {CARD} <ann@a.example>\r\n"
        f"To: =?utf-8?q?Sch=C3=B6n_{CARD.replace(' ', '_')}?= <support@b.example>, Ben <ben@b.example>\r\n"
        f"Cc: ann@a.example ({CARD})\r\n"
        "Reply-To: 4111111111111111@a.example\r\n"
        f"Subject: =?utf-8?b?{base64.b64encode(f'Grüße {CARD}'.encode()).decode()}?=\r\n"
        f"Comments: paid with\r\n {CARD}\r\n"
        f"X-Form-Card: {CARD}\r\n"
        f"X-Form-Card: none\r\n"
        "Message-ID: <4111111111111111@a.example>\r\n"
        "\r\nHello\r\n"
    ).encode()
    kept = masked_mail(raw, mask_cards)
    assert b"4111 1111" not in kept
    assert head(kept) == {
        "from": "Ann •••• 1111 <ann@a.example>",
        "to": "Schön •••• 1111 <support@b.example>, Ben <ben@b.example>",
        "cc": "•••• 1111 <ann@a.example>",
        "reply-to": "4111111111111111@a.example",
        "subject": "Grüße •••• 1111",
        "comments": "paid with •••• 1111",
        "x-form-card": "none",
        "message-id": "<4111111111111111@a.example>",
    }
    assert email.message_from_bytes(kept, policy=email.policy.default).get_all("X-Form-Card") == ["•••• 1111", "none"]
    assert read_letter(kept).senders[0].address == "ann@a.example"


def test_an_address_of_other_letters_stays_one_that_can_be_answered() -> None:
    raw = f"From: Jörg {CARD} <jörg@bücher.example>\r\nSubject: x\r\n\r\nHello\r\n".encode()
    [box] = read_letter(masked_mail(raw, mask_cards)).senders
    assert box == ("Jörg •••• 1111", "jörg@bücher.example")


@pytest.mark.promise("OB-6")
@pytest.mark.parametrize(
    "named",
    [
        'Content-Disposition: attachment; filename="card 4111 1111 1111 1111.txt"',
        "Content-Disposition: attachment; filename*=utf-8''card%204111%201111%201111%201111.txt",
        'Content-Disposition: attachment; filename*0="card 4111 1111 "; filename*1="1111 1111.txt"',
        'Content-Type: application/octet-stream; name="card 4111 1111 1111 1111.txt"',
        'Content-Disposition: attachment; filename="=?utf-8?q?card_4111_1111_1111_1111.txt?="',
        "Content-Disposition: attachment; filename=card 4111 1111 1111 1111.txt",
    ],
)
def test_the_name_of_a_file_is_covered_however_it_is_written(named: str) -> None:
    raw = f"From: a@a.example\r\nMIME-Version: 1.0\r\n{named}\r\n\r\n".encode() + b"\0\1\2"
    [part] = readable_text(raw).attachments
    assert mask_cards(part.name) != part.name, "people see one"
    kept = masked_mail(raw, mask_cards)
    assert b"1111 1111" not in kept
    assert b"%201111%20" not in kept
    [part] = readable_text(kept).attachments
    assert mask_cards(part.name) == part.name
    assert ".txt" in part.name


ENCODED: dict[str, Callable[[bytes], bytes]] = {
    "base64": base64.encodebytes,
    "quoted-printable": quopri.encodestring,
    "8bit": bytes,
}


@pytest.mark.promise("OB-6")
@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("application/json", b'{"card": "4111 1111 1111 1111", "ok": true}'),
        ("application/xml", b"<card>4111111111111111</card>"),
        ("application/vnd.x+json", b'["4111111111111111"]'),
        ("application/x-www-form-urlencoded", b"card=4111111111111111&ok=1"),
        ("application/octet-stream", b"name;card\r\nAnn;4111-1111-1111-1111\r\n"),
        ("image/svg+xml", b"<svg><text>4111 1111 1111 1111</text></svg>"),
        ("text/csv; charset=utf-16", "Ann;4111 1111 1111 1111".encode("utf-16")),
        ("text/plain; charset=utf-16le", "Ann 4111 1111 1111 1111".encode("utf-16-le")),
        ("text/plain", "Ann 4111 1111 1111 1111".encode("utf-16")),
        ("text/plain; charset=us-ascii", "Ann 4111 1111 1111 1111".encode("utf-16-be")),
        ("text/plain; charset=utf-32", "Ann 4111 1111 1111 1111".encode("utf-32")),
        ("application/octet-stream", "Ann 4111 1111 1111 1111".encode("utf-16-le")),
        ("text/plain; charset=x-unknown", b"Ann 4111 1111 1111 1111 \xe4"),
        ("multipart/mixed", b"Ann 4111 1111 1111 1111"),  # by name only
    ],
)
@pytest.mark.parametrize("coding", ["base64", "quoted-printable", "8bit"])
def test_all_that_is_text_is_covered_whatever_it_calls_itself(kind: str, content: bytes, coding: str) -> None:
    written = ENCODED[coding](content)
    raw = (
        b"From: a@a.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=4111111111111111\r\n\r\n"
        b"--4111111111111111\r\nContent-Type: text/plain\r\n\r\nSee below\r\n--4111111111111111\r\n"
        + f"Content-Type: {kind}\r\nContent-Transfer-Encoding: {coding}\r\n\r\n".encode()
        + written
        + b"\r\n--4111111111111111--\r\n"
    )
    kept = masked_mail(raw, mask_cards)
    held = [content for _, content in leaves(kept)]
    assert len(held) == 2, "the boundary stays what it was"
    assert "•••• 1111" in held[1].decode()
    assert not re.search(rb"4.?.?.?1.?.?.?1.?.?.?1.?.?.?.?1.?.?.?1", held[1], re.DOTALL)


@pytest.mark.parametrize(
    "text",
    [
        "My card is 4111 1111=\r\n 1111 1111, thanks",  # a soft break of quoted-printable
        "My card is 4111 11=\r\n11 1111 1111, thanks",
        "My card is 4111 1111\r\n1111 1111, thanks",
        "> My card is 4111 1111 1111\r\n> 1111, thanks",
        "My card is 4111 1111 \r\n1111 1111, thanks",  # format=flowed
    ],
)
def test_a_number_that_is_broken_over_a_line_is_gone(text: str) -> None:
    raw = (
        "From: a@a.example\r\nContent-Type: text/plain; format=flowed\r\n"
        f"Content-Transfer-Encoding: quoted-printable\r\n\r\n{text}\r\n"
    ).encode()
    kept = masked_mail(raw, mask_cards)
    assert "is •••• 1111, thanks" in readable_text(kept).text
    assert b"4111" not in leaves(kept)[0][1]


@pytest.mark.promise("OB-6")
@pytest.mark.parametrize(
    "page",
    ["<p>4111<b> 1111</b> 1111 1111</p>", "<p>4111&nbsp;1111&#160;1111 1111</p>", "<p>4111<br>1111 1111 1111</p>"],
)
def test_a_page_that_still_spells_a_number_is_not_shown(page: str) -> None:
    made = mail()
    made.set_content(f"<div>hello</div>{page}", subtype="html")
    shown = masked_words(readable_text(made.as_bytes()), mask_cards)
    assert "•••• 1111" in shown.text
    assert mask_cards(html_text(shown.html)) == html_text(shown.html)


@given(
    st.sampled_from([CARD, CARD.replace(" ", ""), CARD.replace(" ", "-")]),
    st.text(st.characters(exclude_categories=["Cs", "Nd", "Cc"]), max_size=40),
    st.integers(0, 3),
)
def test_no_number_is_left_whatever_stands_around_it(card: str, around: str, place: int) -> None:
    made = mail()
    made.set_content(f"{around} {card} {around}" if place == 0 else "x")
    if place == 1:
        made.replace_header("Subject", " ".join(f"{around} {card} {around}".split()))
    if place >= 2:
        made.add_attachment(f"{around} {card}".encode(), maintype="application", subtype="x", filename=f"a {card}.x")
    kept = masked_mail(made.as_bytes(), mask_cards)
    told = [head(kept)["subject"], *(name + content.decode() for name, content in leaves(kept))]
    assert not [one for one in told if mask_cards(one) != one]
    assert "•••• 1111" in "".join(told)


def test_ids_stay_so_that_an_answer_finds_its_question() -> None:
    made = mail(References="<5555555555554444@a.example>")
    made.set_content(CARD)
    before, after = read_letter(made.as_bytes()), read_letter(masked_mail(made.as_bytes(), mask_cards))
    assert (after.message_id, after.references) == (before.message_id, before.references)


def test_a_forwarded_mail_is_covered() -> None:
    inner = mail()
    inner.set_content(f"card {CARD}")
    made = mail()
    made.set_content("fyi")
    made.add_attachment(inner)
    assert CARD.encode() not in masked_mail(made.as_bytes(), mask_cards)


def test_real_mails_read_as_before_and_keep_their_bytes_where_nothing_is_hidden() -> None:
    changed = []
    for path in corpus_files():
        raw = path.read_bytes()
        kept = masked_mail(raw, mask_cards)
        assert readable_text(kept).text == mask_cards(readable_text(raw).text), path.name
        if kept != raw:
            changed.append(path.name)
    assert len(changed) <= 3, changed  # numbers that look like one


def test_in_real_mails_no_kind_finds_what_is_none_of_its_own() -> None:
    """None of them holds a number of a card, an account or a person, or a key; many hold numbers and long words."""
    everything = Masking(MaskingSettings(kinds=get_args(Kind))).of(cards=True)
    assert everything is not None
    for path in corpus_files():
        text = readable_text(path.read_bytes()).text
        assert everything(text) == text, path.name


async def test_the_mail_is_kept_without_it(tmp_path: Path) -> None:
    async with open_world(tmp_path, mask_raw=True) as world:
        await world.send(f"From: Ann <ann@a.example>\r\nSubject: Hi\r\n\r\nMy card is {CARD}\r\n".encode())
        kept = world.raw_of(world.arrived[0])
    assert CARD.encode() not in kept
    assert readable_text(kept).text.strip() == "My card is •••• 1111"


async def test_a_mail_that_cannot_be_written_anew_is_kept_as_it_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(raw: bytes, mask: object) -> bytes:
        raise NotHidden("x")

    monkeypatch.setattr(adapter, "masked_mail", fails)
    raw = b"From: Ann <ann@a.example>\r\nSubject: Hi\r\n\r\nHello\r\n"
    async with open_world(tmp_path, mask_raw=True) as world:
        await world.send(raw)
        assert world.raw_of(world.arrived[0]) == raw


@pytest.mark.promise("OB-6")
async def test_nothing_that_is_recorded_of_a_mail_holds_it(tmp_path: Path) -> None:
    """Subject, names, attributes; the address stays, by which the customer is known and answered."""
    raw = (
        f"From: Ann {CARD} <ann@a.example>\r\nSubject: pay {CARD}\r\nList-Id: {CARD} <l.a.example>\r\n\r\nHello\r\n"
    ).encode()
    for options, name, subject in (
        ({}, "Ann •••• 1111", "pay •••• 1111"),
        ({"mask_cards": False}, f"Ann {CARD}", f"pay {CARD}"),
    ):
        async with open_world(tmp_path, **options) as world:
            await world.send(raw)
            [arrived] = world.arrived
            assert (arrived.name, arrived.subject, arrived.sender) == (name, subject, "ann@a.example")
            assert (CARD in repr(arrived)) == (not world.adapter._settings.mask_cards)


async def test_what_the_house_names_beside_cards_is_hidden_in_the_mail_and_in_what_is_shown(tmp_path: Path) -> None:
    masking = Masking(MaskingSettings(kinds=("iban",), patterns={"contract": r"\bC-[0-9]{8}\b"}))
    raw = b"From: a@a.example\r\nSubject: C-12345678\r\n\r\nto DE89 3704 0044 0532 0130 00\r\n"
    async with open_world(tmp_path, masking=masking, mask_raw=True) as world:
        await world.send(raw)
        assert world.arrived[0].subject == "••••"
        assert readable_text(world.raw_of(world.arrived[0])).text == "to •••• 3000"
    async with open_world(tmp_path, masking=masking, mask_cards=False) as world:
        await world.send(raw)
        assert world.arrived[0].message is not None
        [blob] = world.arrived[0].message.blobs
        said = MessageView("customer", 1, attachments=(Attachment(blob.digest, blob.size, blob.media_type, blob.name),))
        shown = await world.adapter._content_of(said)
        assert (shown.text, shown.new) == ("to •••• 3000", "to •••• 3000")


def test_a_mail_cannot_be_masked_where_what_is_shown_is_not() -> None:
    with pytest.raises(ConfigError, match=r"email\.mask_raw: expected false, or email\.mask_cards = true"):
        check(Settings(mask_raw=True, mask_cards=False))
