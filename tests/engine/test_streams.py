"""Each agent's stream is numbered without gaps, and exactly those are told whose number rises (AG-3).

`Checked` compares the two at every event of every test; here it is shown for each kind of event by itself, and that the
walks really met them all.
"""

from __future__ import annotations

import pytest

from router.engine import commands as c
from router.engine import events as e
from router.engine.effects import EFFECTS
from router.engine.events import EVENT_TYPES
from router.engine.views import Inform, Tell
from router.errors import BadMessage
from router.journal import codec
from tests.engine.support.office import WRAPS, Office
from tests.engine.support.walk import Walk, hall, parted

pytestmark = pytest.mark.promise("AG-3")

# What changes nothing that an agent's client shows.
TELLS_NOBODY = {
    e.Configured,
    e.Restarted,
    e.AlertRaised,
    e.InteractionArrived,
    e.LeaseRenewed,
    e.PriorityChanged,
    e.CoolOffEnded,
    e.DrainBegan,
    e.DrainEnded,
    e.CallbackRequested,
    e.CallbackKept,
    e.CallbackDue,
    e.CallbackPostponed,
    e.CallbackRests,
    e.CallbackEnded,
    e.BandRaised,
    e.RequirementRelaxed,
    e.PreferredHeld,
    e.PreferredReleased,
    e.CallbackOffered,
    e.CopyAsked,
    e.CopyDue,
    e.ServabilityChanged,
    e.UnservableDue,
    e.Moved,
    e.Rerouted,
    e.NumbersAssigned,
    e.LeadGiven,
    e.CustomersMerged,
    e.CustomerDescribed,
    e.CustomerSplit,
    e.LendingChanged,
    e.CalendarTurned,
    e.EmergencyDeclared,
    e.EmergencyEnded,
    e.QueueDeserted,
    e.QueueStaffed,
    e.GraceEnded,
    e.OutboundSettled,
    e.OutboundFailed,
    e.OutboundRetried,
}


def test_every_kind_of_event_tells_whom_it_must() -> None:
    walks = [Walk(seed, thrift=1_000).run(300).checked for seed in (*range(112, 119), 145)]
    walks += [hall(seed, 300).checked for seed in (501, 502, 503)]
    walks += [parted(504, 300).checked]
    met = {event for checked in walks for event in checked.met}
    assert {event for checked in walks for event in checked.told} == met - TELLS_NOBODY
    assert set(EVENT_TYPES) - met <= {e.AlertRaised}, "the walks meet everything else"


def test_a_stream_has_no_gaps() -> None:
    """From sign-in to the end of a day, each agent hears 1, 2, 3, ..."""
    heard: dict[str, list[int]] = {}
    office = Office(WRAPS)

    def do(command: c.AnyCommand) -> None:
        for effect in office.do(command).effects:
            if isinstance(effect, Tell):
                heard.setdefault(effect.agent, []).append(effect.stream)

    for name in ("ana", "ben"):
        do(c.OpenSession(agent=name, session="s"))
        do(c.SetState(agent=name, state="ready"))
    for round_number in range(10):
        do(c.Arrive(channel="chat", threads=(f"v{round_number}",)))
        offer = next(iter(office.state.offers.values()))
        do(c.Accept(agent=offer.agent, offer=offer.number))
        do(c.Append(thread=f"v{round_number}", message=e.Message("hello")))
        do(c.Note(interaction=offer.interaction, text="x", by=offer.agent))
        do(c.Complete(agent=offer.agent, interaction=offer.interaction))
        do(c.FinishWrapUp(agent=offer.agent, interaction=offer.interaction))
    assert sorted(heard) == ["ana", "ben"]
    for name, numbers in heard.items():
        assert numbers == list(range(1, office.state.agents[name].stream + 1))


def test_channels_hear_of_their_interactions_by_every_name() -> None:
    office = Office(ready=("ana",))
    number = office.active("chat")
    office.do(c.Arrive(channel="chat", threads=("chat:1", "chat:other")))
    out = office.complete(number)
    informs = [effect for effect in out.effects if isinstance(effect, Inform)]
    assert [(i.channel, i.interaction, i.threads) for i in informs] == [("chat", number, ("chat:1", "chat:other"))]


def test_only_kinds_that_exist_have_effects() -> None:
    assert set(EFFECTS) <= set(EVENT_TYPES)
    assert set(EVENT_TYPES) - set(EFFECTS) >= TELLS_NOBODY - {
        e.InteractionArrived,
        e.OutboundRetried,
        e.CallbackOffered,
        e.Moved,
        e.Rerouted,
    }


def test_numbers_go_on_after_a_restart() -> None:
    office = Office(ready=("ana",))
    office.active()
    before = office.state.agents["ana"].stream
    office.checked.restart(office.now_ms)
    out = office.do(c.OpenSession(agent="ana", session="t"))
    assert [effect.stream for effect in out.effects if isinstance(effect, Tell)] == [before + 1]
    assert codec.decode(office.checked.payloads[-1]).event == e.SessionOpened("ana", "t")


def test_a_word_to_several_is_told_to_those_who_are_there() -> None:
    office = Office(ready=("ana", "ben"))
    office.do(c.CloseSession(agent="ben", session=next(iter(office.state.agents["ben"].sessions))))
    before = {name: office.state.agents[name].stream for name in ("ana", "ben")}
    out = office.do(c.Announce(agents=("ben", "ana", "ana"), text="Lunch is here", by="supervisor:sue"))
    assert [event for event in out.events if isinstance(event, e.Announced)] == [
        e.Announced(("ana",), "Lunch is here", "supervisor:sue")
    ]
    assert [(t.agent, t.stream) for t in out.effects if isinstance(t, Tell)] == [("ana", before["ana"] + 1)]
    assert office.state.agents["ben"].stream == before["ben"]
    for text in ("", "  ", "x" * 1_001):
        with pytest.raises(BadMessage):
            office.do(c.Announce(agents=("ana",), text=text, by="x"))
