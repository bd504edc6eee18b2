"""What people read of a mail, and what is attached to it."""

import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.email.body import CUT, TEXT_MAX, Readable, attachment_content, html_text, readable_text
from tests.email.corpora import corpus_params, expectations

RELATED = b"""MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: multipart/alternative; boundary=c

--c
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

Caf=C3=A9 um acht?
--c
Content-Type: text/html; charset=utf-8

<p>Caf&eacute; <b>um acht?</b></p>
--c--
--b
Content-Type: application/pdf; name="=?utf-8?q?Pl=C3=A4ne=2Epdf?="
Content-Transfer-Encoding: base64
Content-Disposition: attachment

SGVsbG8
--b
Content-Type: message/rfc822

Subject: inner

inner text
--b--
"""


def test_the_plain_part_is_preferred_and_attachments_are_named() -> None:
    got = readable_text(RELATED)
    assert got.text == "Café um acht?"
    first = got.attachments[0]
    assert (first.name, first.media_type, first.size) == ("Pläne.pdf", "application/pdf", 5)
    assert [p.name for p in got.attachments] == ["Pläne.pdf", "message.eml"]
    assert got.complete
    part, content = attachment_content(RELATED, 0)
    assert (part.name, content) == ("Pläne.pdf", b"Hello")
    assert b"inner text" in attachment_content(RELATED, 1)[1]
    with pytest.raises(IndexError):
        attachment_content(RELATED, 2)


def test_html_alone_is_made_into_text() -> None:
    page = b"<style>p{}</style><p>Gr\xfc\xdfe<br>Ann</p><script>x()</script>"
    raw = b"Content-Type: text/html; charset=iso-8859-1\n\n" + page
    assert readable_text(raw).text == "Grüße\nAnn"


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<div>a</div><div>b</div>", "a\n\nb"),
        ("a<br>b<br/>c", "a\nb\nc"),
        ("<p>one\n  two</p>tail", "one two\ntail"),
        ("<table><tr><td>1</td><td>2</td></tr><tr><td>3</td></tr></table>", "1 2\n\n3"),
        ("a &lt;b&gt; &amp;amp; &#8364; &nbsp;c", "a <b> &amp; € c"),
        ("<!-- hidden > -->shown", "shown"),
        ("<style>never ends", ""),
        ("<img alt='a > b' title=\"it's\">x", "x"),
        ("3 < 4 and 5 > 4", "3 < 4 and 5 > 4"),
        ("<title>Mail</title><body>hello", "hello"),
        ("", ""),
    ],
)
def test_html_keeps_words_and_lines(page: str, text: str) -> None:
    assert html_text(page) == text


@pytest.mark.parametrize(
    ("declared", "data", "text"),
    [
        ("utf-8", b"Caf\xc3\xa9", "Café"),
        ("us-ascii", b"Caf\xc3\xa9", "Café"),
        ("utf-8", b"Caf\xe9", "Café"),
        ("iso-8859-1", b"5 \x80", "5 €"),
        ("no-such-thing", b"Caf\xe9", "Café"),
        ("ks_c_5601-1987", b"\xbd\xba\xc6\xbc\xc7\xd8", "스티해"),
        ("unicode-escape", b"\\q", "\\q"),
        ("idna", b"xn--caf-dma", "xn--caf-dma"),
        ("base64", b"SGk=", "SGk="),
        ("utf-16", b"\xd8\x00", None),
    ],
)
def test_a_wrong_charset_shows_what_it_can(declared: str, data: bytes, text: str | None) -> None:
    got = readable_text(b"Content-Type: text/plain; charset=" + declared.encode() + b"\n\n" + data).text
    assert text is None or got == text
    got.encode()


def test_a_file_name_is_never_a_path() -> None:
    raw = b'Content-Type: application/x; name="..\\\\..\\\\evil/../../etc/passwd"\n\nx'
    assert readable_text(raw).attachments[0].name == "passwd"


