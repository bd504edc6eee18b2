"""The terminal agent: the link that comes back, scripts, keys and the drawing."""

import asyncio
import contextlib
import io
import json
import os
import sys
import threading
from collections.abc import AsyncIterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from msgspec.structs import replace
from rich.console import Console
from websockets.asyncio.server import ServerConnection, serve

from router.agents import reading, terminal
from router.agents.link import Link
from router.agents.terminal import Screen, Script, _script, plain, run_agent
from router.engine import commands as c
from router.engine import config
from router.engine.events import Blob, Message
from tests.agents.house import CONFIG, Json, seen
from tests.agents.live import LiveHouse, live

MAIL = Blob("ab" * 32, 3, "message/rfc822", "message.eml")


def nothing(*args: object) -> None:
    """For who does not listen."""


@contextlib.asynccontextmanager
async def linked(house: LiveHouse, token: str = "dev-ana") -> AsyncIterator[tuple[Link, "asyncio.Queue[Json]"]]:
    told: asyncio.Queue[Json] = asyncio.Queue()
    link = Link(token, house.url, told.put_nowait, nothing)
    task = asyncio.create_task(link.run())
    try:
        yield link, told
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(told: "asyncio.Queue[Json]", kind: str) -> Json:
    while (message := await told.get())["type"] != kind:
        pass
    return message


# --- the link ---------------------------------------------------------------------------------------------------------


@pytest.mark.promise("AG-3", "AG-4")
async def test_a_cut_is_healed_and_unanswered_commands_are_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.agents.link.FIRST_RETRY_S", 0.01)
    async with live() as house, linked(house) as (link, told):
        await until(told, "welcome")
        assert (await link.ask("set_state", state="ready"))["type"] == "ok"
        house.desk.arrive()
        await until(told, "offer")
        answer = link.ask("accept", offer="o-1")
        assert link._socket is not None
        link._socket.transport.abort()
        assert (await answer)["type"] == "ok"
        await until(told, "assigned")
        assert [command for command in house.desk.commands if isinstance(command, c.Accept)]
        view = seen(link.mirror)
        assert view["interactions"]["i-1"]["state"] == "active"


async def test_commands_asked_while_down_are_sent_when_up() -> None:
    async with live() as house, linked(house) as (link, _):
        answer = link.ask("set_state", state="ready")
        assert (await answer)["type"] == "ok"


async def test_a_wrong_token_ends_the_link() -> None:
    async with live() as house:
        link = Link("nobody", house.url, nothing, nothing)
        await link.run()
        assert "unauthenticated" in link.problem


async def test_a_wrong_address_ends_the_link() -> None:
    link = Link("x", "http://nowhere", nothing, nothing)
    await link.run()
    assert "ws://" in link.problem


