"""Opening hours are data: when open, until when, and how much open time lies between two instants (RT-11)."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from importlib import resources
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from router.almanac import with_almanacs
from router.engine.calendars import Hours
from router.engine.config import Calendar, Config
from router.engine.plan import check_config
from router.errors import ConfigError

pytestmark = pytest.mark.promise("RT-11")

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


def hours(zone: str = "UTC", **more: Any) -> Hours:
    calendar = Calendar(zone=zone, **more)
    return Hours(with_almanacs(Config(calendars={"c": calendar}), 2026).calendars["c"])


def zone_of(name: str) -> ZoneInfo:
    """As the lock has it: the machine's own data may be older."""
    with resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file)


def at(text: str, zone: str = "UTC", fold: int = 0) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=zone_of(zone), fold=fold).timestamp() * 1_000)


OFFICE: dict[str, Any] = {"week": {"mon-fri": ("08:00-12:00", "13:00-17:00"), "sat": ("09:00-13:00",)}}


@pytest.mark.parametrize(
    ("when", "is_open"),
    [
        ("2026-11-23 07:59:59.999", False),
        ("2026-11-23 08:00", True),
        ("2026-11-23 11:59:59.999", True),
        ("2026-11-23 12:00", False),
        ("2026-11-28 12:59", True),  # Saturday
        ("2026-11-29 10:00", False),  # Sunday
    ],
)
def test_it_is_open_from_the_beginning_until_just_before_the_end(when: str, is_open: bool) -> None:
    assert hours(**OFFICE).is_open(at(when)) is is_open


def test_the_next_change_is_over_the_weekend() -> None:
    office = hours(**OFFICE)
    assert office.next_change(at("2026-11-27 16:00")) == at("2026-11-27 17:00")
    assert office.next_change(at("2026-11-28 13:00")) == at("2026-11-30 08:00")


def test_without_a_week_it_is_open_round_the_clock() -> None:
    always = hours()
    assert always.is_open(at("2026-01-01 00:00"))
    assert always.next_change(at("2026-01-01 00:00")) == 0
    assert always.between(at("2026-01-01 00:00"), at("2026-01-03 00:00")) == 2 * DAY


def test_a_night_shift_belongs_to_the_day_on_which_it_begins() -> None:
    nights = hours(week={"fri": ("22:00-06:00",)})
    assert nights.is_open(at("2026-11-28 05:59"))
    assert not nights.is_open(at("2026-11-28 06:00"))
    assert nights.next_change(at("2026-11-27 22:00")) == at("2026-11-28 06:00")
    assert nights.between(at("2026-11-27 12:00"), at("2026-11-30 12:00")) == 8 * HOUR


def test_a_date_beats_the_holiday_and_the_holiday_the_week() -> None:
    office = hours(
        "Europe/Berlin",
        **OFFICE,
        holidays=("DE-BY",),
        dates={"2026-12-24": ("08:00-12:00",), "2026-12-25": ("10:00-11:00",), "2026-12-23": ()},
    )
    zone = "Europe/Berlin"
    assert not office.is_open(at("2026-12-23 10:00", zone))
    assert office.is_open(at("2026-12-24 11:00", zone))
    assert not office.is_open(at("2026-12-24 15:00", zone))
    assert office.is_open(at("2026-12-25 10:30", zone))
    assert not office.is_open(at("2026-01-06 10:00", zone)), "Epiphany, a holiday in Bavaria"
    assert hours(zone, **OFFICE, holidays=("DE-BE",)).is_open(at("2026-01-06 10:00", zone)), "but not in Berlin"


# --- summer time ------------------------------------------------------------------------------------------------------


def test_a_time_that_the_clocks_skip_is_the_moment_of_the_skip() -> None:
    """On 29 March 2026 in Berlin 02:00 is followed by 03:00."""
    early = hours("Europe/Berlin", week={"sun": ("02:30-09:00",)})
    assert early.next_change(at("2026-03-28 12:00")) == at("2026-03-29 01:00")
    late = hours("Europe/Berlin", week={"sat": ("20:00-02:30",)})
    assert late.next_change(at("2026-03-28 23:00")) == at("2026-03-29 01:00")
    within = hours("Europe/Berlin", week={"sun": ("02:10-02:50",)})
    assert within.between(at("2026-03-28 12:00"), at("2026-03-30 12:00")) == 0


