"""Appointments: who has one checks in by its code.

One file for each, `CODE.json`, in a folder that a booking system writes to, or that its requests fill (`PUT
/v1/kiosk/appointments/CODE`). A file is written aside, made durable and renamed, so it is there or not. Codes are told
apart without regard to case and blanks, as people type them.

    {"at": "2026-11-23T10:30:00+01:00", "topic": "support", "name": "Kim", "agent": "ana"}

A code opens from `early` before its time; later than `late` after it the visitor checks in like anybody else, and the
attribute `appointment` says `late` instead of `on-time`. Routing rules decide what either is worth.
"""

from __future__ import annotations

import contextlib
import os
import re
from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from router.errors import BadMessage, IllegalMove, NotFound, Unavailable

CODE = re.compile(r"[A-Z0-9]{3,32}")
EARLIEST_YEAR = 2000
KEPT_MS = 2 * 86_400_000  # after its time
MOST = 100_000  # files that are looked at when old ones are taken away


class Appointment(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a booking system says of one."""

    at: datetime  # RFC 3339 with its zone
    topic: Annotated[str, Meta(min_length=1, max_length=100)]
    name: Annotated[str, Meta(max_length=100)] = ""
    phone: Annotated[str, Meta(max_length=64)] = ""
    language: Annotated[str, Meta(pattern=r"^([A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3})?$(?!\n)")] = ""
    agent: Annotated[str, Meta(max_length=64)] = ""  # who should have it, if they can

    @property
    def at_ms(self) -> int:
        return round(self.at.timestamp() * 1_000)


_decode = msgspec.json.Decoder(Appointment).decode


def parse(body: bytes) -> Appointment:
    """Raises BadMessage."""
    try:
        found = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError) as problem:
        raise BadMessage(f"not an appointment: {problem}") from None
    if found.at.tzinfo is None:
        raise BadMessage('at: expected RFC 3339 with a zone, such as "2026-11-23T10:30:00+01:00"')
    if found.at.year < EARLIEST_YEAR:  # a slip; and not every machine counts back that far
        raise BadMessage(f"at: no appointment is before {EARLIEST_YEAR}")
    return found


def code_of(typed: str) -> str:
    """As it is kept. Raises NotFound for what cannot be one, which is all that a visitor need be told."""
    code = re.sub(r"[\s-]", "", typed[:64]).upper()
    if not CODE.fullmatch(code):
        raise NotFound("there is no appointment with this code")
    return code


def standing(found: Appointment, now_ms: int, early_ms: int, late_ms: int) -> str:
    """on-time or late. Raises IllegalMove where it is too early."""
    if now_ms < found.at_ms - early_ms:
        raise IllegalMove(f"this appointment is at {found.at:%H:%M}: check in from {early_ms // 60_000} minutes before")
    return "on-time" if now_ms <= found.at_ms + late_ms else "late"


class Appointments:
    """The folder. Blocking, for use in a thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, typed: str) -> Appointment:
        """Raises NotFound, and Unavailable for a file that is none."""
        code = code_of(typed)
        try:
            return parse((self.folder / f"{code}.json").read_bytes())
        except FileNotFoundError:
            raise NotFound("there is no appointment with this code") from None
        except (OSError, BadMessage) as problem:
            raise Unavailable(f"the appointment {code} cannot be read: {problem}") from problem

    def put(self, typed: str, appointment: Appointment) -> None:
        code = code_of(typed)
        self.folder.mkdir(parents=True, exist_ok=True)
        aside = self.folder / f".{code}.{os.getpid()}.part"
        try:
            with aside.open("wb") as file:
                file.write(msgspec.json.encode(appointment))
                file.flush()
                os.fsync(file.fileno())
            aside.rename(self.folder / f"{code}.json")
            _sync(self.folder)
        except OSError as problem:
            raise Unavailable(f"the appointment cannot be kept: {problem.strerror}") from problem

    def drop(self, typed: str) -> None:
        """Raises NotFound."""
        try:
            (self.folder / f"{code_of(typed)}.json").unlink()
        except FileNotFoundError:
            raise NotFound("there is no appointment with this code") from None

    def forget(self, now_ms: int) -> int:
        """Take away those that are long over; how many."""
        gone = 0
        with contextlib.suppress(FileNotFoundError), os.scandir(self.folder) as entries:
            for _, entry in zip(range(MOST), entries, strict=False):
                path = Path(entry.path)
                if path.suffix == ".json" and entry.stat().st_mtime * 1_000 < now_ms - KEPT_MS:
                    gone += _forget(path, now_ms)
        return gone


def _forget(path: Path, now_ms: int) -> bool:
    """Written long ago and its time long over. What cannot be read is left for a person to see."""
    try:
        over = parse(path.read_bytes()).at_ms < now_ms - KEPT_MS
    except (OSError, BadMessage):
        return False
    if over:
        path.unlink(missing_ok=True)
    return over


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
