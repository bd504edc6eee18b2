"""What calendars need to know of the world: public holidays, and how local time runs in a zone.

Both come from libraries that are pinned in the lock (`holidays`; `tzdata`, never the machine's own zone data) and are
asked only here, when a configuration is read. What they say is written into the document that is journaled, so that it
is decided by until a configuration is read again, whatever is installed by then (`config.Almanac`).

It covers the year before the one in which it is read and ten years after it. Beyond these the last offset holds and no
day is a holiday; a server that is started or reconfigured once in ten years never gets there.
"""

from __future__ import annotations

import difflib
from datetime import UTC, datetime, timedelta
from importlib import metadata, resources
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from router.engine.config import Almanac, Calendar, Config
from router.errors import ConfigError

YEARS_BACK, YEARS_AHEAD = 1, 10
HOUR_S = 3_600


def with_almanacs(config: Config, year: int) -> Config:
    """The configuration with what each calendar needs, worked out anew. Raises ConfigError for unknown names."""
    years = range(year - YEARS_BACK, year + YEARS_AHEAD + 1)
    calendars = {name: _with_almanac(c, f"calendars.{name}", years) for name, c in config.calendars.items()}
    return replace(config, calendars=calendars) if calendars else config


def _with_almanac(calendar: Calendar, path: str, years: range) -> Calendar:
    if calendar.zone == "UTC" and not calendar.holidays:
        return replace(calendar, almanac=None)
    offsets = offsets_of(calendar.zone, f"{path}.zone", years)
    found: dict[str, str] = {}
    for i, code in enumerate(calendar.holidays):
        found |= holidays_of(code, f"{path}.holidays[{i}]", years)
    days = dict(sorted(found.items()))
    return replace(calendar, almanac=Almanac(years[0], years[-1], offsets, days, _source()))


def _source() -> str:
    return f"tzdata {metadata.version('tzdata')}, holidays {metadata.version('holidays')}"


# --- zones ------------------------------------------------------------------------------------------------------------


def offsets_of(zone: str, path: str, years: range) -> tuple[tuple[int, int], ...]:
    """(from when in Unix seconds, seconds ahead of UTC), in order."""
    local = _zone(zone, path)
    start, end = (int(datetime(y, 1, 1, tzinfo=UTC).timestamp()) for y in (years[0], years[-1] + 1))
    changes = [(start, _ahead(local, start))]
    for at in range(start, end, 6 * HOUR_S):  # no zone changes its clocks twice within six hours
        if _ahead(local, at + 6 * HOUR_S) != changes[-1][1]:
            changes.append(_change(local, at, at + 6 * HOUR_S))
    return tuple(changes)


def _change(local: ZoneInfo, low: int, high: int) -> tuple[int, int]:
    """The instant between the two at which the offset changes, and what it is from there on."""
    after = _ahead(local, high)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _ahead(local, middle) == after else (middle, high)
    return high, after


def _ahead(local: ZoneInfo, at_s: int) -> int:
    offset = datetime.fromtimestamp(at_s, local).utcoffset() or timedelta()
    return int(offset.total_seconds())


def _zone(name: str, path: str) -> ZoneInfo:
    known = resources.files("tzdata").joinpath("zones").read_text(encoding="utf-8").split()
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        expected = f"the time zone {near[0]!r}" if near else 'a time zone such as "Europe/Berlin" or "UTC"'
        raise ConfigError(path, expected, repr(name))
    with resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


# --- holidays ---------------------------------------------------------------------------------------------------------


def holidays_of(code: str, path: str, years: range) -> dict[str, str]:
    """Date -> name of the public holidays of "US", "DE-BY" ..."""
    import holidays  # knows 250 countries; most installations name one or none

    country, _, part = code.partition("-")
    known = holidays.list_supported_countries(include_aliases=False)
    if country not in known:
        expected = _one_of(country, list(known), "an ISO 3166 country such as 'US' or 'DE-BY'")
        raise ConfigError(path, expected, repr(code))
    if part and part not in known[country]:
        nearby = _one_of(part, list(known[country]), "one of " + (", ".join(known[country]) or "no parts at all"))
        raise ConfigError(path, f"a part of {country}: {nearby}", repr(code))
    found = holidays.country_holidays(country, subdiv=part or None, years=years)
    return {day.isoformat(): str(name) for day, name in sorted(found.items())}


def _one_of(name: str, known: list[str], otherwise: str) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return repr(near[0]) if near else otherwise
