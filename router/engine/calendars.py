"""Opening hours: when a calendar is open, when that changes, and how much open time lies between two instants.

A calendar is data. Which public holidays a country has, and by how much a zone's clocks are ahead of UTC and from when,
is looked up once, when the configuration is read (`router.almanac`), and stands in the document that is journaled
(`config.Almanac`). So a replay asks no library and no machine, and a new release of either changes nothing that was
decided.

Local days follow one another without gap or overlap, whatever the clocks do: a day begins when its midnight comes
first. Each has its openings, cut at its ends, so that a night shift is the end of one day and the beginning of another.

Summer time. An opening at a time that the clocks skip is at the moment of the skip, and so is a closing. A time that
comes twice opens when it comes first and closes when it comes last: nobody who looks at a clock within the hours finds
the door shut.

Precedence of a date: `dates` (written by hand), then holidays, then the week. A night shift belongs to the day on
which it begins.
"""

from __future__ import annotations

import difflib
import re
from bisect import bisect_right
from collections.abc import Iterator
from datetime import date
from itertools import pairwise

from router.engine.config import Calendar
from router.errors import ConfigError

MINUTE_MS = 60_000
DAY_MS = 86_400_000
EPOCH = date(1970, 1, 1).toordinal()
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
# Whatever does not change for so long does not change: two years with the longest of holidays in them.
HORIZON_DAYS = 800
# Ten years: the longest duration that a configuration may ask for.
FAR_DAYS = 3_653

Span = tuple[int, int]  # minutes of the local day on which it begins; the end may lie on the next day
Opening = tuple[int, int]  # Unix ms, the end not included

_SPAN = re.compile(r"([01]\d|2[0-4]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")
ROUND_THE_CLOCK: tuple[Span, ...] = ((0, 1440),)


class Hours:
    """One calendar, ready to be asked. All times are Unix milliseconds."""

    def __init__(self, calendar: Calendar) -> None:
        almanac = calendar.almanac
        offsets = almanac.offsets if almanac is not None else ()
        self._from = [start * 1_000 for start, _ in offsets[1:]]
        self._ahead = [ahead * 1_000 for _, ahead in offsets] or [0]
        self._week = _week_of(calendar)
        holidays = almanac.holidays if almanac is not None else {}
        self._dates: dict[int, tuple[Span, ...]] = dict.fromkeys(map(day_of_date, holidays), ())
        self._dates |= {day_of_date(day): spans_of(spans) for day, spans in calendar.dates.items()}
        self._days: dict[int, tuple[Opening, ...]] = {}
        self._first_day = 0  # of `_before`
        self._before: list[int] = []  # open ms before each day, counted from `_first_day`

    # --- questions -------------------------------------------------------------------------------------------------

    def is_open(self, t: int) -> bool:
        return any(start <= t < end for start, end in self.openings(self.day_of(t)))

    def next_change(self, t: int) -> int:
        """The first instant after `t` at which it opens or closes; 0 if that is out of sight."""
        first = self.day_of(t)
        was = self.is_open(t)
        for day in range(first, first + HORIZON_DAYS):
            for edge in self._edges(day):
                if edge > t and self.is_open(edge) != was:
                    return edge
        return 0

    def between(self, start: int, end: int) -> int:
        """How much open time lies between the two; 0 if there is none, or if `end` comes first.

        What lies more than ten years before the end is not counted.
        """
        if end <= start:
            return 0
        start = max(start, end - FAR_DAYS * DAY_MS)
        before = self._since(start)  # first the earlier one, which may set the day that both are counted from
        return self._since(end) - before

    def after(self, start: int, open_ms: int) -> int:
        """The first instant by which so much open time has passed since `start`; 0 if that is out of sight."""
        left, day = open_ms, self.day_of(start)
        for today in range(day, day + FAR_DAYS):
            for begin, end in self.openings(today):
                begin = max(begin, start)
                if end - begin >= left:
                    return begin + left
                left -= max(0, end - begin)
        return 0

    # --- days ------------------------------------------------------------------------------------------------------

    def day_of(self, t: int) -> int:
        """The local day, counted from 1970-01-01, in which the instant lies."""
        day = (t + self._ahead[bisect_right(self._from, t)]) // DAY_MS
        while t < self._begin(day):
            day -= 1
        while t >= self._begin(day + 1):
            day += 1
        return day

    def openings(self, day: int) -> tuple[Opening, ...]:
        """When it is open on this day, in order and apart from one another."""
        found = self._days.get(day)
        if found is None:
            found = self._days[day] = tuple(self._openings(day))
        return found

    def _openings(self, day: int) -> Iterator[Opening]:
        begin, end = self._begin(day), self._begin(day + 1)
        last = begin
        for start, stop in sorted([*self._begun_on(day - 1), *self._begun_on(day)]):
            start, stop = max(start, last), min(stop, end)
            if start < stop:
                yield start, stop
                last = stop

    def _begun_on(self, day: int) -> Iterator[Opening]:
        midnight = day * DAY_MS
        for start, stop in self._dates.get(day, self._week[(day + 3) % 7]):
            yield self._first(midnight + start * MINUTE_MS), self._last(midnight + stop * MINUTE_MS)

    def _begin(self, day: int) -> int:
        return self._first(day * DAY_MS)

    def _edges(self, day: int) -> list[int]:
        return [edge for opening in self.openings(day) for edge in opening]

    def _since(self, t: int) -> int:
        """Open time until `t`, counted from some fixed day."""
        day = self.day_of(t)
        if not self._before or day < self._first_day:
            self._first_day, self._before = day - 31, [0]
        while len(self._before) <= day - self._first_day:
            last = self._first_day + len(self._before) - 1
            self._before.append(self._before[-1] + sum(end - start for start, end in self.openings(last)))
        today = sum(min(end, t) - start for start, end in self.openings(day) if start < t)
        return self._before[day - self._first_day] + today

    # --- clocks ----------------------------------------------------------------------------------------------------

    def _first(self, wall: int) -> int:
        """When the clocks first show this (milliseconds of local time since 1970), or skip it."""
        first = min(self._moments(wall), default=None)
        return first if first is not None else self._skipped(wall)

    def _last(self, wall: int) -> int:
        """When the clocks last leave the millisecond before this one, or skip it."""
        last = max(self._moments(wall - 1), default=None)
        return last + 1 if last is not None else self._skipped(wall - 1)

    def _moments(self, wall: int) -> Iterator[int]:
        for i, t in self._guesses(wall):
            if bisect_right(self._from, t) == i:
                yield t

    def _skipped(self, wall: int) -> int:
        """Before the change it is not yet, after it no more: it is at the change."""
        return min(self._from[i] for i, t in self._guesses(wall) if i < len(self._from) and t >= self._from[i])

    def _guesses(self, wall: int) -> list[tuple[int, int]]:
        """The instant by each of the offsets that may hold around it: no zone is more than a day from UTC."""
        low, high = bisect_right(self._from, wall - DAY_MS), bisect_right(self._from, wall + DAY_MS)
        return [(i, wall - self._ahead[i]) for i in range(low, high + 1)]


