"""The browser's view is the sum of the same messages as every other client's (AG-3)."""

from __future__ import annotations

import copy
import json
import random
from functools import cache
from typing import Any

import pytest
from playwright.async_api import Page

from router.agents.mirror import Mirror
from tests.agents.house import START_MS, Client
from tests.agents.test_streams import Life
from tests.desk.conftest import NewPage

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.system]

Json = dict[str, Any]
STEPS = [
    "arrive",
    "customer_says",
    "connected",
    "leave",
    "pass_time",
    "durable",
    "connect",
    "cut",
    "read",
    "set_state",
    "accept",
    "accept",
    "decline",
    "work",
    "work",
    "operator",
]

# The very module that the desk uses, with nobody signed in.
RUN = """async ([base, messages]) => {
  const { reduce, load, NOTHING } = await import(`${base}/js/stream.js`);
  let view = NOTHING;
  const before = JSON.stringify(NOTHING);
  for (const message of messages) {
    const old = JSON.stringify(view);
    const next = reduce(view, message);
    if (JSON.stringify(view) !== old) throw new Error(`changed in place by ${message.type}`);
    view = next;
  }
  if (JSON.stringify(NOTHING) !== before) throw new Error("nothing is no longer nothing");
  return { view, load: load(view) };
}"""


class Ear(Mirror):
    """A mirror that remembers what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[Json] = []

    def take(self, message: Json, now_ms: int = 0) -> None:
        self.heard.append(copy.deepcopy(message))
        super().take(message, now_ms)


SEEDS = range(2)


@cache
def life(seed: int) -> list[Client]:
    """Two agents' clients after some hundred things that happened, refused ones included."""
    chance = random.Random(seed)
    lived = Life()
    for client in lived.clients:
        client.mirror = Ear()
    lived.everybody_ready()
    for _ in range(200):
        lived.step(chance.choice(STEPS), chance.randrange(60))
    lived.check()
    return lived.clients


def consult() -> list[Json]:
    """What no life above has: a consult, what is said between and in it, a note on what it is about, and its end."""
    view: Json = {
        "id": "i-7",
        "channel": "chat",
        "state": "active",
        "messages": [{"author": "customer", "at_ms": START_MS, "text": "hello"}],
        "notes": [],
        "consult": {"id": "i-9", "of": "i-7", "role": "consulted", "state": "consulting"},
    }
    asked = view | {"id": "i-9"}
    later = {name: value for name, value in asked.items() if name not in ("messages", "notes")}
    said = {"author": "agent", "text": "psst", "agent": "ana", "at_ms": START_MS + 1, "attachments": [], "sender": ""}
    note = {"by": "agent:ana", "at_ms": START_MS + 2, "text": "look here"}
    told: list[Json] = [
        {
            "type": "welcome",
            "resumed": False,
            "agent": "ben",
            "name": "Ben",
            "state": "ready",
            "reason": "",
            "pending": "",
        }
        | {"offers": [], "interactions": [], "server_time_ms": START_MS},
        {"type": "assigned", "offer": "o-1", "interaction": asked},
        {"type": "message", "interaction": "i-9"} | said,
        {"type": "message", "interaction": "i-7"} | said | {"text": "aloud"},
        {"type": "interaction_updated", "interaction": later, "cause": "conference"},
        {"type": "interaction_updated", "interaction": {"id": "i-7", "channel": "chat"}, "cause": "note", "note": note},
        {"type": "from the future", "interaction": "i-7"},
        {
            "type": "assigned",
            "offer": "",
            "interaction": {k: v for k, v in view.items() if k != "consult"},
            "consult": "i-9",
        },
    ]
    return [message | {"seq": seq} for seq, message in enumerate(told, 1)]


async def sum_of(page: Page, base: str, messages: list[Json]) -> Json:
    await page.goto(base.rpartition("/")[0])  # the desk itself, at its first screen
    found: Json = await page.evaluate(RUN, [base, messages])
    return found


def as_seen(mirror: Mirror) -> Json:
    """As JSON, since the browser knows nothing else."""
    view = {
        "lastSeq": mirror.last_seq,
        "agent": mirror.agent,
        "offers": mirror.offers,
        "interactions": mirror.interactions,
    }
    seen: Json = json.loads(json.dumps({"view": view, "load": mirror.load}))
    return seen


@pytest.mark.promise("AG-3")
@pytest.mark.parametrize("seed", SEEDS)
async def test_the_browser_sums_a_stream_up_as_the_other_clients_do(seed: int, new_page: NewPage, base: str) -> None:
    page = await new_page()
    for client in life(seed):
        mirror = client.mirror
        assert isinstance(mirror, Ear)
        assert await sum_of(page, base, mirror.heard) == as_seen(mirror)


async def test_a_consult_is_summed_up_alike(new_page: NewPage, base: str) -> None:
    mirror = Mirror()
    for message in json.loads(json.dumps(consult())):
        mirror.take(message)
    assert await sum_of(await new_page(), base, consult()) == as_seen(mirror)


async def test_the_lives_have_every_kind_of_message() -> None:
    kinds = {m["type"] for seed in SEEDS for client in life(seed) for m in client.mirror.heard}  # type: ignore[attr-defined]
    wanted = {"welcome", "offer", "offer_withdrawn", "assigned", "message", "interaction_updated", "interaction_ended"}
    assert wanted | {"state", "ok", "error"} <= kinds
