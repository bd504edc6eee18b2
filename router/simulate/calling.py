"""Customers of a scenario who let the house call them back.

A queue's rule or a step of a plan asks them (`CallbackOffered`); a share of each stream says yes. Who is on a channel
that calls hangs up and keeps the place; everybody else is called by the first channel that can. Their wait ends when an
agent accepts them, as anybody's; then it rings, and a share of them is not reached and called again by the rules of
`config.callbacks`. Who says no waits on, as long as they would have.

A scenario's exclusive channels can call, or all live ones where none is exclusive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

from msgspec.structs import replace

from router.engine import commands as c
from router.engine import events as e
from router.engine.config import Config
from router.simulate.world import THREAD, Contact, World

FIGURES = ("callbacks_offered", "callbacks_taken", "calls_not_reached")


def with_callbacks(config: Config) -> Config:
    """With gateways that can ask everybody and call back."""
    live = [name for name, channel in config.channels.items() if not channel.lasting]
    calling = [name for name in live if config.channels[name].exclusive] or live
    channels = {
        name: replace(channel, asks=(THREAD,), calls=(THREAD,) if name in calling else ()) if name in live else channel
        for name, channel in config.channels.items()
    }
    return replace(config, channels=channels)


class Calling(World):
    """See the module. Whoever makes one sets `says_yes` (by kind), `reached`, `ring_ms` and `mind` first."""

    says_yes: Sequence[float]
    reached: float
    ring_ms: int
    mind: Random
    faults: dict[str, int]

    def _hearing(self) -> Mapping[type[e.Event], Callable[[Any, int], None]]:
        heard = dict(super()._hearing())
        self.identified = any(self.says_yes)
        if self.identified:
            self._calls: dict[int, Contact] = {}  # callback -> who is to be called
            self._leaving: set[int] = set()  # interactions that end because their customers are called
            heard |= {
                e.CallbackOffered: self._asked,
                e.CallbackRequested: self._promised,
                e.CallbackKept: self._kept,
                e.CallbackDue: self._due,
                e.CallbackEnded: self._settled,
            }
        return heard

    def _asked(self, event: e.CallbackOffered, now_ms: int) -> None:
        self.faults["callbacks_offered"] += 1
        x = self.contacts[event.interaction]
        if self.mind.random() < self.says_yes[x.kind]:
            self.plan(now_ms, self._say_yes, x)

    def _say_yes(self, x: Contact, now_ms: int) -> None:
        if x.gone or x.begun_ms >= 0 or x.kept:
            return
        self.faults["callbacks_taken"] += 1
        thread = f"{THREAD}{x.number}"
        self.tell(c.RequestCallback(thread=thread, to=f"+{x.number}"), now_ms)
        if not x.kept:
            self.tell(c.Leave(thread=thread), now_ms)

    def _promised(self, event: e.CallbackRequested, now_ms: int) -> None:
        """Where the customer's channel calls nobody, this contact ends, and another one begins."""
        if event.arrival is not None:
            x = self.contacts[event.arrival.follows]
            self._leaving.add(x.number)
            self._keep(x, event.callback)

    def _kept(self, event: e.CallbackKept, now_ms: int) -> None:
        self._keep(self.contacts[event.interaction], event.callback)

    def _keep(self, x: Contact, callback: int) -> None:
        x.kept, x.callback = True, callback
        self._calls[callback] = x
        self._hang_up(x)

    def _due(self, event: e.CallbackDue, now_ms: int) -> None:
        x = self._calls[event.callback]
        x.number, x.gone = event.interaction, False
        self.contacts[x.number] = x

    def _settled(self, event: e.CallbackEnded, now_ms: int) -> None:
        x = self._calls.pop(event.callback, None)
        if x is not None:
            x.callback = 0

    def _lose_patience(self, x: Contact, now_ms: int) -> None:
        if not x.kept:
            super()._lose_patience(x, now_ms)

    def _accepted(self, event: e.OfferAccepted, now_ms: int) -> None:
        super()._accepted(event, now_ms)
        x = self.contacts[event.interaction]
        if x.callback:
            self._pick_up(x)
            self.plan(now_ms + self.ring_ms, self._rang, (x, x.turn))

    def _rang(self, whom: tuple[Contact, int], now_ms: int) -> None:
        x, turn = whom
        if x.turn != turn or x.gone:
            return
        thread = self.engine.state.interactions[x.number].threads[0]
        if self.mind.random() < self.reached:
            self.tell(c.ConfirmConnection(thread=thread), now_ms)
        else:
            self.faults["calls_not_reached"] += 1
            x.turn += 1  # there is nothing to complete
            self.tell(c.FailCall(thread=thread, reason="no-answer"), now_ms)

    def _ended(self, event: e.InteractionEnded, now_ms: int) -> None:
        if self.identified and event.interaction in self._leaving:
            self._leaving.remove(event.interaction)
            del self.contacts[event.interaction]
        else:
            super()._ended(event, now_ms)
