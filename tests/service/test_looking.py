"""Whoever lists lets decisions through (OB-2)."""

import pytest

from router.engine import commands as c
from router.engine import config, lookups
from router.engine.engine import Engine

COUNT = 12_000


@pytest.fixture(scope="module")
def crowd() -> Engine:
    """Twelve thousand waiting mails, of which every hundredth is in another queue."""
    engine = Engine(quiet=True)
    rules = (config.Rule("rare", "rare", to=("rare",)),)
    queues = {"usual": config.Queue(), "rare": config.Queue()}
    document = config.to_bytes(
        config.Config(channels={"email": config.Channel()}, queues=queues, rules=rules, default_queue="usual")
    )
    engine.handle(c.Configure(document=document), 1)
    for n in range(COUNT):
        to = "usual" if n % 100 else "rare"
        engine.handle(c.Arrive(channel="email", threads=(f"t{n}",), recipient=to), n + 1)
    return engine


@pytest.mark.promise("OB-2")
def test_a_portion_looks_at_a_bounded_stretch_however_many_wait(crowd: Engine) -> None:
    found, after = lookups.portion(crowd.state, "closed", "", 0, 100)
    assert (found, after) == ([], lookups.PORTION)


@pytest.mark.promise("OB-2")
def test_portions_together_are_the_whole_list_in_order(crowd: Engine) -> None:
    found, after = lookups.portion(crowd.state, "", "rare", 0, 7)
    while after:
        more, after = lookups.portion(crowd.state, "", "rare", after, 7)
        found += more
    assert [view.id for view in found] == [f"i-{n + 1}" for n in range(0, COUNT, 100)]


@pytest.mark.promise("OB-2")
def test_what_happens_between_two_portions_neither_repeats_nor_hides_anything(crowd: Engine) -> None:
    first, after = lookups.portion(crowd.state, "queued", "rare", 0, 20)
    crowd.handle(c.Close(interaction=1, by="operator:x"), COUNT + 1)
    rest, after = lookups.portion(crowd.state, "queued", "rare", after, 1_000)
    numbers = [int(view.id[2:]) for view in [*first, *rest]]
    assert numbers == sorted(set(numbers))
    assert first[-1].id == "i-1901"
    assert rest[0].id == "i-2001"
