"""The engine, the straight-line program, the bare matcher and the naive scan take the same decisions, in any history.

So the floor that the engine is measured against does the same work, and the engine is checked by two programs that have
nothing in common with it.
"""

from random import Random

import pytest

from router.bench.worlds import World

KINDS = ("product", "straight", "grouped", "naive")


def histories(seed: int, agents: int, classes: int, steps: int) -> int:
    """Play one history four times at once; how many contacts found an agent."""
    worlds = [World(kind, agents, classes, seed) for kind in KINDS]
    random = Random(seed)
    served = 0
    for step in range(steps):
        if worlds[0].active and random.random() < 0.5:
            given = [world.release() for world in worlds]
            served += len(given[0])
            assert all(each == given[0] for each in given), (seed, step)
        else:
            r = random.randrange(classes)
            agents_found = [world.arrive(r) for world in worlds]
            served += agents_found[0] >= 0
            assert all(each == agents_found[0] for each in agents_found), (seed, step)
    return served


@pytest.mark.promise("RT-1", "RT-2", "RT-5", "RT-6", "CP-1")
@pytest.mark.parametrize("seed", range(20))
def test_four_programs_take_the_same_decisions(seed: int) -> None:
    assert histories(seed, agents=12, classes=9, steps=400) > 100


def test_and_with_more_classes_than_are_looked_at_one_by_one() -> None:
    assert histories(1, agents=150, classes=120, steps=1_500) > 500


def test_and_when_more_wait_than_can_be_served() -> None:
    worlds = [World(kind, 5, 9, 3) for kind in KINDS]
    for world in worlds:
        world.fill(0, 200)
    for _ in range(200):
        given = [world.release() for world in worlds]
        assert all(each == given[0] for each in given)


@pytest.mark.promise("RT-4")
def test_what_nobody_can_take_changes_no_decision() -> None:
    plain, blocked = World("product", 12, 9, 5), World("product", 12, 9, 5)
    blocked.block(500)
    agents = [[world.arrive(i % 9) for i in range(40)] for world in (plain, blocked)]
    assert agents[0] == agents[1]
    ends = [[[i - 500 * (world is blocked) for i in world.release()] for _ in range(12)] for world in (plain, blocked)]
    assert ends[0] == ends[1]


def test_a_world_keeps_its_size_while_it_is_measured() -> None:
    world = World("product", 20, 9)
    world.fill(0, 50)
    before = len(world.active) + world.waiting
    assert world.throughput(200) > 0
    assert len(world.latencies(100)) == 100
    assert len(world.active) + world.waiting == before
