"""What the page about routing shows of preferred agents is taken by the engine, and does what the page says."""

from __future__ import annotations

import tomllib
from typing import Any

import msgspec
import pytest

from router.engine.config import Config, decode_hook
from tests.engine.support.office import Office
from tests.house.pages import ROOT, Page

pytestmark = pytest.mark.promise("RT-8")

BASE = """
skills = ["support"]
[channels.phone]
exclusive = true
[queues.support]
requirement = { skill = "support" }
[agents.ana]
skills = { support = 5 }
[agents.ben]
skills = { support = 3 }
"""


def shown() -> Config:
    found: dict[str, Any] = tomllib.loads(BASE)
    for fence in Page(ROOT / "docs/routing.md").fences:
        if "prefer = {" in fence.text:
            found |= tomllib.loads(fence.text)
        elif "release = true" in fence.text:
            found["queues"]["support"] |= tomllib.loads(fence.text)["queues"]["support"]
    config: Config = msgspec.convert(found, Config, dec_hook=decode_hook)
    assert [rule.name for rule in config.rules] == ["accounts", "escalated", "returning"]
    assert len(config.queues["support"].relax) == 2
    return config


def test_the_examples_of_preferred_agents_work() -> None:
    office = Office(shown(), ready=("ana", "ben"))
    first = office.arrive("phone", recipient="+1", identities=("tel:1",))
    assert office.accept(first) == "ana"
    office.complete(first)
    assert office.offered_to(office.arrive("phone", recipient="escalations", attributes={"owner": "ben"})) == ["ben"]
    again = office.arrive("phone", recipient="+1", identities=("tel:1",))
    assert office.accept(again) == "ana"
    owned = office.arrive("phone", recipient="+1", attributes={"owner": "ana"})
    assert office.state.preferred[owned].required
    office.sleep_s(180)
    assert owned not in office.state.preferred, "three minutes are enough"
    escalated = office.arrive("phone", recipient="escalations")
    assert office.state.preferred[escalated].until_ms == office.now_ms + 120_000
