"""Visitors are called: again when they do not come, and no agent waits for ever (no-show)."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from router.engine import commands as c
from router.engine import events as e
from router.engine.config import KEEP, Channel, Config, Resort
from router.engine.lookups import interaction_view
from router.engine.views import Inform, Tell
from router.errors import ConfigError, IllegalMove, NotOwner
from tests.engine.support.office import OFFICE, WRAPS, Office, happened, seconds


def hall(config: Config = OFFICE, within: float = 60, **more: Any) -> Config:
    walkin = Channel(show_within=seconds(within), **more)
    return replace(config, channels={**config.channels, "walkin": walkin})


def called(config: Config | None = None) -> tuple[Office, int]:
    """Ana has accepted a visitor."""
    office = Office(config or hall(), ready=("ana",))
    return office, office.active("walkin")


def recall(office: Office, number: int, agent: str = "ana") -> Any:
    return office.do(c.Recall(agent=agent, interaction=number))


def meet(office: Office, number: int) -> Any:
    return office.do(c.MeetCustomer(agent="ana", interaction=number))


def test_a_visitor_is_called_when_an_agent_has_accepted() -> None:
    office = Office(hall(), ready=("ana",))
    number = office.arrive("walkin")
    offer = office.offers_of(number)[0].number
    out = office.do(c.Accept(agent="ana", offer=offer))
    assert happened(out, e.CustomerCalled) == [e.CustomerCalled(number, "ana", office.now_ms + 60_000, 1)]
    assert any(isinstance(x, Inform) and isinstance(x.event, e.CustomerCalled) for x in out.effects)
    view = interaction_view(office.state, office.item(number))
    assert (view.calls, view.show_by_ms) == (1, office.now_ms + 60_000)


def test_other_channels_call_nobody() -> None:
    office = Office(hall(), ready=("ana",))
    number = office.active("email")
    assert number not in office.state.summons
    with pytest.raises(IllegalMove, match="not called"):
        recall(office, number)
    with pytest.raises(IllegalMove, match="do not come"):
        meet(office, number)


def test_who_is_called_again_has_the_time_again() -> None:
    office, number = called()
    office.pass_s(59)
    out = recall(office, number)
    assert happened(out, e.CustomerCalled) == [e.CustomerCalled(number, "ana", office.now_ms + 60_000, 2)]
    assert [x.agent for x in out.effects if isinstance(x, Tell)] == ["ana"]
    office.pass_s(59)
    assert office.state_of(number) == "active"
    office.pass_s(1)
    assert (office.state_of(number), office.item(number).reason) == ("closed", "no-show")


def test_who_has_come_is_waited_for_no_more() -> None:
    office, number = called()
    meet(office, number)
    assert office.item(number).connected
    office.pass_s(3_600)
    assert office.state_of(number) == "active"
    with pytest.raises(IllegalMove, match="there already"):
        recall(office, number)
    assert meet(office, number).events == []


def test_nobody_documents_who_never_came() -> None:
    office, number = called(hall(WRAPS))
    office.pass_s(60)
    assert office.state_of(number) == "closed"
    assert not office.state.agents["ana"].work


def test_by_its_policy_the_contact_waits_again_with_its_place_and_another_agent_calls() -> None:
    office = Office(hall(no_show=KEEP, no_show_times=2), ready=("ana", "ben"))
    number = office.active("walkin")
    place, first = office.item(number).enqueued_at_ms, office.item(number).owner
    out = office.pass_s(60)
    assert [x.reason for x in happened(out, e.Requeued)] == ["no-show"]
    assert office.item(number).enqueued_at_ms == place
    assert office.offered_to(number) == ["ben" if first == "ana" else "ana"]
    office.accept(number)
    office.pass_s(60)
    assert (office.state_of(number), office.item(number).reason) == ("closed", "no-show")


def test_by_its_policy_the_contact_moves_to_the_desk_for_latecomers() -> None:
    office, number = called(hall(no_show=Resort("move", "sales")))
    out = office.pass_s(60)
    assert happened(out, e.Transferred) == [e.Transferred(number, "sales", None, "ana", "", "no-show")]
    assert office.item(number).queue == "sales"


def test_without_a_limit_the_agent_waits_until_they_say_so() -> None:
    office, number = called(hall(within=0))
    office.pass_s(86_400)
    assert office.state_of(number) == "active"
    assert recall(office, number).events == [e.CustomerCalled(number, "ana", 0, 2)]


def test_only_the_agent_who_has_the_visitor_calls_them() -> None:
    office, number = called()
    with pytest.raises(NotOwner):
        recall(office, number, "ben")


def test_a_restart_forgets_neither_the_call_nor_its_deadline() -> None:
    office, number = called()
    office.checked.restart(office.now_ms)
    office.do(c.OpenSession(agent="ana", session="new"))
    office.pass_s(60)
    assert office.item(number).reason == "no-show"


@pytest.mark.parametrize(
    "rule", [Resort("callback"), Resort("move"), Resort("end", "sales"), Resort("move", "nowhere")]
)
def test_a_policy_that_contradicts_itself_is_refused(rule: Resort) -> None:
    with pytest.raises(ConfigError, match=r"channels\.walkin\.no_show"):
        Office(hall(no_show=rule))
