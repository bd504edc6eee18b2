"""Whole calls through a stand-in for Twilio and a real engine: what callers hear, whom they talk to, how it ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from channels.phone.adapter import PhoneAdapter
from channels.phone.settings import Gateway
from router.engine import commands as c
from router.engine import events as e
from router.engine.views import ConsultView
from tests.phone.offline import Office
from tests.phone.support import problems
from tests.phone.twilio_service import Call, Twilio

ACCOUNT, TOKEN = "AC1", "dev-twilio"


class Scene:
    def __init__(self, office: Office, twilio: Twilio) -> None:
        self.office, self.twilio = office, twilio

    async def accepted(self) -> str:
        """Somebody takes what is offered, and the gateway is told."""
        name = self.office.accept()
        await self.office.deliver_all()
        return name

    def count(self, kind: type[e.Event]) -> int:
        return sum(type(event) is kind for event in self.office.writer.events)


@pytest.fixture
async def scene(tmp_path: Path, unused_tcp_port_factory: object) -> AsyncIterator[Scene]:
    port = unused_tcp_port_factory()  # type: ignore[operator]
    public = f"http://127.0.0.1:{port}"
    hook = f"{public}/v1/phone/main"
    twilio = Twilio(ACCOUNT, TOKEN, f"{hook}/voice?language=es", f"{hook}/status")
    async with TestServer(twilio.app()) as rest, aiohttp.ClientSession() as twilio.session:
        main = Gateway(
            kind="twilio", secrets=(TOKEN,), public_url=public, control_url=str(rest.make_url("/")), account=ACCOUNT
        )
        office = Office(tmp_path, {"main": main}, PhoneAdapter)
        app = web.Application(middlewares=[problems])
        app.add_routes(office.adapter.routes())
        await office.adapter.start()
        async with TestServer(app, port=port):
            yield Scene(office, twilio)
        await office.adapter.stop()


async def test_a_caller_waits_hears_where_they_stand_and_talks(scene: Scene) -> None:
    for name in ("ana", "ben"):
        scene.office.ask(c.SetState(agent=name, state="not_ready"))
    call = await scene.twilio.comes()
    await scene.twilio.hears(call)
    assert (call.state, call.heard[0]) == ("waiting", "You are number 1 in line.")
    scene.office.ready("ana")
    assert await scene.accepted() == "ana"
    assert (call.state, call.rang) == ("talking", ["sip:ana@desk"])
    assert scene.count(e.ConnectionConfirmed) == 1
    await scene.twilio.hangs_up(call)
    assert list(scene.office.stuck()) == []
    assert len(set(scene.twilio.tokens)) == len(scene.twilio.tokens), "nothing had to be asked twice"


@pytest.mark.promise("OF-3")
@pytest.mark.parametrize("result", ["busy", "no-answer", "failed", "canceled"])
async def test_a_telephone_that_is_not_answered_brings_the_caller_back_and_another_rings(
    scene: Scene, result: str
) -> None:
    call = await scene.twilio.comes()
    [(first, _)] = scene.office.offers()
    scene.twilio.telephones[f"sip:{first}@desk"] = result
    assert await scene.accepted() == first
    assert call.state == "waiting"
    assert scene.count(e.ConnectFailed) == 1
    assert scene.count(e.OfferExpired) == 0
    other = await scene.accepted()
    assert call.rang == [f"sip:{first}@desk", f"sip:{other}@desk"]
    assert call.state == "talking"


@pytest.mark.promise("OF-5")
async def test_a_caller_who_gives_up_is_nobodys(scene: Scene) -> None:
    call = await scene.twilio.comes()
    await scene.twilio.hangs_up(call)
    assert list(scene.office.stuck()) == []
    assert scene.count(e.OfferWithdrawn) == 1


async def test_an_agent_who_completes_hangs_up(scene: Scene) -> None:
    call = await scene.twilio.comes()
    name = await scene.accepted()
    [number] = scene.office.engine.state.interactions
    scene.office.ask(c.Complete(agent=name, interaction=number))
    await scene.office.deliver_all()
    assert call.state == "over"
    assert list(scene.office.stuck()) == []


async def test_a_call_that_is_over_at_twilio_before_we_hear_of_it_is_connected_to_nobody(scene: Scene) -> None:
    call = await scene.twilio.comes()
    call.state = "over"  # the word for it is on its way
    await scene.accepted()
    assert call.rang == []
    assert (scene.count(e.ConnectionConfirmed), scene.count(e.ConnectFailed)) == (0, 0)
    assert scene.count(e.OfferMade) == 1, "the other agent is not troubled"
    await scene.twilio.hangs_up(call)
    scene.office.wait(1_000)
    await scene.office.deliver_all()
    assert list(scene.office.stuck()) == []


async def test_hanging_up_on_a_call_that_is_over_at_twilio_is_done(scene: Scene) -> None:
    call = await scene.twilio.comes()
    name = await scene.accepted()
    [number] = scene.office.engine.state.interactions
    call.state = "over"
    scene.office.ask(c.Complete(agent=name, interaction=number))
    await scene.office.deliver_all()
    assert (list(scene.office.stuck()), scene.count(e.OutboundFailed)) == ([], 0)


@pytest.mark.promise("IN-3")
async def test_what_is_asked_again_under_the_same_token_changes_nothing(scene: Scene) -> None:
    call = await scene.twilio.comes()
    before = len(scene.office.writer.events)
    await scene.twilio._ask(call, scene.twilio.voice)
    assert len(scene.office.writer.events) == before


# --- hold, consult, conference ----------------------------------------------------------------------------------------


async def talking(scene: Scene) -> tuple[Call, str, int]:
    """A caller who talks with somebody: the call, that agent, the interaction."""
    call = await scene.twilio.comes()
    name = await scene.accepted()
    [number] = scene.office.engine.state.interactions
    assert call.state == "talking"
    return call, name, number


async def does(scene: Scene, command: c.AnyCommand) -> None:
    """Asked for and carried out, in as many tries as the outbox makes."""
    answer = scene.office.ask(command)
    assert isinstance(answer, c.Reply), answer
    for _ in range(4):
        for letter in scene.office.letters():
            await scene.office.deliver(letter)
    assert scene.office.letters() == []


async def consulting(scene: Scene) -> tuple[Call, str, str, int]:
    """Somebody talks with a caller and has asked a colleague, whose telephone was answered."""
    call, asks, number = await talking(scene)
    [asked] = {"ana", "ben"} - {asks}
    await does(scene, c.Consult(agent=asks, interaction=number, to=c.Target(agent=asked)))
    [(name, offer)] = scene.office.offers()
    assert name == asked
    await does(scene, c.Accept(agent=asked, offer=offer))
    await scene.twilio.answers(f"sip:{asked}@desk")
    return call, asks, asked, number


def asked_of(scene: Scene, number: int) -> ConsultView:
    consult = scene.office.desk.interaction(number).consult
    assert isinstance(consult, ConsultView)
    return consult


def hear(scene: Scene, call: Call) -> set[str]:
    """Who hears each other in the call's conference: names, and "caller"."""
    room = scene.twilio.room_of(call.sid)
    assert room is not None
    return {"caller" if who == call.sid else who.removeprefix("sip:").removesuffix("@desk") for who in room.hear}


