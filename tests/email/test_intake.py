"""What a sending mail server meets: SMTP and LMTP over real sockets."""

import asyncio
import contextlib
import re
import smtplib
import ssl
import subprocess
from pathlib import Path

import pytest

from channels.chat.letter import letter
from channels.email import adapter as module
from channels.email.settings import Listener, Tls
from router.errors import ConfigError, NoRoute, Overloaded, TooLarge, Unavailable
from router.service.blobs import BlobStore
from router.service.quarantine import Quarantine
from tests.email.corpora import corpus_files, corpus_params
from tests.email.world import ANN, SALES, SUPPORT, World, open_world
from tests.support.waiting import until

MAIL = b"From: Ann <ann@customer.example>\r\nMessage-ID: <m1@customer.example>\r\nSubject: Hi\r\n\r\nHello\r\n"


def figure(world: World, name: str) -> float:
    return world.adapter.health().figures[name]


def codes(refused: dict[str, tuple[int, bytes]]) -> dict[str, int]:
    return {address: code for address, (code, _) in refused.items()}


# --- taken is recorded ----------------------------------------------------------------------------------------------


@pytest.mark.promise("IN-1", "IN-2", "IN-7")
async def test_a_mail_becomes_an_interaction_and_its_bytes_a_blob(world: World) -> None:
    await world.send(MAIL)
    (got,) = world.arrived
    assert (got.channel, got.sender, got.recipient, got.subject) == ("email", ANN, SUPPORT, "Hi")
    assert world.raw_of(got) == MAIL
    assert got.message is not None
    assert got.message.blobs[0].media_type == "message/rfc822"


@pytest.mark.promise("IN-2")
async def test_no_250_before_the_journal_has_it(world: World) -> None:
    world.desk.held = []
    async with world.dial() as line:
        await line.ready()
        await line.raw(MAIL + b".\r\n")
        await until(lambda: bool(world.desk.held))
        assert world.raw_of(world.arrived[0]) == MAIL  # the blob came first
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await line.hear()
        world.desk.held.pop()()
        assert (await line.hear()).startswith("250 2.0.0")


@pytest.mark.promise("IN-2", "OB-3")
@pytest.mark.parametrize("refusal", [Overloaded("full", 3), Unavailable("journal away")])
async def test_what_cannot_be_recorded_stays_with_its_sender(world: World, refusal: Exception) -> None:
    assert isinstance(refusal, Overloaded | Unavailable)
    world.refuse(refusal)
    with pytest.raises(smtplib.SMTPDataError) as failed:
        await world.send(MAIL)
    assert (failed.value.smtp_code, str(failed.value.smtp_error)[2:7]) == (451, "4.3.2")


@pytest.mark.promise("IN-2", "DU-2")
async def test_a_full_disk_stays_with_the_sender_too(world: World) -> None:
    world.blobs.trouble = OSError(28, "No space left on device")
    with pytest.raises(smtplib.SMTPDataError) as failed:
        await world.send(MAIL)
    assert failed.value.smtp_code == 451
    assert world.arrived == []


@pytest.mark.promise("IN-2")
async def test_an_answer_that_takes_too_long_is_later(tmp_path: Path) -> None:
    async with open_world(tmp_path, record_timeout=20) as world:
        world.desk.held = []
        with pytest.raises(smtplib.SMTPDataError) as failed:
            await world.send(MAIL)
        assert failed.value.smtp_code == 451
        world.desk.held.pop()()  # it was recorded after all; the next attempt has the same key
        world.desk.held = None
        await world.send(MAIL)
        assert world.interactions == 1


@pytest.mark.parametrize(("error", "code"), [(NoRoute("x"), 550), (TooLarge("x"), 552)])
async def test_what_the_plan_refuses_is_refused(world: World, error: NoRoute | TooLarge, code: int) -> None:
    world.refuse(error)
    with pytest.raises(smtplib.SMTPDataError) as failed:
        await world.send(MAIL)
    assert failed.value.smtp_code == code


@pytest.mark.promise("IN-3")
async def test_the_same_mail_again_is_taken_and_changes_nothing(world: World) -> None:
    await asyncio.gather(*(world.send(MAIL) for _ in range(20)))
    assert world.interactions == 1
    assert len({command.key for command in world.arrived}) == 1


