"""Tokens and signed visitors: what is believed, and what is not."""

from __future__ import annotations

import base64
import os
import stat
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.chat.settings import Settings
from channels.chat.tokens import (
    Claim,
    Statement,
    believed,
    keep_secret,
    seal,
    sign_visitor,
    unseal,
    visitor_of,
)
from router.errors import ConfigError, Unauthenticated

SECRET = b"s" * 32
PAGE = "p" * 32
CLAIM = Claim("ab" * 16, 7, 1_000, "support", 4711)
STATEMENT = Statement("customer-1", 2_000, "Ada", " Ada@Example.ORG ", "+15550100")


@pytest.mark.promise("OB-6")
def test_a_token_says_what_it_was_sealed_with_and_nobody_else_can_seal_one() -> None:
    token = seal(SECRET, CLAIM)
    assert unseal(SECRET, token) == CLAIM
    with pytest.raises(Unauthenticated):
        unseal(b"t" * 32, token)


@pytest.mark.promise("OB-6")
@given(st.data())
def test_a_token_changed_anywhere_is_refused(data: st.DataObject) -> None:
    token = seal(SECRET, CLAIM)
    at = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from("AZaz09-_.").filter(lambda ch: ch != token[at]))
    with pytest.raises(Unauthenticated):
        unseal(SECRET, token[:at] + other + token[at + 1 :])


@given(st.text())
def test_any_text_is_refused_as_a_token(text: str) -> None:
    with pytest.raises(Unauthenticated):
        unseal(SECRET, text)


def test_a_token_of_an_older_version_is_still_read() -> None:
    """Fields are added at the end and have defaults."""
    from channels.chat.tokens import _pack, _sign

    body = _pack(b'["%s",7,1000]' % (b"ab" * 16))
    token = f"{body}.{_pack(_sign(SECRET, b'token:', body.encode()))}"
    assert unseal(SECRET, token) == Claim("ab" * 16, 7, 1_000)


def test_a_signed_visitor_is_believed_until_it_expires() -> None:
    signed = sign_visitor(PAGE, STATEMENT)
    assert believed(PAGE, signed, 1_999) == STATEMENT
    with pytest.raises(Unauthenticated):
        believed(PAGE, signed, 2_000)


@pytest.mark.promise("IN-6")
def test_a_signed_visitor_has_the_identities_of_other_channels() -> None:
    assert STATEMENT.identities() == ("mailto:ada@example.org", "tel:+15550100")
    assert Statement("a", 1, email="no address", phone="0555").identities() == ()


def test_an_unsigned_visitor_is_only_a_name() -> None:
    assert believed(PAGE, "customer-1", 0) is None
    assert believed("", sign_visitor(PAGE, STATEMENT), 0) is None


@pytest.mark.promise("OB-6")
@pytest.mark.parametrize("body", [b"[]", b"{}", b"\xff", b'{"id":"","expires_at_ms":9}', b'{"id":"a"}'])
def test_a_statement_that_is_none_is_refused(body: bytes) -> None:
    import hashlib
    import hmac

    text = base64.urlsafe_b64encode(body).rstrip(b"=").decode()
    signature = hmac.new(PAGE.encode(), text.encode(), hashlib.sha256).hexdigest()
    with pytest.raises(Unauthenticated):
        believed(PAGE, f"{text}.{signature}", 0)


@pytest.mark.promise("OB-6")
def test_a_wrong_signature_is_refused_and_not_taken_for_a_name() -> None:
    with pytest.raises(Unauthenticated):
        believed(PAGE, sign_visitor("q" * 32, STATEMENT), 0)


def test_the_same_signed_id_is_the_same_visitor_and_the_id_is_not_told() -> None:
    visitor = visitor_of(SECRET, STATEMENT)
    assert visitor == visitor_of(SECRET, Statement("customer-1", 9)) != visitor_of(SECRET, Statement("customer-2", 9))
    assert len(bytes.fromhex(visitor)) == 16


@pytest.mark.promise("OB-6")
def test_the_secret_is_made_once_and_nobody_else_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "chat.secret"
    secret = keep_secret(path)
    assert len(secret) == 64
    assert keep_secret(path) == secret
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_damaged_secret_is_said_and_not_used(tmp_path: Path) -> None:
    path = tmp_path / "chat.secret"
    path.write_bytes(b"short")
    with pytest.raises(ConfigError):
        keep_secret(path)
    with pytest.raises(ConfigError):
        keep_secret(tmp_path / "no folder" / "chat.secret")


@pytest.mark.parametrize("wrong", [{"token_secret": "short"}, {"visitor_secret": "short"}, {"path": "chat"}])
@pytest.mark.promise("OB-4")
def test_settings_that_would_not_protect_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ConfigError) as refused:
        Settings(**wrong)  # type: ignore[arg-type]
    assert refused.value.path == f"chat.{next(iter(wrong))}"


def test_who_is_killed_while_making_it_can_start_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(_: int) -> NoReturn:
        raise KeyboardInterrupt

    path = tmp_path / "chat.secret"
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", killed)
        with pytest.raises(KeyboardInterrupt):
            keep_secret(path)
    assert not path.exists()
    assert len(keep_secret(path)) == 64
    assert [one.name for one in tmp_path.iterdir()] == ["chat.secret"]
