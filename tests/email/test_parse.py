"""The head of a mail becomes the command that it means, however ugly it is."""

import json
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.email import automatic
from channels.email.addresses import Mailbox, canonical_address, mailboxes
from channels.email.parse import Letter, arrive, message_ids, read_letter, threads_of, unreadable
from channels.email.text import clean, decode, decode_words
from router.engine.commands import Arrive
from router.engine.events import Blob
from tests.email.corpora import corpus_params, expectations

HERE = "support@shop.example"

# Where we read otherwise than the origin expects, and why that stays.
DIFFER = {
    "obsolete.msg": "the origin finds no field whose name is followed by blanks; RFC 5322 4.5 allows it",
    "arf-24.eml": "a complaint in Microsoft's own form: nothing but its body says so, and bodies are not read here",
}


def command(raw: bytes, mail_from: str = "ann@customer.example", to: str = HERE) -> Arrive:
    return arrive(read_letter(raw, mail_from), to, Blob("0" * 64, len(raw), "message/rfc822", "message.eml"))


def storable(thing: Arrive) -> None:
    """It survives both encodings that it will meet, and says the same afterwards."""
    assert msgspec.json.decode(msgspec.json.encode(thing), type=Arrive) == thing
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(thing), type=Arrive) == thing
    texts = [thing.sender, thing.recipient, thing.name, thing.subject, thing.language, thing.key, *thing.threads]
    texts += [*thing.identities, *thing.attributes, *thing.attributes.values()]
    for text in texts:
        assert not any(c < " " or "\x7f" <= c <= "\x9f" or "\ud800" <= c <= "\udfff" for c in text), text
        assert len(text) <= 700


def head(*lines: str) -> bytes:
    return "\r\n".join([*lines, "", "Hello", ""]).encode()


# --- what a head says -------------------------------------------------------------------------------------------------


def test_a_plain_mail() -> None:
    got = command(
        head(
            "From: Ann Customer <Ann@Customer.Example>",
            "To: support@shop.example",
            "Cc: Bob <bob@other.example>",
            "Subject: Where is my parcel?",
            "Message-ID: <m1@customer.example>",
            "In-Reply-To: <m0@shop.example>",
            "References: <first@shop.example> <m0@shop.example>",
            "Content-Language: es-MX, en",
            "Date: Thu, 01 Jan 2026 10:00:00 +0000",
        )
    )
    assert (got.sender, got.name, got.subject) == ("Ann@customer.example", "Ann Customer", "Where is my parcel?")
    assert got.identities == ("mailto:ann@customer.example",)
    assert (got.recipient, got.channel, got.language) == (HERE, "email", "es")
    assert got.threads[0] == f"mail:{HERE}:m1@customer.example"
    assert got.threads[2:] == (f"mail:{HERE}:m0@shop.example", f"mail:{HERE}:first@shop.example")
    assert got.attributes["cc"] == "bob@other.example"
    assert got.attributes["sent_at_ms"] == "1767261600000"
    assert got.message is not None
    assert got.message.external_id == "m1@customer.example"
    assert "auto" not in got.attributes
    storable(got)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("=?utf-8?q?Caf=C3=A9_=26_bar?=", "Café & bar"),
        ("=?utf-8?B?Q2Fmw6k=?= is =?iso-8859-1?Q?=E9?=", "Café is é"),
        ("=?utf-8?B?Q2Fmw6k?=", "Café"),  # padding left off
        ("=?utf-8?Q?Caf=C3?= =?utf-8?Q?=A9?=", "Café"),  # cut inside a character
        ("=?utf-8?Q?a?=\r\n =?utf-8?Q?b?=", "ab"),
        ("=?utf-8?Q?a?= b =?utf-8?Q?c?=", "a b c"),
        ("=?utf-8*en?Q?tagged?=", "tagged"),
        ("=?no-such-charset?Q?Caf=C3=A9?=", "Café"),
        ("=?hex?Q?41?=", "41"),
        ("=?unicode_escape?Q?=5Cq?=", "\\q"),
        ("=?utf-8?X?what?=", "=?utf-8?X?what?="),
        ("=?utf-8?Q?line=0D=0ABcc: x?=", "line Bcc: x"),
        ("=?utf-8?Q?turned_=E2=80=AE?= around", "turned around"),
        ("=?ks_c_5601-1987?B?vbrGvMfY?=", "스티해"),
        ("Frühling", "Frühling"),
        ("", ""),
    ],
)
def test_subjects_are_read_whatever_way_they_are_written(header: str, expected: str) -> None:
    assert read_letter(head(f"Subject: {header}"), "a@b.example").subject == expected


