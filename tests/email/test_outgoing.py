"""Replies leave as mail that the customer's program files under the right conversation."""

import asyncio
import email
import re
import socket
from collections.abc import AsyncIterator
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiosmtpd.smtp import SMTP
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.email.addresses import Mailbox, canonical_address
from channels.email.forwards import outside_of
from channels.email.parse import read_letter
from channels.email.render import Attachment, ReplyMail, reference_chain, render, reply_id, reply_subject
from channels.email.settings import SmartHost
from channels.email.wording import Wording, check_wordings
from router.engine.commands import Append, Remark
from router.engine.events import Blob, Message
from router.engine.views import Attachment as File
from router.engine.views import InteractionView, MessageView, Outbound
from router.errors import ConfigError, NotFound
from router.service.ports import DeliveryFailed
from tests.email.world import ANN, SUPPORT, World, open_world

AT = 1_767_261_600_000  # 2026-01-01 10:00 UTC
MAIL = b"""From: Ann Customer <ann@customer.example>
Reply-To: Ann at home <ann@home.example>
Message-ID: <m2@customer.example>
In-Reply-To: <m1@shop.example>
References: <m0@customer.example> <m1@shop.example>
Subject: =?utf-8?q?Re=3A_Caf=C3=A9?=

Hello
"""


def parse(data: bytes) -> EmailMessage:
    return email.message_from_bytes(data, policy=default)


def words(message: EmailMessage) -> str:
    return str(message.get_content()).replace("\r\n", "\n")


def outbound(number: int = 345, **changes: Any) -> Outbound:
    fields: dict[str, Any] = {
        "outbound": number,
        "at_ms": AT,
        "action": "message",
        "channel": "email",
        "interaction": 12,
        "threads": (f"mail:{SUPPORT}:m2@customer.example", "mail:t:0123456789abcdef"),
        "sender": ANN,
        "recipient": SUPPORT,
        "subject": "Re: Café",
        "attributes": {},
        "agent": "ben",
        "message": Message("Dear Ann,\nit is on its way.\n.\nBen"),
    }
    return Outbound(**(fields | changes))


def tell(world: World, *said: tuple[str, int, bytes], number: int = 12) -> None:
    """Let the desk show an interaction in which these mails were written: (author, at_ms, raw)."""
    messages = []
    for index, (author, at_ms, raw) in enumerate(said):
        digest = f"{index:064x}"
        world.blobs.kept[digest] = raw
        file = File(digest, len(raw), "message/rfc822", "message.eml")
        messages.append(MessageView(author, at_ms, attachments=(file,)))
    shown: dict[str, Any] = {f.name: "" for f in msgspec.structs.fields(InteractionView) if f.required}
    shown |= {"id": f"i-{number}", "channel": "email", "messages": tuple(messages)}
    world.desk.views[number] = InteractionView(**shown)


async def written(world: World, folder: Path, letter: Outbound) -> EmailMessage:
    await world.adapter.deliver(letter)
    return parse((folder / "outbox" / f"{letter.outbound:09}.eml").read_bytes())


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path, outbox_folder="outbox") as one:
        yield one


# --- what is in it ---


async def test_a_reply_joins_the_customers_conversation(world: World, tmp_path: Path) -> None:
    tell(world, ("customer", AT - 1_000, MAIL))
    got = await written(world, tmp_path, outbound())
    assert got["From"] == "Shop Support <support@shop.example>"
    assert got["To"] == "Ann at home <ann@home.example>"
    assert got["Subject"] == "Re: Café"
    assert got["Message-ID"] == "<sb.i-12.345.0123456789abcdef@shop.example>"
    assert got["In-Reply-To"] == "<m2@customer.example>"
    assert got["References"] == "<m0@customer.example> <m1@shop.example> <m2@customer.example>"
    assert got["Date"].datetime.timestamp() == AT / 1_000
    assert got["Bcc"] is None
    assert words(got) == "Dear Ann,\nit is on its way.\n.\nBen\n"


