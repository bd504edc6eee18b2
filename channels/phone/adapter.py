"""The phone channel's shell: webhooks in, orders out. Knows HTTP and gateways; knows no queues and no agents.

A webhook is answered 200 only when the journal holds what it told (IN-2). What a gateway gets otherwise, and what it
should do:

    401  no good signature                          nothing is kept: whoever sent it is not a gateway of ours
    404  no such gateway, or no such address
    413  over a limit of this gateway
    422  signed, but not understood                 kept once in quarantine; sending it again cannot help
    503  cannot be recorded now, with Retry-After   send it again

An event of a call that is over or was never told of is answered 200 with the action "none", and counted: late events
are the rule with telephones, and a gateway must not repeat them for ever. An `incoming` that no rule takes is
answered 200 with "reject": the gateway has to tell the caller something now. So is one whom the queue does not let
wait (out of hours, full ...), with the message that the configuration has for that.

Orders (`deliver`) are repeated by the outbox under one idempotency key. An order that has been overtaken is not sent
any more. A `connect` that fails for good, or does not get through within `connect_within`, lets the caller wait for
somebody again before it is given up. One that is answered 410, or that the call is over, tells that the caller is gone
before the gateway's own word for it comes: whatever was ordered, there is nothing left to do. What a gateway says of a
`connect` that was followed by another is late as well.

A gateway of a kind that does not read answers (`Kind.progress`) is ordered to refuse a call before its event is
answered, so that it brings the event again where the order did not arrive.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from typing import Any, NoReturn

import aiohttp
from aiohttp import web
from msgspec.structs import replace

from channels.phone.bucket import Bucket
from channels.phone.calls import (
    ACTIONS,
    CHANNEL,
    NOTHING,
    OVER,
    CallEvent,
    Order,
    Outcome,
    call_of,
    command_of,
    is_outdated,
    order_of,
    prefix_of,
)
from channels.phone.kinds import KINDS, Kind
from channels.phone.memory import CallMemory
from channels.phone.positions import Positions
from channels.phone.request import Answer, Control, Raw, Site
from channels.phone.settings import Gateway, Settings, check, check_exposed
from router.engine.commands import AnyCommand, FailCall, FailConnection, FailConsult, Leave, Renew, Reply
from router.engine.views import Estimate, Inform, InteractionView, MessageView, Outbound, interaction_id
from router.errors import (
    BadMessage,
    ClientError,
    Draining,
    NoRoute,
    NotFound,
    Overloaded,
    Refusal,
    RouterError,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from router.observe import counter, get_logger
from router.service.answers import Brief
from router.service.masked import for_channel
from router.service.ports import Context, DeliveryFailed, Desk, Health
from router.service.routes import body_at_hand, describe, read_body

log = get_logger("phone")
_events = counter("phone_events_total", "What became of gateways' requests.", ("gateway", "outcome"))
_orders = counter("phone_orders_total", "What became of orders to gateways, by try.", ("gateway", "outcome"))

# Of statuses 400 to 499 these say "not now"; the others will be the same on every try.
_PASSING = frozenset({408, 409, 425, 429})
_GONE = 410  # the call is over; 404 may as well be a wrong control address
# Of a gateway's answer to an order so much is read: a reason, or a list of the few who are in a conference.
_ANSWER_MAX = 65_536
# A gateway that repeats what is not understood repeats its last few events, not its last thousand.
_ASIDE_MAX = 1_000
# Whoever floods us with forged requests must not flood the log: six lines a minute say what is wrong.
_REFUSED_PER_S = 0.1
# With these a call has begun: it waits, or is refused.
_DECIDED = (Reply, NoRoute)
# Calls that are being connected at one gateway, or talk: more than any of them carries.
_CONNECTS_MAX = 50_000


class PhoneAdapter:
    name = "phone"
    channels = (CHANNEL,)
    actions = ACTIONS
    hears = False  # a gateway is told by orders, which are kept until it has them

    def __init__(self, settings: Settings, context: Context) -> None:
        check(settings)
        if not context.loopback_only:
            check_exposed(settings)
        context = for_channel(context, cards=False)
        self._desk = context.desk
        self._quarantine = context.quarantine
        self._calls = CallMemory(settings.remember_calls, settings.remember)
        self._lines = {name: _Line(name, gateway) for name, gateway in settings.gateways.items()}
        for line in self._lines.values():
            line.positions = self._positions(line)
        self._session: aiohttp.ClientSession | None = None
        self._draining = False

    async def start(self) -> None:
        self._draining = False
        self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False)
        for line in self._lines.values():
            if line.positions is not None:
                line.positions.start()

    async def stop_intake(self) -> None:
        self._draining = True

    async def stop(self) -> None:
        self._draining = True
        for line in self._lines.values():
            if line.positions is not None:
                await line.positions.stop()
        if self._session is not None:
            await self._session.close()
            self._session = None

    def health(self) -> Health:
        """A gateway that is silent or cannot be reached is shown, but is not our failure."""
        figures: dict[str, float] = {"gateways": len(self._lines)}
        for line in self._lines.values():
            figures[f"last_event_ms.{line.name}"] = line.last_event_ms
        if self._session is None:
            return Health(ok=False, detail="not started", figures=figures)
        for line in self._lines.values():
            if line.positions is not None and line.positions.trouble:
                return Health(ok=False, detail=f"{line.name}: {line.positions.trouble}", figures=figures)
        failing = [f"{line.name}: {line.trouble}" for line in self._lines.values() if line.trouble]
        return Health(ok=True, detail="; ".join(failing), figures=figures)

    def reset(self, reason: str) -> None:
        """Nothing is kept here that the engine's state could contradict."""

    def inform(self, news: Inform) -> None:
        """Nothing: see `hears`."""

    # --- webhooks -----------------------------------------------------------------------------------------------------

    def routes(self) -> Sequence[Any]:
        """Each gateway's addresses, and one that says what is wrong with any other."""
        known = [
            web.post(f"/v1/phone/{line.name}/{path}", self._hook(line, path))
            for line in self._lines.values()
            for path in line.kind.paths
        ]
        return [*known, web.post("/v1/phone/{gateway}/{path:.*}", self._elsewhere)]

    async def _elsewhere(self, request: web.Request) -> web.StreamResponse:
        line = self._lines.get(request.match_info["gateway"])
        if line is None:
            raise NotFound("no gateway of this name is configured")
        paths = ", ".join(f"/v1/phone/{line.name}/{path}" for path in line.kind.paths)
        raise NotFound(f"this gateway's addresses are: {paths}")

    def _hook(self, line: _Line, path: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        @describe(
            "What a gateway tells of a call",
            group="phone",
            who="gateway",
            body=line.kind.takes,
            bodies=line.kind.bodies,
            answer=line.kind.gives,
            media=line.kind.media,
            refuses=(BadMessage, TooLarge, Unauthenticated, Unavailable),
            busy=True,
        )
        async def hook(request: web.Request) -> web.StreamResponse:
            try:
                most = line.gateway.max_body
                body = body_at_hand(request, most) or await read_body(request, most)
                raw = Raw(path, request.raw_path, request.headers, body)
                now_ms = self._desk.now_ms()
                line.kind.verify(raw, line.gateway, now_ms)
                answer = await self._taken(line, raw, now_ms)
                return Brief(answer.body, answer.media_type)
            except RouterError as refusal:
                line.count(refusal.code)
                if isinstance(refusal, Unauthenticated | TooLarge):
                    self._tell_operators(line, path, refusal)
                raise

        return hook

    def _tell_operators(self, line: _Line, path: str, refusal: ClientError) -> None:
        """Of what is kept nowhere: a few lines of it, however much there is. The counter has them all."""
        if line.refused_bucket.take(self._desk.now_ms()):
            log.warning("Request refused", action="phone_refused", gateway=line.name, path=path, problem=str(refusal))

    async def _taken(self, line: _Line, raw: Raw, now_ms: int) -> Answer:
        """The answer to what a gateway tells, once the journal holds it."""
        try:
            if self._draining:
                raise Draining("stopping: send this again")
            if not line.bucket.take(now_ms):
                raise Overloaded("too many events of this gateway in one second", retry_after_s=1)
            try:
                event = line.kind.parse(raw, line.gateway)
                outcome = await self._record(line, event, now_ms)
            except ClientError as problem:
                await self._set_aside(line, raw, problem, now_ms)
                raise
        except Refusal as refusal:
            answer = line.kind.not_now(raw, refusal, line.site)
            if answer is None:
                raise
            line.count(refusal.code)
            return answer
        line.last_event_ms = now_ms
        line.count("late" if outcome.action == "none" and not outcome.interaction else outcome.action)
        return line.kind.answer(outcome, event, line.site)

    def _record(self, line: _Line, event: CallEvent, now_ms: int) -> Awaitable[Outcome]:
        """What the gateway is to do, once the journal holds the event. Raises what the desk answers it with."""
        thread = line.prefix + event.call_id
        record = self._begun if event.type == "incoming" else self._went_on
        return record(line, event, thread, now_ms)

    async def _begun(self, line: _Line, event: CallEvent, thread: str, now_ms: int) -> Outcome:
        command = command_of(event, line.prefix, line.gateway, now_ms)
        if line.is_stale(event):
            return self._late(thread)
        if not self._calls.admits(thread, command.key, now_ms):
            return NOTHING
        reply = await _settled(self._desk, command)
        if not isinstance(reply, _DECIDED):
            raise reply
        self._calls.began(thread, command.key, now_ms)
        if isinstance(reply, NoRoute):
            await self._refuse(line, event.call_id)
            return Outcome("reject", reason=reply.code)
        refused = self._desk.refusal(reply.interaction)
        if refused is not None:
            await self._refuse(line, event.call_id, refused.reason)
            return Outcome("reject", reply.interaction, refused.reason, say=refused.message)
        line.heard_of(event, reply.interaction)
        return self._waits(line, reply.interaction)

    async def _went_on(self, line: _Line, event: CallEvent, thread: str, now_ms: int) -> Outcome:
        if self._says_yes(line, thread, event):
            event = replace(event, type="callback", attributes={})
        if event.parted and (moved := self._moved(line, thread, event)) is not None:
            return moved
        command = command_of(event, line.prefix, line.gateway, now_ms, line.kind.is_quiet)
        if event.type in OVER:
            # Before the command: a beginning that arrives while this is being recorded must see it.
            self._calls.ended(thread, self._desk.find(thread) is not None, now_ms)
            line.over(event.call_id)
        elif line.is_stale(event):
            return self._late(thread)
        reply = await _settled(self._desk, command)
        if isinstance(reply, Reply):
            return await self._took(line, event, thread, reply.interaction, now_ms)
        if isinstance(reply, BadMessage) and event.type == "callback":  # nobody could be called
            raise reply
        if isinstance(reply, ClientError):  # over, unknown, or moved on: the event came too late
            return self._asked_again(thread) if event.type == "callback" else self._late(thread)
        raise reply

    def _says_yes(self, line: _Line, thread: str, event: CallEvent) -> bool:
        """Whether a digit is the answer to the question whether to call them back."""
        if event.type != "dtmf" or event.digits != line.gateway.callback_digit:
            return False
        interaction = self._desk.find(thread)
        return interaction is not None and self._desk.callback_offer(interaction) is not None

    def _moved(self, line: _Line, thread: str, event: CallEvent) -> Outcome | None:
        """What a caller does whose legs are joined no more because we had one of them moved; None: we had not."""
        number = self._desk.find(thread)
        view = self._view(number) if number is not None else None
        if number is None or view is None or view.state not in ("queued", "offered", "active"):
            return None
        if view.state != "active" or line.is_stale(event):
            return Outcome("none", number, is_open=True)  # it waits again, or somebody else has it
        consult = view.consult or None
        asking = consult is not None and (consult.state != "asking" or bool(consult.address))
        return Outcome("none", number, is_open=True, is_apart=True) if view.on_hold or asking else None

    def _asked_again(self, thread: str) -> Outcome:
        """Who is going to be called already need not ask once more."""
        interaction = self._desk.find(thread)
        known = interaction is not None and self._will_be_called(interaction)
        return Outcome("none", interaction or 0, is_open=True) if known else self._late(thread)

    def _late(self, thread: str) -> Outcome:
        return Outcome("none", is_open=True) if self._desk.find(thread) is not None else NOTHING

    async def _took(self, line: _Line, event: CallEvent, thread: str, interaction: int, now_ms: int) -> Outcome:
        line.heard_of(event, interaction)
        if event.type in OVER:
            self._calls.ended(thread, True, now_ms)
        elif event.type == "answered" and line.kind.is_quiet:
            lasting = await _settled(self._desk, Renew(thread=thread, lease_ms=line.gateway.talk_lease))
            if isinstance(lasting, Refusal):
                raise lasting
        elif event.digits == line.gateway.callback_digit and self._will_be_called(interaction):
            return Outcome("call_back", interaction, is_open=True)
        elif event.type == "waiting":
            at = self._desk.estimate(interaction) or Estimate(0, None)
            return Outcome("none", interaction, "", at.position, at.expected_wait_s, is_open=True)
        return Outcome("none", interaction, is_open=event.type not in OVER)

    def _will_be_called(self, interaction: int) -> bool:
        """They may hang up: told again, the same digit is answered the same."""
        view = self._view(interaction)
        callback = self._desk.callback_of(view.customer) if view is not None else None
        return callback is not None and callback.interaction == interaction_id(interaction)

    def _waits(self, line: _Line, interaction: int) -> Outcome:
        """Or is asked whether to call them back, where the gateway can do that."""
        offer = self._desk.callback_offer(interaction) if "offer_callback" in line.kind.orders else None
        if offer is None:
            return Outcome("queue", interaction)
        return Outcome("offer_callback", interaction, say=offer.message)

    async def _refuse(self, line: _Line, call_id: str, reason: str = "no-route") -> None:
        """Have a call refused that does not wait, where the answer does not. Raises Unavailable while that does not get
        through."""
        if line.kind.progress is None or not line.gateway.control_url:
            return
        order = Order(id=f"refuse-{call_id}", action="hangup", call_id=call_id, interaction="", reason=reason)
        try:
            await self._send(line, line.kind.control(order, line.site, self._desk.now_ms()))
        except DeliveryFailed as failure:
            line.trouble = str(failure)
            if not failure.final:
                raise Unavailable("the call cannot be refused now: tell of it again") from failure

    async def _set_aside(self, line: _Line, raw: Raw, problem: ClientError, now_ms: int) -> None:
        """For an operator to see. Raises Refusal: then the gateway has it still."""
        digest = sha256(raw.body).digest()
        if digest in line.aside or not line.aside_bucket.take(now_ms):
            return
        line.remember_aside(digest)
        try:
            await self._quarantine.put(line.source(raw.path), raw.body, str(problem), problem.code)
        except Refusal:
            line.aside.pop(digest, None)
            raise
        log.warning("Event not understood", action="phone_event_set_aside", gateway=line.name, code=problem.code)

    async def readable(self, view: InteractionView) -> tuple[MessageView, ...]:
        return view.messages

    def requeue_hooks(self) -> dict[str, Callable[[bytes, Any], Awaitable[object]]]:
        """By quarantine source: takes raw bytes that were set aside once more. They were signed when they came."""
        return {line.source(path): self._again(line, path) for line in self._lines.values() for path in line.kind.paths}

    def _again(self, line: _Line, path: str) -> Callable[[bytes, Any], Awaitable[object]]:
        async def again(body: bytes, entry: Any) -> Outcome:
            raw = Raw(path, "", {}, body)
            return await self._record(line, line.kind.parse(raw, line.gateway), self._desk.now_ms())

        return again

    # --- orders -------------------------------------------------------------------------------------------------------

    async def deliver(self, outbound: Outbound) -> None:
        try:
            name, _ = call_of(outbound.threads)
            line = self._lines[name]
            order = order_of(outbound, line.gateway.callback_digit)
        except (KeyError, NotFound) as problem:
            raise DeliveryFailed("no gateway that is configured has this call", final=True) from problem
        if order is None:
            return
        if not line.gateway.control_url or order.action not in line.kind.orders:
            self._cannot(line, order)
            return
        if is_outdated(outbound, self._view(outbound.interaction)):
            _orders.labels(line.name, "outdated").inc()
            return
        line.ordered(order)
        control: Control | None = None
        try:
            control = line.kind.control(order, line.site, self._desk.now_ms())
            await self._send(line, control)
        except _Gone as gone:
            if outbound.action == "called":  # that call is still to be made
                await self._not_carried_out(line, outbound, gone, of_agent=False)
            await self._is_over(outbound)
            if outbound.action == "assigned":
                raise
        except DeliveryFailed as failure:
            await self._not_carried_out(line, outbound, failure, of_agent=control is None)
        else:
            line.trouble = ""

    async def _not_carried_out(
        self, line: _Line, outbound: Outbound, failure: DeliveryFailed, of_agent: bool
    ) -> NoReturn:
        """`of_agent`: there is nothing that could be rung for them. Raises DeliveryFailed."""
        line.trouble = str(failure)
        late = self._desk.now_ms() - outbound.at_ms >= line.gateway.connect_within
        if outbound.action in ("assigned", "called", "consulted") and (failure.final or late):
            if outbound.action == "consulted":
                await self._ask_nobody(outbound)
            elif outbound.action == "called" and failure.final and not of_agent:
                await self._not_reached(outbound)
            else:
                await self._wait_again(outbound, of_agent)
            raise DeliveryFailed(str(failure), final=True) from failure
        raise failure

    def _cannot(self, line: _Line, order: Order) -> None:
        """A gateway that takes no orders sees for itself how a call goes on; other things it would have to do.

        Raises DeliveryFailed, so that an operator sees a transfer that nobody carries out.
        """
        _orders.labels(line.name, "cannot").inc()
        if line.gateway.control_url or order.action == "transfer":
            raise DeliveryFailed(f"gateway {line.name} cannot {order.action} a call", final=True)

    def _view(self, number: int) -> InteractionView | None:
        try:
            return self._desk.interaction(number)
        except NotFound:
            return None

    def _positions(self, line: _Line) -> Positions | None:
        """Who tells this gateway's callers where they stand, if they are to be told."""
        gateway, progress = line.gateway, line.kind.progress
        if progress is None or not (gateway.control_url and gateway.position_every):
            return None

        async def say(call_id: str, at: Estimate) -> bool:
            status, _ = await self._post(line, progress(call_id, at, line.site))
            if not (200 <= status < 500):
                raise DeliveryFailed(f"the gateway answered {status}")
            return status < 300

        return Positions(self._desk, line.prefix, gateway.position_every, gateway.lease, say)

    async def _send(self, line: _Line, control: Control) -> None:
        """Carry out an order. Raises DeliveryFailed."""
        step: Control | None = control
        while step is not None:
            status, body = await self._post(line, step)
            _orders.labels(line.name, str(status)).inc()
            if not (200 <= status < 300 or status in step.done_already):
                if status == _GONE:
                    raise _Gone("the gateway has no such call any more", final=True)
                final = _is_final(status) and status not in step.later
                raise DeliveryFailed(f"the gateway answered {status}", final=final)
            step = step.then(body) if step.then is not None else None

    async def _post(self, line: _Line, control: Control) -> tuple[int, bytes]:
        """The status and the body that the gateway answers. Raises DeliveryFailed where it does not answer."""
        if self._session is None:
            raise DeliveryFailed("not started")
        try:
            async with self._session.request(
                control.method,
                control.url,
                data=control.body,
                headers=control.headers,
                timeout=aiohttp.ClientTimeout(total=line.gateway.control_timeout / 1_000),
                allow_redirects=False,  # a signed order goes where the operator said, and nowhere else
            ) as response:
                body = await _read(response.content)
                return _GONE if line.kind.is_over(response.status, body) else response.status, body
        except (aiohttp.ClientError, TimeoutError, OSError) as problem:
            _orders.labels(line.name, "unreachable").inc()
            raise DeliveryFailed(f"the gateway's control address: {type(problem).__name__}") from problem

    async def _wait_again(self, outbound: Outbound, of_agent: bool) -> None:
        """The caller gets another agent. Where even that cannot be recorded now, all of it is tried again."""
        key, thread = _names_of(outbound)
        reason = "no-telephone" if of_agent else "gateway-refused"
        await self._given_up(outbound, FailConnection(key=key, thread=thread, reason=reason, of_agent=of_agent))

    async def _not_reached(self, outbound: Outbound) -> None:
        """The gateway will not call them, whoever accepts: an attempt that failed, and the next one has its pause."""
        key, thread = _names_of(outbound)
        await self._given_up(outbound, FailCall(key=key, thread=thread, reason="failed"))

    async def _is_over(self, outbound: Outbound) -> None:
        """There is no such call: it would be offered to one agent after the other until its end was told."""
        key, thread = _names_of(outbound)
        await self._given_up(outbound, Leave(key=key, thread=thread, reason="abandoned"))

    async def _ask_nobody(self, outbound: Outbound) -> None:
        """Who was to be consulted cannot be reached: the agent goes on alone."""
        key, thread = _names_of(outbound)
        await self._given_up(outbound, FailConsult(key=key, thread=thread, reason="gateway-refused"))

    async def _given_up(self, outbound: Outbound, command: FailCall | FailConnection | FailConsult | Leave) -> None:
        """Record what becomes of an order that cannot be carried out. Raises DeliveryFailed."""
        if is_outdated(outbound, self._view(outbound.interaction)):
            return  # while we tried, it went to somebody else, whose order this is not
        answer = await _settled(self._desk, command)
        if isinstance(answer, RouterError) and not isinstance(answer, ClientError):
            raise DeliveryFailed(f"that the order was given up cannot be recorded: {answer.code}") from answer


class _Gone(DeliveryFailed):
    """The gateway has no such call any more."""


class _Line:
    """One configured gateway at work."""

    def __init__(self, name: str, gateway: Gateway) -> None:
        self.name = name
        self.gateway = gateway
        self.kind: Kind = KINDS[gateway.kind]
        self.site = Site(name, gateway)
        self.prefix = prefix_of(name)
        self.bucket = Bucket(gateway.rate, gateway.rate)
        self.aside_bucket = Bucket(gateway.set_aside / 3_600, gateway.set_aside)
        self.refused_bucket = Bucket(_REFUSED_PER_S, 5)  # lines of the log
        self.aside: dict[bytes, None] = {}  # digests of what was set aside lately, oldest first
        self.last_event_ms = 0
        self.trouble = ""  # why the last order did not get through
        self.positions: Positions | None = None
        self._connects: OrderedDict[str, str] = OrderedDict()  # by call: the last connect; the oldest call first
        self._consults: OrderedDict[str, str] = OrderedDict()  # likewise the last consult
        self._counts: dict[str, Any] = {}

    def heard_of(self, event: CallEvent, interaction: int) -> None:
        """The gateway has this call."""
        if self.positions is not None and event.type not in OVER:
            self.positions.heard_of(event.call_id, interaction)

    def over(self, call_id: str) -> None:
        self._connects.pop(call_id, None)
        self._consults.pop(call_id, None)
        if self.positions is not None:
            self.positions.over(call_id)

    def ordered(self, order: Order) -> None:
        if order.action == "connect":
            _remember(self._connects, order)
        elif order.action == "consult":
            _remember(self._consults, order)

    def is_stale(self, event: CallEvent) -> bool:
        """Whether this tells of a connect or consult that was followed by another one. Not known, after a restart: it
        is not."""
        if event.asked:
            return self._consults.get(event.call_id, event.asked) != event.asked
        return event.order != "" and self._connects.get(event.call_id, event.order) != event.order

    def source(self, path: str) -> str:
        """What came in here is kept in quarantine under this name."""
        return f"phone.{self.name}" + ("" if path == self.kind.paths[0] else f".{path}")

    def remember_aside(self, digest: bytes) -> None:
        self.aside[digest] = None
        if len(self.aside) > _ASIDE_MAX:
            del self.aside[next(iter(self.aside))]

    def count(self, outcome: str) -> None:
        child = self._counts.get(outcome)
        if child is None:
            child = self._counts[outcome] = _events.labels(self.name, outcome)
        child.inc()


def _remember(last: OrderedDict[str, str], order: Order) -> None:
    last[order.call_id] = order.id
    last.move_to_end(order.call_id)
    if len(last) > _CONNECTS_MAX:
        last.popitem(last=False)


async def _read(content: aiohttp.StreamReader) -> bytes:
    """Up to so much of it: one `read` gives what has arrived."""
    found = b""
    while len(found) < _ANSWER_MAX and (more := await content.read(_ANSWER_MAX - len(found))):
        found += more
    return found


def _names_of(outbound: Outbound) -> tuple[str, str]:
    """The key of what is recorded of this order, and the call that it is about."""
    name, call_id = call_of(outbound.threads)
    prefix = prefix_of(name)
    return f"{prefix}sb-{outbound.outbound}", prefix + call_id


def _settled(desk: Desk, command: AnyCommand) -> asyncio.Future[Reply | RouterError]:
    """The desk's answer as a value, without a task: this is the hot path."""
    waiting: asyncio.Future[Reply | RouterError] = asyncio.get_running_loop().create_future()

    def done(answer: Reply | RouterError) -> None:
        if not waiting.done():  # the server is going down and stopped waiting
            waiting.set_result(answer)

    desk.submit(command, done)
    return waiting


def _is_final(status: int) -> bool:
    """Whether the same order would get the same answer. A redirect would: orders do not follow it."""
    return 300 <= status < 500 and status not in _PASSING
