"""What an agent may ask, as the engine is asked: one pure function for each message of a client.

Here is refused what can be seen to be wrong without looking at anything: a transfer to two places at once, a word
without words, an id that is none. Everything else (whose it is, whether it is still there) only the engine can tell.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from router.agents import messages as m
from router.engine import commands as c
from router.engine.events import Message
from router.engine.views import number_of
from router.errors import BadMessage

Make = Callable[[Any, str, str], c.AnyCommand]  # what is asked, the agent, the command's key


def _set_state(asked: m.SetState, agent: str, key: str) -> c.SetState:
    return c.SetState(key=key, agent=agent, state=asked.state, reason=asked.reason)


def _accept(asked: m.Accept, agent: str, key: str) -> c.Accept:
    return c.Accept(key=key, agent=agent, offer=number_of(asked.offer, "o"))


def _decline(asked: m.Decline, agent: str, key: str) -> c.Decline:
    return c.Decline(key=key, agent=agent, offer=number_of(asked.offer, "o"), reason=asked.reason)


def _say(asked: m.Say, agent: str, key: str) -> c.Say:
    return c.Say(key=key, agent=agent, interaction=_number(asked.interaction), message=_said(asked))


def _note(asked: m.Note, agent: str, key: str) -> c.Note:
    return c.Note(key=key, interaction=_number(asked.interaction), text=asked.text, by=agent)


def _complete(asked: m.Complete, agent: str, key: str) -> c.Complete:
    number = _number(asked.interaction)
    return c.Complete(key=key, agent=agent, interaction=number, disposition=asked.disposition, notes=asked.notes)


def _finish_wrap_up(asked: m.FinishWrapUp, agent: str, key: str) -> c.FinishWrapUp:
    number = _number(asked.interaction)
    return c.FinishWrapUp(key=key, agent=agent, interaction=number, disposition=asked.disposition, notes=asked.notes)


def _extend_wrap_up(asked: m.ExtendWrapUp, agent: str, key: str) -> c.ExtendWrapUp:
    return c.ExtendWrapUp(key=key, agent=agent, interaction=_number(asked.interaction), by_ms=asked.by_ms)


def _just(kind: type[Any]) -> Make:
    """What names nothing but the interaction."""

    def make(asked: Any, agent: str, key: str) -> c.AnyCommand:
        command: c.AnyCommand = kind(key=key, agent=agent, interaction=_number(asked.interaction))
        return command

    return make


def _number(text: str) -> int:
    return number_of(text, "i")


def _said(asked: m.Say) -> Message:
    if not asked.text.strip() and not asked.attachments:
        raise BadMessage("nothing to say: give a text or attachments")
    return Message(asked.text, tuple(attached.blob() for attached in asked.attachments))


def _transfer(asked: m.Transfer, agent: str, key: str) -> c.Transfer | c.Consult:
    to = asked.to
    if (to.queue != "") + (to.agent != "") + (to.requirement is not None) + (to.address != "") != 1:
        raise BadMessage("`to` is exactly one of queue, agent, requirement and address")
    number = _number(asked.interaction)
    if asked.mode == "consult":
        return c.Consult(key=key, agent=agent, interaction=number, to=to, why=asked.reason)
    return c.Transfer(key=key, agent=agent, interaction=number, to=to, why=asked.reason)


# The engine's command for a client's message. Each raises ClientError for what is none.
COMMANDS: dict[type, Make] = {
    m.SetState: _set_state,
    m.Accept: _accept,
    m.Decline: _decline,
    m.Say: _say,
    m.Note: _note,
    m.Hold: _just(c.Hold),
    m.Resume: _just(c.Resume),
    m.Transfer: _transfer,
    m.JoinConsult: _just(c.JoinConsult),
    m.CompleteConsult: _just(c.CompleteConsult),
    m.EndConsult: _just(c.EndConsult),
    m.Complete: _complete,
    m.FinishWrapUp: _finish_wrap_up,
    m.ExtendWrapUp: _extend_wrap_up,
    m.Recall: _just(c.Recall),
    m.MeetCustomer: _just(c.MeetCustomer),
    m.Pick: _just(c.Pick),
}