def test_raw_bytes_in_a_header_are_utf8_or_else_windows_1252() -> None:
    assert read_letter(b"Subject: Caf\xe9 \x80 5\r\n\r\n").subject == "Café € 5"
    assert read_letter(b"Subject: Caf\xc3\xa9\r\n\r\n").subject == "Café"
    assert read_letter(b"From: J\xf6rg <j\xf6rg@example.org>\r\n\r\n").senders[0].name == "Jörg"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("a@b.example", [("", "a@b.example")]),
        ("Ann <a@B.Example>", [("Ann", "a@b.example")]),
        ('"Ann, Dr." <a@b.example>', [("Ann, Dr.", "a@b.example")]),
        ("a@b.example (Ann)", [("Ann", "a@b.example")]),
        ("=?utf-8?q?M=C3=BCller=2C_J=2E?= <m@b.example>", [("Müller, J.", "m@b.example")]),
        ("a@b.example, B <b@c.example>; c@d.example", [("", "a@b.example"), ("B", "b@c.example"), ("", "c@d.example")]),
        ("Group: a@b.example, B <b@c.example>;", [("", "a@b.example"), ("B", "b@c.example")]),
        ("undisclosed-recipients:;", []),
        ("<@relay.example,@two.example:a@b.example>", [("", "a@b.example")]),
        ("a@[IPv6:2001:db8::1]", [("", "a@[ipv6:2001:db8::1]")]),
        ("Ann <a@[IPv6:2001:db8::1]>", [("Ann", "a@[ipv6:2001:db8::1]")]),
        ("Ann <a@[192.0.2.1]>", [("Ann", "a@[192.0.2.1]")]),
        ("mailto:a@b.example", [("", "a@b.example")]),
        ("smith@one.example <smith@two.example>", [("smith@one.example", "smith@two.example")]),
        ("Ann <a@b.example", [("Ann", "a@b.example")]),
        ('"Ann <a@b.example>', [("", "a@b.example")]),
        ("Pete(A nice (very) \\) chap) <pete@silly.example>", [("Pete", "pete@silly.example")]),
        ('"odd name"@b.example', []),
        ("<>", []),
        ("", []),
        ("Mary", []),
        ("@", []),
        ("a@", []),
        ("\x00\x01", []),
        ("jdöe@mächine.example", [("", "jdöe@mächine.example")]),
    ],
)
def test_address_headers(header: str, expected: list[tuple[str, str]]) -> None:
    assert [(box.name, box.address) for box in mailboxes(header)] == expected


def test_of_several_authors_the_first_is_the_customer() -> None:
    got = command(head("From: a@b.example, c@d.example"))
    assert (got.sender, got.identities) == ("a@b.example", ("mailto:a@b.example",))
    assert got.message is not None
    assert got.message.sender == "a@b.example"


@pytest.mark.parametrize("line", ["From:", "From: nobody at all", "From: <>", "X-Other: 1"])
def test_without_an_author_the_envelope_says_who_wrote(line: str) -> None:
    assert command(head(line), "Env@Customer.Example").sender == "Env@customer.example"
    assert command(head(line), "<>").sender == ""
    assert command(head(line), "<>").identities == ()


def test_a_head_is_found_whatever_ends_its_lines() -> None:
    lines = [b"Subject: a", b" b", b"From: x@y.example", b"", b"Subject: body"]
    for end in (b"\r\n", b"\n", b"\r", b"\r\r\n"):
        letter = read_letter(end.join(lines))
        assert (letter.subject, letter.senders[0].address) == ("a b", "x@y.example"), end


def test_a_head_is_read_no_further_than_its_limit() -> None:
    raw = b"Subject: one\r\nX-Filler: " + b"x" * 5_000 + b"\r\nFrom: late@b.example\r\n\r\n"
    assert read_letter(raw, "", 1_024).senders == ()
    assert read_letter(raw, "", 131_072).senders[0].address == "late@b.example"


def test_references_are_bounded_and_keep_the_first() -> None:
    ids = [f"<r{n}@b.example>" for n in range(300)]
    threads = command(head("Message-ID: <own@b.example>", "References: " + "\r\n ".join(ids))).threads
    assert len(threads) == 2 + 20 + 1
    assert threads[2].endswith(":r299@b.example")
    assert threads[-1].endswith(":r0@b.example")


def test_ids_too_long_to_keep_are_known_by_their_digest() -> None:
    long = "x" * 800 + "@b.example"
    (one,) = message_ids(f"<{long}>")
    assert one.startswith("sha256-")
    assert message_ids(f"In answer to <{long}>") == (one,)
    assert message_ids("Your message of Monday <a b@c.example>") == ("ab@c.example",)


