"""Walks in a crowd: few agents with many chats at once, and calls that need one of them for themselves (CP-4)."""

from __future__ import annotations

from random import Random

from msgspec.structs import replace

from router.engine.config import Agent, Channel, Config, Duration, Queue, Step
from router.engine.requirements import Node
from tests.engine.support.walk import CHANNELS as NAMES
from tests.engine.support.walk import Walk, a_config, seconds


def a_crowd(r: Random) -> Config:
    """Few agents with many chats at once, and calls that need one of them for themselves."""
    config = a_config(r)
    budget = r.choice((None, None, 6))
    channels = {
        "phone": Channel(True, weight=r.choice((1, 3)), interrupts=r.choice(((), ("email",))), drain=a_drain(r)),
        "chat": Channel(cap=3, target=seconds(r.choice((20, 60))), interrupts=r.choice(((), ("email",)))),
        "email": Channel(weight=r.choice((1, 3)), cap=2, drain=a_drain(r)),
    }
    queues = {name: a_busy_queue(r, queue) for name, queue in config.queues.items()}
    agents = {name: Agent(skills=x.skills, budget=budget) for name, x in config.agents.items()}
    rules = tuple(replace(rule, requirement=None, relax=None) for rule in config.rules)
    return replace(config, channels={n: channels[n] for n in NAMES}, queues=queues, agents=agents, rules=rules)


def a_busy_queue(r: Random, like: Queue) -> Queue:
    return Queue(
        requirement=r.choice((Node(skill="support"), Node(skill="spanish"), Node(skill="support"))),
        band=like.band,
        cool_off=like.cool_off,
        parallel_offers=like.parallel_offers,
        auto_accept=like.auto_accept,
        wrap_up=like.wrap_up,
        choice=r.choice(("longest-idle", "random")),
        drain=r.choice((None, None, seconds(0), seconds(20))),
        relax=(Step(after=seconds(20), also=Node(skill="sales")),) if r.random() < 0.3 else (),
    )


def a_drain(r: Random) -> Duration:
    return seconds(r.choice((5, 30, 900)))


CROWDED: dict[str, float] = {
    "arrive": 30,
    "accept": 30,
    "complete": 14,
    "tick": 10,
    "leave": 3,
    "decline": 2,
    "state": 4,
    "open": 3,
    "close_session": 0.5,
    "reprioritise": 3,
    "transfer": 1,
    "pick": 1,
    "assign": 0.5,
    "call_me": 1,
    "ask": 1,
    "relax": 0.5,
    "configure": 0.2,
}


def crowd(seed: int, steps: int) -> Walk:
    return Walk(seed, 20, a_crowd, CROWDED).run(steps)