def test_a_long_text_is_cut_and_says_so() -> None:
    got = readable_text(b"\n" + b"word " * 100_000)
    assert len(got.text) <= TEXT_MAX + len(CUT)
    assert got.text.endswith(CUT)
    assert not got.complete


@pytest.mark.promise("IN-4")
@pytest.mark.parametrize(
    ("page", "gone"),
    [
        ("<script>steal()</script>", "steal"),
        ("<img src='https://spy.example/x.png'>", "spy"),
        ("<a href='javascript:x()'>", "javascript"),
        ("<p onclick='x()'>", "onclick"),
        ("<p style='position:fixed'>", "fixed"),
        ("<form action='https://evil.example'><input name=p>", "evil"),
        ("<iframe src='https://evil.example'></iframe>", "evil"),
        ("<style>@import 'https://evil.example'</style>", "evil"),
        ("<svg onload=x()>", "svg"),
        ("<meta http-equiv=refresh content='0;url=https://evil.example'>", "evil"),
    ],
)
def test_html_is_shown_without_what_runs_loads_or_leaves(page: str, gone: str) -> None:
    raw = b"Content-Type: text/html; charset=utf-8\n\n" + f"{page}<p>Ann &amp; <b>Bob</b></p>".encode()
    shown = readable_text(raw).html
    assert gone not in shown
    assert "<b>Bob</b>" in shown
    assert "Ann &amp; " in shown


def test_html_is_kept_beside_the_text_and_only_where_there_is_some() -> None:
    got = readable_text(RELATED)
    assert (got.text, got.html) == ("Café um acht?", "<p>Café <b>um acht?</b></p>")
    assert readable_text(b"\nplain").html == ""


def test_what_is_new_is_told_apart_and_the_whole_text_stays() -> None:
    got = readable_text(b"\nYes, please.\n\nOn 2 Jan 2024, Ann <a@b.example> wrote:\n> Shall we?\n")
    assert got.new == "Yes, please."
    assert "Shall we?" in got.text


