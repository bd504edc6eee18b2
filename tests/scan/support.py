"""The scan channel on real folders, beside a recording desk whose clock the test sets."""

from __future__ import annotations

import atexit
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from msgspec import Struct

from channels.scan.adapter import ScanAdapter
from channels.scan.inspector import Inspector
from channels.scan.settings import Folder, Settings
from channels.scan.settings import Inspector as Limits
from router.engine.commands import Arrive
from router.engine.events import Blob
from router.service.blobs import BlobStore
from router.service.ports import Context
from router.service.quarantine import Entry, Quarantine
from tests.support.desk import RecordingDesk

SETTLE_MS = 2_000


class Kept(Struct):
    """An entry in quarantine, with its bytes."""

    entry: Entry
    name: str
    code: str
    raw: bytes


class Shared(Inspector):
    """A nurse for many tests: starting one costs a third of a second of a core."""

    def close(self) -> None:
        if self.pid is None:
            super().close()

    def end(self) -> None:
        super().close()


SHARED = Shared(Limits())
atexit.register(SHARED.end)


class World:
    """A desk, a blob store, a quarantine and folders on disk; the channel can be started again on the same ones."""

    def __init__(self, data: Path, settings: Settings | None = None) -> None:
        self.data = data
        self.settings = settings or Settings()
        self.desk = RecordingDesk()
        self.blobs = BlobStore(data / "blobs")
        self.quarantine = Quarantine(data / "quarantine", now_ms=self.desk.now_ms)
        self.adapter = self.build()

    def build(self) -> ScanAdapter:
        context = Context(
            desk=self.desk,
            blobs=self.blobs,
            quarantine=self.quarantine,
            sockets=cast("Any", None),
            data=self.data,
            loopback_only=True,
        )
        return ScanAdapter(self.settings, context, [SHARED])

    def folder(self, name: str = "fax") -> Path:
        path = self.data / "drop" / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def drop(self, name: str, content: bytes | dict[str, Any], folder: str = "fax") -> Path:
        path = self.folder(folder) / name
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return path

    def left(self, folder: str = "fax") -> list[str]:
        return sorted(os.listdir(self.folder(folder)))

    async def settle(self, passes: int = 1, ms: int = SETTLE_MS) -> None:
        """Look, let the settling time pass, look again."""
        await self.adapter.sweep()
        for _ in range(passes):
            self.desk.now += ms
            await self.adapter.sweep()

    async def restart(self) -> None:
        """As after a kill: nothing of the old channel's memory is left."""
        await self.adapter.stop()
        self.adapter = self.build()
        await self.adapter.start()

    @property
    def arrived(self) -> list[Arrive]:
        return [command for command in self.desk.commands if isinstance(command, Arrive)]

    @property
    def interactions(self) -> int:
        return self.desk.count

    @property
    def kept(self) -> list[Kept]:
        entries = self.quarantine.entries(limit=10_000)
        return [Kept(entry, entry.name, entry.code, self.quarantine.read(entry.id)) for entry in entries]

    def content(self, arrive: Arrive) -> bytes:
        assert arrive.message is not None
        return b"".join(self.blobs.read(blob.digest) for blob in arrive.message.blobs)

    def blob(self, arrive: Arrive) -> Blob:
        assert arrive.message is not None
        [blob] = arrive.message.blobs
        return blob


@asynccontextmanager
async def running(data: Path, settings: Settings | None = None) -> AsyncIterator[World]:
    """A world whose channel can look into files; passes are made by the test."""
    world = World(data, settings)
    for name in world.settings.folders:
        world.folder(name)
    try:
        yield world
    finally:
        await world.adapter.stop()
        world.blobs.close()


def one_folder(**options: Any) -> Settings:
    return Settings(folders={"fax": Folder(**options)})
