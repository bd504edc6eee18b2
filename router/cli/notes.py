"""What is no mistake in a configuration, and may well be one where it is used: said by `switchboard check`.

A daemon starts with all of it. Files may be there on the machine that it is meant for; what nobody is to reach yet may
stand there already.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from channels.registry import KINDS
from router.engine.plan import Plan
from router.settings import Loaded

# Options that name a file which must be there at the start.
FILES = frozenset(("certificate", "private_key", "key", "tls_certificate", "tls_key", "ca_file"))


def notes(loaded: Loaded) -> Iterator[str]:
    """A sentence each, with the option that it is about."""
    yield from _files("", replace(loaded.settings, adapters={}))
    for kind, section in loaded.settings.adapters.items():
        yield from _files(kind, section)
    plan = Plan(loaded.config)
    for kind, section in loaded.settings.adapters.items():
        for path, (channel, to) in KINDS[kind].brings(section).items():
            if not plan.takes(channel, to):
                yield f"{path}: what comes to {to!r} is refused, as no rule takes it and there is no default_queue"
    if loaded.settings.domains and not loaded.settings.link.listen:
        yield "link.listen: engines of routing domains need it; without it `serve --roles engine` does not start"


def _files(path: str, at: Any) -> Iterator[str]:
    for name, value in _parts(at):
        where = f"{path}.{name}" if path else name
        if isinstance(value, str):
            if name in FILES and value and not Path(value).is_file():
                yield f"{where}: there is no such file on this machine"
        else:
            yield from _files(where, value)


def _parts(at: Any) -> list[tuple[str, Any]]:
    if isinstance(at, dict):
        return [(str(name), value) for name, value in at.items()]
    return [(name, getattr(at, name)) for name in getattr(at, "__struct_fields__", ())]