@pytest.mark.promise("MV-1")
async def test_a_caller_is_held_and_taken_back_as_often_as_their_agent_likes(scene: Scene) -> None:
    call, name, number = await talking(scene)
    for _ in range(2):
        await does(scene, c.Hold(agent=name, interaction=number))
        assert hear(scene, call) == {name}
        await does(scene, c.Resume(agent=name, interaction=number))
        assert hear(scene, call) == {name, "caller"}
    assert call.rang == [f"sip:{name}@desk"], "nobody's telephone rings for it"
    await does(scene, c.Complete(agent=name, interaction=number))
    assert (call.state, scene.twilio.rooms, list(scene.office.stuck())) == ("over", {}, [])
    assert scene.count(e.OutboundFailed) == 0


@pytest.mark.promise("MV-1")
async def test_a_caller_who_hangs_up_on_hold_is_nobodys(scene: Scene) -> None:
    call, name, number = await talking(scene)
    await does(scene, c.Hold(agent=name, interaction=number))
    await scene.twilio.hangs_up(call)
    assert (scene.twilio.rooms, list(scene.office.stuck())) == ({}, [])


@pytest.mark.promise("MV-1")
@pytest.mark.parametrize("held", [False, True])
async def test_an_agent_who_hangs_up_ends_the_call_held_or_not(scene: Scene, held: bool) -> None:
    call, name, number = await talking(scene)
    if held:
        await does(scene, c.Hold(agent=name, interaction=number))
    await scene.twilio.agent_hangs_up(call, f"sip:{name}@desk")
    assert (call.state, scene.twilio.rooms, list(scene.office.stuck())) == ("over", {}, [])


