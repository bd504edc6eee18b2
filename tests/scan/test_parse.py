"""From names and bytes to a command: sidecars, identities, keys."""

from __future__ import annotations

import contextlib
import json
import unicodedata

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.scan.finding import MEDIA_TYPES, Finding, from_bytes, kind_of, line, to_bytes
from channels.scan.parse import Sidecar, Taken, arrival, identity_of, parse_sidecar, printable, reference, rfc3339_ms
from channels.scan.watch import Seen
from router.engine.commands import Arrive
from router.engine.events import Blob
from router.errors import BadMessage
from tests.scan import pictures

NOW = 1_700_000_000_000
FILE = Seen("fax1.tif", 100, NOW * 1_000_000, (NOW - 60_000) * 1_000_000, 7)
DIGEST = "ab" * 32


def taken(**changes: object) -> Taken:
    usual: dict[str, object] = {
        "folder": "fax",
        "channel": "fax",
        "to": "fax",
        "file": FILE,
        "blob": Blob(DIGEST, 100),
        "finding": Finding(condition="ok", kind="tiff", pages=3, width=1728, height=2200, dpi=204),
        "oldest_ms": 30 * 86_400_000,
    }
    return Taken(**{**usual, **changes})  # type: ignore[arg-type]


def command(**changes: object) -> Arrive:
    return arrival(taken(**changes), NOW)


# --- the command ------------------------------------------------------------------------------------------------------


def test_a_fax_becomes_an_arrival_with_what_was_seen_of_it() -> None:
    arrive = command()
    assert arrive.channel == "fax"
    assert arrive.recipient == "fax"
    assert arrive.subject == "Fax, 3 pages"
    assert arrive.attributes == {
        "folder": "fax",
        "file": "fax1.tif",
        "kind": "tiff",
        "condition": "ok",
        "pages": "3",
        "width": "1728",
        "height": "2200",
        "dpi": "204",
    }
    assert arrive.message is not None
    assert arrive.message.blobs == (Blob(DIGEST, 100, "image/tiff", "fax1.tif"),)


@pytest.mark.promise("IN-3")
@pytest.mark.parametrize("change", [{"inode": 8}, {"ctime_ns": 1}, {"mtime_ns": 1}, {"name": "fax2.tif"}])
def test_the_same_bytes_dropped_again_are_another_fax(change: dict[str, int]) -> None:
    again = msgspec.structs.replace(FILE, **change)
    assert command(file=again).key != command().key
    assert not set(command(file=again).threads) & set(command().threads)


@pytest.mark.promise("IN-3")
def test_the_same_file_met_again_is_the_same_fax_with_or_without_its_sidecar() -> None:
    assert command(sidecar=Sidecar(from_="+15550199")).key == command().key


@pytest.mark.promise("IN-3")
def test_the_same_bytes_with_the_same_id_of_their_source_are_the_same_fax_however_often_they_are_dropped() -> None:
    again = msgspec.structs.replace(FILE, inode=8, ctime_ns=1)
    first, second = (command(file=file, sidecar=Sidecar(id="call-7")) for file in (FILE, again))
    assert (first.key, first.threads) == (second.key, second.threads)
    assert command(sidecar=Sidecar(id="call-8")).key != first.key
    assert command(sidecar=Sidecar(id="call-7"), blob=Blob("cd" * 32, 100)).key != first.key


def test_a_wait_starts_when_the_file_got_its_place() -> None:
    assert command().received_at_ms == NOW - 60_000


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("2023-11-14T22:13:19Z", NOW - 1_000),
        ("2023-11-14T23:13:19+01:00", NOW - 1_000),
        ("2033-01-01T00:00:00Z", NOW),
        ("1971-01-01T00:00:00Z", NOW - 30 * 86_400_000),
    ],
    ids=["as-said", "zone", "future", "too-old"],
)
def test_a_sidecar_says_when_it_was_received_but_neither_in_the_future_nor_absurdly_early(
    said: str, meant: int
) -> None:
    assert command(sidecar=Sidecar(received_at=said)).received_at_ms == meant


def test_what_was_seen_cannot_be_overruled_by_a_sidecar() -> None:
    arrive = command(sidecar=Sidecar(attributes={"pages": 99, "condition": "ok", "urgent": True, "cost": 1.5}))
    assert arrive.attributes["pages"] == "3"
    assert arrive.attributes["urgent"] == "true"
    assert arrive.attributes["cost"] == "1.5"


@pytest.mark.promise("IN-6")
@pytest.mark.parametrize(
    ("sender", "country", "identity"),
    [
        ("+1 555 0100", "", "tel:+15550100"),
        ("+49 (30) 123456-0", "", "tel:+49301234560"),
        ("0049 30 1234560", "", "tel:+49301234560"),
        ("030 1234560", "DE", "tel:+49301234560"),
        ("030 1234560", "", ""),
        ("Bo@Example.ORG", "", "mailto:bo@example.org"),
        ("@example.org", "", ""),
        ("Miller & Sons", "", ""),
        ("", "", ""),
    ],
)
def test_a_sender_becomes_an_identity_where_it_is_certain(sender: str, country: str, identity: str) -> None:
    assert identity_of(sender, country) == identity


