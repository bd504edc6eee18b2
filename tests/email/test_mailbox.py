"""Mailboxes that are polled, on a real IMAP server."""

from __future__ import annotations

import imaplib
import json
import socketserver
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from channels.email.mailbox import opened
from channels.email.settings import ImapBox, Settings, check
from router.engine.config import Duration
from router.errors import ConfigError, NoRoute, Overloaded
from tests.email.servers import Dovecot, missing
from tests.email.world import SALES, SUPPORT, World, open_world
from tests.support.ports import free_port
from tests.support.waiting import until

ABSENT = missing("dovecot")
real = [
    pytest.mark.system,
    pytest.mark.skipif(bool(ABSENT), reason=f"not there: {', '.join(ABSENT)} (Debian: apt install dovecot-imapd)"),
]


def mail(number: int, words: str = "Hello") -> bytes:
    head = f"From: ann@customer.example\r\nMessage-ID: <m{number}@c.example>\r\nSubject: {number}\r\n"
    return f"{head}\r\n{words}\r\n".encode()


def box(port: int, user: str = "shop", address: str = SUPPORT, **more: Any) -> ImapBox:
    defaults: dict[str, Any] = {
        "tls": "none",
        "poll": Duration(1_000),
        "timeout": Duration(5_000),
        "password": "secret",
    }
    return ImapBox(host="127.0.0.1", port=port, username=user, address=address, **(defaults | more))


def subjects(world: World) -> list[str]:
    return [one.subject for one in world.arrived]


@asynccontextmanager
async def house(folder: Path, **boxes: ImapBox) -> AsyncIterator[World]:
    async with open_world(folder / "data", mailboxes=boxes) as world:
        yield world


def noted(folder: Path) -> int:
    """Up to which message the mailbox `main` is known to be read."""
    path = folder / "data" / "imap" / "main.json"
    return int(json.loads(path.read_bytes())["uid"]) if path.exists() else 0


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Dovecot]:
    if ABSENT:
        pytest.skip(f"not there: {', '.join(ABSENT)}")
    async with Dovecot(tmp_path) as one:
        yield one