async def test_a_refusal_with_a_time_is_tried_again_with_the_same_id() -> None:
    asked: list[Json] = []

    async def server(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send('{"type":"welcome","seq":0,"resumed":true,"server_time_ms":0}')
        async for text in socket:
            asked.append(json.loads(text))
            busy = len(asked) < 3
            answer: Json = {"type": "error", "code": "overloaded", "message": "", "retry_after_ms": 1} if busy else {}
            await socket.send(json.dumps({"type": "ok", **answer, "re": asked[-1]["id"]}))

    async with serve(server, "127.0.0.1", 0) as port:
        number = next(iter(port.sockets)).getsockname()[1]
        link = Link("x", f"ws://127.0.0.1:{number}/agent", nothing, nothing)
        task = asyncio.create_task(link.run())
        assert (await link.ask("set_state", state="ready"))["type"] == "ok"
        assert len(asked) == 3
        assert len({message["id"] for message in asked}) == 1
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


# --- scripts ----------------------------------------------------------------------------------------------------------


async def play(house: LiveHouse, text: str, token: str = "dev-ana") -> tuple[int, list[Json], str]:
    out, errors = io.StringIO(), io.StringIO()
    code = await _script(Script(token, house.url, False, out, errors), io.StringIO(text))
    return code, [json.loads(line) for line in out.getvalue().splitlines()], errors.getvalue()


async def test_a_script_takes_a_chat_from_ready_to_quit() -> None:
    async with live() as house:
        asyncio.get_running_loop().call_later(0.05, house.desk.arrive)
        script = (
            "ready\naccept\nsay good morning\nnote regular\nhold\nresume\ncomplete solved\nextend 5\nfinish\nquit\n"
        )
        code, messages, errors = await play(house, script)
        assert (code, errors) == (0, "")
        assert {"welcome", "offer", "assigned", "message", "interaction_updated", "interaction_ended"} <= {
            message["type"] for message in messages
        }
        assert not [message for message in messages if message["type"] == "error"]
        assert house.desk.engine.state.interactions[1].disposition == "solved"


async def test_a_script_ends_with_its_lines() -> None:
    async with live() as house:
        code, messages, _ = await play(house, "not_ready lunch\nready\nwait ok\nwait ok\n")
        assert code == 0
        assert [message["type"] for message in messages].count("ok") == 2


async def test_accept_goes_on_to_the_next_offer_when_one_is_gone() -> None:
    async with live() as house:
        script = Script("dev-ana", house.url, False, io.StringIO(), io.StringIO())
        script.mirror.offers["o-77"] = {}
        lines: asyncio.Queue[str | None] = asyncio.Queue()
        task = asyncio.create_task(script.link.run())
        lines.put_nowait("ready")
        lines.put_nowait("accept")
        lines.put_nowait("decline")
        lines.put_nowait(None)
        asyncio.get_running_loop().call_later(0.05, house.desk.arrive)
        asyncio.get_running_loop().call_later(0.06, house.desk.arrive)
        await script.run(lines)
        assert [type(command) for command in house.desk.commands].count(c.Decline) == 1
        assert house.desk.engine.state.interactions[1].owner == "ana"
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_script_is_told_what_there_is_when_a_line_is_not_understood() -> None:
    async with live() as house:
        _, _, errors = await play(house, "dance\nextend soon\ntransfer queue\n\n")
        assert errors.count("not understood") == 3
        assert "finish | extend SECONDS" in errors


async def test_more_commands_of_scripts() -> None:
    async with live() as house:
        house.desk.arrive()
        script = "ready\npick i-1\naccept\nuse i-1\ntransfer queue support\ndecline o-9 busy\nquit\n"
        code, messages, _ = await play(house, script)
        assert code == 0
        ended = [message["reason"] for message in messages if message["type"] == "interaction_ended"]
        assert ended == ["transferred"]
        assert [message["code"] for message in messages if message["type"] == "error"][-1] == "offer-gone"


async def test_a_script_with_a_wrong_token_fails() -> None:
    async with live() as house:
        code, _, errors = await play(house, "ready\n", "wrong")
        assert code == 1
        assert "unauthenticated" in errors


async def test_even_quit_fails_for_who_is_not_let_in() -> None:
    async with live() as house:
        code, _, errors = await play(house, "quit\n", "wrong")
        assert code == 1
        assert "refused: unauthenticated" in errors


async def test_what_a_mail_says_is_fetched_and_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str, str]] = []

    def content(http: str, token: str, interaction: str) -> Json:
        asked.append((http, token, interaction))
        return {"interaction": interaction, "messages": [{"author": "customer", "text": "My parcel"}], "notes": []}

    monkeypatch.setattr(terminal, "content", content)
    async with live() as house:
        house.desk.arrive(text="", blobs=(MAIL,))
        code, messages, errors = await play(house, "ready\naccept\nsay hello\nquit\n")
        assert (code, errors) == (0, "")
        assert asked == [("http://127.0.0.1:8080", "dev-ana", "i-1")]
        assert [m["messages"][0]["text"] for m in messages if m["type"] == "content"] == ["My parcel"]


async def test_a_mail_that_cannot_be_read_is_no_end_and_is_told_in_words() -> None:
    async with live() as house:
        house.desk.arrive(text="", blobs=(MAIL,))
        out, errors = io.StringIO(), io.StringIO()
        script = Script("dev-ana", house.url, False, out, errors, "http://127.0.0.1:1")
        assert await _script(script, io.StringIO("ready\naccept\nquit\n")) == 0
        assert "the text of i-1 cannot be shown: http://127.0.0.1:1 cannot be reached" in errors.getvalue()