@pytest.mark.promise("IN-2", "IN-3")
async def test_a_client_that_vanishes_at_the_end_may_come_again(world: World) -> None:
    world.desk.held = []
    async with world.dial() as line:
        await line.ready()
        await line.raw(MAIL + b".\r\n")
        await until(lambda: bool(world.desk.held))
        line.reset()
    await until(lambda: figure(world, "connections") == 0)
    world.desk.held.pop()()
    world.desk.held = None
    await world.send(MAIL)
    assert world.interactions == 1
    assert figure(world, "in_flight") == 0


async def test_a_client_that_vanishes_mid_message_leaves_nothing(world: World) -> None:
    async with world.dial() as line:
        await line.ready()
        await line.raw(b"From: a@b.example\r\n\r\nHalf a mess")
        await until(lambda: figure(world, "buffered_bytes") > 0)
        line.reset()
    await until(lambda: figure(world, "in_flight") == 0)
    assert world.arrived == []
    assert figure(world, "buffered_bytes") == 0


@pytest.mark.promise("IN-4")
async def test_a_message_that_defeats_the_reader_reaches_a_person(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(module, "read_letter", broken)
    await world.send(MAIL)
    monkeypatch.undo()
    await world.send(MAIL.replace(b"m1", b"m2"))
    first, second = world.arrived
    assert (first.subject, first.sender, world.raw_of(first)) == ("(unreadable message)", ANN, MAIL)
    assert second.subject == "Hi"
    assert world.shelf.kept == [("email", MAIL, "head not understood: RuntimeError")]


@pytest.mark.promise("IN-7")
async def test_with_the_real_stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    blobs, shelf = BlobStore(tmp_path / "blobs"), Quarantine(tmp_path / "quarantine")
    async with open_world(tmp_path, stores=(blobs, shelf)) as world:
        await world.send(MAIL)
        monkeypatch.setattr(module, "read_letter", broken)
        await world.send(MAIL)
        for command in world.arrived:
            assert command.message is not None
            assert await blobs.get(command.message.blobs[0].digest) == MAIL
        (entry,) = shelf.entries()
        assert (entry.source, shelf.read(entry.id)) == ("email", MAIL)
        blobs.close()
        monkeypatch.undo()
        with pytest.raises(smtplib.SMTPDataError) as failed:
            await world.send(MAIL)
        assert failed.value.smtp_code == 451


# --- recipients -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["nobody@shop.example", "support@elsewhere.example", "support", "postmaster"])
async def test_an_unknown_recipient_is_refused_at_once(world: World, address: str) -> None:
    async with world.dial() as line:
        await line.greet()
        await line.ask(f"MAIL FROM:<{ANN}>")
        assert (await line.ask(f"RCPT TO:<{address}>")).startswith("550 5.1.1")


async def test_an_address_that_no_rule_takes_any_more_is_unknown(world: World) -> None:
    world.desk.known_recipients = {("email", SALES)}
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        await world.send(MAIL)


async def test_an_address_that_no_rule_takes_keeps_the_channel_from_starting(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.desk.known_recipients = {("email", SALES)}
    with pytest.raises(ConfigError, match=SUPPORT):
        await world.adapter.start()


@pytest.mark.parametrize("written", ["SUPPORT@Shop.Example", "support@shop.example"])
async def test_case_does_not_matter_in_our_addresses(world: World, written: str) -> None:
    await world.send(MAIL, to=written)
    assert world.arrived[0].recipient == SUPPORT


async def test_what_stands_behind_a_plus_is_a_detail(world: World) -> None:
    await world.send(MAIL, to="support+Order17@shop.example")
    assert world.arrived[0].recipient == SUPPORT
    assert world.arrived[0].attributes["detail"] == "Order17"


async def test_plus_addressing_can_be_switched_off(tmp_path: Path) -> None:
    async with open_world(tmp_path, plus_addressing=False) as world:
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            await world.send(MAIL, to="support+x@shop.example")


async def test_a_mail_to_two_desks_is_two_interactions(world: World) -> None:
    refused = await world.smtp(lambda c: c.sendmail(ANN, [SUPPORT, "nobody@shop.example", SALES], MAIL))
    assert codes(refused) == {"nobody@shop.example": 550}
    assert [command.recipient for command in world.arrived] == [SUPPORT, SALES]
    assert world.interactions == 2


@pytest.mark.promise("IN-2")
async def test_a_letter_of_another_channel_is_mail_that_a_person_wrote(world: World) -> None:
    raw = letter(
        visitor="v1",
        ident="l1",
        to=SUPPORT,
        subject="Message from the website: sales",
        email=ANN,
        name="Ann",
        language="en",
        text="Where is my order?",
    )
    await world.letters.post(raw, "Support+web@shop.example")
    (got,) = world.arrived
    assert (got.recipient, got.sender, got.automatic) == (SUPPORT, ANN, "")
    assert "auto" not in got.attributes
    with pytest.raises(NoRoute):
        await world.letters.post(raw, "nobody@shop.example")


@pytest.mark.promise("IN-2", "IN-3")
async def test_smtp_says_later_for_all_when_one_cannot_be_recorded(world: World) -> None:
    world.refuse(Unavailable("away"), to=SALES)
    with pytest.raises(smtplib.SMTPDataError) as failed:
        await world.smtp(lambda c: c.sendmail(ANN, [SUPPORT, SALES], MAIL))
    assert failed.value.smtp_code == 451
    world.desk.refuse = lambda command: None
    await world.smtp(lambda c: c.sendmail(ANN, [SUPPORT, SALES], MAIL))  # the retry after the partial failure
    assert world.interactions == 2


@pytest.mark.promise("IN-2")
async def test_lmtp_answers_once_for_each_recipient(world: World) -> None:
    world.refuse(Unavailable("away"), to=SALES)

    def talk(client: smtplib.LMTP) -> list[int]:
        client.ehlo_or_helo_if_needed()
        client.mail(ANN)
        refused = [client.rcpt(one)[0] for one in (SUPPORT, "nobody@shop.example", SALES)]
        return [*refused, client.data(MAIL)[0], client.getreply()[0]]

    assert await world.lmtp(talk) == [250, 550, 250, 250, 451]
    assert [command.recipient for command in world.arrived] == [SUPPORT]


async def test_lmtp_answers_twice_for_a_recipient_named_twice(world: World) -> None:
    async with world.dial("lmtp") as line:
        await line.greet("LHLO")
        await line.envelope(SUPPORT, "support+x@shop.example", SALES)
        await line.raw(MAIL + b".\r\nNOOP\r\n")
        assert await line.codes(4) == ["250", "250", "250", "250"]
    assert [command.recipient for command in world.arrived] == [SUPPORT, SALES]


async def test_lmtp_wants_lhlo_and_at_least_one_recipient(world: World) -> None:
    async with world.dial("lmtp") as line:
        await line.hear()
        assert (await line.ask("EHLO x")).startswith("500 5.5.2")
        assert (await line.ask("HELO x")).startswith("500 5.5.2")
        offers = await line.ask("LHLO x")
        assert {"PIPELINING", "ENHANCEDSTATUSCODES", "8BITMIME"} <= {offer[4:] for offer in offers.split("\n")}
        await line.ask(f"MAIL FROM:<{ANN}>")
        await line.ask("RCPT TO:<nobody@shop.example>")
        assert (await line.ask("DATA")).startswith("503 5.5.1")


async def test_the_null_sender_is_welcome(world: World) -> None:
    await world.send(b"Subject: Undelivered\r\n\r\nx\r\n", mail_from="")
    assert world.arrived[0].sender == ""
    assert world.arrived[0].attributes["auto"] == "auto-reply"


async def test_addresses_that_are_not_ascii_are_understood(world: World) -> None:
    await world.smtp(lambda c: c.sendmail("jörg@büro.example", [SUPPORT], b"\r\nx", mail_options=["SMTPUTF8"]))
    assert world.arrived[0].sender == "jörg@büro.example"


# --- what is between the dots ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"..\r\n...\r\n.a\r\n",
        b"\r\n.\r\n..\r\n"[2:].replace(b".\r\n", b".. \r\n"),
        b"8-bit \xff\xfe\x80 and NUL \x00\r\n",
        b"bare\nline\nfeeds\r\n",
        b"x" * 300_000 + b"\r\n",
        b"\r\n\r\n\r\n",
        b"no line end at the end",
    ],
    ids=lambda body: repr(body[:12]),
)
async def test_a_body_arrives_byte_for_byte(world: World, body: bytes) -> None:
    raw = b"Subject: x\r\n\r\n" + body
    ended = raw if raw.endswith(b"\r\n") else raw + b"\r\n"
    async with world.dial() as line:
        await line.ready()
        stuffed = ended.replace(b"\r\n.", b"\r\n..")
        await line.raw(stuffed + b".\r\n")
        assert (await line.hear()).startswith("250")
    assert world.raw_of(world.arrived[0]) == ended


