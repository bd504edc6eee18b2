"""Every expectation that the corpora of real mail state, and by name those that we do not meet."""

from __future__ import annotations

import email
import hashlib
import re
from datetime import datetime
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.email.automatic import Findings, look_closer
from channels.email.body import POLICY, readable_text
from channels.email.parse import message_ids, read_letter
from channels.email.reply import split
from tests.email.corpora import SHARED, corpus_files, corpus_params, expectations
from tests.email.measure import KINDS, SOMEBODY, judged, new_words, same_words, tables, wanted_words
from tests.house.pages import ROOT

# What the origin expects and we do not give, with the reason.
DIFFER = {
    "simple_42.txt": "a delivery report whose address a list archive made unreadable: its origin names nobody and so "
    "calls it no bounce; we name nobody either, and still file it as one",
    "arf-26.eml": "an automatic 'unsubscribe' that its origin counts as a complaint; it says Auto-Submitted and "
    "nothing of a complaint, and is filed as an automatic reply",
}
# The origin keeps a signature with the reply; we show it apart.
SIGNED = {"standard--iphone.eml", "standard--sparrow.eml"}


def known(raw: bytes) -> Message:
    return email.message_from_bytes(raw, policy=POLICY)


# --- the new words of a reply -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", corpus_params("reply-quoting"))
def test_new_words_are_told_from_quotes_and_signatures(path: Path) -> None:
    assert same_words(new_words(path), wanted_words(expectations("reply-quoting")[path.name]))


@pytest.mark.parametrize("path", corpus_params("reply-clients"))
def test_new_words_are_found_in_what_ten_programs_write(path: Path) -> None:
    wanted = wanted_words(expectations("reply-clients")[path.name])
    got = new_words(path)
    if path.name in SIGNED:
        got += split(readable_text(path.read_bytes()).text).signature
    assert same_words(got, wanted)


# --- what programs write ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", corpus_params("bounces-mixed"))
def test_who_was_not_reached_is_found_in_bounces_of_all_kinds(path: Path) -> None:
    expect = expectations("bounces-mixed")[path.name].get("bounce")
    if expect is None:
        return  # only to be taken, which every file of the corpus is (test_parse.py)
    letter = judged(path.read_bytes(), SOMEBODY)
    assert sorted(letter.found.failed) == sorted(expect["permanent"])
    assert sorted(letter.found.delayed) == sorted(expect["temporary"])
    assert (letter.auto == "bounce") == (expect["is_bounce"] or path.name in DIFFER)


@pytest.mark.parametrize("path", corpus_params("bounces-and-autoreplies"))
@pytest.mark.parametrize("envelope", ["nobody", "somebody"])
def test_bounces_replies_and_complaints_are_told_apart(path: Path, envelope: str) -> None:
    wanted = KINDS[expectations("bounces-and-autoreplies")[path.name]["kind"]]
    if envelope == "nobody" and wanted in ("", "report"):
        envelope = "somebody"
    wanted = "auto-reply" if path.name in DIFFER else wanted
    assert judged(path.read_bytes(), "<>" if envelope == "nobody" else SOMEBODY).auto == wanted


@pytest.mark.parametrize("path", corpus_params("headers-and-attachments"))
def test_delivery_reports_say_whom_they_are_about(path: Path) -> None:
    expect = expectations("headers-and-attachments")[path.name].get("bounce")
    if expect is None:
        return
    letter = judged(path.read_bytes(), "<>")
    assert letter.auto == "bounce"
    if "final_recipient" in expect:
        named = letter.found.failed if expect["action"] == "failed" else letter.found.delayed
        assert named == (expect["final_recipient"],)
        assert expect["status"] in letter.found.reason or expect["diagnostic"] == letter.found.reason
    else:
        assert letter.found.failed


# --- heads ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", corpus_params("headers-and-attachments"))
def test_heads_and_their_structure_are_as_their_origin_expects(path: Path) -> None:
    expect = expectations("headers-and-attachments")[path.name]
    raw = path.read_bytes()
    message = known(raw)
    if "date" in expect:
        stated = datetime.fromisoformat(expect["date"])
        assert int(read_letter(raw).attributes["sent_at_ms"]) == int(stated.timestamp() * 1_000)
    if "multipart" in expect and path.name != "error_emails--cant_parse_from.eml":
        assert message.is_multipart() == expect["multipart"]
    if "content_type" in expect:
        assert message.get_content_type() == expect["content_type"]
    if "top_level_parts" in expect:
        assert len(message.get_payload()) == expect["top_level_parts"]
    if "first_part_parts" in expect:
        first = message.get_payload(0)
        assert isinstance(first, Message)
        assert len(first.get_payload()) == expect["first_part_parts"]
    if "received_count" in expect:
        assert len(message.get_all("Received", [])) == expect["received_count"]
    if "resent_message_id" in expect:
        assert message_ids(str(message["Resent-Message-ID"])) == (expect["resent_message_id"],)
        assert expect["resent_from"][0] in str(message["Resent-From"])
        assert expect["resent_to"][0] in str(message["Resent-To"])
    if expect.get("whole_message_is_attachment"):
        assert len(readable_text(raw).attachments) == 1