def day_of_date(text: str) -> int:
    return date.fromisoformat(text).toordinal() - EPOCH


def spans_of(texts: tuple[str, ...]) -> tuple[Span, ...]:
    """Raises ValueError with what is wrong."""
    spans = tuple(sorted(map(_span, texts)))
    for (_, end), (start, _) in pairwise(spans):
        if start < end:
            raise ValueError("times that do not overlap")
    return spans


def _span(text: str) -> Span:
    found = _SPAN.fullmatch(text)
    if not found:
        raise ValueError('times such as "08:00-18:00", "22:00-06:00" or "00:00-24:00"')
    from_h, from_m, to_h, to_m = map(int, found.groups())
    start, end = from_h * 60 + from_m, to_h * 60 + to_m
    if start > 1439 or end > 1440 or start == end:
        raise ValueError('a beginning before 24:00 and another time as the end; "00:00-24:00" is the whole day')
    return start, end if end > start else end + 1440


def _week_of(calendar: Calendar) -> tuple[tuple[Span, ...], ...]:
    if not calendar.week:
        return (ROUND_THE_CLOCK,) * 7
    week: list[tuple[Span, ...]] = [()] * 7
    for days, spans in calendar.week.items():
        for day in days_of(days):
            week[day] = spans_of(spans)
    return tuple(week)


def days_of(text: str) -> list[int]:
    """The days of "mon-fri", Monday being 0; "sat-mon" goes over the end of the week. Raises ValueError."""
    first, dash, last = text.partition("-")
    if first not in WEEKDAYS or (dash and last not in WEEKDAYS):
        raise ValueError('a day or days such as "mon", "mon-fri"')
    start = WEEKDAYS.index(first)
    count = (WEEKDAYS.index(last) - start) % 7 + 1 if dash else 1
    return [(start + i) % 7 for i in range(count)]


# --- checking ---------------------------------------------------------------------------------------------------------


def check_calendar(calendar: Calendar, path: str) -> None:
    """Refuse impossible dates and hours. Raises ConfigError with the dotted path."""
    _check_week(calendar, f"{path}.week")
    for day, spans in calendar.dates.items():
        _check_date(day, f"{path}.dates.{day}")
        _check_spans(spans, f"{path}.dates.{day}")
    known = calendar.almanac is not None
    if not known and (calendar.zone != "UTC" or calendar.holidays):
        expected = "dates and offsets as they are worked out when a configuration file is read"
        raise ConfigError(f"{path}.almanac", expected, "nothing")


def _check_week(calendar: Calendar, path: str) -> None:
    taken: dict[int, str] = {}
    for key, spans in calendar.week.items():
        try:
            days = days_of(key)
        except ValueError as error:
            near = difflib.get_close_matches(key, WEEKDAYS, 1)
            raise ConfigError(f"{path}.{key}", repr(near[0]) if near else str(error), repr(key)) from error
        for day in days:
            if day in taken:
                raise ConfigError(f"{path}.{key}", f"days that {taken[day]!r} does not name", WEEKDAYS[day])
            taken[day] = key
        _check_spans(spans, f"{path}.{key}")


def _check_spans(spans: tuple[str, ...], path: str) -> None:
    try:
        spans_of(spans)
    except ValueError as error:
        raise ConfigError(path, str(error), ", ".join(map(repr, spans))) from error


def _check_date(day: str, path: str) -> None:
    try:
        found = date.fromisoformat(day)
    except ValueError as error:
        raise ConfigError(path, "a date of the calendar such as 2026-12-24", f"{day!r}: {error}") from error
    if found.isoformat() != day or not 1971 <= found.year <= 9_000:
        raise ConfigError(path, "a date such as 2026-12-24", repr(day))
