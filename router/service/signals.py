"""What two people in one conversation tell each other by what they do: that they write, how far they have got and read.

None of it is a fact of the journal. It is of no use a minute later, it would be more than all that is said, and
whoever knows it can say it again: clients do so after every cut, so a restart loses nothing for longer than that takes.
Nothing may depend on a signal having come: there is no answer to one, and one that nobody listens to is gone.

An edge listens for its own side: the agents' link by agent, a channel by its name. It passes on what came in for the
other side, having made sure that the sender has a part in the interaction. Where there are several processes, whom it
is for may be connected to another one: it is delivered here, and handed to the engine for all others (`relay`).

How far somebody has got is a time, that of the newest recorded message they have or have read; all before it counts.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct


class Writing(Struct, array_like=True, frozen=True, tag=1):
    """Somebody writes, or has stopped. It has to be said again every few seconds, or is over."""

    on: bool
    name: str = ""  # of the agent, as customers see it


class Marks(Struct, array_like=True, frozen=True, tag=2):
    """Up to where. Unix milliseconds of the newest recorded message; 0: nothing yet."""

    read_ms: int
    received_ms: int = 0


Signal = Writing | Marks


class Passed(Struct, array_like=True, frozen=True):
    """A signal on its way. `channel`: of the customer whom it is for, by that channel's name of them; "": an agent."""

    channel: str
    whom: str
    interaction: int
    signal: Signal


ToAgent = Callable[[str, int, Signal], None]  # agent, interaction
ToCustomer = Callable[[str, Signal], None]  # the name (thread) by which the channel knows the contact


def _alone(passed: Passed) -> None:
    """There is no other process."""


class Signals:
    """Where the edges find one another. `relay` is given what those of other processes may want."""

    def __init__(self) -> None:
        self.relay: Callable[[Passed], None] = _alone
        self._agents: ToAgent | None = None
        self._channels: dict[str, ToCustomer] = {}

    def listen_for_agents(self, listener: ToAgent) -> None:
        self._agents = listener

    def listen_for_customers(self, channel: str, listener: ToCustomer) -> None:
        self._channels[channel] = listener

    def tell_agent(self, agent: str, interaction: int, signal: Signal) -> None:
        self._tell(Passed("", agent, interaction, signal))

    def tell_customer(self, channel: str, thread: str, interaction: int, signal: Signal) -> None:
        self._tell(Passed(channel, thread, interaction, signal))

    def _tell(self, passed: Passed) -> None:
        self.deliver(passed)
        self.relay(passed)

    def deliver(self, passed: Passed) -> None:
        """To whoever listens in this process."""
        if not passed.channel:
            if self._agents is not None:
                self._agents(passed.whom, passed.interaction, passed.signal)
            return
        listener = self._channels.get(passed.channel)
        if listener is not None:
            listener(passed.whom, passed.signal)
