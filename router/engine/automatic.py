"""What programs write: recorded like everything else, but work for nobody unless the queue wants it.

A channel says of what kind such a contact is (`Arrive.automatic`). Where it belongs to a contact that is going on, it
joins that one as a word of the system: whoever has the contact sees it, and nobody takes it for the customer's answer.
Otherwise the queue's `automatic` decides. What it wants waits like any contact; all else is over with its arrival, for
the reason `automatic`, so it is in the journal, in lists and in the customer's history, and is never offered.

`undelivered` says that something of ours did not arrive. It marks the contact that it belongs to, be it over or not, by
a note, and unless the queue does without, somebody gets it as work that follows: the customer has no answer yet. Words
that were given up are no different, whether a server says so at once or a bounce says it later (`unanswered`).
"""

from __future__ import annotations

from msgspec.structs import replace

from router.engine import commands as c
from router.engine import events as e
from router.engine.events import Event
from router.engine.model import State
from router.engine.views import Outbound

REASON = "automatic"
UNDELIVERED = "undelivered"
NOTE_MAX = 500


def joined(ask: c.Arrive, number: int) -> list[Event]:
    message = ask.message if ask.message is not None else e.Message()
    facts: list[Event] = [e.MessageAdded(number, "system", message, threads=ask.threads)]
    if ask.automatic == UNDELIVERED:
        facts.append(_mark(number, message))
    return facts


def is_wanted(s: State, arrival: e.InteractionArrived, kind: str) -> bool:
    return kind in s.queue_config(arrival.queue).automatic


def filed(s: State, arrival: e.InteractionArrived, kind: str) -> list[Event]:
    """It has come, and is over."""
    marks = marked(s, arrival) if kind == UNDELIVERED else []
    return [arrival, e.InteractionEnded(arrival.interaction, REASON), *marks]


def marked(s: State, arrival: e.InteractionArrived) -> list[Event]:
    """The contact that is over says that what was written in it did not arrive."""
    if arrival.follows not in s.interactions:
        return []
    return [_mark(arrival.follows, arrival.message)]


def unanswered(s: State, letter: Outbound, error: str, now_ms: int) -> list[Event]:
    """Work that follows a contact which is over, because words of ours in it were given up.

    The note on it is the outbox's: a remark under a key, so that there is one however often the letter is tried again
    and given up, and one too where no work follows. Nothing where somebody has the customer before them again: by the
    names of the contact, also that of an earlier failure of the same letter.
    """
    item, channel = s.interactions.get(letter.interaction), s.config.channels.get(letter.channel)
    if letter.action != "message" or item is None or channel is None or not channel.lasting:
        return []
    names = [s.threads.get(thread, 0) for thread in letter.threads]
    if item.live or item.queue not in s.queues or any(number and s.interactions[number].live for number in names):
        return []
    if UNDELIVERED not in s.queue_config(item.queue).automatic:
        return []
    born = replace(
        item.born,
        interaction=s.last_interaction + 1,
        threads=letter.threads,
        attributes={**item.born.attributes, "auto": UNDELIVERED},
        queue=item.queue,  # and what was asked for there: it may have been given to another one
        requirement=item.requirement,
        band=item.band,
        weight=item.weight,
        target_ms=item.target_ms,
        enqueued_at_ms=now_ms,
        lease_ms=0,
        message=e.Message(not_delivered(letter, error)),
        follows=item.number,
        direction="inbound",
    )
    return [born]


def not_delivered(letter: Outbound, error: str) -> str:
    """What the contact and the work that follows it say of a letter that was given up."""
    return f"Not delivered to {letter.whom} ({error})"[:NOTE_MAX]


def _mark(number: int, message: e.Message | None) -> e.NoteAdded:
    said = message.text[:NOTE_MAX] if message is not None else ""
    return e.NoteAdded(number, said or "Something that was written here did not arrive.", "")
