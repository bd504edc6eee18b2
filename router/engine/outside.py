"""What a channel's gateways can connect a contact to, known before anybody is promised it.

Gateways differ in the addresses that they can reach (`config.Reach`, said by the channel). So a transfer to one that
they cannot is refused when it is asked for, and not found out by a customer who hears nothing; and an agent without an
endpoint, who would accept contacts that nobody can connect them with, hears of it when they sign in.
"""

from __future__ import annotations

import re
from functools import lru_cache

from router.engine.config import Reach
from router.engine.entities import Agent, Interaction
from router.engine.model import State
from router.errors import BadMessage, NotSupported

_compiled = lru_cache(maxsize=64)(re.compile)


# By whether it cannot hold and whether it cannot consult.
_UNABLE = {(False, False): (), (True, False): ("hold",), (False, True): ("consult",), (True, True): ("hold", "consult")}


def cannot_hold(s: State, item: Interaction) -> bool:
    return "hold" in unable(s, item)


def cannot_consult(s: State, item: Interaction) -> bool:
    """Whether its gateway has no way to bring a third party in."""
    return "consult" in unable(s, item)


def _comes_by(item: Interaction, gateways: tuple[str, ...]) -> bool:
    for thread in item.threads:  # noqa: SIM110 - asked for each offer, and `any` would cost more than the answer
        if thread.startswith(gateways):
            return True
    return False


def unable(s: State, item: Interaction) -> tuple[str, ...]:
    """What would be refused, so that nobody need try it to learn that."""
    channel = s.config.channels[item.born.channel]
    unheld, consults = channel.unheld, channel.consults
    no_hold = bool(unheld) and _comes_by(item, unheld)
    return _UNABLE[no_hold, consults is not None and not _comes_by(item, consults)]


def must_be_in_reach(s: State, item: Interaction, address: str) -> None:
    """Raises NotSupported, BadMessage."""
    for reach in s.config.channels[item.born.channel].reaches:
        if not any(thread.startswith(reach.begins) for thread in item.threads):
            continue
        gateway = reach.begins.rstrip(":")
        if not reach.pattern:
            raise NotSupported(f"the gateway {gateway} cannot connect a contact to an address; give it to a queue")
        if not _compiled(reach.pattern).fullmatch(address):
            raise BadMessage(f"to.address: {gateway} reaches {reach.expected}, not {address[:100]!r}")


def warnings(s: State, agent: Agent) -> tuple[str, ...]:
    """What keeps an agent from being connected with contacts that they will be offered."""
    if agent.config.endpoint:
        return ()  # one that no gateway can reach is refused with the configuration
    return tuple(
        f"you have no endpoint: {channel} contacts of {', '.join(gateways)} cannot be connected with you"
        f" (agents.{agent.id}.endpoint: expected {expected})"
        for channel, gateways, expected in _wanting(s)
        if _may_have(s, agent, channel)
    )


def _wanting(s: State) -> list[tuple[str, list[str], str]]:
    """Channels with gateways that need an endpoint to ring: which ones, and what one looks like."""
    found = []
    for name, channel in s.config.channels.items():
        connects = "assigned" in channel.actions  # whoever is not told who accepted joins nobody with anybody
        reaches = [reach for reach in channel.reaches if reach.pattern and connects]
        if reaches:
            expected = " or ".join(dict.fromkeys(reach.expected for reach in reaches))
            found.append((name, [reach.begins.rstrip(":") for reach in reaches], expected))
    return found


def _may_have(s: State, agent: Agent, channel: str) -> bool:
    """Whether contacts of this channel come to a queue that they work for."""
    if not agent.capacity.room(0) >> s.channel_index[channel] & 1:
        return False
    queues = {rule.queue for rule in s.config.rules if not rule.channel or channel in rule.channel}
    queues |= {s.config.default_queue} if s.config.default_queue else set()
    return any(s.matcher.meets_node(agent, s.queues[name].config.requirement) for name in sorted(queues))


__all__ = ["Reach", "cannot_consult", "cannot_hold", "must_be_in_reach", "unable", "warnings"]
