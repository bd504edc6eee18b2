"""Mail as it comes in production: clients, Postfix with the shipped configuration, LMTP, the channel."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from channels.email.settings import Address
from router.errors import Overloaded
from tests.email.servers import Postfix, missing, run
from tests.email.world import ANN, SALES, SUPPORT, World, open_world

ABSENT = missing("postfix", "swaks", "smtp-source")
pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(bool(ABSENT), reason=f"not there: {', '.join(ABSENT)} (see deploy/postfix/README.md)"),
]
DOMAIN = "shop.example"


@asynccontextmanager
async def house(folder: Path) -> AsyncIterator[tuple[World, Postfix]]:
    """The channel behind a Postfix of its own."""
    async with open_world(folder / "data") as world:
        async with Postfix(folder, world.adapter.port("lmtp"), DOMAIN) as server:
            yield world, server


async def until(true: Callable[[], object], server: Postfix, within_s: float = 30) -> None:
    try:
        async with asyncio.timeout(within_s):
            while not true():  # noqa: ASYNC110 - it happens in other processes
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(server.log()[-3_000:]) from None


async def swaks(server: Postfix, *to: str, body: str = "Hello") -> tuple[int, str]:
    return await run(
        *("swaks", "--server", f"127.0.0.1:{server.port}", "--from", ANN, "--to", ",".join(to), "--body", body),
        *("--header", "Subject: Parcel", "--helo", "client.customer.example", "--hide-all"),
    )


def deliveries(server: Postfix) -> list[tuple[str, str]]:
    """(recipient, outcome) of each attempt to deliver a mail, in order; questions about addresses are none."""
    found = re.findall(r"lmtp\[\d+\]: \w+: to=<([^>]*)>.* status=(\w+)", server.log())
    return [(to, status) for to, status in found if status in ("sent", "deferred", "bounced")]


async def test_an_address_of_this_very_machine_is_taken_as_the_first_steps_say(tmp_path: Path) -> None:
    """deploy/postfix/README.md sends to support@localhost, an address of config/dev.toml."""
    addresses = {"support@localhost": Address()}
    async with open_world(tmp_path / "data", addresses=addresses) as world:
        async with Postfix(tmp_path, world.adapter.port("lmtp"), "localhost") as server:
            code, said = await swaks(server, "support@localhost")
            assert code == 0, said
            await until(lambda: world.arrived, server)


@pytest.mark.promise("IN-2", "IN-3")
async def test_one_of_two_recipients_comes_again_and_the_other_does_not(tmp_path: Path) -> None:
    async with house(tmp_path) as (world, server):
        world.refuse(Overloaded("busy"), to=SALES)
        code, said = await swaks(server, SUPPORT, SALES)
        assert code == 0, said
        await until(lambda: len(deliveries(server)) == 2, server)
        assert sorted(deliveries(server)) == [(SALES, "deferred"), (SUPPORT, "sent")]
        world.desk.refuse = lambda command: None
        await server.flush()
        await until(lambda: len(deliveries(server)) == 3, server)
        assert deliveries(server)[2] == (SALES, "sent")
    assert [one.recipient for one in world.arrived].count(SUPPORT) == 1
    assert world.interactions == 2


async def test_an_address_that_is_not_ours_is_refused_before_the_mail_is_taken(tmp_path: Path) -> None:
    async with house(tmp_path) as (world, server):
        code, said = await swaks(server, f"nobody@{DOMAIN}")
        assert code != 0
        assert "550 5.1.1" in said or "550" in server.log()
        assert deliveries(server) == []
    assert world.arrived == []


@pytest.mark.promise("IN-2")
async def test_while_the_daemon_is_away_the_mail_server_keeps_the_mail(tmp_path: Path) -> None:
    async with house(tmp_path) as (world, server):
        assert (await swaks(server, SUPPORT))[0] == 0  # so that the address is known
        await until(lambda: len(world.arrived) == 1, server)
        world.refuse(Overloaded("the journal is away"))
        assert (await swaks(server, SUPPORT, body="Second"))[0] == 0
        await until(lambda: (SUPPORT, "deferred") in deliveries(server) and server.set_aside(), server)
        world.desk.refuse = lambda command: None
        await server.flush()
        await until(lambda: deliveries(server)[-1] == (SUPPORT, "sent"), server)
    assert world.interactions == 2
    assert b"Second" in world.raw_of(world.arrived[-1])


async def test_results_of_authentication_that_came_from_outside_under_our_name_are_taken_off(tmp_path: Path) -> None:
    async with house(tmp_path) as (world, server):
        code, said = await run(
            *("swaks", "--server", f"127.0.0.1:{server.port}", "--from", ANN, "--to", SUPPORT, "--hide-all"),
            *("--header", "Authentication-Results: mx.shop.example; dkim=pass"),
        )
        assert code == 0, said
        await until(lambda: world.arrived, server)
    assert b"Authentication-Results" not in world.raw_of(world.arrived[0])


@pytest.mark.promise("IN-2")
async def test_a_load_of_mail_through_the_server_is_recorded_whole(tmp_path: Path) -> None:
    async with house(tmp_path) as (world, server):
        await swaks(server, SUPPORT)
        code, said = await run(
            *("smtp-source", "-s", "5", "-m", "150", "-l", "4096", "-f", ANN, "-t", SUPPORT),
            f"127.0.0.1:{server.port}",
        )
        assert code == 0, said
        await until(lambda: len(world.arrived) >= 151, server, within_s=90)
    assert world.interactions == 151


@pytest.mark.promise("IN-2")
@pytest.mark.parametrize("protocol", ["smtp", "lmtp"])
async def test_a_load_generator_of_others_is_answered_to_the_end(tmp_path: Path, protocol: str) -> None:
    async with open_world(tmp_path) as world:
        code, said = await run(
            *("smtp-source", *(["-L"] if protocol == "lmtp" else []), "-s", "10", "-m", "300", "-l", "4096"),
            *("-f", ANN, "-t", SUPPORT, f"127.0.0.1:{world.adapter.port(protocol)}"),
        )
        assert code == 0, said
    assert len(world.arrived) == 300
