"""Every error of ours, each saying whose fault it is.

    RouterError
    +-- ClientError           the caller asked for something that cannot be; answered with `code`, never logged as ours
    |   +-- BadMessage        not understood: syntax, type, missing field
    |   +-- TooLarge          over a stated limit
    |   +-- Unauthenticated   no or wrong proof of identity
    |   +-- Forbidden         known, but not allowed
    |   +-- NotFound          no such interaction, agent, offer, queue
    |   +-- UnknownName       a skill, attribute, queue or team that the configuration does not know
    |   +-- NoRoute           no rule of the routing plan takes this contact
    |   +-- TurnedAway        its queue does not let it wait: out of hours, full, nobody there
    |   +-- IllegalMove       not a legal move from the state that it is in
    |   +-- NotOwner          the interaction belongs to somebody else, or to nobody
    |   +-- OfferGone         accepted too late, withdrawn, or never made to this agent
    |   +-- NotEligible       the agent does not meet the requirement
    |   +-- NoCapacity        the agent has no room for it
    |   +-- NotSupported      understood, but this server cannot do it
    +-- Refusal               we cannot take it now, so the outside must keep it; carries a retry time
    |   +-- Overloaded        too much in flight
    |   +-- Unavailable       the journal does not take it
    |   +-- Draining          stopping
    |   +-- TooManyAttempts   wrong proofs of identity from this address; it must wait
    +-- ConfigError           the configuration is wrong: where, what was expected, what was found
    +-- JournalError          the log cannot be written or read
        +-- JournalFailed     an append is not durable
        |   +-- JournalHeld   another process leads, and this one must stand by
        |   +-- JournalUnfit  what keeps the log is set up to keep less than was promised
        +-- JournalCorrupt    a record is damaged
        +-- JournalVersion    written by a version that this one cannot read
        +-- SequenceGap       an append that does not follow the last record

Codes are stable and public. A message is one sentence that says what to do.
"""

from __future__ import annotations


class RouterError(Exception):
    """Base of every error that this project raises on purpose."""

    code = "internal"


class ClientError(RouterError):
    """The caller broke the protocol or asked for what cannot be."""

    code = "bad-request"


class BadMessage(ClientError):
    """`field` names the one that is wrong, where a form can show it."""

    code = "bad-message"

    def __init__(self, message: str = "", field: str = "") -> None:
        super().__init__(message)
        self.field = field


class TooLarge(ClientError):
    code = "too-large"


class Unauthenticated(ClientError):
    code = "unauthenticated"


class Forbidden(ClientError):
    code = "forbidden"


class NotFound(ClientError):
    code = "not-found"


class UnknownName(ClientError):
    code = "unknown-name"


class NoRoute(ClientError):
    code = "no-route"


class TurnedAway(ClientError):
    code = "turned-away"


class IllegalMove(ClientError):
    code = "illegal-move"


class NotOwner(ClientError):
    code = "not-owner"


class OfferGone(ClientError):
    code = "offer-gone"


class NotEligible(ClientError):
    code = "not-eligible"


class NotSupported(ClientError):
    code = "not-supported"


class NoCapacity(ClientError):
    code = "no-capacity"


class Refusal(RouterError):
    """Not now: the outside keeps what it has and comes back after `retry_after_s` seconds."""

    code = "unavailable"

    def __init__(self, message: str, retry_after_s: int = 5) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Overloaded(Refusal):
    code = "overloaded"


class Unavailable(Refusal):
    code = "unavailable"


class Draining(Refusal):
    code = "draining"


class TooManyAttempts(Refusal):
    code = "too-many-attempts"


class ConfigError(RouterError):
    """A configuration that must not be used. `path` is dotted, as in `queues.support.offer_timeout`."""

    code = "config"

    def __init__(self, path: str, expected: str, found: str = "") -> None:
        self.path, self.expected, self.found = path, expected, found
        super().__init__(f"{path}: expected {expected}" + (f", found {found}" if found else ""))


class JournalError(RouterError):
    code = "journal"


class JournalFailed(JournalError):
    code = "journal-failed"


class JournalHeld(JournalFailed):
    """Another process holds the lease of this journal, and keeps it for `retry_s` seconds unless it renews it."""

    code = "journal-held"

    def __init__(self, message: str, retry_s: float = 0.0) -> None:
        super().__init__(message)
        self.retry_s = retry_s


class JournalUnfit(JournalFailed):
    """Whatever is acknowledged from now on could be lost, though it is written: stop."""

    code = "journal-unfit"


class JournalCorrupt(JournalError):
    """Record `seq` does not match its checksum, or cannot be read at all."""

    code = "journal-corrupt"

    def __init__(self, seq: int, why: str) -> None:
        self.seq = seq
        super().__init__(f"record {seq}: {why}")


class JournalVersion(JournalError):
    code = "journal-version"


class SequenceGap(JournalError):
    code = "sequence-gap"

    def __init__(self, expected: int, found: int) -> None:
        super().__init__(f"the next record must be {expected}, not {found}")
