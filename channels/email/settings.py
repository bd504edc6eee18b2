"""Every option of the email channel. A section that is left out starts neither listener nor sender."""

from __future__ import annotations

import re
from ipaddress import ip_network
from pathlib import PurePath
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from channels.email.addresses import OwnAddresses
from channels.email.wording import Wording, check_wordings
from router.engine.config import Interval, Timeout
from router.errors import ConfigError
from router.service.language import check_languages

Port = Annotated[int, Meta(ge=0, le=65_535)]  # 0: any free port
Positive = Annotated[int, Meta(ge=1)]

MIB = 1_048_576
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Listener(Struct, frozen=True, forbid_unknown_fields=True):
    """Where we listen."""

    port: Port
    host: str = "127.0.0.1"  # left out: this machine only, behind a mail server of your own
    enabled: bool = True


class Tls(Struct, frozen=True, forbid_unknown_fields=True):
    """What STARTTLS needs: paths to PEM files."""

    certificate: str
    key: str
    required: bool = False  # true: no mail is taken before STARTTLS


class Address(Struct, frozen=True, forbid_unknown_fields=True):
    """One address that we take mail for."""

    name: str = ""  # shown as the sender's name of replies; left out: the bare address


class ImapBox(Struct, frozen=True, forbid_unknown_fields=True):
    """A mailbox that is polled, for a house without a mail server of its own."""

    host: str
    username: str
    password: str
    address: str  # which of `email.addresses` its mail is for
    port: Annotated[int, Meta(ge=1, le=65_535)] = 993
    tls: Literal["tls", "starttls", "none"] = "tls"  # none: only for a server on this machine
    ca_file: str = ""  # whose certificates are believed; left out: the system's list
    folder: str = "INBOX"
    poll: Interval = Interval(30_000)  # between two visits; after failures longer, up to 16 times
    timeout: Timeout = Timeout(30_000)  # for each answer of the server
    first: Literal["new", "unseen", "all"] = "unseen"  # what of the mail that is there already at the first visit
    mark_seen: bool = True  # once recorded, so that people who look into the mailbox see what is taken
    move_to: str = ""  # a folder for what was recorded; left out: it stays


class FaxMail(Struct, frozen=True, forbid_unknown_fields=True):
    """Fax servers that send what they receive as mail."""

    senders: tuple[str, ...]  # their From addresses: documents in their mail become faxes
    folder: str = "drop/fax"  # of the scan channel, below the data folder


class SmartHost(Struct, frozen=True, forbid_unknown_fields=True):
    """The mail server that our replies leave through. It queues and retries towards the world; we do not."""

    host: str
    port: Annotated[int, Meta(ge=1, le=65_535)] = 25
    starttls: bool | None = None  # left out: used where offered; true: insisted on; false: never
    username: str = ""  # left out: no authentication
    password: str = ""
    ca_file: str = ""  # whose certificates are believed; left out: the system's list
    timeout: Timeout = Timeout(20_000)  # for each step; below the outbox's own patience with one attempt (30s)


