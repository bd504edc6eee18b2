"""Who may speak for a gateway, and when."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.phone.signature import sign, verify
from router.errors import Unauthenticated

# Made with `openssl dgst -sha256 -hmac SECRET` over "1700000000." and the body.
BODY = b'{"event_id":"e-1","call_id":"c-1","type":"incoming","from":"+493012345678","to":"+15550100"}'
T = 1_700_000_000
OLD, OLD_MAC = "dev-secret", "cb0484eb6fecf76d762d10f1fa3c6ba44638f4c7c0fbd678f37985609af52e07"
NEW, NEW_MAC = "new-secret", "d840bba8260f9db1c4a7dabd509e5a0b7656ae9da79627ac165b99be933ea2ba"
GOOD = f"t={T},v1={OLD_MAC}"

pytestmark = pytest.mark.promise("OB-6")


def check(header: str, *secrets: str, body: bytes = BODY, now_s: float = T, tolerance_s: float = 300) -> None:
    verify(header, body, secrets or (OLD,), now_s, tolerance_s)


def refused(header: str, *secrets: str, body: bytes = BODY, now_s: float = T) -> bool:
    with pytest.raises(Unauthenticated):
        check(header, *secrets, body=body, now_s=now_s)
    return True


def test_a_signature_made_elsewhere_is_good() -> None:
    check(GOOD)
    check(f"t={T},v1={NEW_MAC}", NEW)


def test_we_sign_as_others_do() -> None:
    assert sign([OLD], BODY, T) == GOOD


def test_while_secrets_change_either_side_may_be_first() -> None:
    assert sign([NEW, OLD], BODY, T) == f"t={T},v1={NEW_MAC},v1={OLD_MAC}"
    check(GOOD, NEW, OLD)
    check(f"t={T},v1={NEW_MAC},v1={OLD_MAC}", OLD)
    assert refused(GOOD, NEW)


def test_a_signature_is_good_for_the_tolerance_either_way() -> None:
    check(GOOD, now_s=T + 300)
    check(GOOD, now_s=T - 300)
    assert refused(GOOD, now_s=T + 300.001)
    assert refused(GOOD, now_s=T - 300.001)


def test_fields_of_later_versions_are_left_alone() -> None:
    check(f"v2=later,{GOOD},x")


@pytest.mark.parametrize(
    "header",
    [
        "",
        "t=1700000000",
        f"v1={OLD_MAC}",
        f"t=,v1={OLD_MAC}",
        f"t=x,v1={OLD_MAC}",
        f"t=+1700000000,v1={OLD_MAC}",
        f"t=-1700000000,v1={OLD_MAC}",
        f"t=1700000000.0,v1={OLD_MAC}",
        f"t={'9' * 400},v1={OLD_MAC}",
        f"t=1700000000,t=1700000000,v1={OLD_MAC}",
        f"t=\u0661\u0667,v1={OLD_MAC}",
        f"t=1700000000, v1={OLD_MAC}",
        f"t=1700000000,v1={OLD_MAC.upper()}",
        f"t=1700000000,v1={OLD_MAC[:-1]}",
        f"t=1700000000,v1={OLD_MAC}0",
        "t=1700000000,v1=",
        "t=1700000000,v1=\udcff\u00e9",
        f"t=01700000000,v1={OLD_MAC}",
        f"t=1700000000{',v1=00' * 8},v1={OLD_MAC}",
    ],
)
def test_what_is_not_a_good_header_is_refused(header: str) -> None:
    assert refused(header)


def test_an_empty_body_is_signed_too() -> None:
    check(sign([OLD], b"", T), body=b"")
    assert refused(sign([OLD], b"", T), body=b" ")


@given(at=st.integers(0, len(BODY) - 1), to=st.integers(0, 255))
def test_a_body_with_any_byte_changed_is_refused(at: int, to: int) -> None:
    changed = BODY[:at] + bytes([to]) + BODY[at + 1 :]
    assert changed == BODY or refused(GOOD, body=changed)


@given(at=st.integers(0, len(GOOD) - 1), to=st.characters(codec="latin-1"))
def test_a_header_with_any_character_changed_is_refused(at: int, to: str) -> None:
    changed = GOOD[:at] + to + GOOD[at + 1 :]
    assert changed == GOOD or refused(changed)


@given(st.text(st.characters(codec="utf-8")))
def test_no_header_does_more_than_be_refused(header: str) -> None:
    assert refused(header)


@given(body=st.binary(max_size=300), secrets=st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=4))
def test_what_we_sign_is_good_for_each_of_the_secrets(body: bytes, secrets: list[str]) -> None:
    header = sign(secrets, body, T)
    for secret in secrets:
        check(header, secret, body=body)
