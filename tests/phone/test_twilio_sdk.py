"""Our signatures and Twilio's own library's are the same: each checks what the other signed, the vectors included."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import MultiDict
from twilio.request_validator import RequestValidator, get_signature_algorithm

from channels.phone.twilio import signature
from router.errors import Unauthenticated

VECTORS = json.loads((Path(__file__).parent / "data" / "signatures.json").read_text())["twilio"]
TOKEN = "dev-twilio"
THEIRS = RequestValidator(TOKEN)

pytestmark = pytest.mark.promise("OB-6")

names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
forms = st.dictionaries(names, st.lists(st.text(st.characters(codec="utf-8"), max_size=20), min_size=1, max_size=3))
hosts = st.sampled_from(("router.example.org", "router.example.org:8443", "127.0.0.1:8080"))
urls = st.builds(
    lambda scheme, host, query: f"{scheme}://{host}/v1/phone/dev/voice{'?' + urlencode(query) if query else ''}",
    st.sampled_from(("http", "https")),
    hosts,
    st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.text(st.characters(codec="utf-8"), max_size=9)),
)


def multi(form: dict[str, list[str]]) -> MultiDict[str]:
    return MultiDict((name, value) for name, values in form.items() for value in values)


def ours_takes(header: str, url: str, form: dict[str, list[str]], body: bytes = b"", token: str = TOKEN) -> bool:
    try:
        signature.verify(header, url, form, body, ("another-secret", token))
    except Unauthenticated:
        return False
    return True


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda vector: vector["id"])
def test_both_say_the_same_of_every_vector(vector: dict[str, Any]) -> None:
    form = {k: [v] if isinstance(v, str) else v for k, v in vector.get("form", {}).items()}
    body = vector.get("body", "")
    theirs = RequestValidator(VECTORS["secret"]).validate(
        vector["url"], body if "body" in vector else multi(form), vector["signature"]
    )
    ours = ours_takes(vector["signature"], vector["url"], form, body.encode(), VECTORS["secret"])
    assert (ours, theirs) == (vector["valid"], vector["valid"])


@given(url=urls, form=forms)
def test_each_checks_what_the_other_signed(url: str, form: dict[str, list[str]]) -> None:
    assert ours_takes(THEIRS.compute_signature(url, multi(form)), url, form)
    assert THEIRS.validate(url, multi(form), signature.sign(TOKEN, url, form))


@given(url=urls, form=forms, other=forms)
def test_neither_takes_another_form(url: str, form: dict[str, list[str]], other: dict[str, list[str]]) -> None:
    header = signature.sign(TOKEN, url, form)
    assert ours_takes(header, url, other) == THEIRS.validate(url, multi(other), header)


@given(url=urls, form=forms, settings=st.sampled_from(("", "key=k_1,algorithm=HMAC_SHA256", "algorithm=hmac_sha1")))
def test_a_key_of_its_own_may_sign_with_another_digest(url: str, form: dict[str, list[str]], settings: str) -> None:
    algorithm = get_signature_algorithm(settings)
    header = THEIRS.compute_signature(url, multi(form), algorithm)
    signature.verify(header, url, form, b"", (TOKEN,), signature.digest_of(settings))
    assert THEIRS.validate(url, multi(form), signature.sign(TOKEN, url, form, signature.digest_of(settings)), algorithm)


def test_a_digest_that_nobody_knows_is_refused() -> None:
    with pytest.raises(Unauthenticated):
        signature.digest_of("key=k,algorithm=HMAC_MD5")


@given(body=st.binary(min_size=1, max_size=60), changed=st.booleans())
def test_a_body_that_is_no_form_is_checked_by_its_digest(body: bytes, changed: bool) -> None:
    url = f"https://router.example.org/v1/phone/dev/status?bodySHA256={sha256(body).hexdigest()}"
    header = THEIRS.compute_signature(url, {})
    assert ours_takes(header, url, {}, body + b"x" * changed) is not changed
