"""Which calls are over, so that a beginning which arrives after its end makes no ghost.

Gateways tell of a call in any order. If `ended` overtakes its own `incoming`, the engine does not know the call yet
and has nothing to end; the `incoming` that follows would make an interaction that nobody will ever end. So an end is
noted before it is submitted, and a beginning of a call that is over is let through only if it may have been recorded
before its end: then the engine knows its key and repeats its answer (IN-3).

Not durable, on purpose. It takes a restart between an end and its late beginning, which lie seconds apart, to get
past this memory, and the ghost would live no longer than its lease (MV-3). Nothing that was acknowledged depends on
it.

Time is given as data. Bounded in number and age; the oldest go first.
"""

from __future__ import annotations

from collections import OrderedDict

from msgspec import Struct


class _Call(Struct, gc=False):
    touched_ms: int
    keys: tuple[str, ...] = ()  # of the beginnings that were answered; seldom more than one
    any_key: bool = False  # there may be others, from before a restart
    over: bool = False


class CallMemory:
    def __init__(self, limit: int, keep_ms: int) -> None:
        self._limit = limit
        self._keep_ms = keep_ms
        self._calls: OrderedDict[str, _Call] = OrderedDict()  # by thread, longest untouched first
        self._look_at_ms = 0  # nobody is too old before

    def __len__(self) -> int:
        return len(self._calls)

    def began(self, thread: str, key: str, now_ms: int) -> None:
        """The beginning `key` of this call was decided on and answered: its repetitions get the same answer."""
        call = self._touch(thread, now_ms)
        if key not in call.keys:
            call.keys += (key,)

    def ended(self, thread: str, was_known: bool, now_ms: int) -> None:
        """The gateway says that the call is over. `was_known`: it has, or had, an interaction."""
        call = self._touch(thread, now_ms)
        call.over = True
        call.any_key = call.any_key or (was_known and not call.keys)

    def admits(self, thread: str, key: str, now_ms: int) -> bool:
        """Whether the beginning `key` of this call may be submitted: it is not over, or this may be a repetition."""
        call = self._calls.get(thread)
        if call is None or not call.over or now_ms - call.touched_ms > self._keep_ms:
            return True
        return call.any_key or key in call.keys

    def _touch(self, thread: str, now_ms: int) -> _Call:
        call = self._calls.get(thread)
        if call is None:
            call = self._calls[thread] = _Call(now_ms)
            if len(self._calls) > self._limit:
                self._calls.popitem(last=False)
        else:
            self._calls.move_to_end(thread)
            call.touched_ms = now_ms
        if now_ms >= self._look_at_ms:
            self._forget(now_ms)
        return call

    def _forget(self, now_ms: int) -> None:
        """Those who are too old. One was touched just now, so it ends."""
        while (touched_ms := next(iter(self._calls.values())).touched_ms) < now_ms - self._keep_ms:
            self._calls.popitem(last=False)
        self._look_at_ms = touched_ms + self._keep_ms + 1
