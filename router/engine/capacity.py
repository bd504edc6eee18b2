"""How much an agent has, and what they have room for: the one load function (CP-1, CP-3).

A *load* is one integer with a counter for each channel in three layers, and two marks:

    held       what fills the agent: open offers, work and wrap-up. What is suspended is not in it
    soft       how much of what is held may be interrupted: work and wrap-up, never an offer
    suspended  what was put aside for something that may interrupt it
    RESUMING   something ended since, so what is suspended comes before anything new
    DRAINING   the channel, counted from one, for which a free place is held (`drain`)

`Capacity.room(load)` answers with two sets of channels: *free*, for which there is room beside what the agent holds,
and *by interruption*, for which there is room once soft work has made way. Written precedence, the first that applies:

    1. While work is suspended and something has ended since: room for nothing, until it has been taken up again.
    2. While work is suspended: only for channels that may interrupt all of it.
    3. A channel that is exclusive needs an agent who holds nothing, and while one is held there is room for nothing.
    4. The cap of the channel must not be reached.
    5. The weights of what is held must stay within the budget, the new one included.
    6. Where 3 to 5 say no, they are asked again without the soft work that the channel may interrupt.
    7. While a place is held, of all this only the channel that it is held for and, without any interruption, those that
       this channel may interrupt: they will make way for it.

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
DRAINING = 3 * LAYER + 1
DRAINING_MASK = 0xFF << DRAINING
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

    __slots__ = (
        "_in_the_way",
        "_kept_out",
        "budget",
        "caps",
        "exclusive",
        "interrupts",
        "lockable",
        "rooms",
        "weights",
    )

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
        self._kept_out: dict[int, int] = {}
        self._in_the_way: dict[tuple[int, int], int] = {}
        # Channels that other work could keep out for ever.
        self.lockable = sum(1 << c for c in range(len(caps)) if self._is_lockable(c))

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
        may = self._may_come(load >> SUSPENDED & HELD)
        if load >> DRAINING:
            wanted = (load >> DRAINING) - 1
            free &= 1 << wanted | self.interrupts[wanted]
            making_way &= 1 << wanted
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

    def kept_out(self, load: int) -> int:
        """Channels for which there would be room if the agent had less of other work, and which that other work could
        keep out for ever (CP-4).

        None while something suspended, or a place that is held, comes before anything new already.
        """
        found = self._kept_out.get(load)
        if found is None:
            found = self._kept_out[load] = 0 if load >> SUSPENDED else self._keeping_out(load)
        return found

    def _keeping_out(self, load: int) -> int:
        room = self.room(load)
        able = self.room(0) & self.lockable & ~(room | room >> CHANNELS_MAX)
        return sum(1 << c for c in range(len(self.caps)) if able >> c & 1 and count(load, c) < self.caps[c])

    def in_the_way(self, load: int, channel: int) -> int:
        """How much of what is held this channel has to wait for, because it may not interrupt it."""
        found = self._in_the_way.get((load, channel))
        if found is None:
            own, prey = counts(load & HELD, len(self.caps)), self.interrupts[channel]
            found = self._in_the_way[load, channel] = sum(n for c, n in enumerate(own) if not prey >> c & 1)
        return found

    def _is_lockable(self, channel: int) -> bool:
        """Whether one end need not make room for it. What is exclusive has no company, so nothing else follows it; what
        the channel may interrupt makes way. Any two of the rest keep out what is exclusive, and what is lighter than
        the channel gives back too little of a budget that is used up."""
        prey, weight = self.interrupts[channel], self.weights[channel]
        others = [c for c in range(len(self.caps)) if c != channel and not (self.exclusive[c] or prey >> c & 1)]
        if not self.slots(channel):
            return False
        if self.exclusive[channel]:
            return sum(map(self.slots, others)) > 1
        lighter = any(0 < self.weights[c] < weight and self.slots(c) for c in others)
        return lighter and self.budget < sum(self.caps[c] * self.weights[c] for c in (*others, channel))
