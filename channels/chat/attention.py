"""How far each side has got, and whether the visitor is still there at all.

Marks are times: that of the newest recorded message that somebody has, or has read. They only grow. They are soft:
after a restart of ours clients say theirs again with their next hello.

A visitor is idle while the agent's words are the last ones and nothing is heard of the visitor: no words, no typing, no
"I am here". Who waits for us is never idle. After `idle_warn` they are asked, after `idle_close` more it is over.

Why the edge does this and not a timer of the engine: what counts as a sign of life (typing, a window) is known here
only and is no fact, and the engine knows no channel, while being idle means nothing for a mail. What decides after a
restart is recorded all the same: who spoke last, and when, is in the interaction's own messages. So the time before the
question goes on over a restart; the question itself is asked anew, because nobody is closed who was not asked by the
process that closes. The end is a fact like any other, with its reason.
"""

from __future__ import annotations

WARN, CLOSE = "warn", "close"

TYPING_MS = 2_000  # how often somebody who goes on writing is passed on


class Attention:
    """Of one conversation. Times are Unix milliseconds, 0 where there is none."""

    __slots__ = ("asked_ms", "letters", "life_ms", "owing_ms", "read_ms", "received_ms", "seen_ms", "typed_ms")

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Another interaction."""
        self.received_ms = self.read_ms = 0  # of the visitor
        self.seen_ms = 0  # of the agent
        self.owing_ms = 0  # the agent's last words, while the visitor has not answered
        self.life_ms = 0  # the visitor's last sign of life
        self.asked_ms = 0  # when they were asked whether they are there
        self.typed_ms = 0  # when it was last passed on that they write; 0: they do not
        self.letters = 0  # that were left

    # --- words and signs ----------------------------------------------------------------------------------------------

    def spoke(self, author: str, at_ms: int) -> None:
        if author == "agent":
            self.owing_ms = at_ms
        elif author == "customer":
            self.owing_ms = self.typed_ms = 0

    def alive(self, now_ms: int) -> bool:
        """The visitor is there. Whether they had been asked, so that it must be said that all is well."""
        asked, self.asked_ms, self.life_ms = bool(self.asked_ms), 0, now_ms
        return asked

    def types(self, on: bool, now_ms: int) -> bool:
        """Whether that has to be passed on."""
        if on and now_ms - self.typed_ms < TYPING_MS:
            return False
        news = on or bool(self.typed_ms)
        self.typed_ms = now_ms if on else 0
        return news

    # --- marks --------------------------------------------------------------------------------------------------------

    def mark(self, received_ms: int, read_ms: int) -> bool:
        """Of the visitor; whether anything is new. Who has read something has it."""
        before = self.received_ms, self.read_ms
        self.read_ms = max(self.read_ms, read_ms)
        self.received_ms = max(self.received_ms, received_ms, self.read_ms)
        return before != (self.received_ms, self.read_ms)

    def see(self, at_ms: int) -> bool:
        """Of the agent; whether it is new."""
        news = at_ms > self.seen_ms
        self.seen_ms = max(self.seen_ms, at_ms)
        return news

    # --- time ---------------------------------------------------------------------------------------------------------

    def due(self, now_ms: int, warn_ms: int, close_ms: int) -> str:
        """What has to be done about somebody who is silent, if anything."""
        if not warn_ms or not self.owing_ms:
            return ""
        if self.asked_ms:
            return CLOSE if now_ms - self.asked_ms >= close_ms else ""
        return WARN if now_ms - max(self.owing_ms, self.life_ms) >= warn_ms else ""