# --- structure --------------------------------------------------------------------------------------------------------


def shape(part: Message) -> Any:
    inner = part.get_payload()
    if not isinstance(inner, list):
        return part.get_content_type()
    return [part.get_content_type(), *(shape(one) for one in inner if isinstance(one, Message))]


@pytest.mark.parametrize("path", corpus_params("mime-cpython"))
def test_messages_are_nested_as_the_standard_parser_nests_them(path: Path) -> None:
    expect = expectations("mime-cpython")[path.name]
    message = known(path.read_bytes())
    assert shape(message) == expect["structure"]
    defects = sorted({type(defect).__name__ for part in message.walk() for defect in part.defects})
    assert defects == sorted(set(expect["defects"]))


@pytest.mark.parametrize("path", corpus_params("mime-structure"))
def test_parts_are_decoded_to_the_byte_where_two_parsers_agree(path: Path) -> None:
    expect = expectations("mime-structure")[path.name]
    raw = path.read_bytes()
    readable_text(raw)  # nothing is too broken to be shown somehow
    if not expect["stdlib_3_11_agrees"]:
        return
    leaves = [part for part in known(raw).walk() if not part.is_multipart()]
    contents = [data if isinstance(data := part.get_payload(decode=True), bytes) else b"" for part in leaves]
    digests = {hashlib.sha256(data).hexdigest() for data in contents}
    digests |= {hashlib.sha256(data.replace(b"\r\n", b"\n")).hexdigest() for data in contents}
    for part in expect["leaf_parts"]:
        assert {part["decoded_sha256"], part["decoded_lf_sha256"]} & digests, part


# --- figures ----------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not SHARED.exists(), reason="the corpora lie beside a development checkout; there is none here")
def test_the_figures_in_the_documentation_are_those_of_today() -> None:
    page = (ROOT / "docs" / "email.md").read_text(encoding="utf-8")
    for line in tables().splitlines():
        assert line in page, f"run python -m tests.email.measure and put its tables into docs/email.md: {line}"


@pytest.mark.skipif(not SHARED.exists(), reason="the corpora lie beside a development checkout; there is none here")
def test_what_is_listed_as_different_is_in_the_corpora() -> None:
    names = {path.name for path in corpus_files()}
    assert set(DIFFER) | SIGNED <= names


# --- hostile mail -----------------------------------------------------------------------------------------------------

LINES = st.sampled_from(
    """On Mon, 1 Jan 2024 at 10:00, Ann <a@b.example> wrote:|> quoted|>> twice|-- |Sent from my iPhone|From: a@b.example
    Sent: today|To: x|Subject: y|```|-----|text|Am 1.1.2024 schrieb x:||Ann> said|----- Original Message -----|2024/1/1
    <a@b.example>|wrote|On|\u202e|\x00|:""".replace("\n    ", "|").split("|")
)


@pytest.mark.promise("IN-4")
@given(st.one_of(st.text(max_size=400), st.lists(LINES, max_size=40).map("\n".join)))
@settings(max_examples=500, deadline=None)
def test_every_line_of_a_reply_ends_up_in_one_of_three_places(text: str) -> None:
    """Nothing is lost and nothing invented, whatever was written."""
    parts = split(text)
    lines = sorted(line.rstrip() for line in re.split(r"\r\n|\r|\n", text) if line.strip())
    assert sorted(line for part in parts for line in part.split("\n") if line.strip()) == lines


REPORTS = rb"""multipart/report message/delivery-status Final-Recipient: rfc822; Action: failed Status: 5.1.1
Diagnostic-Code: smtp; 550 Original-Recipient: mailer-daemon@x.example failure notice --b a@b.example <a@b.example>
sb.i-1.2.0123456789abcdef@x feedback-type: abuse Reporting-MTA: X-Failed-Recipients: The following addresses
""".split()


@pytest.mark.promise("IN-4")
@given(st.lists(st.one_of(st.sampled_from([*REPORTS, b"\n", b"\n\n", b" "]), st.binary(max_size=5)), max_size=60))
@settings(max_examples=300, deadline=None)
def test_no_report_defeats_the_reader(pieces: list[bytes]) -> None:
    raw = b"".join(pieces)
    for message in (raw, b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\n" + raw):
        found = look_closer(message)
        assert isinstance(found, Findings)
        for text in (*found.failed, *found.delayed, found.reason):
            text.encode()