@pytest.mark.parametrize("body", [b"no json", b"[]", None])
def test_answers_that_are_no_content_are_told_in_words(body: bytes | None) -> None:
    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if body else 403)
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        with pytest.raises((OSError, ValueError)):
            reading.content(f"http://127.0.0.1:{server.server_port}", "dev-ana", "i-1")


def test_an_address_that_is_none_is_told_in_words() -> None:
    with pytest.raises(ValueError, match="no address such as"):
        reading.content("file:///etc", "dev-ana", "i-1")


async def test_a_script_that_reaches_nobody_gives_up_and_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "UNREACHABLE_S", 0.05)
    out, errors = io.StringIO(), io.StringIO()
    code = await _script(Script("x", "ws://127.0.0.1:1/agent", False, out, errors), io.StringIO("ready\n"))
    assert code == 1
    assert "./run" in errors.getvalue()


async def test_auto_takes_everything_and_completes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "AUTO_TALK_S", 0.0)
    async with live() as house:
        script = Script("dev-ana", house.url, True, io.StringIO(), io.StringIO())
        task = asyncio.create_task(script.link.run())
        done = 0
        for _ in range(3):
            house.desk.arrive()
        while done < 3:
            script.changed.clear()
            await script.changed.wait()
            done = sum(item.state == 4 for item in house.desk.engine.state.interactions.values())
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_the_command_reads_a_pipe(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("quit\n"))
    monkeypatch.setattr(terminal, "UNREACHABLE_S", 0.05)
    assert run_agent("ana", url="ws://127.0.0.1:1/agent") in (0, 1)
    assert capsys.readouterr().out == ""


# --- the screen -------------------------------------------------------------------------------------------------------


def drawn(screen: Screen, width: int = 100, height: int | None = None) -> str:
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    console.print(screen.draw(), height=height)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


async def test_keys_do_what_the_footer_says_and_the_screen_shows_it() -> None:
    async with live() as house:
        screen = Screen("dev-ana", house.url, False)
        assert "connecting" in drawn(screen)
        task = asyncio.create_task(screen.link.run())

        async def shows(*words: str) -> str:
            while not all(word in (text := drawn(screen)) for word in words):
                screen.changed.clear()
                await screen.changed.wait()
            return text

        await shows("not ready")
        screen.pressed("r")
        await shows(" ready ")
        house.desk.arrive("chat", "my parcel [red]4711[/red]", (Blob("ab" * 32, 3, "image/png", "a\x1b[2J.png"),))
        assert "▮" in await shows("o-1", "chat / support")
        screen.pressed("a")
        await shows(" i-1 ", "chat / support / active", "customer: my parcel [red]4711[/red] [a [2J.png]")
        screen.pressed("tgood mornink\x7fg")
        await shows("say to i-1", "good morning▏")
        screen.pressed("\r")
        await shows("agent: good morning")
        screen.pressed("tno\x1b")
        screen.pressed("h")
        await shows("on hold")
        screen.pressed("h")
        await shows("/ active")
        screen.pressed("ocall back")
        await shows("note on i-1", "call back▏")
        screen.pressed("\r")
        await shows("note by ana: call back")
        house.desk.do(c.Note(interaction=1, text="regular", by="operator:sam"))
        house.desk.do(c.Append(thread="chat:1", message=Message("thanks")))
        await shows("note by operator:sam: regular", "customer: thanks")
        screen.pressed("\x1b[A")  # an arrow: nothing
        screen.pressed("\t")
        screen.pressed("c")
        await shows("wrap-up", "i-1 completed")
        screen.pressed("w")
        await shows("wrap-up-finished")
        house.desk.arrive()
        await shows("o-2")
        screen.pressed("d")
        await shows("offer o-2 declined")
        screen.pressed("n")
        await shows("not ready")
        screen.pressed("q")
        assert screen.done
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@contextlib.asynccontextmanager
async def at_screen(house: LiveHouse, **channels: config.Channel) -> AsyncIterator[Screen]:
    """Ana, ready, in a house that has these channels, too."""
    house.desk.do(c.Configure(document=config.to_bytes(replace(CONFIG, channels={**CONFIG.channels, **channels}))))
    screen = Screen("dev-ana", house.url, False)
    task = asyncio.create_task(screen.link.run())
    screen.pressed("r")
    try:
        async with asyncio.timeout(10):
            yield screen
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def shown(screen: Screen, *words: str, width: int = 100, height: int | None = None) -> list[str]:
    """The lines of the screen as soon as all of this stands there."""
    while not all(word in (text := drawn(screen, width, height)) for word in words):
        screen.changed.clear()
        await screen.changed.wait()
    return text.splitlines()