# --- the key (IN-3) ---------------------------------------------------------------------------------------------------

NAMED = head("From: a@b.example", "Message-ID: <m1@b.example>", "Subject: x")


@pytest.mark.promise("IN-3")
def test_the_same_mail_by_another_way_is_the_same_mail() -> None:
    again = b"Received: from relay.example; Thu, 1 Jan 2026\r\n by us\r\nReturn-Path: <a@b.example>\r\n" + NAMED
    assert command(again).key == command(NAMED).key


@pytest.mark.promise("IN-2", "IN-3")
def test_a_copied_message_id_does_not_make_another_mail_vanish() -> None:
    other = NAMED.replace(b"Hello", b"Something else")
    assert command(other).key != command(NAMED).key
    assert command(other).threads[0] == command(NAMED).threads[0]  # but they are one conversation


def test_a_nameless_mail_is_the_same_only_byte_for_byte() -> None:
    nameless = head("From: alarm@b.example", "Subject: door open")
    assert command(nameless).key == command(nameless).key
    assert (
        command(b"Received: by relay id 2\r\n" + nameless).key != command(b"Received: by relay id 1\r\n" + nameless).key
    )


def test_each_recipient_is_a_delivery_of_its_own() -> None:
    one, two = command(NAMED), command(NAMED, to="sales@shop.example")
    assert one.key != two.key
    assert not set(one.threads) & set(two.threads)


@pytest.mark.promise("IN-3")
def test_a_reply_to_our_reply_joins_by_our_token_alone() -> None:
    first = read_letter(NAMED)
    token = threads_of(first, HERE)[1].removeprefix("mail:t:")
    answer = command(head("From: a@b.example", f"In-Reply-To: <sb.i-12.345.{token}@shop.example>"))
    assert f"mail:t:{token}" in answer.threads
    guessed = command(head("From: evil@b.example", "In-Reply-To: <sb.i-12.345.0000000000000000@shop.example>"))
    assert f"mail:t:{token}" not in guessed.threads


# --- automatic mail ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "mail_from", "kind"),
    [
        (["From: a@b.example"], "a@b.example", ""),
        (["From: a@b.example", "Auto-Submitted: no"], "a@b.example", ""),
        (["From: a@b.example", "Auto-Submitted: auto-replied"], "a@b.example", "auto-reply"),
        (["From: a@b.example", "X-Auto-Response-Suppress: All"], "a@b.example", "auto-reply"),
        (["From: a@b.example", "Subject: Auto reply: away"], "a@b.example", "auto-reply"),
        (["From: a@b.example", "Subject: Abwesenheitsnotiz"], "a@b.example", "auto-reply"),
        (["From: a@b.example"], "<>", "auto-reply"),
        (["From: Mail Delivery System <MAILER-DAEMON@b.example>"], "<>", "bounce"),
        (["From: a@b.example", "X-Failed-Recipients: x@y.example"], "a@b.example", "bounce"),
        (['Content-Type: multipart/report; report-type="delivery-status"'], "<>", "bounce"),
        (["Content-Type: multipart/report; report-type=feedback-report"], "a@b.example", "report"),
        (["From: a@b.example", "List-Id: <l.b.example>"], "a@b.example", "list"),
        (["From: a@b.example", "Precedence: bulk"], "a@b.example", "list"),
    ],
)
def test_automatic_mail_is_marked(lines: list[str], mail_from: str, kind: str) -> None:
    assert command(head(*lines), mail_from).attributes.get("auto", "") == kind


@given(st.one_of(st.from_regex(automatic._RETURNED_SUBJECT), st.from_regex(automatic._DAEMON)))
@settings(max_examples=300, deadline=None)
def test_no_suspect_is_passed_over_for_the_sake_of_speed(words: str) -> None:
    slow = automatic._RETURNED_SUBJECT.search(words.lower()) or automatic._DAEMON.search(words.lower())
    assert automatic.is_suspect("", words, words) or not slow


@pytest.mark.parametrize("path", corpus_params("bounces-and-autoreplies"))
def test_real_automatic_mail_is_marked_and_real_mail_is_not(path: Path) -> None:
    kind = expectations("bounces-and-autoreplies")[path.name]["kind"]
    automatic = kind != "not_a_bounce" and path.name not in DIFFER
    raw = path.read_bytes()
    got = read_letter(raw, "<>" if automatic and kind != "feedback_report" else "someone@b.example").auto
    assert bool(got) == automatic, (kind, got)


# --- real mail --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", corpus_params())
def test_every_real_mail_gives_a_command_that_can_be_stored(path: Path) -> None:
    storable(command(path.read_bytes()))