@pytest.mark.promise("MV-1")
async def test_a_colleague_is_asked_joins_and_leaves_again(scene: Scene) -> None:
    call, asks, asked, number = await consulting(scene)
    assert hear(scene, call) == {asks, asked}, "the caller is held"
    await does(scene, c.JoinConsult(agent=asks, interaction=number))
    assert hear(scene, call) == {asks, asked, "caller"}
    await does(scene, c.EndConsult(agent=asks, interaction=number))
    assert hear(scene, call) == {asks, "caller"}
    await does(scene, c.Consult(agent=asks, interaction=number, to=c.Target(address="sip:lab@example.org")))
    await scene.twilio.answers("sip:lab@example.org")
    assert (asked_of(scene, number).state, asked_of(scene, number).address) == ("consulting", "sip:lab@example.org")
    assert hear(scene, call) == {asks, "sip:lab@example.org".removeprefix("sip:")}


@pytest.mark.promise("MV-1")
@pytest.mark.parametrize("joined", [False, True])
async def test_a_call_is_handed_over_and_lasts_as_long_as_who_has_it_now(scene: Scene, joined: bool) -> None:
    call, asks, asked, number = await consulting(scene)
    if joined:
        await does(scene, c.JoinConsult(agent=asks, interaction=number))
    await does(scene, c.CompleteConsult(agent=asks, interaction=number))
    assert hear(scene, call) == {asked, "caller"}
    assert scene.office.desk.interaction(number).agent == asked
    await does(scene, c.Hold(agent=asked, interaction=number))
    assert hear(scene, call) == {asked}
    await does(scene, c.Resume(agent=asked, interaction=number))
    await scene.twilio.agent_hangs_up(call, f"sip:{asked}@desk")
    assert (call.state, scene.twilio.rooms, list(scene.office.stuck())) == ("over", {}, [])


@pytest.mark.promise("MV-1")
async def test_a_call_is_given_to_an_outside_address_that_was_asked_first(scene: Scene) -> None:
    call, asks, number = await talking(scene)
    lab = c.Target(address="+4930123456")
    await does(scene, c.Consult(agent=asks, interaction=number, to=lab))
    await scene.twilio.answers("+4930123456")
    await does(scene, c.CompleteConsult(agent=asks, interaction=number))
    assert hear(scene, call) == {"+4930123456", "caller"}
    assert call.rang == [f"sip:{asks}@desk"], "they are not called a second time"
    assert list(scene.office.stuck()) == []


@pytest.mark.promise("MV-1")
@pytest.mark.parametrize("result", ["busy", "no-answer", "failed", "canceled"])
async def test_who_is_not_reached_leaves_the_agent_alone_with_the_caller(scene: Scene, result: str) -> None:
    call, asks, number = await talking(scene)
    await does(scene, c.Consult(agent=asks, interaction=number, to=c.Target(address="sip:lab@example.org")))
    await scene.twilio.answers("sip:lab@example.org", result)
    for letter in scene.office.letters():
        await scene.office.deliver(letter)
    assert not scene.office.desk.interaction(number).consult
    assert hear(scene, call) == {asks, "caller"}


@pytest.mark.promise("MV-1")
async def test_a_late_word_of_a_consult_before_does_not_end_the_next_one(scene: Scene) -> None:
    call, asks, _, number = await consulting(scene)
    room = scene.twilio.room_of(call.sid)
    assert room is not None
    first = next(member for member in room.members.values() if member.label)
    first.callback, late = "", first.callback
    await does(scene, c.EndConsult(agent=asks, interaction=number))
    await does(scene, c.Consult(agent=asks, interaction=number, to=c.Target(address="sip:lab@example.org")))
    first.callback = late
    await scene.twilio._tell(first, "completed")
    assert asked_of(scene, number).address == "sip:lab@example.org"


@pytest.mark.promise("MV-1")
async def test_a_caller_on_hold_who_is_requeued_waits_for_the_other(scene: Scene) -> None:
    call, name, number = await talking(scene)
    await does(scene, c.Hold(agent=name, interaction=number))
    await does(scene, c.Requeue(interaction=number, by="sam"))
    assert (call.state, scene.twilio.rooms) == ("waiting", {})
    other = await scene.accepted()
    assert other != name
    await does(scene, c.Hold(agent=other, interaction=number))
    assert hear(scene, call) == {other}
