"""What the engine does, as metrics."""

import asyncio

import pytest
from msgspec.structs import replace

from router.engine import commands as c
from router.engine.config import Duration, to_bytes
from router.engine.config import Figures as FiguresSettings
from router.journal.memory import MemoryJournal
from router.observe import render_metrics
from router.service.figures import Figures
from router.service.ports import Health
from router.service.supervision import clock_health
from router.service.writer import AHEAD_MS
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


@pytest.mark.promise("OB-1")
async def test_health_says_of_what_the_figures_died(monkeypatch: pytest.MonkeyPatch) -> None:
    async with house() as h:
        figures = Figures(h.writer)
        monkeypatch.setattr(figures, "_look_at", lambda writer: writer.no_such_thing)
        await figures.start()
        assert figures.health() == Health(True)
        await asyncio.sleep(0)  # one look
        missing = "nobody takes the engine's figures over into metrics"
        assert figures.health() == Health(False, f"{missing} (AttributeError; see the log)")
        await figures.stop()


@pytest.mark.promise("OB-1")
async def test_a_log_whose_time_is_ahead_of_the_clock_is_told_until_it_has_caught_up(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whoever led before had a fast clock: the next one's deadlines stand still."""
    journal = MemoryJournal()
    async with house(journal) as h:
        start_ms = h.clock.now_ms()
        h.clock.advance(90_000)
        await h.desk.ask(arrive("a"))
        assert clock_health(0, [h.writer]).detail == ""
    assert "time_ahead" not in capsys.readouterr().err
    async with house(journal) as h:
        assert h.clock.now_ms() == start_ms, "its clock is right"
        said = capsys.readouterr().err
        assert '"action":"time_ahead","ahead_ms":90000,"until":"2023-11-14T22:14:50Z"' in said
        figures = Figures(h.writer)
        figures.look()
        found = clock_health(0, [h.writer])
        assert found.ok
        assert found.detail.startswith(
            "decisions are taken at 2023-11-14T22:14:50Z, 90 s ahead of this machine's clock"
        )
        assert (found.figures["ahead_ms"], figure("switchboard_engine_ahead_seconds")) == (90_000, 90)
        h.clock.advance(90_000 - AHEAD_MS)
        figures.look()
        assert (clock_health(0, [h.writer]).detail, figure("switchboard_engine_ahead_seconds")) == ("", 0)


def test_a_wall_clock_that_was_moved_is_told() -> None:
    assert clock_health(60_000, []) == Health(True, "", {"drift_ms": 60_000, "ahead_ms": 0})
    assert "was moved by -61 s; restart" in clock_health(-61_000, []).detail


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
