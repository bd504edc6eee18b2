"""The one list to extend for a new channel: kind -> its settings, and what builds its adapter.

Adapters are imported when they are built, so that checking a configuration loads no mail server and no picture library.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from channels.chat.settings import Settings as Chat
from channels.email.settings import Settings as Email
from channels.email.settings import check as check_email
from channels.kiosk.settings import Settings as Kiosk
from channels.kiosk.settings import check_exposed as check_exposed_kiosk
from channels.phone.settings import Settings as Phone
from channels.phone.settings import check as check_phone
from channels.phone.settings import check_exposed as check_exposed_phone
from channels.scan.settings import Settings as Scan
from channels.scan.settings import check as check_scan
from router.engine.config import Reach

if TYPE_CHECKING:
    from router.service.pictures import Pictures
    from router.service.ports import Adapter, Context


@dataclass(frozen=True)
class Kind:
    """One kind of channel.

    `channels` names the engine's channels by which its contacts come; `actions` says which of them must be told what,
    durably; `feeds` which option names one of
    them; `consults` into which of its contacts a third party can be brought, `calls` by which customers can be
    called, `asks` whose customers can be asked whether to be, `unheld` which of its contacts cannot be put on hold (all
    as in `engine.config.Channel`), `lasting` whose contacts are never ended by a rule, because nobody would be told.
    `endpoint` says what an agent's endpoint should look like, "" where it is well; `reaches` to what addresses its
    gateways can connect contacts; `listens` where it listens itself: option -> (host, port); `brings` to what address
    its contacts come: option -> (channel, address); `letters` what it writes to us by mail: option -> address, and
    `takes` whether mail for that address is taken. `exposed` refuses what must not be used where others can reach us.
    """

    settings: type[Struct]
    build: Callable[[Any, Context], Adapter]
    channels: Callable[[Any], frozenset[str]]
    actions: Callable[[Any], dict[str, tuple[str, ...]]] = lambda settings: {}
    check: Callable[[Any], None] = lambda settings: None
    feeds: Callable[[Any], dict[str, str]] = lambda settings: {}
    consults: Callable[[Any], dict[str, tuple[str, ...]]] = lambda settings: {}
    calls: Callable[[Any], dict[str, tuple[str, ...]]] = lambda settings: {}
    asks: Callable[[Any], dict[str, tuple[str, ...]]] = lambda settings: {}
    unheld: Callable[[Any], dict[str, tuple[str, ...]]] = lambda settings: {}
    lasting: Callable[[Any], set[str]] = lambda settings: set()
    endpoint: Callable[[Any, str], str] = lambda settings, endpoint: ""
    reaches: Callable[[Any], dict[str, tuple[Reach, ...]]] = lambda settings: {}
    listens: Callable[[Any], dict[str, tuple[str, int]]] = lambda settings: {}
    brings: Callable[[Any], dict[str, tuple[str, str]]] = lambda settings: {}
    letters: Callable[[Any], dict[str, str]] = lambda settings: {}
    takes: Callable[[Any, str], bool] = lambda settings, address: False
    exposed: Callable[[Any], None] = lambda settings: None


def _phone(settings: Phone, context: Context) -> Adapter:
    from channels.phone.adapter import PhoneAdapter

    return PhoneAdapter(settings, context)


def _phone_actions(settings: Phone) -> dict[str, tuple[str, ...]]:
    """A gateway without a control address gets no orders, so none are kept for it."""
    from channels.phone.adapter import PhoneAdapter

    controlled = any(gateway.control_url for gateway in settings.gateways.values())
    return {"phone": tuple(sorted(PhoneAdapter.actions))} if controlled else {}


def _phone_consults(settings: Phone) -> dict[str, tuple[str, ...]]:
    return {"phone": _able(settings, "consult")}


def _phone_calls(settings: Phone) -> dict[str, tuple[str, ...]]:
    return {"phone": _able(settings, "call")}


def _phone_asks(settings: Phone) -> dict[str, tuple[str, ...]]:
    return {"phone": _able(settings, "offer_callback")}


def _phone_unheld(settings: Phone) -> dict[str, tuple[str, ...]]:
    """A gateway without a control address is told nothing of a hold, and need not be."""
    from channels.phone.calls import prefix_of
    from channels.phone.kinds import KINDS as GATEWAYS

    cannot = [name for name, g in settings.gateways.items() if g.control_url and "hold" not in GATEWAYS[g.kind].orders]
    return {"phone": tuple(prefix_of(name) for name in sorted(cannot))}


def _phone_reaches(settings: Phone) -> dict[str, tuple[Reach, ...]]:
    """A generic gateway may know addresses of its own. One without a control address is told nothing."""
    from channels.phone.calls import prefix_of
    from channels.phone.kinds import KINDS as GATEWAYS
    from channels.phone.telephones import ALL, described, pattern

    found = []
    for name, gateway in sorted(settings.gateways.items()):
        forms = GATEWAYS[gateway.kind].rings
        if not gateway.control_url:
            found.append(Reach(prefix_of(name)))
        elif forms != ALL:
            found.append(Reach(prefix_of(name), pattern(forms), described(forms)))
    return {"phone": tuple(found)}


def _mail_reaches(settings: Email) -> dict[str, tuple[Reach, ...]]:
    from channels.email.forwards import OUTSIDE, outside_of

    return {"email": (Reach("mail:", outside_of(settings.addresses, settings.plus_addressing), OUTSIDE),)}


def _phone_endpoint(settings: Phone, endpoint: str) -> str:
    """Some gateway that takes orders has to be able to ring it; an agent without one takes no calls of theirs."""
    from channels.phone.kinds import KINDS as GATEWAYS
    from channels.phone.telephones import can_ring, described

    kinds = {gateway.kind for gateway in settings.gateways.values() if gateway.control_url}
    forms = frozenset(form for kind in kinds for form in GATEWAYS[kind].rings)
    return "" if not forms or not endpoint or can_ring(endpoint, forms) else described(forms)


def _able(settings: Phone, verb: str) -> tuple[str, ...]:
    """The gateways that can be ordered to do this, by the beginnings of their calls' names."""
    from channels.phone.calls import prefix_of
    from channels.phone.kinds import KINDS as GATEWAYS

    able = [name for name, g in settings.gateways.items() if g.control_url and verb in GATEWAYS[g.kind].orders]
    return tuple(prefix_of(name) for name in sorted(able))


