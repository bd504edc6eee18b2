"""How much an agent has, and what they have room for: the one load function (CP-1, CP-3).

A *load* is one integer with a counter for each channel in three layers, and one bit:

    held       what fills the agent: open offers, work and wrap-up. What is suspended is not in it
    soft       how much of what is held may be interrupted: work and wrap-up, never an offer
    suspended  what was put aside for something that may interrupt it
    RESUMING   something ended since, so what is suspended comes before anything new

`Capacity.room(load)` answers with two sets of channels: *free*, for which there is room beside what the agent holds,
and *by interruption*, for which there is room once soft work has made way. Written precedence, the first that applies:

    1. While work is suspended and something has ended since: room for nothing, until it has been taken up again.
    2. While work is suspended: only for channels that may interrupt all of it.
    3. A channel that is exclusive needs an agent who holds nothing, and while one is held there is room for nothing.
    4. The cap of the channel must not be reached.
    5. The weights of what is held must stay within the budget, the new one included.
    6. Where 3 to 5 say no, they are asked again without the soft work that the channel may interrupt.

An open offer that needs an interruption leaves the work where it is: nothing is suspended for somebody who may not
answer. Until then both are held, so `within` knows the rule that CP-2 is judged by: what an open offer may interrupt
does not count against that offer.
"""

from __future__ import annotations

CHANNELS_MAX = 64  # that one journal may ever know; a channel keeps its number for good
LOAD_BITS = 8
LOAD_MASK = (1 << LOAD_BITS) - 1
LAYER = LOAD_BITS * CHANNELS_MAX  # bits of one layer
HELD = (1 << LAYER) - 1
SOFT, SUSPENDED = LAYER, 2 * LAYER  # where these layers begin
RESUMING = 1 << 3 * LAYER
FREE = (1 << CHANNELS_MAX) - 1  # the lower half of a room; the upper is by interruption


def count(load: int, channel: int) -> int:
    """How many of this channel are held."""
    return load >> LOAD_BITS * channel & LOAD_MASK


def counts(layer: int, channels: int) -> list[int]:
    return [layer >> LOAD_BITS * c & LOAD_MASK for c in range(channels)]


def takes(room: int, channel: int) -> bool:
    """Whether there is room for this channel, be it by interruption."""
    return bool((room | room >> CHANNELS_MAX) >> channel & 1)


class Capacity:
    """Caps, budget and the channels' rules of agents who are alike; rooms are worked out once for each load."""

    __slots__ = ("budget", "caps", "exclusive", "interrupts", "rooms", "weights")

    def __init__(
        self,
        caps: tuple[int, ...],
        budget: int,
        weights: tuple[int, ...],
        exclusive: tuple[bool, ...],
        interrupts: tuple[int, ...] = (),
    ) -> None:
        """`interrupts`: for each channel, the set of those that it may interrupt; () for none at all."""
        self.caps, self.budget, self.weights, self.exclusive = caps, budget, weights, exclusive
        self.interrupts = interrupts or (0,) * len(caps)
        self.rooms: dict[int, int] = {}

    def room(self, load: int) -> int:
        found = self.rooms.get(load)
        if found is None:
            found = self.rooms[load] = self._room(load)
        return found

    def _room(self, load: int) -> int:
        if load & RESUMING:
            return 0
        free, soft = self.room_beside(load & HELD), load >> SOFT & HELD
        making_way = self._making_way(load & HELD, soft) & ~free if soft else 0
        may = self._may_come(load >> SUSPENDED)
        return free & may | (making_way & may) << CHANNELS_MAX

    def room_beside(self, held: int) -> int:
        """Rules 3 to 5: the channels for which there is room beside all this."""
        own = counts(held, len(self.caps))
        if any(n and alone for n, alone in zip(own, self.exclusive, strict=True)):
            return 0
        used = sum(n * weight for n, weight in zip(own, self.weights, strict=True))
        free = 0
        for c, cap in enumerate(self.caps):
            if own[c] < cap and used + self.weights[c] <= self.budget and not (self.exclusive[c] and held):
                free |= 1 << c
        return free

    def _making_way(self, held: int, soft: int) -> int:
        """Rule 6, for every channel."""
        found = 0
        for c, prey in enumerate(self.interrupts):
            yielding = self.soft_for(soft, c) if prey else 0
            if yielding:
                found |= self.room_beside(held - yielding) & 1 << c
        return found

    def _may_come(self, suspended: int) -> int:
        """Rules 1 and 2."""
        if not suspended:
            return FREE
        aside = sum(1 << c for c, n in enumerate(counts(suspended, len(self.caps))) if n)
        return sum(1 << c for c, prey in enumerate(self.interrupts) if not aside & ~prey)

    def soft_for(self, soft: int, channel: int) -> int:
        """The part of a soft layer that this channel may interrupt."""
        prey = self.interrupts[channel]
        return sum(soft & LOAD_MASK << LOAD_BITS * c for c in range(len(self.caps)) if prey >> c & 1)

    def fits_again(self, load: int, channel: int) -> bool:
        """Whether suspended work of this channel can be taken up. Beside nothing it always can, whatever the caps have
        become: it is theirs, and there is nothing left to wait for."""
        return not load & HELD or bool(self.room_beside(load & HELD) >> channel & 1)

    def within(self, load: int) -> bool:
        """Whether an agent may hold this much, by rules 3 to 5."""
        own = counts(load, len(self.caps))
        if any(n > cap for n, cap in zip(own, self.caps, strict=True)):
            return False
        if sum(n * weight for n, weight in zip(own, self.weights, strict=True)) > self.budget:
            return False
        return sum(own) <= 1 or not any(n and alone for n, alone in zip(own, self.exclusive, strict=True))

    def slots(self, channel: int) -> int:
        """How many of this channel an agent may hold who holds nothing else."""
        if self.exclusive[channel]:
            return min(1, self.caps[channel])
        weight = self.weights[channel]
        return min(self.caps[channel], self.budget // weight) if weight else self.caps[channel]

    def blocked(self, load: int) -> int:
        """Channels for which there would be room if the agent had less of other work (CP-4)."""
        room = self.room(load)
        able = self.room(0) & ~(room | room >> CHANNELS_MAX)
        return sum(1 << c for c in range(len(self.caps)) if able >> c & 1 and count(load, c) < self.caps[c])
