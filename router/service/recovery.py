"""From the journal to an engine: start-up, recovery after a failed append, and snapshots are the same walk.

An engine is rebuilt from the newest usable snapshot and the records after it. It takes what the journal holds and
nothing else, so memory that ran ahead of a failed append is forgotten here, and its callers, who were never answered,
try again.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec

from router.engine.engine import Engine
from router.errors import JournalCorrupt
from router.journal import codec
from router.journal.port import Journal, Snapshot
from router.observe import get_logger

log = get_logger("journal")

Progress = Callable[[int], None]


def restore(journal: Journal, progress: Progress | None = None) -> Engine:
    """The engine as the open journal has it. `progress` is told the number of each thousandth record.

    Raises JournalCorrupt and JournalVersion.
    """
    with unwatched():
        return _restore(journal, progress)


@contextmanager
def unwatched() -> Iterator[None]:
    """Without the garbage collector, which would look again and again at what is made here to stay."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _restore(journal: Journal, progress: Progress | None) -> Engine:
    engine, after = start_of(journal)
    read_on(engine, journal, after, progress)
    engine.resume()
    return engine


def read_on(engine: Engine, journal: Journal, after: int, progress: Progress | None = None) -> None:
    """Apply the records after that number, up to which the engine has come. Raises JournalCorrupt, JournalVersion."""
    decode, apply = codec.decode, engine.apply
    seq = after
    for seq, payload in journal.read(after):
        try:
            apply(decode(payload))
        except (KeyError, AttributeError, AssertionError) as error:
            raise JournalCorrupt(seq, f"does not follow from the records before it ({error!r})") from error
        if progress is not None and seq % 1000 == 0:
            progress(seq)
    assert engine.state.seq == seq, f"applied {engine.state.seq} records of {seq}"


def start_of(journal: Journal) -> tuple[Engine, int]:
    """The engine of the newest usable snapshot, and the record it is of."""
    return start_from(journal.latest_snapshot())


def start_from(snapshot: Snapshot | None) -> tuple[Engine, int]:
    """The engine of a snapshot, and the record it is of; an empty one if there is none that can be used."""
    if snapshot is None:
        return Engine(), 0
    try:
        return Engine.restore(snapshot.data), snapshot.seq
    except msgspec.DecodeError as error:
        # A snapshot only saves time: one of another version is passed over and the log read from its beginning.
        log.warning("Snapshot not usable", action="snapshot_unusable", seq=snapshot.seq, problem=str(error))
        return Engine(), 0


def make_snapshot(journal: Journal) -> int:
    """Read the log and keep a snapshot of where it ends; the number of its last record."""
    engine = restore(journal)
    journal.save_snapshot(Snapshot(engine.state.seq, engine.snapshot()))
    return engine.state.seq