@pytest.mark.parametrize("path", corpus_params("headers-and-attachments"))
def test_headers_are_read_as_their_origin_expects(path: Path) -> None:
    expect = expectations("headers-and-attachments")[path.name]
    letter = read_letter(path.read_bytes(), "")
    found = found_in(letter)
    for key in found.keys() & expect.keys():
        assert folded(found[key]) == folded(expect[key]), key


def folded(value: Any) -> Any:
    """Domains are kept in lower case."""
    return [text.lower() for text in value] if isinstance(value, list) else value


def found_in(letter: Letter) -> dict[str, Any]:
    return {
        "from": [box.address for box in letter.senders],
        "from_name": letter.senders[0].name if letter.senders else "",
        "to": [box.address for box in letter.to],
        "cc": [box.address for box in letter.cc],
        "subject": letter.subject,
        "message_id": letter.message_id,
        "in_reply_to": list(letter.in_reply_to),
        "references": list(letter.references),
    }


@pytest.mark.parametrize("path", corpus_params("mime-structure"))
def test_subjects_are_found_where_the_origin_finds_them(path: Path) -> None:
    raw = expectations("mime-structure")[path.name]["raw_subject_header"]
    if path.name in DIFFER:
        raw = "The obsolete syntax allow spaces before the colon and also empty lines in folding."
    assert read_letter(path.read_bytes()).subject == clean(decode_words(raw or ""), 500)


# --- hostile mail -----------------------------------------------------------------------------------------------------

PIECES = rb"""
From: To: Reply-To: Subject: Message-ID: References: Date: Content-Type: multipart/report <a@b> a@b.example
sb.i-1.2.0123456789abcdef@x : < > @ , ; " \ ( ) [ ] = =? ?= ?q? ?B? utf-8 utf-7 utf-16 idna +2AA-
=?utf-8?Q?=ED=A0=80?= =?utf-7?Q?+2AA-?= 99999 +9999 Jan
""".split()
BYTES = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\r\n ",
    b"\t",
    b" ",
    b"\r\n\r\n",
    b"\0",
    b"\x1b",
    b"\xff",
    b"\xc3\xa9",
    b"\xed\xa0\x80",
    b"\xe2\x80\xae",
]
pieces = st.sampled_from(PIECES + BYTES)
hostile = st.one_of(
    st.binary(max_size=300), st.lists(st.one_of(pieces, st.binary(max_size=4)), max_size=40).map(b"".join)
)


@pytest.mark.promise("IN-4")
@given(hostile, st.text(max_size=40), st.text(max_size=40))
@settings(max_examples=400, deadline=None)
def test_no_bytes_defeat_the_reader(raw: bytes, mail_from: str, detail: str) -> None:
    letter = read_letter(b"From:" + raw, mail_from)
    storable(arrive(letter, HERE, Blob("0" * 64, len(raw)), detail))
    storable(arrive(read_letter(raw, mail_from), HERE, Blob("0" * 64, len(raw)), detail))
    storable(arrive(unreadable(raw, mail_from), HERE, Blob("0" * 64, len(raw))))


@given(st.text(max_size=200))
@settings(max_examples=300, deadline=None)
def test_no_text_defeats_the_address_reader(header: str) -> None:
    for box in mailboxes(header):
        assert box == Mailbox(box.name, canonical_address(box.address))
        json.dumps(box).encode()


@given(st.binary(max_size=60), st.text(max_size=20))
def test_any_bytes_in_any_charset_are_some_text(data: bytes, charset: str) -> None:
    clean(decode(data, charset), 100).encode()


@pytest.mark.parametrize(
    "raw",
    [
        b'From: "' + b'\\"' * 60_000,
        b"From: " + b"(" * 120_000,
        b"From: " + b"<a@b," * 25_000,
        b"From: " + b"a@" * 60_000,
        b"Subject: " + b"=?utf-8?q?" * 12_000,
        b"Subject: " + b"=?utf-8?q?a?= " * 9_000,
        b"References: " + b"<" * 120_000,
        b"References: " + b"<a@b> " * 20_000,
        b"a" * 130_000,
        b"a: b\r\n" * 20_000,
        b"a:\r\n \r\n " * 15_000,
        b"\r" * 130_000,
        b"\r\n" * 65_000,
        b"Date: " + b"1 " * 60_000,
    ],
    ids=lambda raw: repr(raw[:18]),
)
def test_a_hostile_head_costs_no_more_than_its_length(raw: bytes) -> None:
    start = time.thread_time()
    storable(command(raw))
    assert time.thread_time() - start < 0.5