def visitor(**attributes: str) -> c.Arrive:
    held = {"ticket": "A-022", **attributes}
    return c.Arrive(channel="walkin", threads=("visitor:1",), name="Eva", attributes=held)


WALKIN = config.Channel(cap=1, show_within=config.Duration(0))


async def test_the_ticket_that_a_visitor_holds_stands_before_their_name_in_offer_and_work() -> None:
    async with live() as house, at_screen(house, walkin=WALKIN) as screen:
        house.desk.do(visitor(ticket="A017\x1b[2J"))
        (line,) = [line for line in await shown(screen, "walkin / support") if "o-1" in line]
        assert line.strip("│ ").endswith("A017 [2J · Eva")
        screen.pressed("a")
        lines = await shown(screen, "walkin / support / active, called 1x")
        assert [line for line in lines if "i-1  A017 [2J · Eva" in line]


async def test_a_visitor_is_called_again_and_is_there_by_key() -> None:
    async with live() as house, at_screen(house, walkin=WALKIN) as screen:
        assert "g call again" not in drawn(screen)
        house.desk.do(visitor())
        await shown(screen, "o-1")
        screen.pressed("a")
        await shown(screen, "called 1x", "g call again", "v visitor is here")
        screen.pressed("g")
        await shown(screen, "called 2x")
        screen.pressed("v")
        while screen.mirror.interactions["i-1"]["connected"] is False:
            screen.changed.clear()
            await screen.changed.wait()
        assert "called" not in drawn(screen)
        assert "g call again" not in drawn(screen)


async def test_a_script_calls_a_visitor_again_and_says_that_they_are_there() -> None:
    async with live() as house:
        channels = {**CONFIG.channels, "walkin": WALKIN}
        house.desk.do(c.Configure(document=config.to_bytes(replace(CONFIG, channels=channels))))
        house.desk.do(visitor())
        code, messages, errors = await play(house, "ready\naccept\nrecall\narrived\nquit\n")
        assert (code, errors) == (0, "")
        updates = [message["cause"] for message in messages if message["type"] == "interaction_updated"]
        assert updates == ["called", "called", "connected"]


@pytest.mark.parametrize(
    ("channel", "says"),
    [
        ("phone", "a caller does not see what is typed: speak on your telephone; o writes a note"),
        (
            "walkin",
            "a visitor does not see what is typed: speak to them; o writes a note, c completes; g calls them again",
        ),
        ("fax", "nobody would read what is typed here; o writes a note for colleagues"),
    ],
)
async def test_typing_to_who_does_not_read_is_refused_with_what_can_be_done(channel: str, says: str) -> None:
    async with live() as house, at_screen(house, **{channel: WALKIN}) as screen:
        house.desk.do(replace(visitor(), channel=channel))
        await shown(screen, "o-1")
        screen.pressed("a")
        await shown(screen, "/ active")
        screen.pressed("thello\r")
        assert says in " ".join(drawn(screen).split())
        assert screen.draft is None
        assert not [command for command in house.desk.commands if isinstance(command, c.Say)]


async def test_what_is_typed_goes_to_whom_it_was_begun_for() -> None:
    async with live() as house, at_screen(house) as screen:
        house.desk.arrive()
        await shown(screen, "o-1")
        screen.pressed("a")
        await shown(screen, "/ active")
        screen.pressed("tfor the first")
        house.desk.arrive()
        while not screen.mirror.offers:
            screen.changed.clear()
            await screen.changed.wait()
        screen.link.do("accept", offer=next(iter(screen.mirror.offers)))
        await shown(screen, " i-2 ")
        assert screen.current == "i-2"
        screen.pressed("\r")
        await shown(screen, "agent: for the first")
        assert [said.interaction for said in house.desk.commands if isinstance(said, c.Say)] == [1]


