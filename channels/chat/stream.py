"""What one visitor was told, numbered, and how much of it is kept.

A stream belongs to the visitor, not to a socket: every window sees every frame under the same number. The newest are
kept in a ring; who was away for longer than the ring gets the transcript.

Numbers never go back. A new visitor's stream starts at 1. A stream that is built again (after a restart, or when it was
forgotten) starts at the time in Unix milliseconds, which is beyond whatever it had reached, since nobody is told more
than one thing per millisecond for long. Should a clock have been set back, numbers of two lives could still meet; the
epoch, random in each life and carried in the token, tells them apart.

A customer's message is one frame with two faces: `delivered` for the socket that sent it, `message` for all others.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from channels.chat.render import Frame, Said, encode


class Entry(NamedTuple):
    seq: int
    data: bytes
    sender: int = 0  # the line that sees `own` instead
    own: bytes = b""

    def seen_by(self, line: int) -> bytes:
        return self.own if line == self.sender and self.own else self.data


class Stream:
    """The numbered frames of one visitor and the words of the present conversation."""

    __slots__ = ("_ring", "_said", "_said_size", "_text_max", "epoch", "last", "truncated")

    def __init__(self, epoch: int, last: int, ring: int, transcript: int, text_max: int) -> None:
        self.epoch = epoch
        self.last = last
        self.truncated = False
        self._ring: deque[Entry] = deque(maxlen=ring)
        self._said: deque[Said] = deque(maxlen=transcript)
        self._said_size = 0
        self._text_max = text_max

    def put(self, frame: Frame, sender: int = 0, own: Frame | None = None) -> Entry:
        self.last += 1
        entry = Entry(self.last, encode(frame, self.last), sender, encode(own, self.last) if own else b"")
        self._ring.append(entry)
        return entry

    def since(self, seq: int) -> list[Entry] | None:
        """The frames after number `seq`, or None if some of them are no longer kept or `seq` is none of ours."""
        missed = self.last - seq
        if missed < 0 or missed > len(self._ring):
            return None
        return [self._ring[i] for i in range(len(self._ring) - missed, len(self._ring))]

    def say(self, said: Said) -> None:
        if len(self._said) == self._said.maxlen:
            self._drop_oldest()
        self._said.append(said)
        self._said_size += len(said.text)
        while self._said_size > self._text_max and len(self._said) > 1:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        self._said_size -= len(self._said.popleft().text)
        self.truncated = True

    def begin(self) -> None:
        """Another interaction: its transcript starts empty, the numbers go on."""
        self._said.clear()
        self._said_size = 0
        self.truncated = False

    def transcript(self) -> tuple[Said, ...]:
        return tuple(self._said)
