"""Reading scenario files: the same errors as for the daemon's configuration, with the dotted path.

Zones and holidays are asked here, as when a daemon reads its configuration, for the years around the scenario's date.
Mail and fax are lasting, as the daemon's adapters have them: a queue's rules never end them, and they need no line.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from channels.registry import KINDS
from router.almanac import with_almanacs
from router.engine.config import Config, decode_hook
from router.errors import ConfigError
from router.settings import explained, load
from router.simulate.scenario import Scenario, check, under_config


def read(path: Path) -> Scenario:
    """A checked scenario. Files that it names are looked for beside it. Raises ConfigError."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(str(path), "a scenario in TOML", " ".join(str(error).split())) from error
    try:
        scenario = _decoded(raw, path)
        check(scenario)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error.path}", error.expected, error.found) from error
    return scenario


def _decoded(raw: dict[str, Any], path: Path) -> Scenario:
    named = raw.get("config")
    if isinstance(named, str):
        raw = {name: value for name, value in raw.items() if name != "config"}
    try:
        scenario = msgspec.convert(raw, Scenario, dec_hook=decode_hook)
    except msgspec.ValidationError as error:
        raise explained(error, raw, Scenario) from error
    if isinstance(named, str):
        scenario = replace(scenario, config=_named(path.parent, named))
    scenario = replace(scenario, config=_of_the_world(scenario.config, scenario.date.year))
    beside = tuple(replace(x, file=str(path.parent / x.file)) if x.file else x for x in scenario.arrivals)
    return replace(scenario, arrivals=beside)


def _named(folder: Path, name: str) -> Config:
    try:
        return load(folder / name).config
    except ConfigError as error:
        raise ConfigError(f"config ({name}): {error.path}", error.expected, error.found) from error


def _of_the_world(config: Config, year: int) -> Config:
    lasting = set[str]().union(*(kind.lasting(kind.settings()) for kind in KINDS.values()))
    channels = {name: replace(x, lasting=x.lasting or name in lasting) for name, x in config.channels.items()}
    try:
        return with_almanacs(replace(config, channels=channels), year)
    except ConfigError as error:
        raise under_config(error) from error
