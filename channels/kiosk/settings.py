"""What an operator can set about kiosks and their screens."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct, field

from router.engine.config import Duration

Label = Annotated[str, Meta(min_length=1, max_length=100)]
Text = Annotated[str, Meta(max_length=200)]


class Texts(Struct, frozen=True, forbid_unknown_fields=True):
    """What the two pages say. `{n}` is replaced by a number."""

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
    failed: Text = "That did not work. Please try again."
    closed: Text = "We cannot take this topic now. Please choose another one or speak to our staff."
    serving: Text = "Now serving"
    nobody: Text = "Nobody is being called."
    stale: Text = "This screen has lost its connection."


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """The kiosk channel."""

    # Kiosks and screens say it as a bearer token; open their pages once with `#token=...`. Left out: nobody is asked,
    # which works on loopback only, as tokens do that begin with "dev-".
    token: Annotated[str, Meta(max_length=256)] = ""
    topics: dict[Label, Text] = field(default_factory=dict)  # topic -> its button; left out: the page has no buttons
    languages: dict[Annotated[str, Meta(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")], Label] = field(
        default_factory=dict
    )  # code -> its button; left out: visitors are not asked
    page_language: str = "en"  # of `texts`, for screen readers
    texts: Texts = Texts()
    country: Annotated[str, Meta(pattern=r"^([A-Z]{2})?$")] = ""  # of numbers typed without "+"
    max_body: Annotated[int, Meta(ge=128, le=65_536)] = 4_096  # bytes; a check-in has some 200
    max_name: Annotated[int, Meta(ge=1, le=1_000)] = 100  # characters: it is shown to agents in one line
    # Of one address: two visitors a second is more than one entrance lets in.
    rate: Annotated[int, Meta(ge=1, le=100_000)] = 120  # check-ins per minute, all of them at once if need be
    addresses: Annotated[int, Meta(ge=1, le=1_000_000)] = 10_000  # whose rate is watched; the longest silent go first
    called: Annotated[int, Meta(ge=1, le=100)] = 12  # tickets on the screen: what can be read from across a room
    # One letter tells 24,000 interactions apart, two tell 576,000 (`ticket.py`): more than all channels have in a day.
    ticket_letters: Annotated[int, Meta(ge=1, le=2)] = 1
    refresh: Duration = Duration(2_000)  # how often the screen asks who is called
    show_ticket: Duration = Duration(20_000)  # then the kiosk is ready for the next visitor; "0s": until they press
