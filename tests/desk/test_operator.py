"""The operator's page: what could not be delivered and what could not be read, seen, tried again and discarded.

The daemon is real, and what becomes of a reply is said by a real mail server beside it, which refuses until it is told
to take. A document is set aside because it is larger than its folder takes; an operator may have it taken all the same.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from email import message_from_bytes
from email.policy import default
from typing import Any

import pytest
import pytest_asyncio
from aiosmtpd.smtp import SMTP
from playwright.async_api import Locator, expect

from tests.desk.conftest import QUICK, NewPage, unhurried
from tests.desk.people import Desk
from tests.system.clients import drop, every, letter, scan, send_mail
from tests.system.daemon import CONFIG, Daemon

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.system]

REFUSAL = "550 5.7.1 not from here"
SMALL = 200  # bytes that the fax folder takes: less than any scan
LOOK_S = 0.05


class Relay:
    """A smart host that refuses until it is told to take."""

    def __init__(self) -> None:
        self.refuses = True
        self.refused = 0
        self.taken: list[bytes] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.refuses:
            self.refused += 1
            return REFUSAL
        self.taken.append(envelope.content)
        return "250 ok"


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def relay() -> AsyncIterator[tuple[Relay, int]]:
    one, loop = Relay(), asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(one, hostname="relay", loop=loop), "127.0.0.1", 0)
    yield one, server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def strict(tmp_path_factory: pytest.TempPathFactory, relay: tuple[Relay, int]) -> AsyncIterator[Daemon]:
    """A house whose replies leave through that host, and whose fax folder takes next to nothing."""
    folder = tmp_path_factory.mktemp("strict")
    host = f'smart_host = {{ host = "127.0.0.1", port = {relay[1]} }}'
    given = unhurried(CONFIG.read_text())
    assert 'outbox_folder = "outbox"' in given
    config = folder / "strict.toml"
    config.write_text(given.replace('outbox_folder = "outbox"', host))
    limits = {"SWITCHBOARD__SCAN__FOLDERS__FAX__MAX_FILE_BYTES": str(SMALL)}
    async with Daemon(folder / "data", QUICK | limits, config) as running:
        yield running
    assert running.troubles() == []


async def at_the_house(house: Daemon, page: NewPage) -> Desk:
    sam = Desk(await page(), house, "sam")
    await sam.sign_in()
    await sam.button("House").click()
    await expect(sam.page.get_by_role("heading", name="Parts")).to_be_visible()
    return sam


def entry(desk: Desk, title: str, words: str) -> Locator:
    return desk.page.get_by_role("region", name=title).get_by_role("listitem").filter(has_text=words)


def press(row: Locator, name: str) -> Locator:
    return row.get_by_role("button", name=name)


async def answered(ana: Desk, who: str, text: str) -> None:
    """A mail comes and is answered; what becomes of the answer is for the operator to see."""
    await asyncio.to_thread(send_mail, ana.house.smtp, letter(who))
    await press(ana.offer(f"About {who}"), "Accept").click()
    await expect(ana.page.get_by_role("main")).to_contain_text(f"About {who}")
    await ana.writing().fill(text)
    await ana.button("Send").click()
    await expect(ana.log()).to_contain_text(text)


async def test_a_reply_that_is_refused_is_seen_tried_again_and_delivered_or_discarded(
    strict: Daemon, relay: tuple[Relay, int], new_page: NewPage
) -> None:
    host, _ = relay
    ana = Desk(await new_page(), strict, "ana")
    await ana.sign_in()
    await ana.ready()
    sam = await at_the_house(strict, new_page)
    given_up = sam.page.get_by_role("region", name="Not delivered")
    await expect(given_up).to_contain_text("Nothing here waits for a decision.")

    await answered(ana, "eva", "It is on its way.")
    dead = entry(sam, "Not delivered", "i-1")
    await expect(dead).to_contain_text("message · email")
    await expect(dead).to_contain_text("550")
    await expect(dead).not_to_contain_text("on its way")  # what was written is the customer's
    assert host.refused == 1

    await press(dead, "Try again").click()
    await expect(sam.told("Done.")).to_be_visible()
    await every(LOOK_S, lambda: host.refused == 2)
    await sam.page.reload()  # what is seen from here on is not what was there before
    await expect(dead).to_have_count(1)  # the host refused once more: the operator still has it
    host.refuses = False
    await press(dead, "Try again").click()
    await every(LOOK_S, lambda: bool(host.taken))
    await expect(given_up).to_contain_text("Nothing here waits for a decision.")
    (raw,) = host.taken
    body = message_from_bytes(raw, policy=default).get_body(("plain",))
    assert body is not None
    assert "It is on its way." in body.get_content()

    host.refuses = True
    await answered(ana, "uwe", "Never mind.")
    await press(entry(sam, "Not delivered", "i-2"), "Discard").click()
    await expect(given_up).to_contain_text("Nothing here waits for a decision.")
    _, page = await strict.get("/v1/outbound")
    assert page["outbound"] == []
    assert host.refused == 3  # nobody tried it once more
    _, page = await strict.get("/v1/audit?who=operator:sam")
    assert [act["act"] for act in reversed(page["acts"])][-3:] == ["retry", "retry", "discard"]


async def test_what_was_set_aside_is_taken_or_said_why_not_or_discarded(strict: Daemon, new_page: NewPage) -> None:
    sam = await at_the_house(strict, new_page)
    drop(strict.data / "drop" / "fax", "order.png", scan(random.Random(5)))
    order = entry(sam, "Set aside", "order.png")
    await expect(order).to_contain_text("scan.fax")
    async with sam.page.expect_download() as download:
        await press(order, "Download").click()
    assert (await (await download.value).path()).read_bytes() == scan(random.Random(5))
    assert await strict.interactions("queued") == []
    await press(order, "Try again").click()
    await expect(order).to_have_count(0)
    (taken,) = await strict.interactions("queued")
    assert taken["channel"] == "fax"

    drop(strict.data / "drop" / "fax", "broken.png", b"no picture")
    broken = entry(sam, "Set aside", "broken.png")
    await press(broken, "Try again").click()
    await expect(sam.page.get_by_role("status").locator(".bad")).to_be_visible()
    await expect(broken).to_have_count(1)
    await press(broken, "Discard").click()
    await expect(sam.page.get_by_role("region", name="Set aside")).to_contain_text("Nothing is set aside.")
    assert [left["id"] for left in await strict.interactions("queued")] == [taken["id"]]