@pytest.mark.parametrize("raw", [b"", b"\r\n", b".\r\n"])
async def test_next_to_nothing_is_a_mail_too(world: World, raw: bytes) -> None:
    async with world.dial() as line:
        await line.ready()
        await line.raw(raw.replace(b".", b"..") + b".\r\n")
        assert (await line.hear()).startswith("250")
        assert (await line.ask("NOOP")).startswith("250")
    assert world.raw_of(world.arrived[0]) == raw


@pytest.mark.parametrize(
    "end", [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\n\r.\r\n", b"\r\n\x00.\r\n"], ids=repr
)
async def test_nothing_but_the_true_end_ends_a_message(world: World, end: bytes) -> None:
    """The trick of CVE-2023-51764: a second envelope smuggled in the body of the first."""
    smuggled = b"MAIL FROM:<boss@shop.example>\r\nRCPT TO:<sales@shop.example>\r\nDATA\r\nSubject: pay\r\n\r\nnow"
    async with world.dial() as line:
        await line.ready()
        await line.raw(b"Subject: a\r\n\r\nbody" + end + smuggled + b"\r\n.\r\n")
        assert (await line.hear()).startswith("250")
        assert (await line.ask("NOOP")).startswith("250")
    assert [command.recipient for command in world.arrived] == [SUPPORT]
    assert smuggled in world.raw_of(world.arrived[0])


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 64])
async def test_the_end_is_found_however_the_bytes_are_cut(world: World, size: int) -> None:
    raw = b"Subject: x\r\n\r\n.\r\r\n..\r\n\r\n"
    stuffed = raw.replace(b"\r\n.", b"\r\n..") + b".\r\nNOOP\r\n"
    async with world.dial() as line:
        await line.ready()
        for at in range(0, len(stuffed), size):
            await line.raw(stuffed[at : at + size])
            await asyncio.sleep(0)
        assert await line.codes(2) == ["250", "250"]
    assert world.raw_of(world.arrived[0]) == raw


