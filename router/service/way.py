"""How an interaction came to be where it is: its records in words, in order of time, with who did it and why (EX-2).

Only what changes where it waits, who has it or how urgent it is; what was said and what was delivered is left to the
history. An offer is a line of the way, too, and `decisions` tells how it was decided.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from router.engine import events as e
from router.engine.events import Event, Record
from router.engine.outlook import in_words
from router.engine.views import interaction_id, offer_id

SHOWN = 200  # of more, the last ones are told


def way(number: int, history: Iterable[tuple[int, Record]]) -> list[dict[str, Any]]:
    """One line for each record of the interaction that moved it on."""
    return list(_lines(number, history))[-SHOWN:]


def _lines(number: int, history: Iterable[tuple[int, Record]]) -> Iterator[dict[str, Any]]:
    queue = ""
    for seq, record in history:
        event = record.event
        what = _what(number, event, queue)
        if what:
            offer = {"offer": offer_id(event.offer)} if isinstance(event, e.OfferMade) else {}
            tag = type(event).__struct_config__.tag
            yield {"seq": seq, "at_ms": record.at_ms, "event": tag, "what": what, "by": _who(event), **offer}
        if isinstance(event, e.InteractionArrived | e.Moved | e.Transferred | e.Rerouted):
            queue = event.queue


def _what(number: int, event: Event, queue: str) -> str:
    if isinstance(event, e.Transferred):
        return _transferred(event, queue)
    if isinstance(event, e.ConsultStarted):
        return _consulted(number, event)
    words = WORDS.get(type(event))
    return _with_cause(words(event), event) if words is not None else ""


def _who(event: Event) -> str:
    """ "operator sam", the id of an agent, or "" for the engine."""
    by: str = getattr(event, "by", "")
    return f"operator {by.removeprefix('operator:')}" if by.startswith("operator:") else by


def _with_cause(what: str, event: Event) -> str:
    who, why = _who(event), getattr(event, "why", "")
    if isinstance(event, e.PreferredHeld):
        return what
    return what + (f", by {who}" if who else "") + (f" ({why})" if why else "")


# --- in words ---------------------------------------------------------------------------------------------------------


def _arrived(event: e.InteractionArrived) -> str:
    rule = f" by the rule {event.rule}" if event.rule else ""
    return f"it came to queue {event.queue}{rule}"


RULES = {
    "no-show": "the customer was called and did not come",
    "unservable": "nobody who is signed in could take it",
    "relaxed": "a step of the relaxation plan says so",
}


def _transferred(event: e.Transferred, queue: str) -> str:
    way = f"from queue {queue} to {event.queue}" if queue and queue != event.queue else f"to queue {event.queue}"
    asks = f", for {in_words(event.requirement)}" if event.requirement is not None else ""
    if not event.by and event.why in RULES:
        return f"a rule moved it {way}{asks}: {RULES[event.why]}"
    return f"{_who(event) or 'it was'} transferred {'it ' if _who(event) else ''}{way}{asks}" + (
        f" ({event.why})" if event.why else ""
    )


CAUSES = {
    "max-wait": "it had waited as long as anybody may there",
    "out-of-hours": "its calendar was closed",
    "closing": "its calendar closed",
    "emergency": "an emergency had closed its calendar",
    "nobody-there": "nobody who fits had been signed in for too long",
    "queue-full": "it was full",
    "overflow": "it would have had to wait too long there",
}


def _moved(event: e.Moved) -> str:
    why = CAUSES.get(event.cause, "its queue says so")
    return f"a rule of its queue moved it to queue {event.queue}: {why} ({event.cause})"


def _list(event: e.Enriched) -> str:
    said = [f"language {event.language}"] if event.language else []
    return ", ".join([*said, *(f"{name} {value}" for name, value in event.attributes.items())])[:300]


def _rerouted(event: e.Rerouted) -> str:
    rule = f" by the rule {event.rule}" if event.rule else ""
    return f"with what was read of it, it came to queue {event.queue}{rule}"


def _called(event: e.CustomerCalled) -> str:
    return f"{event.agent} called the customer" + (f", call {event.calls}" if event.calls > 1 else "")


def _requeued(event: e.Requeued) -> str:
    had = f" from {event.agent}" if event.agent else ""
    lifted = ", in the first band" if event.lifted else ""
    return f"it went back{had} to waiting{lifted}" + (f": {event.reason}" if event.reason != "operator" else "")


def _consulted(number: int, event: e.ConsultStarted) -> str:
    asked = event.named or event.address or "somebody"
    about = f" about {interaction_id(event.interaction)}" if number == event.consult else ""
    return f"{event.agent} asked {asked}{about} and stayed the owner" + (f" ({event.why})" if event.why else "")


def _handed_over(event: e.ConsultCompleted) -> str:
    if event.reason == "owner-lost":
        return f"{event.agent}, who had been asked, has it since {event.from_agent} did not come back"
    return f"{event.from_agent} handed it over to {event.agent}, who had been asked"


def _prioritised(event: e.PriorityChanged) -> str:
    parts = [f"band {event.band}"] if event.band else []
    parts += [f"weight {event.weight:g}"] if event.weight else []
    parts += [f"target {event.target_ms / 1_000:g} s"] if event.target_ms else []
    return f"it was given {', '.join(parts)}"


def _ended(event: e.InteractionEnded) -> str:
    to = f" to {event.address}" if event.address else ""
    return f"it ended: {event.reason}{to}" + (f"; {event.agent} had it" if event.agent else "")


def _refused(verb: str) -> Callable[[Any], str]:
    return lambda event: f"{event.agent} {verb} it" + (f" ({event.reason})" if getattr(event, "reason", "") else "")


WORDS: dict[type[Event], Callable[[Any], str]] = {
    e.InteractionArrived: _arrived,
    e.Moved: _moved,
    e.Requeued: _requeued,
    e.Enriched: lambda event: f"more was read of it: {_list(event)}",
    e.Rerouted: _rerouted,
    e.CustomerCalled: _called,
    e.ConnectFailed: lambda event: f"{event.agent} and the customer could not be connected ({event.reason})",
    e.ConsultAnswered: lambda event: f"{event.agent or 'who was asked'} answered",
    e.ConsultCompleted: _handed_over,
    e.ConsultEnded: lambda event: f"the consult ended: {event.reason}",
    e.CallbackKept: lambda event: f"the caller hung up and keeps the place for callback c-{event.callback}",
    e.CallbackDue: lambda event: f"it came to wait as an attempt of callback c-{event.callback}",
    e.PriorityChanged: _prioritised,
    e.BandRaised: lambda event: "it was lifted into the first band, having waited as long as its band allows",
    e.RequirementRelaxed: lambda event: f"it took step {event.step} of the relaxation plan: {event.cause}",
    e.PreferredHeld: lambda event: f"it was held for {' or '.join(event.agents)} because {event.why}",
    e.PreferredReleased: lambda event: f"it was no longer held for some alone: {event.reason}",
    e.WorkSuspended: lambda event: f"{event.agent} put it aside for {interaction_id(event.by_interaction)}",
    e.WorkContinued: lambda event: f"{event.agent} took it up again",
    e.OfferMade: lambda event: f"it was offered to {event.agent}",
    e.OfferAccepted: lambda event: f"{event.agent} accepted it",
    e.OfferDeclined: _refused("declined"),
    e.OfferExpired: lambda event: f"{event.agent} missed it",
    e.OfferWithdrawn: lambda event: f"the offer to {event.agent} was taken back: {event.reason}",
    e.InteractionEnded: _ended,
}