@pytest.mark.promise("IN-3")
async def test_the_customers_answer_to_it_is_recognised(world: World, tmp_path: Path) -> None:
    await world.send(MAIL)
    tell(world, ("customer", AT - 1_000, MAIL))
    ours = await written(world, tmp_path, outbound(threads=world.arrived[0].threads))
    answer = f"From: ann@customer.example\r\nIn-Reply-To: {ours['Message-ID']}\r\n\r\nThanks\r\n"
    await world.send(answer.encode())
    assert world.interactions == 1


async def test_an_attempt_again_writes_the_same_message(world: World, tmp_path: Path) -> None:
    tell(world, ("customer", AT - 1_000, MAIL))
    first = await written(world, tmp_path, outbound())
    tell(world, ("customer", AT - 1_000, MAIL), ("customer", AT + 1_000, MAIL.replace(b"m2@", b"m3@")))
    again = await written(world, tmp_path, outbound())
    assert (again["Message-ID"], again["In-Reply-To"]) == (first["Message-ID"], first["In-Reply-To"])
    assert [path.name for path in (tmp_path / "outbox").iterdir()] == ["000000345.eml"]


async def test_the_mail_as_it_left_joins_the_interaction_once(world: World, tmp_path: Path) -> None:
    await world.send(MAIL)
    threads = world.arrived[0].threads
    tell(world, ("customer", AT - 1_000, MAIL))
    for _ in range(2):  # an attempt again
        await world.adapter.deliver(outbound(threads=threads))
    [first, again] = [command for command in world.desk.commands if isinstance(command, Append)]
    assert (first.author, first.key, first.thread) == ("system", again.key, threads[0])
    [copy] = first.message.blobs
    assert world.blobs.kept[copy.digest] == (tmp_path / "outbox" / "000000345.eml").read_bytes()
    assert "ann@home.example" in first.message.text


async def test_where_the_interaction_is_over_a_note_names_the_copy(world: World, tmp_path: Path) -> None:
    await world.send(MAIL)
    threads = world.arrived[0].threads
    tell(world, ("customer", AT - 1_000, MAIL))
    world.desk.refuse = lambda command: NotFound("over") if isinstance(command, Append) else None
    await world.adapter.deliver(outbound(threads=threads))
    [note] = [command for command in world.desk.commands if isinstance(command, Remark)]
    assert any(digest in note.text for digest in world.blobs.kept)


async def test_a_copy_that_cannot_be_kept_sends_nothing_again(world: World, tmp_path: Path) -> None:
    """The mail has left: whatever becomes of the copy, the delivery is over."""
    await world.send(MAIL)
    threads = world.arrived[0].threads
    tell(world, ("customer", AT - 1_000, MAIL))
    world.blobs.trouble = OSError(28, "no space left")
    await world.adapter.deliver(outbound(threads=threads))
    assert len(list((tmp_path / "outbox").iterdir())) == 1


async def test_the_customers_last_mail_is_the_one_answered(world: World, tmp_path: Path) -> None:
    stranger = MAIL.replace(b"ann@", b"eve@").replace(b"m2@", b"m4@")
    tell(
        world,
        ("customer", AT - 3_000, MAIL.replace(b"m2@", b"m1@")),
        ("customer", AT - 2_000, MAIL),
        ("agent", AT - 1_500, b"From: ben\n\n"),
        ("customer", AT - 1_000, stranger),
    )
    got = await written(world, tmp_path, outbound())
    assert got["In-Reply-To"] == "<m2@customer.example>"
    assert got["To"] == "Ann at home <ann@home.example>"  # never the stranger who wrote into the conversation


async def test_without_the_original_the_reply_still_goes_to_the_customer(world: World, tmp_path: Path) -> None:
    got = await written(world, tmp_path, outbound())
    assert (got["To"], got["Subject"], got["In-Reply-To"]) == (ANN, "Re: Café", None)
    tell(world, ("customer", AT - 1_000, MAIL))
    world.blobs.kept.clear()
    assert (await written(world, tmp_path, outbound()))["To"] == ANN


