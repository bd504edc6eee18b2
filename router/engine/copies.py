"""Copies of what was said, for customers who ask for one: by another channel, to an address they give.

Asked for while the contact goes on, the copy is due when it is over, so the wish is part of the state: neither a
restart nor a customer who closes the window loses it. Asked for afterwards it is due at once. It goes out like
everything that must reach the outside at least once, with the channel that carries it as its way.

One copy for each interaction: who asks again for another address is refused, or this would be a way to send mail to
strangers. What is in it, and how it looks, is the carrying channel's business.
"""

from __future__ import annotations

from collections.abc import Iterable

from router.engine import commands as c
from router.engine import events as e
from router.engine.events import Event
from router.engine.model import State
from router.engine.views import COPY
from router.errors import IllegalMove, NotFound, NotSupported


def send(s: State, ask: c.SendCopy, now_ms: int) -> list[Event]:
    number = s.threads.get(ask.thread)
    item = s.interactions.get(number) if number is not None else None
    if item is None:
        raise NotFound(f"no interaction is known as {ask.thread!r}")
    if COPY not in s.actions.get(ask.channel, ()):
        raise NotSupported(f"{ask.channel} cannot carry a copy")
    wish = s.copies.get(item.number)
    if wish is not None and (wish.channel, wish.address) == (ask.channel, ask.address):
        return []
    if wish is not None:
        raise IllegalMove(f"a copy of i-{item.number} goes to another address already")
    asked = e.CopyAsked(item.number, ask.channel, ask.address, ask.sender)
    return [asked, e.CopyDue(item.number)] if item.ended_at_ms else [asked]


def after_end(s: State, number: int) -> Iterable[Event]:
    return (e.CopyDue(number),) if number in s.copies else ()