async def test_an_offer_that_was_declined_and_comes_back_says_so() -> None:
    async with live() as house, at_screen(house) as screen:
        house.desk.arrive()
        await shown(screen, "o-1")
        assert terminal.DECLINED_BEFORE not in drawn(screen)
        screen.pressed("d")
        await shown(screen, "o-2", terminal.DECLINED_BEFORE)
        screen.pressed("a")
        await shown(screen, "/ active")
        assert not screen.declined, "it is theirs: what comes of it later is another matter"


async def test_forty_columns_show_offers_and_keys_whole() -> None:
    async with live() as house, at_screen(house, walkin=WALKIN) as screen:
        house.desk.do(replace(visitor(), name="Maximiliana", subject="support"))
        lines = await shown(screen, "o-1", width=40, height=20)
        assert len(lines) <= 20
        assert all(len(line) <= 40 for line in lines)
        text = "\n".join(lines)
        for word in ("A-022 · Maximiliana", "walkin / support", "r ready", "a accept", "d decline", "q quit"):
            assert word in text
        assert "…" not in text
        assert text.count("support") == 1, "a topic that is the queue's name is said once"


async def test_a_long_conversation_leaves_the_keys_in_sight() -> None:
    async with live() as house, at_screen(house) as screen:
        house.desk.arrive(text="line\n" * 60)
        await shown(screen, "o-1")
        screen.pressed("a")
        lines = await shown(screen, "/ active", "q quit", height=16)
        assert len(lines) <= 16
        for n in range(9):
            screen.noted(f"news {n} " + "of many words " * 9)
        text = "\n".join(await shown(screen, "q quit", "news 8", width=40, height=16))
        assert "news 5" not in text


def test_nothing_that_customers_write_moves_the_cursor() -> None:
    assert plain("a\x1b[2Jb\nc\x9bd\u202ee") == "a [2Jb c d e"
    assert len(plain("x" * 10_000)) == 500


async def test_the_screen_shows_what_a_mail_says(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"author": "customer", "text": "Hello,\n\nmy parcel\x1b[2J\n" + "line\n" * 30}
    monkeypatch.setattr(terminal, "content", lambda *_: {"interaction": "i-1", "messages": [said], "notes": []})
    async with live() as house:
        house.desk.arrive(text="", blobs=(MAIL,))
        screen = Screen("dev-ana", house.url, False)
        task = asyncio.create_task(screen.link.run())
        screen.pressed("r")
        while not screen.readable:
            screen.changed.clear()
            screen.pressed("a" if screen.mirror.offers else "")
            screen.changed.clear()
            await screen.changed.wait()
        shown = drawn(screen)
        assert "customer: Hello," in shown
        assert "my parcel [2J" in shown
        assert "..." in shown
        screen.mirror.interactions["i-1"]["messages"][0]["sender"] = "mallory@example.org"
        assert "customer mallory@example.org: Hello," in drawn(screen)
        screen.mirror.interactions["i-1"]["sender"] = "mallory@example.org"
        assert "customer: Hello," in drawn(screen)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a pseudo terminal")
def test_a_person_at_a_terminal_quits_with_q(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.openpty()
    shown = bytearray()

    def person() -> None:
        """Reads what is drawn, and presses q when there is something to see."""
        with contextlib.suppress(OSError):  # the terminal is gone
            while data := os.read(ours, 4_096):
                if b"q quit" in shown + data and b"q quit" not in shown:
                    os.write(ours, b"q")
                shown.extend(data)

    watching = threading.Thread(target=person, daemon=True)
    with open(theirs, closefd=False) as stdin, open(theirs, "w", closefd=False) as stdout:
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.setattr(sys, "stdout", stdout)
        watching.start()
        assert run_agent("ana", url="ws://127.0.0.1:1/agent") == 0
    os.close(theirs)
    watching.join(5)
    os.close(ours)
    assert b"connecting" in shown


def test_the_first_argument_makes_the_token_of_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []

    async def fake(script: Script, source: object) -> int:
        made.append((script.link._token, script.link._url))
        return 0

    monkeypatch.setattr(terminal, "_script", fake)
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert run_agent("ana") == 0
    assert made == [("dev-ana", "ws://127.0.0.1:8081/agent")]