def test_a_time_that_comes_twice_opens_first_and_closes_last() -> None:
    """On 25 October 2026 in Berlin the hour from 02:00 comes twice: at 00:00 and 01:00 UTC."""
    early = hours("Europe/Berlin", week={"sun": ("02:30-09:00",)})
    assert early.next_change(at("2026-10-24 12:00")) == at("2026-10-25 00:30")
    assert early.between(at("2026-10-24 12:00"), at("2026-10-26 00:00")) == 7 * HOUR + 30 * MINUTE
    late = hours("Europe/Berlin", week={"sat": ("20:00-02:30",)})
    assert late.next_change(at("2026-10-24 23:00")) == at("2026-10-25 01:30")
    until_two = hours("Europe/Berlin", week={"sat": ("20:00-02:00",)})
    assert until_two.next_change(at("2026-10-24 23:00")) == at("2026-10-25 00:00"), "not again at the second 02:00"


@pytest.mark.parametrize(("day", "length"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)])
def test_a_day_round_the_clock_is_as_long_as_it_is(day: str, length: int) -> None:
    one_day = hours("Europe/Berlin", week={"mon": ()}, dates={day: ("00:00-24:00",)})
    start = at(f"{day} 00:00", "Europe/Berlin")
    assert one_day.between(start - 2 * HOUR, start + 2 * DAY) == length * HOUR


ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kathmandu",
    "Africa/Casablanca",
    "America/Havana",
    "Australia/Lord_Howe",
)


def a_week(r: Random) -> dict[str, tuple[str, ...]]:
    week: dict[str, tuple[str, ...]] = {}
    for day in ("mon", "tue-thu", "fri", "sat", "sun"):
        marks = sorted(r.sample(range(0, 1440, 15), r.choice((0, 2, 2, 4))))
        spans = [(marks[i], marks[i + 1]) for i in range(0, len(marks), 2)]
        if spans and r.random() < 0.4:
            spans[-1] = (spans[-1][0], r.randrange(0, spans[0][0] + 1, 15) % 1440)
        week[day] = tuple(f"{a // 60:02}:{a % 60:02}-{b // 60:02}:{b % 60:02}" for a, b in spans if a != b)
    return week


class Naive:
    """A calendar by the words of its module, minute by minute, with the clocks of the standard library."""

    def __init__(self, zone: str, week: dict[str, tuple[str, ...]], first: int, last: int) -> None:
        self.open: set[int] = set()
        local = zone_of(zone)
        walls = {t: datetime.fromtimestamp(t / 1_000, local).replace(tzinfo=None) for t in range(first, last, MINUTE)}
        days = sorted({wall.date() for wall in walls.values()})
        for day in days[1:-1]:
            for span in self._spans(week, day.weekday()):
                midnight = datetime.combine(day, time())
                start, end = (midnight + timedelta(minutes=m) for m in span)
                within = [t for t, wall in walls.items() if start <= wall < end]
                if within:
                    self.open.update(range(min(within), max(within) + MINUTE, MINUTE))

    def _spans(self, week: dict[str, tuple[str, ...]], weekday: int) -> list[tuple[int, int]]:
        names = ("mon", "tue-thu", "tue-thu", "tue-thu", "fri", "sat", "sun")
        found = []
        for text in week[names[weekday]]:
            a, b = (int(part[:2]) * 60 + int(part[3:]) for part in text.split("-"))
            found.append((a, b if b > a else b + 1440))
        return found


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("seed", range(2))
def test_it_agrees_with_the_clocks_minute_by_minute(zone: str, seed: int) -> None:
    """Around every change of the clocks in two years, and in a quiet week."""
    r = Random(f"{zone} {seed}")
    week = a_week(r)
    asked = hours(zone, week=week)
    offsets = with_almanacs(Config(calendars={"c": Calendar(zone=zone, week=week)}), 2026).calendars["c"].almanac
    changes = [start * 1_000 for start, _ in offsets.offsets[1:]] if offsets is not None else []
    years = [c for c in changes if at("2026-01-01") <= c < at("2028-01-01")] or [at("2026-06-03")]
    for change in r.sample(years, min(2, len(years))):
        first = change // DAY * DAY - 3 * DAY
        naive = Naive(zone, week, first, first + 8 * DAY)
        middle = range(first + 2 * DAY, first + 5 * DAY, MINUTE)
        assert [t for t in middle if asked.is_open(t)] == [t for t in middle if t in naive.open]
        _agree_on_times(asked, naive, middle, r)


def _agree_on_times(asked: Hours, naive: Naive, middle: range, r: Random) -> None:
    for _ in range(20):
        start, end = sorted(r.sample(middle, 2))
        passed = sum(MINUTE for t in range(start, end, MINUTE) if t in naive.open)
        assert asked.between(start, end) == passed
        turns = (t for t in middle if t > start and (t in naive.open) != (start in naive.open))
        expected = next(turns, 0)
        found = asked.next_change(start)
        assert found == expected or (not expected and (not found or found > middle[-1]))
        if passed:
            due = asked.after(start, passed)
            assert due <= end
            assert asked.between(start, due) == passed
            assert asked.between(start, due - 1) == passed - 1, "the first such instant"


