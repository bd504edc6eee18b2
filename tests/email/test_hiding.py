"""Mail is kept without numbers of payment cards where the house says so."""

import email
import email.policy
from email.message import EmailMessage
from pathlib import Path

import pytest

from channels.email import adapter
from channels.email.body import readable_text
from channels.email.hiding import NotHidden, without_cards
from channels.email.parse import read_letter
from router.service.masking import mask_cards
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
    kept = without_cards(made.as_bytes())
    assert "•••• 1111" in readable_text(kept).text
    text = email.message_from_bytes(kept, policy=email.policy.default).get_content()
    assert CARD not in text
    assert "•••• 1111" in text


def test_a_number_that_html_parts_into_elements_is_gone() -> None:
    made = mail()
    made.set_content("<p>My card is <b>4111</b><i> 1111</i><b> 1111</b> 1111</p>", subtype="html")
    assert mask_cards(readable_text(made.as_bytes()).text) != readable_text(made.as_bytes()).text, "people see one"
    kept = without_cards(made.as_bytes())
    assert b"<b>4111" not in kept
    assert "My card is •••• 1111" in readable_text(kept).text


def test_a_subject_and_an_attached_text_are_covered_and_other_parts_keep_their_bytes() -> None:
    made = mail()
    made.replace_header("Subject", f"Grüße, {CARD}")
    made.set_content("See below")
    made.add_attachment(f"{CARD}\n", filename="card.txt")
    made.add_attachment(b"%PDF-1.4 " + CARD.encode(), maintype="application", subtype="pdf", filename="a.pdf")
    read = email.message_from_bytes(without_cards(made.as_bytes()), policy=email.policy.default)
    assert read["Subject"] == "Grüße, •••• 1111"
    body, text, pdf = read.iter_parts()
    assert (body.get_content(), text.get_content()) == ("See below\r\n", "•••• 1111\r\n")
    assert (text.get_filename(), pdf.get_content()) == ("card.txt", b"%PDF-1.4 " + CARD.encode())


def test_ids_stay_so_that_an_answer_finds_its_question() -> None:
    made = mail(References="<5555555555554444@a.example>")
    made.set_content(CARD)
    before, after = read_letter(made.as_bytes()), read_letter(without_cards(made.as_bytes()))
    assert (after.message_id, after.references) == (before.message_id, before.references)


def test_a_forwarded_mail_is_covered() -> None:
    inner = mail()
    inner.set_content(f"card {CARD}")
    made = mail()
    made.set_content("fyi")
    made.add_attachment(inner)
    assert CARD.encode() not in without_cards(made.as_bytes())


def test_real_mails_read_as_before_and_keep_their_bytes_where_nothing_is_hidden() -> None:
    changed = []
    for path in corpus_files():
        raw = path.read_bytes()
        kept = without_cards(raw)
        assert readable_text(kept).text == mask_cards(readable_text(raw).text), path.name
        if kept != raw:
            changed.append(path.name)
    assert len(changed) <= 3, changed  # numbers that look like one


async def test_the_mail_is_kept_without_it(tmp_path: Path) -> None:
    async with open_world(tmp_path, mask_raw=True) as world:
        await world.send(f"From: Ann <ann@a.example>\r\nSubject: Hi\r\n\r\nMy card is {CARD}\r\n".encode())
        kept = world.raw_of(world.arrived[0])
    assert CARD.encode() not in kept
    assert readable_text(kept).text.strip() == "My card is •••• 1111"


async def test_a_mail_that_cannot_be_written_anew_is_kept_as_it_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(raw: bytes) -> bytes:
        raise NotHidden("x")

    monkeypatch.setattr(adapter, "without_cards", fails)
    raw = b"From: Ann <ann@a.example>\r\nSubject: Hi\r\n\r\nHello\r\n"
    async with open_world(tmp_path, mask_raw=True) as world:
        await world.send(raw)
        assert world.raw_of(world.arrived[0]) == raw