async def test_commands_sent_ahead_are_answered_in_order(world: World) -> None:
    envelope = f"MAIL FROM:<{ANN}>\r\nRCPT TO:<nobody@x.example>\r\nRCPT TO:<{SUPPORT}>\r\nDATA\r\n".encode()
    async with world.dial() as line:
        await line.greet()
        await line.raw(envelope)
        assert await line.codes(4) == ["250", "550", "250", "354"]
        await line.raw(MAIL + b".\r\n" + envelope)
        assert await line.codes(5) == ["250", "250", "550", "250", "354"]
        await line.raw(MAIL + b".\r\nQUIT\r\n")
        assert await line.codes(2) == ["250", "221"]
        assert await line.hear() == ""


# --- limits (IN-5) --------------------------------------------------------------------------------------------------


@pytest.mark.promise("IN-5")
async def test_a_message_may_have_so_many_bytes_and_no_more(tmp_path: Path) -> None:
    async with open_world(tmp_path, max_message_bytes=2_000) as world:
        async with world.dial() as line:
            await line.greet()
            assert (await line.ask(f"MAIL FROM:<{ANN}> SIZE=2001")).startswith("552 5.3.4")
            await line.envelope()
            await line.raw(b"x" * 1_998 + b"\r\n.\r\n")
            assert (await line.hear()).startswith("250")
            await line.envelope()
            await line.raw(b"x" * 1_999 + b"\r\n.\r\n")
            assert (await line.hear()).startswith("552 5.3.4")
            await line.envelope()
            await line.raw(b"x" * 6_000 + b"\r\n.\r\nNOOP\r\n")
            assert await line.codes(2) == ["552", "250"]
        assert len(world.arrived) == 1
        assert figure(world, "buffered_bytes") == 0


