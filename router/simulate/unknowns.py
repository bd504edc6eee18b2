"""What no journal can tell, drawn by chance with a seed: the same for every configuration.

How long somebody who was served would have waited at most: from the exponential distribution with the rate of the
likeliest (those who gave up / time waited by all). How long work would have taken that nobody did or finished: from
what was finished in the same channel, and from where the journal breaks off. Agents miss and decline by chance as large
a share of their offers as they did.
"""

from __future__ import annotations

from router.engine import commands as c
from router.simulate.chance import stream
from router.simulate.past import Life, Past
from router.simulate.world import NEVER

RING_MS = 3_000  # where nobody ever answered
WORK_MS = 180_000  # where nothing was ever finished
PAUSE_MS = 60_000  # where nobody ever was off for missed offers


class Unknowns:
    """Draws what the journal breaks off before: the same for every configuration."""

    def __init__(self, past: Past, seed: int) -> None:
        self._past = past
        self._patient, self._work = stream(seed, "patience"), stream(seed, "work")
        self.finished: dict[str, list[int]] = {}
        waited, left = dict[str, int](), dict[str, int]()
        for life in past.lives.values():
            channel = life.came.channel
            if life.released_ms >= 0:
                self.finished.setdefault(channel, []).append(life.released_ms - life.begun_ms)
            if life.is_call:
                continue
            waited[channel] = waited.get(channel, 0) + self._waited(life)
            left[channel] = left.get(channel, 0) + (life.left_ms >= 0)
        self.patience_ms = {name: waited[name] / n for name, n in left.items() if n}
        rings = [life.ring_ms for life in past.lives.values() if life.ring_ms >= 0]
        self.ring_ms = sorted(rings)[len(rings) // 2] if rings else RING_MS

    def _waited(self, life: Life) -> int:
        until = next((ms for ms in (life.begun_ms, life.left_ms, life.over_ms) if ms >= 0), self._past.end_ms)
        return until - life.at_ms

    def patience(self, life: Life) -> int:
        """Known of who gave up. Who did not would have waited for so long more."""
        mean_ms = self.patience_ms.get(life.came.channel)
        drawn = self._patient.expovariate(1.0)  # for everybody, so that one more who gave up changes nobody else
        if life.left_ms >= 0:
            return life.left_ms - life.at_ms
        return NEVER if mean_ms is None or life.is_call else self._waited(life) + round(drawn * mean_ms)

    def work(self, life: Life) -> int:
        """Known of what was finished; otherwise as much as something that was, and no less than what was done."""
        return self._worked(life.came.channel, life.begun_ms, life.released_ms)

    def legs(self, life: Life) -> list[tuple[c.Target, int]]:
        """To whom it was transferred, and the work that they had with it."""
        channel = life.came.channel
        return [(leg.to, self._worked(channel, leg.begun_ms, leg.released_ms)) for leg in life.legs]

    def _worked(self, channel: str, begun_ms: int, released_ms: int) -> int:
        known = self.finished.get(channel) or [WORK_MS]
        drawn = known[self._work.randrange(len(known))]
        if released_ms >= 0:
            return released_ms - begun_ms
        done = self._past.end_ms - begun_ms if begun_ms >= 0 else 0
        return max(drawn, done)


class Answers:
    """Whether an agent answers an offer: by the shares that they missed and declined."""

    def __init__(self, past: Past, seed: int) -> None:
        self._manners = past.manners
        self._all = [ms for manners in past.manners.values() for ms in manners.pauses_ms] or [PAUSE_MS]
        self._mood = {agent: stream(seed, f"mood {agent}") for agent in past.manners}

    def to(self, agent: str) -> str:
        """accept, decline or miss."""
        manners = self._manners.get(agent)
        if manners is None or not manners.offers:
            return "accept"
        drawn = self._mood[agent].random() * manners.offers
        if drawn < manners.missed:
            return "miss"
        return "decline" if drawn < manners.missed + manners.declined else "accept"

    def pause(self, agent: str) -> int:
        """How long they are off for missed offers."""
        known = self._manners[agent].pauses_ms or self._all
        return known[self._mood[agent].randrange(len(known))]
