"""What the audit says of an act: who, what, to whom or what, and what it came to (OB-5)."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Any

import pytest

from router.cli import people
from router.service.audit import Audit
from router.service.finders import mask_cards
from tests.accounts.conftest import PASSWORD, House
from tests.http.views import outbound

pytestmark = pytest.mark.promise("OB-5")


@pytest.mark.parametrize(
    ("path", "body", "act", "subject", "detail"),
    [
        ("interactions/i-1/requeue", {"why": "lunch"}, "requeue", "i-1", "lunch"),
        ("interactions/i-1/assign", {"agent": "ben", "why": "knows her"}, "assign", "i-1", "→ ben · knows her"),
        (
            "interactions/i-1/assign", {"agent": "ben", "override": True}, "assign", "i-1", "→ ben · override",
        ),
        ("interactions/i-1/transfer", {"to": {"queue": "sales"}, "why": "wants a car"}, "transfer", "i-1",
         "→ sales · wants a car"),
        ("interactions/i-1/transfer", {"to": {"requirement": {"skill": "german"}}}, "transfer", "i-1",
         '→ {"skill":"german"}'),
        ("interactions/i-1/priority", {"band": "urgent", "why": "ill"}, "reprioritise", "i-1", "urgent · ill"),
        ("interactions/i-1/priority", {"weight": 2.5, "target": "1m"}, "reprioritise", "i-1",
         "weight 2.5 · target 60000 ms"),
        ("agents/ben/state", {"state": "ready"}, "state", "ben", "ready"),
        ("agents/ben/state", {"state": "not_ready", "reason": "lunch"}, "state", "ben", "not_ready · lunch"),
        ("customers/merge", {"customer": "mailto:eva@example.org", "other": "tel:+15550199", "why": "same voice"},
         "merge", "mailto:eva@example.org", "+ tel:+15550199 · same voice"),
        ("customers/split", {"identity": "tel:+15550199", "why": "her son"}, "split", "tel:+15550199", "her son"),
        ("calendars/office/close", {"why": "storm"}, "close calendar", "office", "storm"),
    ],
)  # fmt: skip
async def test_an_act_says_what_it_was_about_and_what_it_asked_for(
    house: House, path: str, body: dict[str, Any], act: str, subject: str, detail: str
) -> None:
    await house.post(f"/v1/{path}", body, "op-token")
    assert house.last_act() == (act, subject, detail)


@pytest.mark.parametrize("act", ["retry", "discard"])
async def test_a_dead_letter_that_is_settled_is_named_with_its_contact(house: House, act: str) -> None:
    more = {"interaction": 3, "sender": "ann@b.example", "recipient": "support@localhost", "endpoint": "sip:ana@pbx"}
    house.desk.dead = [outbound(4, error="refused", **more)]
    assert (await house.post(f"/v1/outbound/4/{act}", {}, "op-token"))[0] == 200
    assert house.last_act() == (act, "i-3", "4 · email · message · → ann@b.example")


async def test_whoever_reads_a_customer_or_what_was_set_aside_is_in_it_once(house: House) -> None:
    for _ in range(2):
        assert (await house.ask("GET", "/v1/customers?identity=mailto:eva@example.org", "op-token"))[0] == 200
    entry = house.server.house.quarantine.keep_now("email", "mail.eml", b"words", "too long", "too-large", 0)
    for _ in range(2):
        assert (await house.ask("GET", f"/v1/quarantine/{entry}/raw", "op-token"))[0] == 200
    assert house.acts() == [
        ("operator:olga", "read", "mailto:eva@example.org"),
        ("operator:olga", "read", entry),
    ]


@pytest.mark.promise("OB-4")
@pytest.mark.parametrize(
    ("query", "content", "act", "subject", "detail"),
    [
        ("", b"skills = []", "config", "2", ""),
        ("?dry_run=1", b"skills = []", "config-tried", "2", ""),
        ("", b"# as it is", "config-tried", "1", ""),
        ("", b"= nothing", "config-refused", "", "config: expected TOML, found something else"),
    ],
)
async def test_a_configuration_is_applied_only_if_it_was(
    house: House, query: str, content: bytes, act: str, subject: str, detail: str
) -> None:
    headers = {"Authorization": "Bearer op-token", "Content-Type": "application/toml"}
    async with house.http.post(f"/v1/config{query}", data=content, headers=headers):
        assert house.last_act() == (act, subject, detail)


async def test_what_people_type_for_a_name_is_kept_as_little_as_their_reasons(house: House) -> None:
    house.door.audit.mask = mask_cards
    await house.post("/v1/session", {"name": "4111 1111 1111 1111", "password": "x"})
    assert house.last_act() == ("sign-in-refused", "•••• 1111", "")


async def test_a_wrong_old_password_is_in_it(house: House) -> None:
    house.add("sue", "operator")
    token = await house.sign_in("sue")
    await house.post("/v1/session/password", {"old": "not that one!", "new": "a quite different one"}, token)
    assert house.last_act() == ("password-refused", "sue", "")
    await house.post("/v1/session/password", {"old": PASSWORD, "new": "a quite different one"}, token)
    assert house.last_act() == ("password", "sue", "")


def test_what_is_done_at_the_console_says_what_somebody_may_from_now_on(tmp_path: Path) -> None:
    people.add(tmp_path, "sue", ("supervisor", "agent"), ("front", "back"), "", "", None)
    people.add(tmp_path, "ola", ("operator",), ("*",), "", "", None)
    people.change(tmp_path, "sue", "account-disabled", "is out", disabled=True)
    audit = Audit(tmp_path / "audit.db")
    audit.open()
    try:
        assert [(act.who, act.act, act.subject, act.detail) for act in reversed(audit.page(0, 10))] == [
            (f"console:{getpass.getuser()}", *done)
            for done in (
                ("account-added", "sue", "supervisor, agent · front, back"),
                ("account-added", "ola", "operator · *"),
                ("account-disabled", "sue", ""),
            )
        ]
    finally:
        audit.close()