class Settings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The email channel."""

    smtp: Listener = Listener(port=2525)
    lmtp: Listener = Listener(port=2424)
    hostname: str = "localhost"  # how we greet, and how we present ourselves to the smart host
    tls: Tls | None = None  # left out: no STARTTLS; fine on loopback and on a private wire
    addresses: dict[str, Address] = field(default_factory=dict)  # mail to any other address is refused with 550
    plus_addressing: bool = True  # support+order17@ is mail for support@; the rest is the attribute `detail`

    # Who may deliver. Mail has no password, so a listener beyond this machine must name the networks on purpose.
    peers: tuple[str, ...] = ("127.0.0.0/8", "::1/128")

    mailboxes: dict[str, ImapBox] = field(default_factory=dict)  # by a name of your choosing; left out: none is polled

    # In which of these languages a mail is written is found out from its new words, for rules and requirements
    # (`language`): codes such as "en", at least two. Left out: only what a mail says of itself counts, and no body is
    # read before somebody wants to see it.
    languages: tuple[str, ...] = ()
    # Numbers of payment cards become `•••• 1234` in all that is recorded of a mail (subject, names, attributes) and in
    # what people are shown. The mail itself stays as it came, for whoever may read it, unless `mask_raw` says
    # otherwise.
    mask_cards: bool = True
    # true: the mail itself, as it came and as it left, is kept without them, too, and without what else `masking`
    # hides; needs `mask_cards`. Then it is not what was signed: a later check of DKIM fails, though what your own
    # servers found stays known. Headers, names of attachments and everything that is text are covered; ids, addresses,
    # PDF, pictures and archives are not. The rare mail that cannot be written anew is kept as it came
    # (`switchboard_email_not_masked_total`). Costs a look at every body: a millisecond for a common mail.
    mask_raw: bool = False

    fax: FaxMail | None = None  # left out: what a fax server mails is mail

    # Whose Authentication-Results are believed and shown to agents (attributes auth_dkim, auth_spf, auth_dmarc): the
    # names by which your own mail servers sign theirs. Left out: nobody's, since anybody can write such a field.
    trusted_results: tuple[str, ...] = ()

    # What common providers take, after base64 has made it a third larger; beyond it: 552.
    max_message_bytes: Annotated[int, Meta(ge=1_024, le=1_024 * MIB)] = 35 * MIB
    # Of all messages being received together; beyond it a message gets 451 and stays with its sender.
    max_buffered_bytes: Annotated[int, Meta(ge=1_024)] = 256 * MIB
    # Headers beyond this are kept in the raw message but not read: real ones have 4 to 40 KiB.
    max_header_bytes: Annotated[int, Meta(ge=1_024, le=4 * MIB)] = 128 * 1_024
    # RFC 5321 4.5.3.1.8 asks for at least 100; each of them is an interaction of its own.
    max_recipients: Annotated[int, Meta(ge=1, le=1_000)] = 100
    # A command with its address and parameters; RFC 5321 4.5.3.1.4 asks for 512. Lines of a message have no limit of
    # their own: nothing here reads a message by lines, and honest mail has lines over the 1,001 octets of the RFC.
    max_command_octets: Annotated[int, Meta(ge=512, le=65_536)] = 2_048
    max_connections: Positive = 500  # both listeners together: file descriptors and memory; beyond it: 421
    max_connections_per_peer: Positive = 100  # one relay's usual parallelism is 20; beyond it: 421
    # Left out: no limit, since the usual peer is your own relay, which would only queue what is refused. Beyond: 450.
    max_messages_per_minute_per_peer: Annotated[int, Meta(ge=0)] = 0
    max_errors: Positive = 20  # refused commands on one connection before it is closed: harvesting, lost protocol step
    max_in_flight: Positive = 500  # messages between DATA and its answer; beyond it: 451
    # How long an answer for the journal's sake may take before the sender is told to come back (451).
    record_timeout: Timeout = Timeout(60_000)
    idle_timeout: Timeout = Timeout(300_000)  # between commands; RFC 5321 4.5.3.2.7 asks for five minutes
    data_timeout: Timeout = Timeout(600_000)  # for a whole message, so that a trickle ends (RFC 5321 4.5.3.2.6)

    smart_host: SmartHost | None = None  # left out: replies need `outbox_folder`, or become dead letters
    outbox_folder: str = ""  # instead of a smart host: replies are written here as .eml files (below the data folder)
    # The mail as it left (with its wording, and what was quoted) joins the interaction as `sent.eml`. false: only what
    # the agent wrote is kept.
    keep_sent: bool = True
    # What stands around agents' words in replies (a greeting, a signature), by queue and language; the first that fits.
    # Left out: nothing but what the agent wrote.
    wordings: tuple[Wording, ...] = ()
    reply_from: str = ""  # left out: replies come from the address that the customer wrote to
    message_id_domain: str = ""  # right-hand side of our Message-IDs; left out: the domain that the reply comes from
    max_reply_bytes: Annotated[int, Meta(ge=1_024)] = 25 * MIB  # text and attachments; most hosts refuse more

    def own_addresses(self) -> OwnAddresses:
        return OwnAddresses(self.addresses, self.plus_addressing)


def check(settings: Settings) -> None:
    """What types cannot say. Raises ConfigError."""
    for number, network in enumerate(settings.peers):
        try:
            ip_network(network)
        except ValueError:
            raise ConfigError(f"email.peers.{number}", 'a network such as "10.0.0.0/8"', repr(network)) from None
    for address in [*settings.addresses, *filter(None, [settings.reply_from])]:
        local, at, domain = address.rpartition("@")
        if not (local and at and domain) or any(c.isspace() or c in "<>,;" for c in address):
            raise ConfigError("email.addresses", "an address such as support@example.org", repr(address))
    folded = [address.lower() for address in settings.addresses]
    if len(set(folded)) < len(folded):
        raise ConfigError("email.addresses", "each address once, whatever its case")
    for name, box in settings.mailboxes.items():
        _check_mailbox(settings, name, box)
    check_wordings(settings.wordings)
    if settings.mask_raw and not settings.mask_cards:
        expected = "false, or email.mask_cards = true: the mail cannot hide what people are shown"
        raise ConfigError("email.mask_raw", expected, "true with email.mask_cards = false")
    check_languages(settings.languages, "email.languages")
    if settings.smart_host and settings.outbox_folder:
        raise ConfigError("email.outbox_folder", "either a smart host or a folder", "both")
    _check_folder("email.outbox_folder", settings.outbox_folder)
    if settings.fax:
        _check_folder("email.fax.folder", settings.fax.folder)
    if settings.max_buffered_bytes < settings.max_message_bytes:
        raise ConfigError("email.max_buffered_bytes", "at least max_message_bytes", str(settings.max_buffered_bytes))


def _check_mailbox(settings: Settings, name: str, box: ImapBox) -> None:
    path = f"email.mailboxes.{name}"
    if not _NAME.fullmatch(name):
        raise ConfigError(path, "a name of letters, digits, - and _", repr(name))
    if box.address not in settings.addresses:
        known = ", ".join(settings.addresses) or "none"
        raise ConfigError(f"{path}.address", f"one of email.addresses ({known})", repr(box.address))
    if box.tls == "none" and box.host not in ("localhost", "127.0.0.1", "::1"):
        raise ConfigError(f"{path}.tls", '"tls" or "starttls" beyond this machine', '"none"')


def _check_folder(path: str, name: str) -> None:
    folder = PurePath(name)
    if folder.is_absolute() or ".." in folder.parts or "\0" in name:
        raise ConfigError(path, "a folder below the data folder", repr(name))
