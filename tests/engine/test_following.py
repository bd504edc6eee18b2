"""An engine that only follows: it tells what the deciding one tells, and shows what that one shows."""

from __future__ import annotations

import pytest

from router.engine import lookups
from router.engine.commands import AnyCommand
from router.engine.engine import Engine, Outcome
from router.engine.transitions import QUEUED
from router.journal import codec
from tests.engine.support.checked import Checked
from tests.engine.support.walk import Walk


class Copied(Checked):
    """Beside the checked engine stands the copy that an edge has: it gets whole commands' records."""

    copy: Engine

    def _follow(self, command: AnyCommand, out: Outcome) -> None:
        super()._follow(command, out)
        payloads = self.payloads[len(self.payloads) - len(out.events) :]
        told = [effect for some in self.copy.follow(map(codec.decode, payloads)) for effect in some]
        assert told == out.effects, f"after {command}"


@pytest.mark.promise("DU-5", "AG-3")
@pytest.mark.parametrize("seed", range(501, 504))
def test_a_copy_tells_and_shows_what_the_engine_does(seed: int) -> None:
    walk = Walk(seed, thrift=1_000)
    copied = Copied(thrift=1_000)
    copied.engine, copied.shadow, copied.payloads = walk.checked.engine, walk.checked.shadow, walk.checked.payloads
    copied.copy = Engine.restore(copied.engine.snapshot())
    copied.oracle, copied.watch = walk.checked.oracle, walk.checked.watch
    walk.checked = copied
    waited = 0
    for _ in range(150):
        walk.step()
        state, copy = copied.engine.state, copied.copy.state
        waiting = [item.number for item in state.interactions.values() if item.state == QUEUED]
        waited += len(waiting)
        for number in waiting[:3]:
            assert lookups.estimate(copy, number, walk.now_ms) == lookups.estimate(state, number, walk.now_ms)
        assert lookups.queue_views(copy, walk.now_ms) == lookups.queue_views(state, walk.now_ms)
    assert waited, "something waited"
    assert copied.copy.snapshot() == copied.engine.snapshot()