@pytest.mark.promise("IN-6")
def test_without_a_sender_the_scan_itself_is_the_reference() -> None:
    assert command().identities == (f"ref:scan-{reference(FILE)}",)
    assert command(finding=Finding(condition="ok", kind="tiff", sender="+1 555 0100")).identities == ("tel:+15550100",)


# --- sidecars ---------------------------------------------------------------------------------------------------------


def test_a_sidecar_is_read() -> None:
    said = {"from": "+15550199", "to": "+15550100", "received_at": "2023-11-14T22:13:19Z", "attributes": {"a": "b"}}
    found = parse_sidecar(b"\xef\xbb\xbf" + json.dumps({**said, "later": [1]}).encode())
    arrive = command(sidecar=found)
    assert (arrive.sender, arrive.recipient) == ("+15550199", "+15550100")
    assert arrive.identities == ("tel:+15550199",)
    assert arrive.attributes["a"] == "b"


@pytest.mark.promise("IN-4")
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe{\0}\0",
        b'{"from": 5}',
        b'{"attributes": {"a": null}}',
        b'{"attributes": {"a b": "c"}}',
        b'{"received_at": "yesterday"}',
        b'{"received_at": "2023-11-14T22:13:19"}',
        b'{"received_at": "2023-02-30T22:13:19Z"}',
        b'{"from": "' + b"9" * 501 + b'"}',
        json.dumps({"attributes": {f"a{n}": "" for n in range(33)}}).encode(),
        b"[" * 60_000,
    ],
)
def test_a_sidecar_that_makes_no_sense_is_refused(data: bytes) -> None:
    with pytest.raises(BadMessage):
        parse_sidecar(data)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_sidecar_or_a_refusal(data: bytes) -> None:
    try:
        arrive = command(sidecar=parse_sidecar(data))
    except BadMessage:
        return
    msgspec.json.encode(arrive)


FIELDS = st.dictionaries(
    st.sampled_from(["from", "to", "received_at", "name", "subject", "language", "attributes", "x"]),
    st.one_of(st.text(), st.integers(), st.none(), st.dictionaries(st.text(), st.text()), st.datetimes().map(str)),
)


@given(FIELDS)
def test_any_object_is_a_sidecar_or_a_refusal(fields: dict[str, object]) -> None:
    test_any_bytes_are_a_sidecar_or_a_refusal.hypothesis.inner_test(json.dumps(fields).encode())  # type: ignore[attr-defined]


@given(st.text())
def test_a_time_is_understood_or_refused(text: str) -> None:
    with contextlib.suppress(BadMessage):
        assert rfc3339_ms(text) >= 0


def test_fractions_of_a_second_are_kept_to_the_millisecond() -> None:
    assert rfc3339_ms("1970-01-01T00:00:01.234567891Z") == 1_234


# --- names ------------------------------------------------------------------------------------------------------------


@given(st.binary(min_size=1, max_size=255))
def test_any_name_can_be_recorded(name: bytes) -> None:
    file = msgspec.structs.replace(FILE, name=name.decode("utf-8", "surrogateescape"))
    arrive = command(file=file)
    msgspec.json.encode(arrive)
    shown = arrive.attributes.get("file", "")
    assert not any(unicodedata.category(character) in ("Cc", "Cs") for character in shown)


def test_odd_bytes_in_a_name_stay_visible() -> None:
    assert printable("fax\udcff\n1\x1b.tif") == r"fax\xff 1 .tif"


# --- kinds ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "name", "kind"),
    [
        (pictures.fax(), "anything", "tiff"),
        (pictures.jpeg(), "a.pdf", "jpeg"),
        (pictures.png(), "a.tif", "png"),
        (pictures.pdf(), "a", "pdf"),
        (b"\r\n junk %PDF-1.4", "a", "pdf"),
        (b"GIF89a", "a", "gif"),
        (b"\x00\x13\x54\xc1", "page.g3", "g3"),
        (b"\x00\x08\x54\xc1", "ff5a1b2c3.01", "g3"),
        (b"\x00\x00\x00\x80", "ff5a1b2c3.01", "g3"),
        (b"\x00\x13\x54\xc1", "page.dat", ""),
        (b"\0" * 500, "page.g3", ""),
        (b"MZ", "page.g3", ""),
        (b"", "page.tif", ""),
    ],
    # Not the bytes: a PDF tells when it was made, and every process that collects must find the same names.
    ids=lambda value: "" if isinstance(value, bytes) else value,
)
def test_a_kind_is_known_by_its_content(data: bytes, name: str, kind: str) -> None:
    assert kind_of(data, name) == kind


@given(st.binary(max_size=50), st.text(max_size=20))
def test_any_bytes_have_a_kind_or_none(data: bytes, name: str) -> None:
    assert kind_of(data, name) in {"", *MEDIA_TYPES}


@given(st.binary(max_size=300))
def test_an_answer_of_the_inspector_is_a_bounded_finding_or_refused(data: bytes) -> None:
    try:
        found = from_bytes(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return
    assert len(found.detail) <= 400


@given(st.text())
def test_a_line_fits_a_finding(text: str) -> None:
    found = Finding(condition="ok", detail=line(text))
    assert from_bytes(to_bytes(found)) == found
