"""Which kinds of gateways there are: the one list to extend for a new protocol.

A kind is a pair of pure modules, parse and render, and a value for `Gateway.kind`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from msgspec import Struct

from channels.phone import telephones
from channels.phone.calls import ALL_VERBS, CallEvent, Order, Outcome, Verb
from channels.phone.generic import parse as generic_in
from channels.phone.generic import render as generic_out
from channels.phone.jambonz import parse as jambonz_in
from channels.phone.jambonz import render as jambonz_out
from channels.phone.kamailio import parse as kamailio_in
from channels.phone.kamailio import render as kamailio_out
from channels.phone.plivo import parse as plivo_in
from channels.phone.plivo import render as plivo_out
from channels.phone.request import Answer, Control, Raw, Site
from channels.phone.settings import Gateway
from channels.phone.telephones import Form
from channels.phone.twilio import parse as twilio_in
from channels.phone.twilio import render as twilio_out
from router.engine.views import Estimate
from router.errors import Refusal
from router.service.problems import JSON_TYPE


@dataclass(frozen=True)
class Kind:
    takes: type[Struct]  # the bodies of its requests and of our answers, for the reference
    gives: type[Struct]
    paths: tuple[str, ...]  # the addresses of its webhooks, after /v1/phone/NAME/
    verify: Callable[[Raw, Gateway, int], None]  # at now_ms; raises Unauthenticated
    parse: Callable[[Raw, Gateway], CallEvent]  # raises ClientError
    answer: Callable[[Outcome, CallEvent, Site], Answer]
    control: Callable[[Order, Site, int], Control]  # at now_ms; raises DeliveryFailed for what cannot be ordered
    orders: frozenset[Verb] = ALL_VERBS  # what it can do
    rings: frozenset[Form] = telephones.ALL  # which telephones of agents
    # A gateway that does not read our answers is ordered to refuse a call, and told by this where a caller stands.
    progress: Callable[[str, Estimate, Site], Control] | None = None
    # What to answer instead of 503 where a gateway that is refused would drop its caller. None: 503 after all.
    not_now: Callable[[Raw, Refusal, Site], Answer | None] = lambda raw, refusal, site: None
    # Whether this answer to an order says that the call is over, where 410 is not its word for that.
    is_over: Callable[[int, bytes], bool] = lambda status, body: False
    # It says nothing between answer and end: such a call is not missed within `lease` but within `talk_lease`.
    is_quiet: bool = False
    bodies: tuple[str, ...] = (JSON_TYPE,)  # media types of its requests and of our answers
    media: str = JSON_TYPE


KINDS: dict[str, Kind] = {
    "generic": Kind(
        takes=generic_in.Event,
        gives=generic_out.Answered,
        paths=generic_in.PATHS,
        verify=generic_in.verify,
        parse=generic_in.parse,
        answer=generic_out.answer,
        control=generic_out.control,
    ),
    "kamailio": Kind(
        takes=kamailio_in.Event,
        gives=kamailio_out.Answered,
        paths=kamailio_in.PATHS,
        verify=kamailio_in.verify,
        parse=kamailio_in.parse,
        answer=kamailio_out.answer,
        control=kamailio_out.control,
        orders=kamailio_out.ORDERS,
        rings=frozenset({"sip"}),
        progress=kamailio_out.progress,
    ),
    "twilio": Kind(
        takes=twilio_in.Told,
        gives=twilio_out.TwiML,
        paths=twilio_in.PATHS,
        verify=twilio_in.verify,
        parse=twilio_in.parse,
        answer=twilio_out.answer,
        control=twilio_out.control,
        orders=twilio_out.ORDERS,
        is_over=twilio_out.is_over,
        rings=frozenset({"sip", "number", "client"}),
        not_now=twilio_out.not_now,
        is_quiet=True,
        bodies=(twilio_out.FORM,),
        media=twilio_out.MEDIA,
    ),
    "jambonz": Kind(
        takes=jambonz_in.Hook,
        gives=jambonz_out.Verbs,
        paths=jambonz_in.PATHS,
        verify=jambonz_in.verify,
        parse=jambonz_in.parse,
        answer=jambonz_out.answer,
        control=jambonz_out.control,
        orders=jambonz_out.ORDERS,
        rings=frozenset({"sip", "number", "user"}),
        not_now=jambonz_out.not_now,
        is_quiet=True,
    ),
    "plivo": Kind(
        takes=plivo_in.Told,
        gives=plivo_out.PlivoXML,
        paths=plivo_in.PATHS,
        verify=plivo_in.verify,
        parse=plivo_in.parse,
        answer=plivo_out.answer,
        control=plivo_out.control,
        orders=plivo_out.ORDERS,
        rings=frozenset({"sip", "number"}),
        not_now=plivo_out.not_now,
        is_quiet=True,
        bodies=(plivo_out.FORM,),
        media=plivo_out.MEDIA,
    ),
}