class TestRealMailbox:
    pytestmark = real

    @pytest.mark.promise("IN-1", "IN-2")
    async def test_what_is_in_it_is_recorded_and_marked_as_seen(self, server: Dovecot, tmp_path: Path) -> None:
        server.put("shop", mail(1), mail(2))
        async with house(tmp_path, main=box(server.port)) as world:
            await until(lambda: len(world.arrived) == 2)
            await until(lambda: server.flags("shop") == [True, True])
            server.put("shop", mail(3))
            await until(lambda: len(world.arrived) == 3)
        assert subjects(world) == ["1", "2", "3"]
        assert {one.recipient for one in world.arrived} == {SUPPORT}
        assert {one.automatic for one in world.arrived} == {""}
        assert world.raw_of(world.arrived[0]) == mail(1)

    @pytest.mark.promise("IN-3")
    async def test_after_a_restart_it_goes_on_where_it_was(self, server: Dovecot, tmp_path: Path) -> None:
        server.put("shop", mail(1))
        one = box(server.port, mark_seen=False)
        async with house(tmp_path, main=one):
            await until(lambda: noted(tmp_path) == 1)
        server.put("shop", mail(2))
        async with house(tmp_path, main=one) as world:
            await until(lambda: world.arrived)
        assert subjects(world) == ["2"]

    @pytest.mark.promise("IN-3")
    async def test_where_the_server_numbers_anew_what_is_read_again_is_known(
        self, server: Dovecot, tmp_path: Path
    ) -> None:
        server.put("shop", mail(1), mail(2))
        async with house(tmp_path, main=box(server.port)) as world:
            await until(lambda: len(world.arrived) == 2)
            await until(lambda: server.flags("shop") == [True, True])
            keys = {one.key for one in world.arrived}
            server.renumber("shop")
            server.put("shop", mail(3))
            await until(lambda: "3" in subjects(world))
        assert {one.key for one in world.arrived if one.subject in "12"} == keys
        assert world.interactions == 3

    @pytest.mark.promise("IN-2")
    async def test_what_cannot_be_recorded_stays_unseen_and_comes_again(self, server: Dovecot, tmp_path: Path) -> None:
        server.put("shop", mail(1))
        async with house(tmp_path, main=box(server.port)) as world:
            world.refuse(Overloaded("busy"))
            await until(lambda: world.adapter.health().figures["mailboxes_failing"])
            assert server.flags("shop") == [False]
            world.desk.refuse = lambda command: None
            await until(lambda: server.flags("shop") == [True])
        assert world.interactions == 1

    @pytest.mark.promise("IN-4")
    async def test_what_is_refused_for_good_is_set_aside_and_the_next_one_comes(
        self, server: Dovecot, tmp_path: Path
    ) -> None:
        server.put("shop", mail(1), mail(2, "x" * 5_000), mail(3))
        async with house(tmp_path, main=box(server.port)) as world:
            world.desk.refuse = lambda command: NoRoute("no") if getattr(command, "subject", "") == "1" else None
            await until(lambda: "3" in subjects(world))
        assert [(reason, data) for _, data, reason in world.shelf.kept] == [
            ("mailbox main: 550 5.1.1 No such address here", mail(1))
        ]

    @pytest.mark.promise("IN-5")
    async def test_what_is_too_large_is_left_there_and_said(self, server: Dovecot, tmp_path: Path) -> None:
        server.put("shop", mail(1, "x" * 5_000), mail(2))
        async with open_world(tmp_path / "d", mailboxes={"main": box(server.port)}, max_message_bytes=2_000) as world:
            await until(lambda: world.arrived)
            await until(lambda: server.flags("shop") == [False, True])  # whoever looks into the mailbox shall see it
        assert subjects(world) == ["2"]
        assert "bytes and was left there" in world.shelf.kept[0][2]

    async def test_what_was_recorded_can_be_moved_away(self, server: Dovecot, tmp_path: Path) -> None:
        server.put("shop", mail(1), mail(2))
        server.create("shop", "Done")
        async with house(tmp_path, main=box(server.port, move_to="Done")) as world:
            await until(lambda: server.flags("shop", "Done") == [True, True])
            assert server.flags("shop") == []
        assert world.interactions == 2

    @pytest.mark.promise("IN-4", "OB-1")
    async def test_a_mailbox_that_fails_stops_no_other(self, server: Dovecot, tmp_path: Path) -> None:
        server.put("shop", mail(1))
        boxes = {
            "gone": box(free_port()),
            "locked": box(server.port, password="wrong"),
            "missing": box(server.port, folder="No such folder"),
            "well": box(server.port, address=SALES),
        }
        async with house(tmp_path, **boxes) as world:
            await until(lambda: world.arrived)
            await until(lambda: world.adapter.health().figures["mailboxes_failing"] == 3)
            health = world.adapter.health()
            assert health.ok, "people can still be served"
            assert all(name in health.detail for name in ("gone", "locked", "missing"))
        assert [one.recipient for one in world.arrived] == [SALES]

    async def test_of_an_old_mailbox_only_what_is_new_can_be_taken(self, server: Dovecot, tmp_path: Path) -> None:
        server.put("shop", mail(1), mail(2))
        async with house(tmp_path, main=box(server.port, first="new")) as world:
            await until(lambda: noted(tmp_path) == 2)
            server.put("shop", mail(3))
            await until(lambda: world.arrived)
        assert subjects(world) == ["3"]


@pytest.mark.promise("OB-4")
@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"address": "nobody@shop.example"}, "email.mailboxes.main.address"),
        ({"host": "imap.example.org"}, "email.mailboxes.main.tls"),
    ],
)
def test_a_mailbox_that_cannot_work_is_refused(change: dict[str, Any], path: str) -> None:
    import msgspec

    one = msgspec.structs.replace(box(143), **change)
    with pytest.raises(ConfigError) as refusal:
        check(Settings(addresses={SUPPORT: {}}, mailboxes={"main": one}))  # type: ignore[dict-item]
    assert str(refusal.value).startswith(path)


class Curt(socketserver.StreamRequestHandler):
    """An IMAP server that takes everyone, knows no STARTTLS, and hangs up where others say farewell."""

    def handle(self) -> None:
        self.wfile.write(b"* OK [CAPABILITY IMAP4rev1] here\r\n")
        for line in self.rfile:
            tag, word, *_ = line.split()
            if word == b"LOGOUT":
                return
            known = {b"CAPABILITY": b"* CAPABILITY IMAP4rev1\r\n", b"LOGIN": b"", b"SELECT": b"* 0 EXISTS\r\n"}
            self.wfile.write(known[word] + tag + b" OK done\r\n" if word in known else tag + b" BAD what?\r\n")


@pytest.fixture
def curt() -> Iterator[int]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Curt) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_a_connection_is_closed_though_the_server_answers_no_farewell(curt: int) -> None:
    with opened(box(curt)) as session:
        held = session.client.sock
    assert held.fileno() == -1


def test_a_server_without_starttls_is_an_error_before_any_password_is_sent(curt: int) -> None:
    with pytest.raises(imaplib.IMAP4.error, match="TLS"), opened(box(curt, tls="starttls")):
        pass