async def test_we_never_write_to_ourselves(world: World, tmp_path: Path) -> None:
    tell(world, ("customer", AT - 1_000, MAIL.replace(b"ann@home.example", b"support+x@shop.example")))
    assert (await written(world, tmp_path, outbound()))["To"] == "Ann Customer <ann@customer.example>"
    with pytest.raises(DeliveryFailed, match="no address") as failed:
        await world.adapter.deliver(outbound(interaction=13, sender=SUPPORT))
    assert failed.value.final


async def test_attachments_come_from_the_blob_store(world: World, tmp_path: Path) -> None:
    blob = await world.blobs.put(b"%PDF-1.7 \x00\xff", "application/pdf", "Pläne.pdf")
    nested = await world.blobs.put(MAIL, "message/rfc822", "mail.eml")
    got = await written(world, tmp_path, outbound(message=Message("See attached", (blob, nested))))
    parts = list(got.iter_attachments())
    assert [part.get_filename() for part in parts] == ["Pläne.pdf", "mail.eml"]
    assert [part.get_payload(decode=True) for part in parts] == [b"%PDF-1.7 \x00\xff", MAIL]
    with pytest.raises(DeliveryFailed) as failed:
        await world.adapter.deliver(outbound(message=Message("x", (Blob("f" * 64, 3),))))
    assert not failed.value.final


@pytest.mark.promise("IN-5")
async def test_a_reply_may_have_so_many_bytes(tmp_path: Path) -> None:
    async with open_world(tmp_path, outbox_folder="outbox", max_reply_bytes=2_000) as world:
        big = await world.blobs.put(b"x" * 2_001)
        for message in (Message("x", (big,)), Message("x" * 3_000)):
            with pytest.raises(DeliveryFailed, match="larger") as failed:
                await world.adapter.deliver(outbound(message=message))
            assert failed.value.final


async def test_other_actions_are_none_of_its_business(world: World, tmp_path: Path) -> None:
    await world.adapter.deliver(outbound(action="assigned"))
    assert not (tmp_path / "outbox").exists()


async def test_a_fixed_reply_address_and_domain(tmp_path: Path) -> None:
    options = {"outbox_folder": "outbox", "reply_from": "noreply@shop.example", "message_id_domain": "id.shop.example"}
    async with open_world(tmp_path, **options) as world:
        got = await written(world, tmp_path, outbound())
        assert got["From"] == "noreply@shop.example"
        assert got["Message-ID"] == "<sb.i-12.345.0123456789abcdef@id.shop.example>"


# --- rendering ---


def reply(**changes: Any) -> ReplyMail:
    fields: dict[str, Any] = {
        "message_id": reply_id(1, 2, "0" * 16, "shop.example"),
        "sender": Mailbox("Shop", SUPPORT),
        "recipients": (Mailbox("Ann", ANN),),
        "subject": "Hi",
        "text": "Hello",
        "at_ms": AT,
    }
    return ReplyMail(**(fields | changes))


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("Hi", "Re: Hi"),
        ("Re: Hi", "Re: Hi"),
        ("RE: re[2]: AW: Hi", "Re: Hi"),
        ("Re : Hi", "Re: Hi"),
        ("Regarding: Hi", "Re: Regarding: Hi"),
        ("", "Re: your message"),
        ("Re:", "Re: your message"),
        ("a\r\nBcc: evil@example.org", "Re: a Bcc: evil@example.org"),
    ],
)
def test_re_stands_once_before_the_subject(subject: str, expected: str) -> None:
    assert reply_subject(subject) == expected


def test_long_chains_lose_their_middle() -> None:
    chain = reference_chain([f"m{n}@x" for n in range(100)], "m99@x")
    assert len(chain) == 21
    assert (chain[0], chain[-2:]) == ("m0@x", ["m98@x", "m99@x"])


def test_addresses_beyond_ascii() -> None:
    data, wide = render(reply(recipients=(Mailbox("Jörg", "joerg@büro.example"),)))
    assert parse(data)["To"].addresses[0].domain == "xn--bro-hoa.example"
    data, wide = render(reply(recipients=(Mailbox("Jörg", "jörg@büro.example"),)))
    assert wide
    assert "jörg@büro.example" in data.decode()