async def test_who_never_stops_is_cut_off(tmp_path: Path) -> None:
    async with open_world(tmp_path, max_message_bytes=2_000) as world, world.dial() as line:
        await line.ready()
        with pytest.raises(ConnectionError):
            await line.flood(2_000)
        assert world.arrived == []


@pytest.mark.promise("IN-5", "OB-3")
async def test_messages_being_received_may_take_so_much_memory(tmp_path: Path) -> None:
    async with open_world(tmp_path, max_message_bytes=2_000, max_buffered_bytes=3_000) as world:
        async with world.dial() as one, world.dial() as two:
            await one.ready()
            await one.raw(b"x" * 1_900)
            await until(lambda: figure(world, "buffered_bytes") >= 1_900)
            await two.ready()
            await two.raw(b"x" * 1_900 + b"\r\n.\r\n")
            assert (await two.hear()).startswith("451 4.3.1")
            await one.raw(b"\r\n.\r\n")
            assert (await one.hear()).startswith("250")
            await two.envelope()
            await two.raw(b"x" * 1_900 + b"\r\n.\r\n")
            assert (await two.hear()).startswith("250")


@pytest.mark.promise("IN-5", "OB-3")
async def test_so_many_messages_are_taken_at_once(tmp_path: Path) -> None:
    async with open_world(tmp_path, max_in_flight=1) as world, world.dial() as one, world.dial() as two:
        await one.ready()
        await two.greet()
        await two.ask(f"MAIL FROM:<{ANN}>")
        await two.ask(f"RCPT TO:<{SUPPORT}>")
        assert (await two.ask("DATA")).startswith("451 4.3.2")
        await one.raw(MAIL + b".\r\n")
        await one.hear()
        await two.envelope()


@pytest.mark.promise("IN-5")
async def test_a_message_may_have_so_many_recipients(tmp_path: Path) -> None:
    async with open_world(tmp_path, max_recipients=2) as world, world.dial() as line:
        await line.greet()
        await line.ask(f"MAIL FROM:<{ANN}>")
        await line.say(*[f"RCPT TO:<{one}>" for one in (SUPPORT, SALES, SUPPORT)])
        assert await line.codes(3) == ["250", "250", "452"]


@pytest.mark.promise("IN-5")
async def test_there_may_be_so_many_connections(tmp_path: Path) -> None:
    async with open_world(tmp_path, max_connections=2) as world:
        async with world.dial() as one, world.dial("lmtp") as two:
            await one.greet()
            await two.greet("LHLO")
            async with world.dial() as three:
                assert (await three.hear()).startswith("421 4.3.2")
                assert await three.hear() == ""
        await until(lambda: figure(world, "connections") == 0)
        await world.send(MAIL)


@pytest.mark.promise("IN-5")
async def test_one_peer_may_have_so_many_connections(tmp_path: Path) -> None:
    async with open_world(tmp_path, max_connections_per_peer=1) as world:
        async with world.dial() as one, world.dial() as two:
            await one.greet()
            assert (await two.hear()).startswith("421 4.7.0")


@pytest.mark.promise("IN-5")
async def test_one_peer_may_send_so_many_messages_a_minute(tmp_path: Path) -> None:
    async with open_world(tmp_path, max_messages_per_minute_per_peer=2) as world:
        await world.send(MAIL)
        await world.send(MAIL)
        with pytest.raises(smtplib.SMTPSenderRefused) as failed:
            await world.send(MAIL)
        assert failed.value.smtp_code == 450


@pytest.mark.promise("OB-6")
async def test_a_foreign_host_may_not_deliver(tmp_path: Path) -> None:
    async with open_world(tmp_path, peers=("192.0.2.0/24",)) as world, world.dial() as line:
        assert (await line.hear()).startswith("554 5.7.1")
        assert await line.hear() == ""


@pytest.mark.promise("IN-5")
async def test_a_silent_client_is_dismissed(tmp_path: Path) -> None:
    async with open_world(tmp_path, idle_timeout=30) as world, world.dial() as line:
        await line.hear()
        assert (await line.hear()).startswith("421 4.4.2")
        assert await line.hear() == ""


