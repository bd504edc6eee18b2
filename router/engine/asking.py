"""Who can be asked whether to call them back: by their channel, and only where somebody can then call them (MV-5).

A channel says with what the names of contacts begin whose customers it can ask (`config.Channel.asks`). Who is on a
line that can call is called there, so their number has to be known; whoever waits by another channel says it with the
answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from router.engine.entities import Interaction
    from router.engine.model import State


def number_of(item: Interaction) -> str:
    """The telephone number by which its customer is known; "" if there is none."""
    return next((x.removeprefix("tel:") for x in item.born.identities if x.startswith("tel:")), "")


def can_be_asked(s: State, item: Interaction) -> bool:
    """Whether its customer can be asked if they want to be called, and then be called."""
    channels = s.config.channels
    channel = channels[item.born.channel]
    if not (channel.asks and item.threads and item.threads[0].startswith(channel.asks)):
        return False
    if channel.calls:
        return bool(number_of(item)) and item.threads[0].startswith(channel.calls)
    return any(other.calls for other in channels.values())
