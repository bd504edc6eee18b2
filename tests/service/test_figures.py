"""What the engine does, as metrics."""

import pytest
from msgspec.structs import replace

from router.engine import commands as c
from router.engine.config import Duration, to_bytes
from router.engine.config import Figures as FiguresSettings
from router.observe import render_metrics
from router.service.figures import Figures
from tests.support.house import CONFIG, arrive, house


def figure(name: str) -> float:
    """The value of one series as a scrape shows it; 0 for one that is not there."""
    lines = [line for line in render_metrics().decode().splitlines() if line.startswith(name + " ")]
    return float(lines[0].rpartition(" ")[2]) if lines else 0.0


@pytest.mark.promise("OB-1")
async def test_queues_and_facts_are_shown_as_they_are() -> None:
    async with house() as h:
        figures = Figures(h.writer)
        before = figure('switchboard_events_total{type="arrived"}')
        h.ask(arrive("a"))
        h.ask(arrive("b"))
        h.clock.advance(30_000)
        figures.look()
        queue = h.desk.queues()[0].queue
        assert figure(f'switchboard_queue_waiting{{queue="{queue}"}}') == 2
        assert figure(f'switchboard_queue_oldest_seconds{{queue="{queue}"}}') == 30
        assert figure('switchboard_events_total{type="arrived"}') == before + 2
        h.ask(c.Close(interaction=1, by="operator:x"))
        figures.look()
        assert figure(f'switchboard_queue_waiting{{queue="{queue}"}}') == 1


async def test_what_became_of_contacts_is_that_of_a_day() -> None:
    async with house() as h:
        figures = Figures(h.writer)
        h.ask(arrive("a"))
        h.clock.advance(30_000)
        h.ask(c.Leave(thread="phone:a"))
        figures.look()
        series = f'switchboard_queue_contacts{{outcome="abandoned",queue="{h.desk.queues()[0].queue}"}}'
        assert figure(series) == 1
        h.clock.advance(25 * 3_600_000)
        figures.look()
        assert figure(series) == 0


async def test_what_is_no_longer_counted_is_no_longer_shown() -> None:
    async with house() as h:
        figures = Figures(h.writer)
        h.ask(arrive("a"))
        h.ask(c.Leave(thread="phone:a"))
        figures.look()
        queue = h.desk.queues()[0].queue
        shown = f'switchboard_queue_contacts{{outcome="abandoned-soon",queue="{queue}"}} '
        assert shown in render_metrics().decode()
        uncounted = replace(CONFIG, figures=FiguresSettings(keep=Duration(0)))
        await h.desk.ask(c.Configure(document=to_bytes(uncounted)))
        figures.look()
        assert shown not in render_metrics().decode()
        assert h.desk.queues()[0].day is None
