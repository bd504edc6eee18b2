"""Everything that we answer jambonz is taken by its own public checker (npm @jambonz/schema), run by node."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from channels.phone.calls import CallEvent, Outcome
from channels.phone.jambonz.render import answer, not_now
from channels.phone.request import Raw, Site
from channels.phone.settings import Gateway
from router.errors import Overloaded

CHECKER = Path(sys.prefix) / "schema_checker" / "check.js"
INSTALLED = CHECKER.with_name(".stamp")
DOCUMENTS = sorted((Path(__file__).parent / "data" / "jambonz" / "documents").glob("*.json"))
SITE = Site("dev", Gateway(kind="jambonz", secrets=("dev-jambonz",), public_url="https://router.example.org"))
TARGETS = ("sip:ana@desk;transport=tls", "user:ana@example.org", "+493012345678")

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(
        not (shutil.which("node") and INSTALLED.exists()),
        reason="not installed: node and @jambonz/schema (./run test installs them)",
    ),
]


def judged(applications: list[Any]) -> list[str]:
    """What the checker says of each: "" for good."""
    text = "".join(json.dumps(application) + "\n" for application in applications)
    done = subprocess.run(["node", str(CHECKER)], input=text.encode(), capture_output=True, check=True, timeout=60)
    return [json.loads(line) for line in done.stdout.decode().splitlines()]


def test_the_checker_tells_good_applications_from_bad_ones() -> None:
    """Written by jambonz's own people for their server."""
    documents = [json.loads(path.read_text()) for path in DOCUMENTS]
    verdicts = judged([document if isinstance(document, list) else [document] for document in documents])
    good = {path.name: verdict for path, verdict in zip(DOCUMENTS, verdicts, strict=True) if "good--" in path.name}
    assert set(good.values()) == {""}
    assert len(good) == 7
    bad = {path.name: verdict for path, verdict in zip(DOCUMENTS, verdicts, strict=True) if "bad--" in path.name}
    # Of the checker's own accord it takes properties that it does not know, and SSML unseen.
    assert {name for name, verdict in bad.items() if verdict} >= {
        "bad--bad-enum.json",
        "bad--bad-payload.json",
        "bad--bad-payload2.json",
        "bad--invalid-type.json",
        "bad--unknown-instruction.json",
    }


def every_outcome() -> list[Outcome]:
    actions: tuple[Literal["queue", "reject", "none"], ...] = ("queue", "reject", "none")
    says = ("", 'We open at eight. <&> "quoted"')
    return [
        Outcome(action, interaction, "closed", position, wait, is_open, say, is_apart)
        for action, interaction, position, wait, is_open, say, is_apart in itertools.product(
            actions, (0, 7), (0, 3), (None, 0, 500), (False, True), says, (False, True)
        )
    ]


def every_event() -> list[CallEvent]:
    paths = ("call", "wait", "queue", "dial")
    events = [CallEvent(event_id="e", call_id="c-1", type="waiting", path=path) for path in paths]
    moved = [
        CallEvent(event_id="e", call_id="c-1", type="waiting", path="dial", target=target, order="sb-1", is_last=last)
        for target in TARGETS
        for last in (False, True)
    ]
    rooms = [
        CallEvent(event_id="e", call_id="c-1", type="alive", path="dial", room=room)
        for room in ("caller", "agent", "over")
    ]
    return events + moved + rooms


def test_every_answer_is_an_application() -> None:
    answers = {answer(outcome, event, SITE).body for outcome in every_outcome() for event in every_event()}
    applications = [msgspec.json.decode(body) for body in sorted(answers)]
    verdicts = judged(applications)
    assert len(applications) > 12
    assert [pair for pair in zip(verdicts, applications, strict=True) if pair[0]] == []
    said = {verb["verb"] for application in applications for verb in application}
    assert said == {"enqueue", "say", "pause", "leave", "hangup", "sip:decline", "dial", "conference", "redirect"}


def test_what_answers_a_status_is_no_application() -> None:
    """It is not read: there is nothing to do."""
    event = CallEvent(event_id="e", call_id="c-1", type="ended", path="status")
    assert {answer(outcome, event, SITE).body for outcome in every_outcome()} == {b"[]"}


def test_what_is_answered_while_nothing_can_be_recorded_is_one() -> None:
    hook = b'{"call_sid":"c-1","dial_call_status":"busy","queue_result":"leave"}'
    raws = [Raw(path, f"/v1/phone/dev/{path}", {}, hook) for path in ("wait", "queue", "dial")]
    answers = [not_now(raw, Overloaded("full", retry_after_s=7), SITE) for raw in raws]
    applications = [msgspec.json.decode(found.body) for found in answers if found is not None]
    assert len(applications) == 3
    assert judged(applications) == [""] * 3
