"""What an operator can set about kiosks and their screens."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from msgspec import Meta, Struct, field

from router.engine.config import Duration, Timeout
from router.errors import ConfigError
from router.service.tokens import DEMO, TOKEN_LEAST, is_demo, is_short

Label = Annotated[str, Meta(min_length=1, max_length=100)]
Text = Annotated[str, Meta(max_length=200)]
Language = Annotated[str, Meta(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]


class Texts(Struct, frozen=True, forbid_unknown_fields=True):
    """What the two pages say in `page_language`; `{n}` is replaced by a number. A text that is left out is ours: in
    English, or in Spanish where that is the page's language."""

    title: Text = "Welcome"
    name: Text = "Your name (optional)"
    phone: Text = "Your telephone number (optional)"
    language: Text = "Language"
    topics: Text = "What can we do for you?"
    no_topics: Text = "Please speak to our staff."  # shown while no topics are configured
    ticket: Text = "Your ticket"
    position: Text = "Your place in the line: {n}"
    now: Text = "You are next. Please watch the screen."
    wait: Text = "About {n} minutes"
    again: Text = "Next visitor"
    idle: Text = "Are you still there? This page starts again in {n} seconds."
    code: Text = "I have an appointment: my code"
    code_button: Text = "Check in"
    no_code: Text = "We do not know this code. Please type it again or choose a topic."
    too_early: Text = "It is too early for this appointment. Please come back nearer to its time."
    again_called: Text = "Called again"
    no_phone: Text = "This cannot be a telephone number. Please correct it, or leave it empty."
    code_left: Text = "You have typed a code. Check in with it, or go on without an appointment."
    without_code: Text = "Go on without an appointment"
    failed: Text = "That did not work. Please try again."
    closed: Text = "We cannot take this topic now. Please choose another one or speak to our staff."
    serving: Text = "Now serving"
    nobody: Text = "Nobody is being called."
    stale: Text = "This screen has lost its connection."


class Translation(Struct, frozen=True, forbid_unknown_fields=True):
    """What the kiosk page says to who chooses this language of `kiosk.languages`."""

    # By the names of `kiosk.texts`. One that is left out is ours in English and Spanish, else that of `page_language`.
    texts: dict[Label, Text] = field(default_factory=dict)
    topics: dict[Label, Text] = field(default_factory=dict)  # topic -> its button; left out: that of `kiosk.topics`


class Site(Struct, frozen=True, forbid_unknown_fields=True):
    """A place with kiosks and a screen of its own: `/kiosk?site=NAME`, `/kiosk/now-serving?site=NAME`."""

    # Before every ticket, so that no two sites ever call the same: "N" makes NA-017.
    prefix: Annotated[str, Meta(pattern=r"^[A-Z]{1,2}$")]
    label: Text = ""  # what the page calls it; left out: its name
    topics: tuple[str, ...] = ()  # of `kiosk.topics`, those that its page offers; left out: all


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """The kiosk channel."""

    # Kiosks and screens say it as a bearer token; open their pages once with `#token=...`. Left out: nobody is asked,
    # which works on loopback only, as tokens do that begin with "dev-" or have fewer than 16 characters.
    token: Annotated[str, Meta(max_length=256)] = ""
    topics: dict[Label, Text] = field(default_factory=dict)  # topic -> its button; left out: the page has no buttons
    languages: dict[Language, Label] = field(default_factory=dict)  # code -> its button; left out: nobody is asked
    # What the screen shows, and the kiosk to each new visitor: the language of `texts` and `topics`.
    page_language: str = "en"
    texts: Texts = Texts()
    # What the kiosk says in the other languages of `languages`. Left out: English and Spanish are ours, in any other
    # the page stays as it is.
    translations: dict[Language, Translation] = field(default_factory=dict)
    sites: dict[Label, Site] = field(default_factory=dict)  # left out: one place, whose tickets have no prefix
    appointments: str = "appointments"  # their folder; a relative path starts in the data folder
    # A booking system says it as a bearer token to put and drop appointments; the same holds for it. Left out: only
    # the folder counts.
    booking_token: Annotated[str, Meta(max_length=256)] = ""
    early: Duration = Duration(1_800_000)  # before its time, an appointment's code is taken
    late: Duration = Duration(900_000)  # after it, who has the appointment is on time
    country: Annotated[str, Meta(pattern=r"^([A-Z]{2})?$")] = ""  # of numbers typed without "+"
    max_body: Annotated[int, Meta(ge=128, le=65_536)] = 4_096  # bytes; a check-in has some 200
    max_name: Annotated[int, Meta(ge=1, le=1_000)] = 100  # characters: it is shown to agents in one line
    # Of one address: two visitors a second is more than one entrance lets in.
    rate: Annotated[int, Meta(ge=1, le=100_000)] = 120  # check-ins per minute, all of them at once if need be
    addresses: Annotated[int, Meta(ge=1, le=1_000_000)] = 10_000  # whose rate is watched; the longest silent go first
    called: Annotated[int, Meta(ge=1, le=100)] = 12  # tickets on the screen: what can be read from across a room
    # One letter tells 24,000 interactions apart, two tell 576,000 (`tickets.py`): more than all channels have in a day.
    ticket_letters: Annotated[int, Meta(ge=1, le=2)] = 1
    refresh: Timeout = Timeout(2_000)  # how often the screen asks who is called
    show_ticket: Duration = Duration(20_000)  # then the kiosk is ready for the next visitor; "0s": until they press
    # Who leaves without a ticket is forgotten: after this the page asks, and 20 s later it starts again.
    idle: Duration = Duration(60_000)  # without a touch; "0s": never

    def __post_init__(self) -> None:
        for code, translation in self.translations.items():
            _check(f"kiosk.translations.{code}", code, translation, self)

    def prefix_of(self, site: str) -> str:
        """What stands before the tickets of this site; "" of a place that has none."""
        known = self.sites.get(site)
        return known.prefix if known is not None else ""


def check_exposed(settings: Settings) -> None:
    """Raise ConfigError for tokens that are none, that everybody knows or could guess, where others reach us (OB-6)."""
    if not settings.token:
        raise ConfigError("kiosk.token", "a token of your own, since kiosks can be reached from elsewhere")
    for path, token in (("kiosk.token", settings.token), ("kiosk.booking_token", settings.booking_token)):
        if is_demo(token):
            raise ConfigError(path, "a token of your own, since it can be tried from elsewhere", f'"{DEMO}..."')
        if token and is_short(token):
            expected = f"at least {TOKEN_LEAST} characters, since it can be tried from elsewhere"
            raise ConfigError(path, expected, "fewer")


def _check(path: str, code: str, translation: Translation, settings: Settings) -> None:
    others = [known for known in settings.languages if known != settings.page_language]
    if code not in others:
        raise ConfigError(path, f"a language of kiosk.languages beside page_language: {_listed(others)}", repr(code))
    for name in translation.texts.keys() - set(Texts.__struct_fields__):
        raise ConfigError(f"{path}.texts.{name}", f"one of {', '.join(Texts.__struct_fields__)}", repr(name))
    for topic in translation.topics.keys() - settings.topics.keys():
        raise ConfigError(f"{path}.topics.{topic}", f"a topic of kiosk.topics: {_listed(settings.topics)}", repr(topic))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "there is none"