@pytest.mark.promise("IN-5")
async def test_a_trickling_client_is_dismissed(tmp_path: Path) -> None:
    async with open_world(tmp_path, data_timeout=60) as world, world.dial() as line:
        await line.ready()
        await line.raw(b"Subject: slow\r\n")
        assert (await line.hear()).startswith("421 4.4.2")
        assert world.arrived == []


@pytest.mark.promise("IN-5")
async def test_a_client_that_speaks_something_else_is_told_before_the_line_is_closed(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world, world.dial() as line:
        await line.greet()
        for _ in range(4):
            assert (await line.ask("GET / HTTP/1.1")).startswith("500 5.5.2")
        assert (await line.ask("GET / HTTP/1.1")).startswith("421 4.7.0")
        assert await line.hear() == ""


async def test_signing_in_is_neither_offered_nor_known(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world, world.dial() as line:
        await line.greet()
        assert "AUTH" not in await line.ask("HELP")
        assert (await line.ask("AUTH PLAIN AGEAYg==")).startswith("500 5.5.2")


@pytest.mark.promise("IN-5")
async def test_a_clumsy_client_is_dismissed(tmp_path: Path) -> None:
    async with open_world(tmp_path, max_errors=3) as world, world.dial() as line:
        await line.greet()
        assert (await line.ask("WHAT")).startswith("500 5.")
        assert (await line.ask("DATA")).startswith("503 5.5.1")
        await line.say("RCPT TO:<x@y.example>")
        assert await line.codes(2) == ["503", "421"]
        assert await line.hear() == ""


@pytest.mark.parametrize(
    "line",
    [
        b"MAIL FROM:<" + b"x" * 5_000 + b">",
        b"x" * 200_000,
        b"\xff\xfe\x00",
        b"MAIL FROM:<\xff@x.example>",
        b"MAIL FROM:<a@b> \xff=1",
        b"MAIL FROM:(",
        b'MAIL FROM:<"',
        b"MAIL FROM:<@",
        b"MAIL FROM:<<<>>>",
        b"MAIL FROM:<a@[>",
        b"MAIL FROM:",
        b"MAIL",
        b"RCPT TO:<x>",
        b"VRFY \xff",
        b"HELP MAIL",
        b"HELP \xff",
        b"EXPN x",
        b"AUTH PLAIN AGEAYg==",
        b"STARTTLS",
        b"BDAT 10 LAST",
        b"EHLO",
        b"",
        b" ",
    ],
    ids=lambda line: repr(line[:20]),
)
@pytest.mark.promise("IN-4")
async def test_a_strange_command_gets_an_answer_and_the_next_one_works(world: World, line: bytes) -> None:
    async with world.dial() as peer:
        await peer.greet()
        answer = await peer.ask(line)
        assert answer[:3].isdigit()
        assert answer[4:6] in ("2.", "5.", "4.")
        await peer.ask("RSET")
        await peer.envelope()
        await peer.raw(MAIL + b".\r\n")
        assert (await peer.hear()).startswith("250")


# --- life -----------------------------------------------------------------------------------------------------------


@pytest.mark.promise("OB-1")
async def test_health_says_when_nobody_listens(tmp_path: Path) -> None:
    world = World(tmp_path)
    assert world.adapter.health().detail == "not listening: smtp, lmtp"
    async with open_world(tmp_path) as up:
        assert up.adapter.health().ok
        up.adapter._servers["lmtp"].close()
        assert not up.adapter.health().ok
        assert up.adapter.health().detail == "not listening: lmtp"


async def test_a_port_in_use_is_said(world: World, tmp_path: Path) -> None:
    other = World(tmp_path, smtp=Listener(port=0), lmtp=Listener(port=world.adapter.port("lmtp")))
    with pytest.raises(ConfigError, match=r"email\.lmtp"):
        await other.adapter.start()
    assert not other.adapter.health().ok


@pytest.mark.promise("DU-6")
async def test_draining_finishes_what_came_in_whole_and_sends_the_others_away(world: World) -> None:
    world.desk.held = []
    port = world.adapter.port("smtp")
    async with world.dial() as taken, world.dial() as halfway, world.dial() as idle:
        await taken.ready()
        await taken.raw(MAIL + b".\r\n")
        await halfway.ready()
        await halfway.raw(b"Subject: half")
        await idle.greet()
        await until(lambda: bool(world.desk.held))
        draining = asyncio.create_task(world.adapter.stop_intake())
        assert (await idle.hear()).startswith("421 4.3.2")
        assert (await halfway.hear()).startswith("421 4.3.2")
        assert not draining.done()
        world.desk.held.pop()()
        assert (await taken.hear()).startswith("250")
        assert (await taken.hear()).startswith("421 4.3.2")
        await draining
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
    assert not world.adapter.health().ok


async def test_stopping_lets_go_of_everybody(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world, world.dial() as line:
        await line.ready()
        await world.adapter.stop()
        assert await line.hear() == ""


# --- real mail ------------------------------------------------------------------------------------------------------


@pytest.mark.promise("IN-2", "IN-4")
@pytest.mark.parametrize("folder", sorted({path.parent.name for path in corpus_files()}) or corpus_params())
async def test_every_real_mail_is_taken_and_kept(world: World, folder: str) -> None:
    files = corpus_files(folder)

    def talk(client: smtplib.SMTP) -> None:
        for path in files:
            client.sendmail(ANN, [SUPPORT], with_crlf(path.read_bytes()))

    await world.smtp(talk)
    assert len(world.arrived) == len(files)
    for path, command in zip(files, world.arrived, strict=True):
        assert world.raw_of(command) == with_crlf(path.read_bytes())
    assert world.shelf.kept == []


def with_crlf(raw: bytes) -> bytes:
    """As mail travels: every line ends with CRLF, the last one too."""
    lines = re.sub(rb"\r\n|\r|\n", b"\r\n", raw)
    return lines if lines.endswith(b"\r\n") else lines + b"\r\n"


# --- TLS ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def certificate(tmp_path: Path) -> Tls:
    """A certificate of our own making, for this machine."""
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(key), "-out", str(cert), "-days", "2", "-subj", "/CN=localhost"]
    try:
        subprocess.run([*command, "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl, which makes the certificate, is not installed")
    return Tls(str(cert), str(key), required=True)


async def test_starttls_protects_a_conversation(tmp_path: Path, certificate: Tls) -> None:
    async with open_world(tmp_path, tls=certificate) as world:

        def talk(client: smtplib.SMTP) -> None:
            client.ehlo()
            assert client.mail(ANN)[0] == 530
            assert client.starttls(context=ssl.create_default_context(cafile=certificate.certificate))[0] == 220
            client.ehlo()
            assert not client.has_extn("starttls")
            client.sendmail(ANN, [SUPPORT], MAIL)

        await world.smtp(talk)
        await world.smtp(talk)
        assert world.interactions == 1
        await until(lambda: figure(world, "connections") == 0)


async def test_words_sent_ahead_of_tls_are_not_heard_behind_it(tmp_path: Path, certificate: Tls) -> None:
    async with open_world(tmp_path, tls=certificate) as world:

        def talk(client: smtplib.SMTP) -> bytes:
            client.ehlo()
            assert client.sock is not None
            client.sock.sendall(b"STARTTLS\r\nEHLO injected\r\n")
            assert client.getreply()[0] == 220
            context = ssl.create_default_context(cafile=certificate.certificate)
            with context.wrap_socket(client.sock, server_hostname="127.0.0.1") as safe:
                safe.sendall(b"MAIL FROM:<ann@customer.example>\r\n")
                heard = safe.recv(1_000)
            client.close()
            return heard

        with contextlib.suppress(smtplib.SMTPServerDisconnected):
            assert (await world.smtp(talk)).startswith(b"503")  # nobody has said hello under TLS yet


@pytest.mark.promise("OB-4")
async def test_a_certificate_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"email\.tls"):
        await World(tmp_path, tls=Tls("no-such.pem", "no-such.pem")).adapter.start()


@pytest.mark.promise("OB-3")
async def test_a_client_that_sends_ahead_without_end_does_not_stop_others(world: World) -> None:
    async with world.dial() as flood, world.dial() as other:
        await flood.greet()
        await other.greet()
        await flood.raw(b"NOOP\r\n" * 10_000)
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        counting = asyncio.create_task(count())
        assert set(await flood.codes(10_000)) == {"250"}
        counting.cancel()
        assert turns > 300


# --- what programs write ----------------------------------------------------------------------------------------------

RETURNED = b"""From: Mail Delivery System <MAILER-DAEMON@mx.customer.example>\r
Subject: Undelivered Mail Returned to Sender\r
Content-Type: multipart/report; report-type=delivery-status; boundary=b\r
Message-ID: <dsn1@mx.customer.example>\r
\r
--b\r
Content-Type: text/plain\r
\r
Your message could not be delivered.\r
--b\r
Content-Type: message/delivery-status\r
\r
Reporting-MTA: dns; mx.customer.example\r
\r
Final-Recipient: rfc822; ann@customer.example\r
Action: failed\r
Status: 5.1.1\r
Diagnostic-Code: smtp; 550 5.1.1 no such user\r
\r
--b\r
Content-Type: text/rfc822-headers\r
\r
From: Support <support@shop.example>\r
Message-ID: <sb.i-4.40.990a3c928fb56a8e@shop.example>\r
--b--\r
"""


async def test_a_bounce_of_our_own_reply_finds_its_conversation_and_says_whom_it_missed(world: World) -> None:
    await world.send(RETURNED, mail_from="")
    (got,) = world.arrived
    assert got.automatic == "undelivered"
    assert "mail:t:990a3c928fb56a8e" in got.threads
    assert got.attributes["failed"] == ANN
    assert got.message is not None
    assert got.message.text == f"Not delivered to {ANN} (550 5.1.1 no such user)"


async def test_a_bounce_of_somebody_elses_mail_is_no_undelivered_reply(world: World) -> None:
    await world.send(RETURNED.replace(b"sb.i-4.40.", b"other."), mail_from="")
    (got,) = world.arrived
    assert (got.automatic, got.attributes["auto"]) == ("bounce", "bounce")


async def test_our_own_reply_coming_back_is_a_loop(world: World) -> None:
    await world.send(MAIL.replace(b"m1@customer.example", b"sb.i-4.40.990a3c928fb56a8e@shop.example"))
    (got,) = world.arrived
    assert got.automatic == "loop"


async def test_what_people_write_is_not_automatic(world: World) -> None:
    await world.send(MAIL)
    assert world.arrived[0].automatic == ""


RESULTS = b"Authentication-Results: mx.shop.example 1; dkim=fail (bad sig) header.d=x; dkim=pass; spf=softfail\r\n"


async def test_results_of_authentication_are_believed_from_configured_servers_alone(tmp_path: Path) -> None:
    async with open_world(tmp_path, trusted_results=("MX.shop.example",)) as world:
        await world.send(RESULTS + MAIL)
        await world.send(RESULTS.replace(b"mx.shop", b"mx.evil") + MAIL.replace(b"m1", b"m2"))
    known, unknown = world.arrived
    assert {n: v for n, v in known.attributes.items() if n.startswith("auth_")} == {
        "auth_dkim": "pass",
        "auth_spf": "softfail",
    }
    assert not [name for name in unknown.attributes if name.startswith("auth_")]


async def test_nobodys_results_are_believed_by_default(world: World) -> None:
    await world.send(RESULTS + MAIL)
    assert not [name for name in world.arrived[0].attributes if name.startswith("auth_")]


# --- what is found out of the words -----------------------------------------------------------------------------------


@pytest.mark.promise("RT-3")
async def test_the_language_of_the_new_words_is_the_contacts(tmp_path: Path) -> None:
    async with open_world(tmp_path, languages=("en", "es")) as world:
        spanish = "¿Dónde está mi paquete? Lo esperaba el lunes.".encode()
        quoted = b"\r\n\r\nOn 2 Jan 2024, Shop <support@shop.example> wrote:\r\n> Your parcel was sent on Friday.\r\n"
        await world.send(MAIL.replace(b"Hello", spanish) + quoted)
        await world.send(b"Content-Language: es\r\n" + MAIL.replace(b"Hello", b"ok").replace(b"m1", b"m2"))
    assert [one.language for one in world.arrived] == ["es", "es"]


@pytest.mark.promise("OB-6")
async def test_a_card_number_in_a_subject_is_not_recorded(world: World) -> None:
    await world.send(MAIL.replace(b"Subject: Hi", b"Subject: Charge 4111 1111 1111 1111 please"))
    assert world.arrived[0].subject == "Charge •••• 1111 please"