def test_an_address_that_cannot_be_written_to_is_refused() -> None:
    for address in ("", "no address", "a b@c.example", 'a"b@c.example', "a@" + "ü" * 200):
        with pytest.raises(ValueError):
            render(reply(recipients=(Mailbox("", address),)))


awkward = st.text(max_size=60) | st.text("\r\n\x00\ud800 :=?<>@,;\"\\'äßüé漢🐈", max_size=40)


@given(awkward, awkward, awkward, awkward, awkward)
@settings(max_examples=300, deadline=None)
def test_no_words_break_out_of_their_place(name: str, subject: str, text: str, ident: str, file: str) -> None:
    data, _ = render(
        reply(
            sender=Mailbox(name, SUPPORT),
            recipients=(Mailbox(name, ANN),),
            subject=subject,
            text=text,
            in_reply_to=ident,
            references=(ident, "m0@x"),
            attachments=(Attachment(file, file, b"\x00"),),
        )
    )
    head, _, body = data.partition(b"\r\n\r\n")
    names = [line.partition(b":")[0] for line in head.split(b"\r\n") if line[:1] not in (b" ", b"\t")]
    expected = {b"From", b"To", b"Subject", b"Date", b"Message-ID", b"References", b"MIME-Version", b"Content-Type"}
    assert set(names) - {b"In-Reply-To"} == expected
    assert len(set(names)) == len(names)
    assert b"\n" not in body.replace(b"\r\n", b"")
    assert all(len(line) <= 998 for line in data.split(b"\r\n"))
    again = read_letter(data, SUPPORT)
    assert again.message_id == "sb.i-1.2.0000000000000000@shop.example"
    assert [box.address for box in again.to] == [ANN]


# --- the way out ---


