"""The examples of the page for planners are configurations that work, and its tables say what the engine does."""

from __future__ import annotations

import tomllib

import msgspec

from router.engine.config import Borrow, Config, Overflow, Queue, decode_hook
from router.engine.plan import check_config
from router.engine.requirements import Node
from tests.house.pages import ROOT, Page

ROUTING = Page(ROOT / "docs/routing.md")


def example(title: str) -> Queue:
    """The queue `support` of the first example below this heading, in a house that has what it names."""
    below = ROUTING.text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    text = below.partition("```toml\n")[2].partition("```")[0]
    house = {
        "skills": ["support"],
        "channels": {"phone": {}},
        "queues": {"sales": {}, "partner": {}, "night": {}, **tomllib.loads(text)["queues"]},
    }
    config = msgspec.convert(house, Config, dec_hook=decode_hook)
    check_config(config)
    return config.queues["support"]


def test_the_example_of_borrowing_works() -> None:
    (rule,) = example("Borrowing agents").borrow
    assert (rule.lender, rule.requirement) == ("sales", Node(skill="support", level=2))
    assert rule.when.wait == 60_000


def test_the_example_of_overflow_works() -> None:
    (rule,) = example("Overflow").overflow
    assert (rule.to, rule.wait, rule.below) == ("partner", 180_000, 60_000)


def test_the_tables_name_every_threshold_and_every_option() -> None:
    shown = {span for title in (kind for t in ROUTING.tables for kind in t.header) for span in ROUTING.column(title)}
    below = ROUTING.text.partition("\n## Borrowing agents\n")[2]
    for kind in (Borrow, Overflow):
        assert all(f"{f.encode_name} =" in below for f in msgspec.structs.fields(kind)), kind
    for kind in (msgspec.structs.fields(Borrow)[1].type, msgspec.structs.fields(Borrow)[2].type):
        names = {f.encode_name for f in msgspec.structs.fields(kind)} - {"channels"}
        assert names <= shown, kind
