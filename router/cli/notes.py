"""What is no mistake in a configuration, and may well be one where it is used: said by `switchboard check`.

A daemon starts with all of it. Files may be there on the machine that it is meant for; what nobody is to reach yet may
stand there already.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from channels.kiosk.settings import Settings as Kiosk
from channels.registry import KINDS
from router.cli import doubts
from router.desk.settings import PUT_IN
from router.desk.settings import Settings as Desk
from router.engine.plan import Plan
from router.errors import ConfigError
from router.http.access import is_loopback
from router.service.domains.parts import split
from router.settings import Loaded, Settings

# Options that name a file which must be there at the start.
FILES = frozenset(("certificate", "private_key", "key", "tls_certificate", "tls_key", "ca_file"))


def notes(loaded: Loaded) -> Iterator[str]:
    """A sentence each, with the option that it is about."""
    yield from _files("", replace(loaded.settings, adapters={}))
    for kind, section in loaded.settings.adapters.items():
        yield from _files(kind, section)
    yield from _data(Path(loaded.settings.data).absolute())
    yield from _machines(loaded.settings)
    yield from _exposed(loaded.settings)
    yield from doubts.channels(loaded.config, loaded.settings.adapters)
    kiosk = loaded.settings.adapters.get("kiosk")
    if isinstance(kiosk, Kiosk):
        yield from doubts.page_language(kiosk)
    if not loaded.config.queues:
        yield "queues: there are none, so nothing can be routed"
        return
    yield from _arrivals(loaded)
    domains = loaded.settings.domains
    yield from doubts.people(loaded.config, split(loaded.config, domains) if domains else {"": loaded.config})
    yield from _templates(loaded.settings.desk)


def _data(folder: Path) -> Iterator[str]:
    """Whether it could be made and written in; nothing is tried, since a check leaves no traces."""
    there = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    if not there.is_dir():
        why = f"{there} is no folder"
    elif not os.access(there, os.W_OK | os.X_OK):
        why = f"{there} cannot be written by this user"
    elif not os.statvfs(there).f_blocks:
        why = f"{there} is of a file system that keeps no files"
    else:
        return
    yield f"data: on this machine {why}, so `serve` does not start; name another folder, or give it with --data"


def _machines(settings: Settings) -> Iterator[str]:
    """What several machines need of one another."""
    if settings.journal.kind == "redis" and not settings.blobs.folder:
        yield (
            "blobs.folder: name storage that all machines mount; without it mails, scans and attachments stay on the "
            "machine that took them, and whoever leads next cannot show them"
        )
    if settings.domains and not settings.link.listen:
        yield "link.listen: engines of routing domains need it; without it `serve --roles engine` does not start"
    if settings.domains and not settings.link.secret:
        yield (
            "link.secret: engines and edges of routing domains need it; without it neither `serve --roles engine` nor "
            "`serve --roles edge` starts"
        )


def _exposed(settings: Settings) -> Iterator[str]:
    """Channels judge their secrets when they are opened, which a process with the role engine never does."""
    if is_loopback(settings.http.host) and is_loopback(settings.sockets.host):
        return
    for kind, section in settings.adapters.items():
        try:
            KINDS[kind].exposed(section)
        except ConfigError as error:
            yield f"{error}; without it `serve` does not start, but as an engine alone"


def _arrivals(loaded: Loaded) -> Iterator[str]:
    if not loaded.config.rules and loaded.config.default_queue is None:
        yield "rules: there are none, and no default_queue, so whatever comes is refused"
        return
    plan = Plan(loaded.config)
    for kind, section in loaded.settings.adapters.items():
        for path, (channel, to) in KINDS[kind].brings(section).items():
            if not plan.takes(channel, to):
                yield f"{path}: what comes to {to!r} is refused, as no rule takes it and there is no default_queue"
    yield from doubts.rules(loaded.config)


_PLACE = re.compile(r"\{([A-Za-z_]+)\}")


def _templates(desk: Desk) -> Iterator[str]:
    """What stands in braces and is no field stays in the text: it may be a gap that agents are to fill."""
    for queue, texts in desk.queues.items():
        for number, template in enumerate(texts.templates):
            for name in dict.fromkeys(_PLACE.findall(template.text)):
                if name not in PUT_IN:
                    near = difflib.get_close_matches(name, PUT_IN, 1)
                    meant = f"did you mean {{{near[0]}}}?" if near else f"fields are {', '.join(PUT_IN)}"
                    where = f"desk.queues.{queue}.templates[{number}].text"
                    yield f"{where}: {{{name}}} is no field, and stays in the text as it stands; {meant}"


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
