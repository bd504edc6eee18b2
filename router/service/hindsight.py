"""How an interaction was decided, found out from the journal: every offer as it was (EX-1).

Decisions are not written down. The records up to an offer give the state from which it was made, and from that state it
is worked out again. A replay begins at the newest snapshot before the interaction's first offer, or at record 1 where
there is none so old.

A replay takes seconds of processor time, so a daemon lets a child process do it (`Hindsight`), one at a time and with a
limit: no decision waits for it, whoever asks does.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from router.engine import events as e
from router.engine.decisions import decision
from router.engine.engine import Engine
from router.engine.events import Record
from router.errors import JournalCorrupt, NotFound, RouterError, Unavailable
from router.journal import codec
from router.journal.port import History
from router.service.recovery import unwatched
from router.service.way import way

LIMIT_S = 60.0  # a child that takes longer has too much to read; `switchboard explain --journal` has no limit
# Of one interaction; of more, the last ones are told.
OFFERS_MAX = 50
ABOUT = ("interaction", "consult", "of")  # in which fields an event may name it


class Past(Struct):
    """What the journal holds of an interaction."""

    history: list[tuple[int, Record]]  # its records, by number
    decisions: list[dict[str, Any]]
    engine: Engine  # as of its last offer, or as of nothing
    way: list[dict[str, Any]]  # what of it moved the interaction on, in words


def look_back(journal: History, number: int) -> Past:
    """Everything that happened to it, and each of its offers as it was decided. Raises NotFound."""
    history = list(records_of(journal, number))
    if not history:
        raise NotFound(f"the journal knows no interaction i-{number}")
    offers = [seq for seq, record in history if type(record.event) is e.OfferMade][-OFFERS_MAX:]
    with unwatched():
        engine, decisions = _decisions(journal, offers)
    return Past(history, decisions, engine, way(number, history))


def records_of(journal: History, number: int) -> Iterator[tuple[int, Record]]:
    """Its records. Most of the others are told by their bytes alone, which is far quicker than to read them."""
    mark = msgspec.msgpack.encode(number)
    for seq, payload in journal.read():
        if mark in payload:
            record = codec.decode(payload)
            if any(getattr(record.event, name, 0) == number for name in ABOUT):
                yield seq, record


def _decisions(journal: History, offers: list[int]) -> tuple[Engine, list[dict[str, Any]]]:
    engine, after = _begin(journal, offers[0] - 1) if offers else (Engine(), 0)
    found, wanted = [], set(offers)
    for seq, payload in journal.read(after) if offers else ():
        record = codec.decode(payload)
        event = record.event
        if seq in wanted and isinstance(event, e.OfferMade):
            found.append(_decided(engine, event, record.at_ms))
        try:
            engine.apply(record)
        except (KeyError, AttributeError, AssertionError) as error:
            raise JournalCorrupt(seq, f"does not follow from the records before it ({error!r})") from error
        if seq >= offers[-1]:
            break
    return engine, found


def _begin(journal: History, before: int) -> tuple[Engine, int]:
    """An engine as of the newest usable snapshot of that record or one before it."""
    snapshot = journal.snapshot_of(before)
    if snapshot is not None:
        try:
            return Engine.restore(snapshot.data), snapshot.seq
        except msgspec.DecodeError:
            pass  # of another version: it would only have saved time
    return Engine(), 0


def _decided(engine: Engine, event: e.OfferMade, at_ms: int) -> dict[str, Any]:
    s = engine.state
    return decision(
        s, s.interactions[event.interaction], event.offer, s.agents[event.agent], event.cause, event.by, at_ms
    )


# --- for a daemon -----------------------------------------------------------------------------------------------------


class Hindsight:
    """Asks a child process, which reads what is durable beside the running daemon."""

    def __init__(self, *where: str) -> None:
        self._where = where  # options of `explain` that name the journal
        self._one = asyncio.Lock()

    async def decisions(self, interaction: str, language: str = "en") -> dict[str, Any]:
        """The parts `way` and `decisions` of an explanation, in that language.

        Raises Unavailable when one is being asked already, or when it takes too long.
        """
        if self._one.locked():
            raise Unavailable("another explanation is being worked out; try again in a moment")
        async with self._one:
            told = await self._ask(interaction, language)
        return {"way": told.get("way", []), "decisions": told.get("decisions", [])}

    async def _ask(self, interaction: str, language: str) -> dict[str, Any]:
        arguments = ("-m", "router", "explain", interaction, *self._where, "--json", "--language", language)
        child = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        try:
            async with asyncio.timeout(LIMIT_S):
                out, said = await child.communicate()
        except TimeoutError:
            raise Unavailable(
                f"the journal is too long to look back in {LIMIT_S:.0f} s; ask `switchboard explain --journal`"
            ) from None
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        if child.returncode:
            raise RouterError(said.decode(errors="replace").strip()[-300:])
        told: dict[str, Any] = json.loads(out)
        return told
