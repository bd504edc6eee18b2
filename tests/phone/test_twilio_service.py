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
from tests.phone.offline import Office
from tests.phone.support import problems
from tests.phone.twilio_service import Twilio

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
