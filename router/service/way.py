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
from router.engine.sayings import Saying, because, doer, joined, say
from router.engine.views import callback_id, interaction_id, offer_id

SHOWN = 200  # of more, the last ones are told
READ, READ_MAX = 12, 100  # of what was read of it so many things are told, and so many characters of each


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
    """ "" for the engine."""
    return doer(getattr(event, "by", ""))


def _with_cause(what: Saying, event: Event) -> Saying:
    who, why = _who(event), getattr(event, "why", "")
    if isinstance(event, e.PreferredHeld):
        return what
    return _with_why(say("way-by", what=what, who=who) if who else what, why)


def _with_why(what: Saying, why: str) -> Saying:
    return say("way-why", what=what, why=why) if why else what


# --- in words ---------------------------------------------------------------------------------------------------------


def _arrived(event: e.InteractionArrived) -> Saying:
    if event.rule:
        return say("way-arrived-rule", queue=event.queue, rule=event.rule)
    return say("way-arrived", queue=event.queue)


RULES = ("no-show", "unservable", "relaxed")  # why rules transfer


def _transferred(event: e.Transferred, queue: str) -> Saying:
    apart = queue and queue != event.queue
    way = say("way-from-to", queue=queue, to=event.queue) if apart else say("way-to", to=event.queue)
    if event.requirement is not None:
        way = say("way-for", way=way, what=in_words(event.requirement))
    if not event.by and event.why in RULES:
        return say("way-because", what=say("way-rule-moved", way=way), why=because(event.why))
    who = _who(event)
    return _with_why(
        say("way-transferred", who=who, way=way) if who else say("way-was-transferred", way=way), event.why
    )


def _moved(event: e.Moved) -> Saying:
    moved = say("way-because", what=say("way-moved", queue=event.queue), why=because(event.cause))
    return say("way-why", what=moved, why=event.cause)


def _read(event: e.Enriched) -> Saying:
    said = [say("language", language=event.language)] if event.language else []
    named = [f"{name} {value}"[:READ_MAX] for name, value in event.attributes.items()]
    return say("way-read", what=joined("comma", [*said, *named][:READ]))


def _rerouted(event: e.Rerouted) -> Saying:
    if event.rule:
        return say("way-rerouted-rule", queue=event.queue, rule=event.rule)
    return say("way-rerouted", queue=event.queue)


def _called(event: e.CustomerCalled) -> Saying:
    if event.calls > 1:
        return say("way-called-again", agent=event.agent, n=event.calls)
    return say("way-called", agent=event.agent)


def _requeued(event: e.Requeued) -> Saying:
    back = say("way-back-from", agent=event.agent) if event.agent else say("way-back")
    if event.lifted:
        back = say("way-lifted", what=back)
    return back if event.reason == "operator" else say("way-because", what=back, why=because(event.reason))


def _consulted(number: int, event: e.ConsultStarted) -> Saying:
    who = event.named or event.address or say("somebody")
    if number == event.consult:
        about = interaction_id(event.interaction)
        return _with_why(say("way-asked-about", agent=event.agent, who=who, about=about), event.why)
    return _with_why(say("way-asked", agent=event.agent, who=who), event.why)


def _answered(event: e.ConsultAnswered) -> Saying:
    return say("way-answered", agent=event.agent) if event.agent else say("way-they-answered")


def _handed_over(event: e.ConsultCompleted) -> Saying:
    code = "way-handed-lost" if event.reason == "owner-lost" else "way-handed"
    return say(code, agent=event.agent, owner=event.from_agent)


def _prioritised(event: e.PriorityChanged) -> Saying:
    parts = [say("given-band", band=event.band)] if event.band else []
    parts += [say("given-weight", weight=f"{event.weight:g}")] if event.weight else []
    parts += [say("given-target", target=f"{event.target_ms / 1_000:g}")] if event.target_ms else []
    return say("way-given", parts=joined("comma", parts))


def _ended(event: e.InteractionEnded) -> Saying:
    over = say("way-ended", reason=because(event.reason))
    if event.address:
        over = say("way-ended-at", address=event.address)
    return say("way-had", what=over, agent=event.agent) if event.agent else over


def _not_connected(event: e.ConnectFailed) -> Saying:
    return _with_why(say("way-not-connected", agent=event.agent), because(event.reason))


def _step(event: e.RequirementRelaxed) -> Saying:
    return say("way-because", what=say("way-step", step=event.step), why=because(event.cause))


def _held(event: e.PreferredHeld) -> Saying:
    return say("way-held", names=joined("or", event.agents), why=because(event.why))


WORDS: dict[type[Event], Callable[[Any], Saying]] = {
    e.InteractionArrived: _arrived,
    e.Moved: _moved,
    e.Requeued: _requeued,
    e.Enriched: _read,
    e.Rerouted: _rerouted,
    e.CustomerCalled: _called,
    e.ConnectFailed: _not_connected,
    e.ConsultAnswered: _answered,
    e.ConsultCompleted: _handed_over,
    e.ConsultEnded: lambda event: say("way-consult-over", reason=because(event.reason)),
    e.CallbackKept: lambda event: say("way-kept", callback=callback_id(event.callback)),
    e.CallbackDue: lambda event: say("way-attempt", callback=callback_id(event.callback)),
    e.PriorityChanged: _prioritised,
    e.BandRaised: lambda event: say("way-raised"),
    e.RequirementRelaxed: _step,
    e.PreferredHeld: _held,
    e.PreferredReleased: lambda event: say("way-released", reason=because(event.reason)),
    e.WorkSuspended: lambda event: say("way-aside", agent=event.agent, other=interaction_id(event.by_interaction)),
    e.WorkContinued: lambda event: say("way-continued", agent=event.agent),
    e.OfferMade: lambda event: say("way-offered", agent=event.agent),
    e.OfferAccepted: lambda event: say("way-accepted", agent=event.agent),
    e.OfferDeclined: lambda event: _with_why(say("way-declined", agent=event.agent), event.reason),
    e.OfferExpired: lambda event: say("way-missed", agent=event.agent),
    e.OfferWithdrawn: lambda event: say("way-taken-back", agent=event.agent, reason=because(event.reason)),
    e.InteractionEnded: _ended,
}