def _email(settings: Email, context: Context) -> Adapter:
    from channels.email.adapter import EmailAdapter

    return EmailAdapter(settings, context)


def _chat(settings: Chat, context: Context) -> Adapter:
    from channels.chat.adapter import ChatAdapter

    return ChatAdapter(settings, context)


def _scan(settings: Scan, context: Context) -> Adapter:
    from channels.scan.adapter import ScanAdapter

    return ScanAdapter(settings, context)


def _scan_feeds(settings: Scan) -> dict[str, str]:
    return {f"scan.folders.{name}.channel": folder.channel for name, folder in settings.folders.items()}


def _kiosk(settings: Kiosk, context: Context) -> Adapter:
    from channels.kiosk.adapter import KioskAdapter

    return KioskAdapter(settings, context)


def pictures(settings: Mapping[str, Struct]) -> Pictures:
    """What draws pages of documents, by whatever channel they came: with the limits of the scan channel."""
    from channels.scan.drawing import ScanPictures

    scan = settings.get("scan")
    return ScanPictures((scan if isinstance(scan, Scan) else Scan()).showing)


KINDS: dict[str, Kind] = {
    "phone": Kind(
        Phone,
        _phone,
        lambda settings: frozenset(("phone",)),
        _phone_actions,
        check_phone,
        consults=_phone_consults,
        calls=_phone_calls,
        asks=_phone_asks,
        unheld=_phone_unheld,
        endpoint=_phone_endpoint,
        reaches=_phone_reaches,
        exposed=check_exposed_phone,
    ),
    "email": Kind(
        Email,
        _email,
        lambda settings: frozenset(("email",)),
        lambda settings: {"email": ("copy", "message", "transferred")},
        check_email,
        reaches=_mail_reaches,
        lasting=lambda settings: {"email"},
        listens=lambda settings: {
            f"email.{name}.port": (one.host, one.port)
            for name, one in (("smtp", settings.smtp), ("lmtp", settings.lmtp))
            if one.enabled
        },
        brings=lambda settings: {f"email.addresses.{one}": ("email", one) for one in settings.addresses},
        takes=lambda settings, address: bool(settings.own_addresses().find(address)[0]),
    ),
    "chat": Kind(
        Chat,
        _chat,
        lambda settings: frozenset(("chat",)),
        asks=lambda settings: {"chat": ("chat:",)},
        brings=lambda settings: (
            {"chat.default_topic": ("chat", settings.default_topic)} if settings.default_topic else {}
        ),
        letters=lambda settings: {"chat.offline.mail_to": settings.offline.mail_to} if settings.offline else {},
    ),
    "scan": Kind(
        Scan,
        _scan,
        lambda settings: frozenset(_scan_feeds(settings).values()),
        check=check_scan,
        feeds=_scan_feeds,
        lasting=lambda settings: set(_scan_feeds(settings).values()),
    ),
    "kiosk": Kind(
        Kiosk,
        _kiosk,
        lambda settings: frozenset(("walkin",)),
        brings=lambda settings: {f"kiosk.topics.{t}": ("walkin", t) for t in settings.topics},
        exposed=check_exposed_kiosk,
    ),
}


def known_channels(sections: Mapping[str, Struct]) -> frozenset[str]:
    """The channels by which contacts can come: by these sections, and by those that are left out as they would be."""
    return frozenset(
        name for kind, entry in KINDS.items() for name in entry.channels(sections.get(kind) or entry.settings())
    )
