"""Reading scenario files: the same errors as for the daemon's configuration, with the dotted path."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from router.engine.config import decode_hook
from router.errors import ConfigError
from router.settings import explained, load
from router.simulate.scenario import Scenario, check


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
        scenario = replace(scenario, config=load(path.parent / named).config)
    beside = tuple(replace(x, file=str(path.parent / x.file)) if x.file else x for x in scenario.arrivals)
    return replace(scenario, arrivals=beside)