class Host:
    """A smart host: takes mail, or answers as told."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, list[str], bytes]] = []
        self.rcpt = self.data = ""

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if self.rcpt:
            return self.rcpt
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.data:
            return self.data
        self.taken.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
        return "250 ok"


@pytest.fixture
async def host() -> AsyncIterator[tuple[Host, int]]:
    one = Host()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(one, hostname="relay", enable_SMTPUTF8=True, loop=loop), "127.0.0.1", 0
    )
    yield one, server.sockets[0].getsockname()[1]
    server.close()
    await asyncio.sleep(0)


async def test_a_reply_leaves_through_the_smart_host(tmp_path: Path, host: tuple[Host, int]) -> None:
    relay, port = host
    async with open_world(tmp_path, smart_host=SmartHost("127.0.0.1", port)) as world:
        await world.adapter.deliver(outbound())
        await world.adapter.deliver(outbound(sender="jörg@büro.example"))
    (mail_from, to, content), (_, wide_to, _) = relay.taken
    assert (mail_from, to, wide_to) == (SUPPORT, [ANN], ["jörg@büro.example"])
    assert words(parse(content)) == "Dear Ann,\nit is on its way.\n.\nBen\n"


@pytest.mark.parametrize(
    ("rcpt", "data", "final"),
    [
        ("550 5.1.1 unknown", "", True),
        ("550 5.7.26 it is no <postmaster@a.example>", "", True),
        ("450 4.2.0 greylisted", "", False),
        ("", "554 5.7.1 spam", True),
        ("", "451 4.3.0 later", False),
    ],
)
async def test_what_the_smart_host_says_decides_whether_to_try_again(
    tmp_path: Path, host: tuple[Host, int], rcpt: str, data: str, final: bool
) -> None:
    relay, port = host
    relay.rcpt, relay.data = rcpt, data
    async with open_world(tmp_path, smart_host=SmartHost("127.0.0.1", port)) as world:
        with pytest.raises(DeliveryFailed, match=(rcpt or data)[:3]) as failed:
            await world.adapter.deliver(outbound())
        assert failed.value.final == final
        assert (rcpt or data).replace("ostmaster", "***") in str(failed.value), "in its own words"
        assert ANN not in str(failed.value)


async def test_a_smart_host_that_is_away_is_tried_again(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        async with open_world(tmp_path, smart_host=SmartHost("127.0.0.1", taken.getsockname()[1])) as world:
            with pytest.raises(DeliveryFailed) as failed:
                await world.adapter.deliver(outbound())
            assert not failed.value.final


async def test_a_smart_host_without_the_starttls_we_insist_on_gets_nothing(
    tmp_path: Path, host: tuple[Host, int]
) -> None:
    relay, port = host
    async with open_world(tmp_path, smart_host=SmartHost("127.0.0.1", port, starttls=True)) as world:
        with pytest.raises(DeliveryFailed):
            await world.adapter.deliver(outbound())
    assert relay.taken == []


async def test_without_a_way_out_the_operator_is_told_what_to_set(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        with pytest.raises(DeliveryFailed, match=r"email\.smart_host") as failed:
            await world.adapter.deliver(outbound())
        assert failed.value.final


async def test_a_folder_that_cannot_be_written_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    async with open_world(tmp_path, outbox_folder="file/outbox") as world:
        with pytest.raises(DeliveryFailed) as failed:
            await world.adapter.deliver(outbound())
        assert not failed.value.final


# --- for readers ---


async def test_what_was_written_can_be_read(world: World) -> None:
    tell(world, ("customer", AT, MAIL))
    view = world.desk.interaction(12)
    (got,) = await world.adapter.content(view)
    assert (got.author, got.text, got.attachments, got.complete) == ("customer", "Hello", (), True)
    spoken = msgspec.structs.replace(view, messages=(MessageView("agent", AT, "Hi"),))
    assert (await world.adapter.content(spoken))[0].text == "Hi"


# --- what the house says around it ------------------------------------------------------------------------------------

WORDINGS = (
    Wording("Hola:\n\n{text}\n\n-- \n{agent}, Tienda ({interaction})", queue="support", language="es"),
    Wording("{text}\n\n-- \n{agent}, Shop Support", queue="support"),
    Wording("{text}\n\n-- \nShop: {subject}"),
)


@pytest.mark.parametrize(
    ("queue", "language", "expected"),
    [
        ("support", "es", "Hola:\n\nVoy.\n\n-- \nBen, Tienda (i-12)\n"),
        ("support", "en", "Voy.\n\n-- \nBen, Shop Support\n"),
        ("sales", "es", "Voy.\n\n-- \nShop: Re: Café\n"),
    ],
)
async def test_a_reply_is_worded_by_queue_and_language(
    tmp_path: Path, queue: str, language: str, expected: str
) -> None:
    async with open_world(tmp_path, outbox_folder="outbox", wordings=WORDINGS) as world:
        tell(world, ("customer", AT - 1, MAIL))
        world.desk.views[12] = msgspec.structs.replace(world.desk.views[12], queue=queue, language=language)
        letter = outbound(message=Message("Voy."), agent_name="Ben")
        assert words(await written(world, tmp_path, letter)) == expected


async def test_braces_in_what_an_agent_writes_are_only_braces(tmp_path: Path) -> None:
    async with open_world(tmp_path, outbox_folder="outbox", wordings=WORDINGS[2:]) as world:
        letter = outbound(message=Message("use {text} and {0}"), subject="{agent}")
        message = await written(world, tmp_path, letter)
    assert words(message) == "use {text} and {0}\n\n-- \nShop: {agent}\n"


@pytest.mark.promise("OB-4")
@pytest.mark.parametrize(
    "template", ["no place", "{text} {nobody}", "{text", "{text!r}", "{text:>10}", "{text.x}", "{}"]
)
def test_a_wording_that_cannot_be_filled_in_is_refused(template: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        check_wordings([Wording(template)])
    assert str(refusal.value).startswith("email.wordings[0].template")


# --- given to somebody outside ---


def given_away(to: str = "claims@partner.example", **changes: Any) -> Outbound:
    return outbound(action="transferred", endpoint=to, message=None, subject="Café", **changes)


async def test_a_conversation_that_is_given_away_goes_out_with_the_customers_mails(
    world: World, tmp_path: Path
) -> None:
    tell(world, ("customer", AT - 2_000, MAIL), ("customer", AT - 1_000, MAIL.replace(b"Hello", b"And today?")))
    got = await written(world, tmp_path, given_away(agent_name="Ben"))
    assert (got["To"], got["Subject"], got["In-Reply-To"]) == ("claims@partner.example", "Fwd: Café", None)
    assert got["From"] == "Shop Support <support@shop.example>"
    text, *files = got.iter_parts()
    assert "Ben forwards a conversation to you." in text.get_content()
    assert text.get_content().index("Hello") < text.get_content().index("And today?")
    assert [file.get_filename() for file in files] == ["mail-1.eml", "mail-2.eml"]
    assert files[0].get_content() == MAIL


async def test_their_answer_finds_the_conversation_that_was_given_away(world: World, tmp_path: Path) -> None:
    await world.send(MAIL)
    tell(world, ("customer", AT - 1_000, MAIL))
    ours = await written(world, tmp_path, given_away(threads=world.arrived[0].threads))
    answer = f"From: claims@partner.example\r\nIn-Reply-To: {ours['Message-ID']}\r\n\r\nPaid.\r\n"
    await world.send(answer.encode())
    assert set(world.arrived[1].threads) & set(world.arrived[0].threads)
    assert world.arrived[1].sender == "claims@partner.example"


async def test_of_what_is_given_away_as_much_goes_as_fits_into_one_mail(tmp_path: Path) -> None:
    limit = 1_048_576 + 20_000
    async with open_world(tmp_path, outbox_folder="outbox", max_reply_bytes=limit) as world:
        large = MAIL + b"x" * 9_000
        tell(world, *(("customer", AT - 3_000 + number, large) for number in range(3)))
        got = await written(world, tmp_path, given_away())
    _, *files = got.iter_parts()
    assert [file.get_filename() for file in files] == ["mail-3.eml"]
    assert "(Not attached, as this mail would be too large: 2.)" in got.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert len(got.as_bytes()) < limit


REACH = re.compile(outside_of(["support@shop.example", "Sales.EU@shop.example"], plus_addressing=True))


@pytest.mark.parametrize(
    "address",
    [
        "claims@partner.example",
        "o'brien+x=1@sub.partner-shop.example",
        "josé@correo.españa.example",
        "a@b",
        "support@shop.example.org",
        "not-support@shop.example",
        "sales@shop.example",
    ],
)
def test_outside_addresses_may_be_given_a_conversation(address: str) -> None:
    assert REACH.fullmatch(address)
    assert canonical_address(address) == address


@pytest.mark.parametrize(
    "address",
    [
        "",
        "nobody",
        "a b@c.example",
        "a\0@b.example",
        "a\u202e@b.example",
        "a\n@b.example",
        "a@b.example\n",
        "a@b..example",
        ".a@b.example",
        "a.@b.example",
        "a..b@c.example",
        "a@-b.example",
        "a@b.example.",
        "<a@b.example>",
        "a@b.example,c@d.example",
        "a" * 65 + "@b.example",
        "a@" + "b." * 130 + "example",
    ],
)
def test_what_is_no_plain_address_is_refused(address: str) -> None:
    assert not REACH.fullmatch(address)


@pytest.mark.parametrize(
    "address", ["support@shop.example", "SUPPORT@Shop.example", "support+x@shop.example", "sales.eu@shop.example"]
)
def test_an_address_of_ours_is_refused_since_it_would_come_back_as_a_loop(address: str) -> None:
    assert not REACH.fullmatch(address)


def test_without_plus_addressing_what_has_a_plus_is_somebody_elses() -> None:
    assert re.fullmatch(outside_of(["support@shop.example"], plus_addressing=False), "support+x@shop.example")


@given(st.emails())
def test_what_others_call_an_address_is_one(address: str) -> None:
    assert re.fullmatch(outside_of([], plus_addressing=True), address)


@pytest.mark.parametrize("to", ["", "nobody", "a b@c.example"])
async def test_what_is_given_to_no_address_is_a_dead_letter_at_once(world: World, to: str) -> None:
    tell(world, ("customer", AT, MAIL))
    with pytest.raises(DeliveryFailed) as failed:
        await world.adapter.deliver(given_away(to))
    assert failed.value.final