@pytest.mark.promise("IN-4")
@pytest.mark.parametrize("piece", ["<div>", "<b>", "<table><tr>", "<div></b>", "<p><i>", "&", "<a '\"", "<svg><a>"])
def test_a_hostile_page_costs_seconds_at_most(piece: str) -> None:
    start = time.thread_time()
    readable_text(b"Content-Type: text/html\n\n" + piece.encode() * (250_000 // len(piece)))
    assert time.thread_time() - start < 5


# --- real mail ---


@pytest.mark.parametrize("path", corpus_params())
def test_every_real_mail_can_be_read(path: Path) -> None:
    got = readable_text(path.read_bytes())
    plain(got)
    for number in range(len(got.attachments)):
        attachment_content(path.read_bytes(), number)


def plain(got: Readable) -> None:
    for text in [got.text, *(p.name for p in got.attachments), *(p.media_type for p in got.attachments)]:
        text.encode()
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", text)


# What the origin expects and we do not give, with the reason.
DIFFER: dict[tuple[str, str], str] = {}


@pytest.mark.parametrize("path", corpus_params("headers-and-attachments"))
def test_bodies_and_attachments_are_as_their_origin_expects(path: Path) -> None:
    expect = expectations("headers-and-attachments")[path.name]
    got = readable_text(path.read_bytes())
    if "body_text" in expect:
        assert got.text.strip() == expect["body_text"].strip()
    if "attachment_count" in expect:
        assert len(got.attachments) == expect["attachment_count"]
    if "attachments" in expect and (path.name, "attachments") not in DIFFER:
        for part, wanted in zip(got.attachments, expect["attachments"], strict=True):
            described: dict[str, Any] = {"filename": part.name, "decoded_size": part.size}
            assert described | wanted == described


@pytest.mark.parametrize("path", corpus_params("reply-clients", (".eml",)))
def test_the_words_of_common_clients_are_there(path: Path) -> None:
    wanted = expectations("reply-clients")[path.name]["reply_text"]
    assert readable_text(path.read_bytes()).text.count(wanted.split("\n")[0].strip())


@pytest.mark.parametrize("path", corpus_params("reply-clients", (".html",)))
def test_the_words_of_html_replies_are_there(path: Path) -> None:
    wanted = expectations("reply-clients")[path.name]["reply_text_ignoring_whitespace"]
    text = html_text(path.read_text("utf-8", "replace"))
    assert re.sub(r"\s+", "", text).startswith(wanted)


@pytest.mark.parametrize("path", corpus_params("mime-structure"))
def test_text_parts_are_found_as_the_origin_decodes_them(path: Path) -> None:
    expect = expectations("mime-structure")[path.name]
    if not expect["stdlib_3_11_agrees"]:
        return  # broken input that two parsers read in two ways; only "never raises" is firm
    words = "".join(
        p["text"] for p in expect["leaf_parts"] if p.get("text") and p["content_type_header"].startswith("text/plain")
    )
    got = readable_text(path.read_bytes())
    if not got.attachments:
        assert re.sub(r"\s+", "", words) in re.sub(r"\s+", "", got.text)


# --- hostile mail ---

PIECES = rb"""
Content-Type: multipart/mixed; boundary=b text/plain text/html message/rfc822 charset= utf-16 utf-7 charset*=utf-8''x
name*0= name*=x'y'%zz filename= --b --b-- Content-Transfer-Encoding: base64 quoted-printable uuencode SGVsbG8 =41 =ZZ
begin 644 <div <p> </p> <!-- --> <script> </script> &#x110000; &#0; &nbsp; " ' > = %
""".split()
BYTES = [b"\n", b"\r\n", b"\n\n", b"\r", b" ", b";", b"\0", b"\xff", b"\xc3\xa9", b"\xed\xa0\x80"]
hostile = st.lists(st.one_of(st.sampled_from(PIECES + BYTES), st.binary(max_size=6)), max_size=60).map(b"".join)


@pytest.mark.promise("IN-4")
@given(hostile)
@settings(max_examples=500, deadline=None)
def test_no_bytes_defeat_the_reader(raw: bytes) -> None:
    for message in (raw, b"Content-Type: multipart/mixed; boundary=b\n\n--b\n" + raw, b"Content-Type:" + raw):
        got = readable_text(message)
        plain(got)
        for number in range(len(got.attachments)):
            attachment_content(message, number)


@given(st.text(max_size=300))
@settings(max_examples=200, deadline=None)
def test_no_page_defeats_the_reader(page: str) -> None:
    html_text(page)


@pytest.mark.parametrize(
    "raw",
    [
        b"Content-Type: text/html\n\n" + b"<div>" * 200_000,
        b"Content-Type: text/html\n\n" + b"<a '\"" * 200_000,
        b"Content-Type: text/html\n\n" + b"<!--" * 200_000,
        b"Content-Type: text/html\n\n" + b"\n \n" * 300_000,
        b"Content-Type: text/html\n\n" + b"&" * 1_000_000,
        b"\n" + b"\n \t" * 300_000,
        b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(2_000)),
        b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * 20_000,
        b"Content-Type: message/rfc822\n\n" * 2_000,
        b'Content-Type: text/plain; name="' + b'\\"' * 50_000,
        b"Content-Type: text/plain" + b"; x=1" * 20_000,
        b"Content-Type: text/plain" + b"".join(b"; name*%d=x" % n for n in range(10_000)),
        b"Content-Transfer-Encoding: quoted-printable\n\n" + b"=" * 1_000_000,
        b"Content-Transfer-Encoding: uuencode\n\nbegin 644 x\n" + b"M" * 1_000_000,
    ],
    ids=lambda raw: repr(raw[-30:]),
)
@pytest.mark.promise("IN-4")
def test_a_hostile_body_costs_seconds_at_most(raw: bytes) -> None:
    start = time.thread_time()
    plain(readable_text(raw))
    assert time.thread_time() - start < 5
