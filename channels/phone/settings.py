"""What an operator can set about telephone gateways.

A gateway without a secret cannot be written down: `secrets` is the one option that has no default (OB-6).
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from router.engine.config import Duration, Interval, Name, Timeout
from router.errors import ConfigError
from router.service.tokens import is_demo

Secret = Annotated[str, Meta(min_length=8, max_length=256)]


class Gateway(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One telephone gateway. Its name is the word in its webhook address: `/v1/phone/NAME/...`."""

    # The protocol that it speaks: "generic", "kamailio", "twilio", "jambonz" or "plivo".
    kind: Literal["generic", "kamailio", "twilio", "jambonz", "plivo"] = "generic"
    # All of these are valid at once, and what we send is signed with each of them: to change a secret, add the new one
    # here, then at the gateway, then take the old one away. Those that begin with "dev-" work on loopback only.
    secrets: Annotated[tuple[Secret, ...], Meta(min_length=1, max_length=8)]
    tolerance: Timeout = Timeout(300_000)  # how far a signature's time may be from ours, either way
    control_url: Annotated[str, Meta(pattern=r"^(https?://\S+)?$")] = ""  # left out: the gateway gets no orders from us
    # Our address as the gateway knows it, in front of any proxy: without a path, "https://router.example.org". Twilio
    # signs it, and all that is told to ask us later is told it.
    public_url: Annotated[str, Meta(pattern=r"^(https?://[^/?#\s]+/?)?$")] = ""
    account: Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]{0,64}$")] = ""  # ours at a telephone service
    # What we show at the control address where that takes a token. Left out: the first secret.
    control_token: Annotated[str, Meta(max_length=256)] = ""
    control_timeout: Timeout = Timeout(5_000)  # for one try; a gateway that takes longer is tried again
    # A caller and an agent are both waiting while a `connect` does not get through. After this the caller waits for
    # somebody again instead. At most half of what the outbox gives an order for a live call (20 s), or the outbox gives
    # up first and the call's lease has to end it.
    connect_within: Timeout = Timeout(10_000)
    # A call of which the gateway says nothing for so long is taken for over, and its agent is freed. Four times the
    # 30 s in which gateways should send `alive`. At least "1s": a call whose end got lost would never go away.
    lease: Interval = Interval(120_000)
    # How often callers who wait are told where they stand. Less than the minute after which telephone networks give up
    # a call that nothing is heard of (RFC 3261 13.3.1.1). "0s": they are not told.
    position_every: Duration = Duration(20_000)
    # The same for a call that talks, where the gateway says nothing of it until it ends (twilio, jambonz, plivo). Left
    # out: four hours, the longest that Twilio lets a call last.
    talk_lease: Interval = Interval(14_400_000)
    # Whether conversations are recorded there (twilio). The reference becomes a note of the interaction; the recording
    # stays where it is. Left out: they are not.
    record: bool = False
    ring: Interval = Interval(20_000)  # how long an agent's telephone rings (twilio, jambonz, plivo); at least "1s"
    # What callers are told, and in which language (twilio, jambonz, plivo). `{position}` and `{minutes}` are put in.
    voice: Annotated[str, Meta(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")] = "en-US"
    say_position: Annotated[str, Meta(max_length=500)] = "You are number {position} in line."
    say_wait: Annotated[str, Meta(max_length=500)] = "The expected wait is about {minutes} minutes."
    # What a caller presses who was asked whether to call them back, and would like that (generic).
    callback_digit: Annotated[str, Meta(pattern=r"^[0-9A-D*#]$(?!\n)")] = "1"
    # A call's waiting starts when the gateway says that it came, but at most so long before we heard of it: a gateway
    # with a wrong clock must not jump the queue. "0s": when we heard of it.
    backdate: Duration = Duration(300_000)
    # Where numbers without "+" are at home. Left out: such numbers are kept as written, and identify nobody.
    country: Annotated[str, Meta(pattern=r"^([A-Z]{2})?$")] = ""
    # Ten times what an `incoming` with forwarded SIP headers needs.
    max_body: Annotated[int, Meta(ge=256, le=1_048_576)] = 65_536  # bytes
    max_attributes: Annotated[int, Meta(ge=0, le=1_000)] = 64  # all of them are shown to agents and kept in the journal
    max_text: Annotated[int, Meta(ge=16, le=65_536)] = 1_024  # characters of one attribute or number
    # More than one process can record in a second: stops a gateway in a loop before it crowds out the others.
    rate: Annotated[int, Meta(ge=1, le=1_000_000)] = 20_000  # events per second, with bursts of one second's worth
    # What is not understood is set aside, the same bytes once: enough to see what is wrong, too few to fill a disk.
    set_aside: Annotated[int, Meta(ge=0, le=100_000)] = 100  # per hour, all of them at once if need be; 0: none

    def __repr__(self) -> str:
        """Without the secrets: settings end up in logs and tracebacks."""
        return f"Gateway(kind={self.kind!r}, control_url={self.control_url!r})"


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """The phone channel. Without gateways it takes no calls."""

    gateways: dict[Name, Gateway] = field(default_factory=dict)
    # Ends that came before their beginnings are remembered so long, and so many of them (`memory.py`): five calls a
    # second.
    remember: Duration = Duration(3_600_000)
    remember_calls: Annotated[int, Meta(ge=1, le=10_000_000)] = 20_000


def check(settings: Settings) -> None:
    """What the types cannot say. Raises ConfigError."""
    for name, gateway in settings.gateways.items():
        where = f"phone.gateways.{name}"
        if gateway.kind in ("twilio", "plivo") and not gateway.public_url:
            raise ConfigError(f"{where}.public_url", f"the address that {gateway.kind.title()} signs", "nothing")
        if gateway.kind in ("twilio", "jambonz", "plivo") and gateway.control_url:
            if not gateway.account:
                raise ConfigError(f"{where}.account", "the account at control_url", "nothing")
            if not gateway.public_url:
                raise ConfigError(f"{where}.public_url", "our address for the calls that are moved", "nothing")


def check_exposed(settings: Settings) -> None:
    """Raise ConfigError for secrets that everybody knows, where others can reach us (OB-6)."""
    for name, gateway in settings.gateways.items():
        if any(is_demo(secret) for secret in gateway.secrets):
            expected = "secrets of your own: demo secrets work on loopback only"
            raise ConfigError(f"phone.gateways.{name}.secrets", expected, '"dev-..."')
