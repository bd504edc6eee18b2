"""What who leads leaves for those who stand by tells which setting differs, and nothing of a secret."""

from __future__ import annotations

import hashlib
import hmac

import msgspec
import pytest

from router.service.alike import differing, note

LOG = "5b1c0de5" * 4
ONE, OTHER = "the first secret of thirty-two characters", "another secret of thirty-two characters"
NAME = "chat.token_secret"


@pytest.mark.promise("DU-5", "OB-1")
@pytest.mark.parametrize(
    ("theirs", "found"),
    [
        (note(LOG, 5_000, {NAME: ONE}), []),
        (note(LOG, 5_000, {NAME: OTHER}), [NAME]),
        (note(LOG, 4_000, {NAME: ONE}), ["journal.lease"]),
        (note(LOG, 4_000, {NAME: OTHER}), ["journal.lease", NAME]),
        (note(LOG, 5_000, {}), []),  # it has no chat: nobody can have a token of it
        (b"", []),  # of a version that leaves none
        (b"{}", []),
        (b'{"lease_ms":5000,"later":[1]}', []),
        (b'{"lease_ms":"5s"}', []),
    ],
)
def test_what_differs_is_named_by_its_option(theirs: bytes, found: list[str]) -> None:
    assert differing(note(LOG, 5_000, {NAME: ONE}), theirs) == found


@pytest.mark.promise("OB-6")
def test_of_a_secret_there_are_sixteen_bits_of_a_digest_that_is_another_one_for_each_log() -> None:
    here, there = (msgspec.json.decode(note(log, 5_000, {NAME: ONE})) for log in (LOG, LOG[::-1]))
    assert here.keys() == {"lease_ms", "secrets"}
    assert here["secrets"].keys() == {NAME}
    assert len(bytes.fromhex(here["secrets"][NAME])) == 2
    assert here["secrets"] != there["secrets"]
    whole = hmac.digest(ONE.encode(), b"switchboard: the same on all machines\n" + LOG.encode(), hashlib.sha256)
    assert bytes.fromhex(here["secrets"][NAME]) == whole[:2], "or two versions would not understand each other"
