"""What is in flight: commands that were decided and wait for their facts to be durable.

The engine decides at once, so there is no queue of undecided commands. What must be bounded is the distance by which
memory runs ahead of the journal, and the number of answers that wait. New work is refused first, with a time to come
back; what concerns work that was accepted (an agent's answer, the end of a call) still gets in when intake no longer
does (OB-3).
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from router.engine.commands import AnyCommand, Arrive
from router.engine.views import Inform, Outbound, Tell
from router.errors import Overloaded
from router.service.ports import Done, Outcome


class MailboxSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """How far memory may run ahead of the disk."""

    # 10 s of peak arrivals at 500 a second. Beyond this a caller is better served by "busy" now than by an answer too
    # late.
    intake: Annotated[int, Meta(ge=1, le=1_000_000)] = 5_000
    # Room for every agent of a large site to answer at once while intake is already refused.
    total: Annotated[int, Meta(ge=1, le=2_000_000)] = 20_000


class Batch:
    """Facts that become durable together, and who waits for them."""

    __slots__ = ("answers", "first_seq", "payloads")

    def __init__(self, first_seq: int) -> None:
        self.first_seq = first_seq
        self.payloads: list[bytes] = []
        self.answers: list[tuple[Done, Outcome, list[Tell | Inform | Outbound]]] = []


class Mailbox:
    """The batch that is filling and the count of all that wait."""

    def __init__(self, settings: MailboxSettings) -> None:
        self.settings = settings
        self.open = Batch(1)
        self.waiting = 0

    def refusal(self, command: AnyCommand) -> Overloaded | None:
        """Why this command cannot be taken now, or None."""
        limit = self.settings.intake if type(command) is Arrive else self.settings.total
        if self.waiting < limit:
            return None
        return Overloaded(f"{self.waiting} commands wait for the journal; come back in a moment", retry_after_s=2)

    def take(self, next_seq: int) -> Batch:
        """The filled batch; a new one starts with record `next_seq`."""
        batch, self.open = self.open, Batch(next_seq)
        return batch