def test_open_time_adds_up() -> None:
    office = hours("America/New_York", **OFFICE, holidays=("US",))
    r = Random(7)
    for _ in range(200):
        a, b, c = sorted(r.randrange(at("2025-02-01"), at("2030-01-01")) for _ in range(3))
        assert office.between(a, c) == office.between(a, b) + office.between(b, c)
        assert office.between(c, a) == 0


def test_what_never_opens_is_out_of_sight() -> None:
    never = hours(week={"mon": ()})
    assert never.next_change(at("2026-01-01")) == 0
    assert never.after(at("2026-01-01"), 1) == 0
    assert never.between(at("2026-01-01"), at("2027-01-01")) == 0


# --- what is written into the journal ---------------------------------------------------------------------------------


def test_a_configuration_holds_dates_and_offsets_so_that_a_replay_asks_nobody() -> None:
    config = with_almanacs(Config(calendars={"c": Calendar(zone="Europe/Berlin", holidays=("DE",))}), 2026)
    almanac = config.calendars["c"].almanac
    assert almanac is not None
    assert (almanac.first_year, almanac.last_year) == (2025, 2036)
    assert almanac.holidays["2026-10-03"]
    assert (at("2026-03-29 01:00") // 1_000, 7_200) in almanac.offsets
    assert (at("2026-10-25 01:00") // 1_000, 3_600) in almanac.offsets
    assert "tzdata" in almanac.source


def test_the_zones_are_those_of_the_lock_and_not_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONTZPATH", "/nowhere")
    import zoneinfo

    zoneinfo.reset_tzpath(to=[])
    try:
        assert hours("Asia/Kathmandu").is_open(at("2026-01-01"))
    finally:
        zoneinfo.reset_tzpath()


# --- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("calendar", "path", "says"),
    [
        (Calendar(dates={"2026-02-30": ()}), "calendars.c.dates.2026-02-30", "a date of the calendar"),
        (Calendar(dates={"2027-02-29": ("08:00-12:00",)}), "calendars.c.dates.2027-02-29", "a date of the calendar"),
        (Calendar(dates={"20261224": ()}), "calendars.c.dates.20261224", "a date such as 2026-12-24"),
        (Calendar(dates={"2026-12-24": ("8-12",)}), "calendars.c.dates.2026-12-24", '"08:00-18:00"'),
        (Calendar(week={"mon": ("25:00-26:00",)}), "calendars.c.week.mon", '"08:00-18:00"'),
        (Calendar(week={"mon": ("08:00-08:00",)}), "calendars.c.week.mon", "another time as the end"),
        (Calendar(week={"mon": ("08:00-12:00", "11:00-13:00")}), "calendars.c.week.mon", "do not overlap"),
        (Calendar(week={"mno": ()}), "calendars.c.week.mno", "'mon'"),
        (Calendar(week={"mon-fri": (), "wed": ()}), "calendars.c.week.wed", "'mon-fri' does not name"),
        (Calendar(zone="Europe/Berlin"), "calendars.c.almanac", "worked out"),
    ],
)
def test_what_cannot_be_is_refused_with_its_path(calendar: Calendar, path: str, says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check_config(Config(calendars={"c": calendar}))
    assert refused.value.path == path
    assert says in refused.value.expected


@pytest.mark.parametrize(
    ("calendar", "path", "says"),
    [
        (Calendar(zone="Europe/Berln"), "calendars.c.zone", "'Europe/Berlin'"),
        (Calendar(zone="../../etc/passwd"), "calendars.c.zone", "a time zone such as"),
        (Calendar(holidays=("Bavaria",)), "calendars.c.holidays[0]", "ISO 3166"),
        (Calendar(holidays=("US", "DE-BX")), "calendars.c.holidays[1]", "a part of DE"),
    ],
)
def test_unknown_zones_and_countries_are_refused_with_the_nearest(calendar: Calendar, path: str, says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        with_almanacs(Config(calendars={"c": calendar}), 2026)
    assert refused.value.path == path
    assert says in refused.value.expected


def test_the_year_in_which_it_is_read_is_in_the_middle_of_what_is_known() -> None:
    year = datetime.now(UTC).year
    almanac = with_almanacs(Config(calendars={"c": Calendar(holidays=("US",))}), year).calendars["c"].almanac
    assert almanac is not None
    assert {day[:4] for day in almanac.holidays} == {str(y) for y in range(year - 1, year + 11)}
