"""An agent in a terminal, for trying things and for scripts: `switchboard agent NAME`.

Two faces on one `Link`:
    Script    lines in, JSON lines out: where stdin is no terminal
    Screen    a person's view, drawn from the mirror four times a second and after every message

A script is a list of wishes, one after another: `accept` waits for an offer and `say` for an interaction, so that
`ready`, `accept`, `say hello`, `complete`, `quit` can be piped in at once.

What customers wrote is printed as text only: no markup, no control characters.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from router.agents.link import Link, now_ms
from router.agents.mirror import Json
from router.agents.reading import HTTP, content

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.panel import Panel
    from rich.segment import Segment
    from rich.text import Text

FIRST_RETRY_S, LAST_RETRY_S = 0.25, 10.0
UNREACHABLE_S = (
    10.0  # a script gives up after this long without any connection; a person is shown the state and may wait
)
AUTO_TALK_S = 1.5  # how long `--auto` takes for an interaction: long enough to be seen
REFRESH_S = 0.25

HELP = """commands, one on a line:
  ready | not_ready [REASON]       accept [OFFER] | decline [OFFER] [REASON]
  say TEXT | note TEXT             hold | resume
  complete [DISPOSITION]           finish | extend SECONDS
  transfer queue|agent|address TO  pick INTERACTION
  consult queue|agent|address TO   join | hand_over | end_consult
  recall | arrived                 use INTERACTION
  wait TYPE                        quit"""


# To whom a text can be written, as at the desk; of all others it is said what can be done instead.
WRITTEN = frozenset(("chat", "email"))
UNWRITTEN = {
    "phone": "a caller does not see what is typed: speak on your telephone; o writes a note, h holds, c completes",
    "walkin": "a visitor does not see what is typed: speak to them; o writes a note, c completes",
}
NOBODY_READS = "nobody would read what is typed here; o writes a note for colleagues, c completes"
DECLINED_BEFORE = "declined before; nobody else is free"

CONSULT = {"join": "join_consult", "hand_over": "complete_consult", "end_consult": "end_consult"}


# --- what both faces share --------------------------------------------------------------------------------------------


class Face:
    """What a person or a script works with: the link, the interaction in hand, what mails say, and `--auto`."""

    def __init__(self, token: str, url: str, auto: bool, http: str = HTTP) -> None:
        self.link = Link(token, url, self.told, self.noted)
        self.mirror = self.link.mirror
        self.auto = auto
        self.current = ""  # the interaction in hand
        self.changed = asyncio.Event()
        self.readable: dict[str, list[Json]] = {}  # by interaction: its messages with what their files say
        self.reading: set[asyncio.Task[None]] = set()
        self._asked: dict[str, int] = {}  # by interaction: how many messages it had when it was last read
        self._token, self._http = token, http

    def told(self, message: Json) -> None:
        if message["type"] == "assigned":
            self.current = message["interaction"]["id"]
        if self.current not in self.mirror.interactions:
            self.current = next(iter(self.mirror.interactions), "")
        if self.auto:
            self._by_itself(message)
        if message["type"] in ("welcome", "assigned", "message"):
            self._read_what_has_no_text()
        self.changed.set()

    def _read_what_has_no_text(self) -> None:
        """A mail comes as a file: what it says has to be fetched."""
        for ident, work in self.mirror.interactions.items():
            said = work["messages"]
            if any(m.get("attachments") and not m.get("text") for m in said[self._asked.get(ident, 0) :]):
                self._asked[ident] = len(said)
                task = asyncio.create_task(self._read(ident))
                self.reading.add(task)
                task.add_done_callback(self.reading.discard)

    async def _read(self, ident: str) -> None:
        try:
            answer = await asyncio.to_thread(content, self._http, self._token, ident)
        except (OSError, ValueError) as problem:
            self.noted(f"the text of {ident} cannot be shown: {problem}")
            return
        if len(answer["messages"]) >= len(self.readable.get(ident, ())):  # two readings may overtake each other
            self.readable[ident] = answer["messages"]
        self.was_read({"type": "content", **answer})
        self.changed.set()

    def was_read(self, answer: Json) -> None:
        """What the messages of an interaction say has come."""

    def noted(self, sentence: str) -> None:
        """Something about the connection."""

    def _by_itself(self, message: Json) -> None:
        later = asyncio.get_running_loop().call_later
        match message["type"]:
            case "welcome" if not message["resumed"]:
                self.link.do("set_state", state="ready")
                for offer in list(self.mirror.offers):
                    self.link.do("accept", offer=offer)
                for ident in list(self.mirror.interactions):
                    later(AUTO_TALK_S, self._auto_complete, ident)
            case "offer":
                self.link.do("accept", offer=message["offer"])
            case "assigned":
                later(AUTO_TALK_S, self._auto_complete, message["interaction"]["id"])
            case "interaction_ended" if message["wrap_up"]:
                later(AUTO_TALK_S / 2, self._auto_complete, message["interaction"])

    def _auto_complete(self, ident: str) -> None:
        found = self.mirror.interactions.get(ident)
        if found is not None:
            kind = "finish_wrap_up" if found["state"] == "wrap-up" else "complete"
            self.link.do(kind, interaction=ident)


# --- lines in, JSON lines out -----------------------------------------------------------------------------------------


class Script(Face):
    """Commands from lines; every message of the server as a JSON line."""

    def __init__(self, token: str, url: str, auto: bool, out: TextIO, errors: TextIO, http: str = HTTP) -> None:
        super().__init__(token, url, auto, http)
        self._out, self._errors = out, errors
        self._seen: dict[str, int] = {}  # how many messages of each type have come
        self._waited: dict[str, int] = {}  # how many of them `wait` has used

    def told(self, message: Json) -> None:
        self._print(message)
        super().told(message)

    def was_read(self, answer: Json) -> None:
        self._print(answer)

    def _print(self, message: Json) -> None:
        self._seen[message["type"]] = self._seen.get(message["type"], 0) + 1
        print(json.dumps(message, ensure_ascii=False), file=self._out, flush=True)

    def noted(self, sentence: str) -> None:
        print(sentence, file=self._errors, flush=True)

    async def run(self, lines: asyncio.Queue[str | None]) -> None:
        """Until `quit`, or the end of the lines; with `--auto` the end of the lines is no end.

        Nothing is done before the welcome, so that a script which is not let in fails, whatever its lines are.
        """
        await self._until(lambda: self.link.seen)
        while (line := await lines.get()) is not None:
            words = line.split()
            if words and words[0] == "quit":
                break
            if words:
                await self._do(words[0], line.strip()[len(words[0]) :].strip(), words[1:])
        else:
            if self.auto:
                await asyncio.get_running_loop().create_future()
        if self.reading:
            await asyncio.wait(self.reading)

    async def _do(self, verb: str, rest: str, words: list[str]) -> None:
        match verb:
            case "ready" | "not_ready":
                await self.link.ask("set_state", state=verb, reason=rest)
            case "accept":
                await self._accept(rest)
            case "decline":
                named = bool(words) and words[0].startswith("o-")
                offer = words[0] if named else await self._offer()
                await self.link.ask("decline", offer=offer, reason=" ".join(words[1:] if named else words))
            case "say" | "note":
                await self.link.ask(verb, interaction=await self._in_hand(), text=rest)
            case "hold" | "resume" | "recall" | "arrived":
                await self.link.ask(verb, interaction=await self._in_hand())
            case "complete":
                await self.link.ask("complete", interaction=await self._in_hand(), disposition=rest)
            case "finish":
                await self.link.ask("finish_wrap_up", interaction=await self._in_hand("wrap-up"))
            case "extend" if rest.isascii() and rest.isdigit():
                in_hand = await self._in_hand("wrap-up")
                await self.link.ask("extend_wrap_up", interaction=in_hand, by_ms=int(rest) * 1000)
            case "transfer" if len(words) == 2:
                await self.link.ask("transfer", interaction=await self._in_hand(), to={words[0]: words[1]})
            case "consult" if len(words) == 2:
                to, in_hand = {words[0]: words[1]}, await self._in_hand()
                await self.link.ask("transfer", interaction=in_hand, to=to, mode="consult")
            case "join" | "hand_over" | "end_consult":
                await self.link.ask(CONSULT[verb], interaction=await self._in_hand())
            case "pick":
                await self.link.ask("pick", interaction=rest)
            case "use":
                self.current = rest
            case "wait":
                await self._until(lambda: self._seen.get(rest, 0) > self._waited.get(rest, 0))
                self._waited[rest] = self._waited.get(rest, 0) + 1
            case _:
                self.noted(f"not understood: {verb} {rest}\n{HELP}")

    async def _accept(self, offer: str) -> None:
        """The offer that was named; otherwise the next one that can be had."""
        while True:
            chosen = offer or await self._offer()
            answer = await self.link.ask("accept", offer=chosen)
            if offer or answer["type"] == "ok":
                return
            self.mirror.offers.pop(chosen, None)

    async def _offer(self) -> str:
        await self._until(lambda: bool(self.mirror.offers))
        return next(iter(self.mirror.offers))

    async def _in_hand(self, state: str = "active") -> str:
        """The current interaction, when it is in this state; waits until one is."""

        def fitting() -> list[str]:
            found = [i for i, interaction in self.mirror.interactions.items() if interaction["state"] == state]
            return [self.current] if self.current in found else found

        await self._until(lambda: bool(fitting()))
        return fitting()[0]

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self.changed.clear()
            await self.changed.wait()


def _read_lines(source: TextIO, lines: asyncio.Queue[str | None], loop: asyncio.AbstractEventLoop) -> None:
    """A thread, because stdin may be a file, which no event loop can wait for."""

    def put(line: str | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended first
            loop.call_soon_threadsafe(lines.put_nowait, line)

    for line in source:
        put(line)
    put(None)


async def _script(script: Script, source: TextIO) -> int:
    lines: asyncio.Queue[str | None] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    threading.Thread(target=_read_lines, args=(source, lines, loop), name="stdin", daemon=True).start()
    linking = asyncio.create_task(script.link.run())
    working = asyncio.create_task(script.run(lines))
    watching = loop.call_later(UNREACHABLE_S, lambda: None if script.link.seen else linking.cancel())
    try:
        await asyncio.wait((linking, working), return_when=asyncio.FIRST_COMPLETED)
    finally:
        watching.cancel()
        ended = linking.done()
        for task in (linking, working):
            task.cancel()
        await asyncio.gather(linking, working, return_exceptions=True)
    if ended and not script.link.seen and not script.link.problem:
        script.noted("nobody answers there; start the server with ./run, or give --url")
    elif script.link.problem:
        script.noted(script.link.problem)
    return 1 if ended else 0


# --- a person's view --------------------------------------------------------------------------------------------------


def plain(text: str, limit: int = 500) -> str:
    """Text of customers without anything that a terminal would obey."""
    return "".join(c if c.isprintable() else " " for c in text[:limit])


def paragraph(text: str, lines: int = 20) -> str:
    """The first lines of a text, each made plain; a mail has more than a chat."""
    found = [plain(line.rstrip()) for line in text.strip().splitlines()]
    return "\n".join([*found[:lines], *(["..."] if len(found) > lines else [])])


def who(interaction: Json) -> str:
    """Whom it is with, as the desk says it: ids that only machines read are no names. "" where nobody knows."""
    record = interaction["customer"].removeprefix("tel:").removeprefix("mailto:")
    known = (interaction["name"], interaction["sender"], record)
    name = next((one for one in known if one and not one.startswith(("chat:", "visitor:", "ref:"))), "")
    return plain(" · ".join(filter(None, (interaction["attributes"].get("ticket"), name))), 60)


def _subject(interaction: Json) -> str:
    """A visitor's topic is often the name of the queue, which is said already."""
    return "" if interaction["subject"] == interaction["queue"] else str(interaction["subject"])


def is_called(interaction: Json) -> bool:
    """A customer who has to come, and has not come yet."""
    return interaction["state"] == "active" and interaction.get("calls", 0) > 0 and not interaction["connected"]


@dataclass
class Draft:
    """What is being typed, and to which interaction: another may come to hand meanwhile."""

    kind: str  # say, note
    interaction: str
    text: str = ""


@dataclass(frozen=True)
class Page:
    """The screen from top to bottom. Where a terminal is too low, what is in the middle is cut, and then old news."""

    head: RenderableType
    middle: RenderableType
    foot: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        from rich.segment import Segment

        free = options.update(height=None)
        head, middle, foot = (console.render_lines(part, free) for part in (self.head, self.middle, self.foot))
        if options.height is not None:
            foot = foot[-max(1, options.height // 2) :]
            middle = middle[: max(0, options.height - len(head) - len(foot))]
        for line in (*head, *middle, *foot):
            yield from line
            yield Segment.line()


class Screen(Face):
    """Keys in, a drawing out."""

    def __init__(self, token: str, url: str, auto: bool, http: str = HTTP) -> None:
        super().__init__(token, url, auto, http)
        self.draft: Draft | None = None
        self.declined: set[str] = set()  # interactions that this agent declined and did not get since
        self.lines: list[str] = []  # what happened last
        self.done = False

    def told(self, message: Json) -> None:
        super().told(message)
        if message["type"] == "error":
            self.noted(f"{message['code']}: {message['message']}")
        elif message["type"] == "welcome":
            for sentence in message.get("warnings", ()):
                self.noted(sentence)
        elif message["type"] == "offer_withdrawn":
            self.noted(f"offer {message['offer']} {message['reason']}")
            if message["reason"] == "declined":
                self.declined.add(message["interaction"])
        elif message["type"] == "assigned":
            self.declined.discard(message["interaction"]["id"])
        elif message["type"] == "interaction_ended":
            self.noted(f"{message['interaction']} {message['reason']}")

    def noted(self, sentence: str) -> None:
        self.lines = [*self.lines[-4:], plain(sentence, 200)]
        self.changed.set()

    # Keys.

    def pressed(self, keys: str) -> None:
        for key in keys.split("\x1b[", 1)[0]:  # arrows and the like mean nothing here
            if self.draft is not None:
                self._typing(self.draft, key)
            else:
                self._command(key)
        self.changed.set()

    def _typing(self, draft: Draft, key: str) -> None:
        if key in "\r\n":
            self.draft = None
            if draft.text.strip():
                self.link.do(draft.kind, interaction=draft.interaction, text=draft.text)
        elif key == "\x1b":
            self.draft = None
        elif key in "\x7f\b":
            draft.text = draft.text[:-1]
        elif key.isprintable():
            draft.text += key

    def _write(self) -> None:
        """Begin a text to the customer, where there is somebody to read it."""
        work = self.mirror.interactions[self.current]
        if work["channel"] in WRITTEN or work["direction"] == "consult":
            self.draft = Draft("say", self.current)
            return
        called = "; g calls them again, v says that they are here" if is_called(work) else ""
        self.noted(UNWRITTEN.get(work["channel"], NOBODY_READS) + called)

    def _command(self, key: str) -> None:
        offer = next(iter(self.mirror.offers), "")
        match key:
            case "r":
                self.link.do("set_state", state="ready")
            case "n":
                self.link.do("set_state", state="not_ready")
            case "a" if offer:
                self.link.do("accept", offer=offer)
            case "d" if offer:
                self.link.do("decline", offer=offer)
            case "t" if self.current:
                self._write()
            case "o" if self.current:
                self.draft = Draft("note", self.current)
            case "g" if self.current:
                self.link.do("recall", interaction=self.current)
            case "v" if self.current:
                self.link.do("arrived", interaction=self.current)
            case "c" if self.current:
                self.link.do("complete", interaction=self.current)
            case "w" if self.current:
                self.link.do("finish_wrap_up", interaction=self.current)
            case "h" if self.current:
                held = self.mirror.interactions[self.current]["on_hold"]
                self.link.do("resume" if held else "hold", interaction=self.current)
            case "\t" if self.current:
                known = list(self.mirror.interactions)
                self.current = known[(known.index(self.current) + 1) % len(known)]
            case "q":
                self.done = True

    # The drawing.

    def draw(self) -> RenderableType:
        from rich.console import Group

        middle = [part for part in (self._offers(), self._work()) if part is not None]
        return Page(self._head(), Group(*middle), self._foot())

    def _head(self) -> Panel:
        from rich.panel import Panel
        from rich.text import Text

        me = self.mirror.agent
        state = me.get("state", "")
        line = Text.assemble(
            (f" {me.get('name', '')} ", "bold"),
            (f" {state.replace('_', ' ')} ", "black on green" if state == "ready" else "black on yellow"),
            f"  {me.get('reason', '')}",
            f"  next: {me['pending']}" if me.get("pending") else "",
            "   ",
            ", ".join(f"{channel} {n}" for channel, n in self.mirror.load.items()),
            "" if self.link.up else ("   connecting ...", "bold red"),
        )
        return Panel(line, title="Switchboard")

    def _offers(self) -> RenderableType | None:
        """In lines and no table, so that forty columns show all of it."""
        from rich.panel import Panel
        from rich.text import Text

        if not self.mirror.offers:
            return None
        text, now = Text(), now_ms() + self.mirror.ahead_ms
        for offer in self.mirror.offers.values():
            what = offer["interaction"]
            left = max(0, -(-(offer["expires_at_ms"] - now) // 1000))
            text.append(f"{offer['offer']}  {who(what)}\n", style="bold")
            text.append(f"  {what['channel']} / {what['queue']}  ")
            text.append(f"{left} s {'▮' * min(left, 10)}\n", style="red" if left <= 5 else "green")
            if subject := _subject(what):
                text.append(f"  {plain(subject, 60)}\n")
            if what["id"] in self.declined:
                text.append(f"{DECLINED_BEFORE}\n", style="yellow")
        text.rstrip()
        return Panel(text, title="Offers")

    def _work(self) -> RenderableType | None:
        from rich.console import Group
        from rich.panel import Panel
        from rich.text import Text

        if not self.mirror.interactions:
            return None
        panels = []
        for ident, work in self.mirror.interactions.items():
            style = "bold cyan" if ident == self.current else "dim"
            title = Text(f"{ident}  {who(work)}".rstrip())
            panels.append(Panel(self._conversation(work), title=title, border_style=style))
        return Group(*panels)

    def _standing(self, work: Json) -> str:
        state = "on hold" if work["on_hold"] else work["state"]
        state = "suspended" if work.get("suspended") else state
        called = f", called {work['calls']}x" if is_called(work) else ""
        return f"{work['channel']} / {work['queue']} / {state}{called}"

    def _conversation(self, work: Json) -> Text:
        from rich.text import Text

        text = Text(self._standing(work), style="dim")
        if subject := _subject(work):
            text.append(f"\n{plain(subject, 100)}", style="italic")
        colours = {"customer": "white", "agent": "green", "system": "dim"}
        readable = self.readable.get(work["id"], [])
        for number, said in list(enumerate(work["messages"]))[-8:]:
            shown = readable[number] if number < len(readable) and not said.get("text") else said
            files = "".join(f" [{plain(a['name'] or a['media_type'], 40)}]" for a in shown.get("attachments", ()))
            sender = said.get("sender", "")
            other = f" {plain(sender, 60)}" if sender not in ("", work["sender"]) else ""
            line = f"\n{said['author']}{other}: {paragraph(shown.get('text', ''))}{files}"
            text.append(line, style=colours.get(said["author"], ""))
        for note in work["notes"][-3:]:
            text.append(f"\nnote by {plain(note['by'], 40)}: {plain(note['text'])}", style="yellow")
        return text

    def _foot(self) -> RenderableType:
        from rich.columns import Columns
        from rich.console import Group
        from rich.text import Text

        news = Text("\n".join(self.lines), style="dim")
        draft = self.draft
        if draft is not None:
            about = "say to" if draft.kind == "say" else "note on"
            prompt = Text(f"{about} {draft.interaction} (Enter sends, Esc cancels): ", style="bold")
            return Group(news, prompt.append(draft.text + "▏", style="not bold"))
        return Group(news, Columns([Text(key, style="bold") for key in self._help()], padding=(0, 2)))

    def _help(self) -> list[str]:
        keys = ["r ready", "n not ready", "a accept", "d decline", "t type", "o note", "h hold"]
        work = self.mirror.interactions.get(self.current)
        if work is not None and is_called(work):
            keys += ["g call again", "v visitor is here"]
        return [*keys, "c complete", "w finish wrap-up", "Tab next", "q quit"]


@contextlib.contextmanager
def _keys(pressed: Callable[[str], None]) -> Iterator[None]:
    """Single keys from the terminal for as long as this lasts."""
    import termios
    import tty

    fd, loop = sys.stdin.fileno(), asyncio.get_running_loop()
    before = termios.tcgetattr(fd)
    tty.setcbreak(fd)
    loop.add_reader(fd, lambda: pressed(os.read(fd, 1_024).decode(errors="ignore")))
    try:
        yield
    finally:
        loop.remove_reader(fd)
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


async def _screen(screen: Screen) -> int:
    from rich.live import Live

    linking = asyncio.create_task(screen.link.run())
    with _keys(screen.pressed), Live(screen=True, auto_refresh=False) as live:
        while not screen.done and not linking.done():
            live.update(screen.draw(), refresh=True)
            screen.changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(screen.changed.wait(), REFRESH_S)
    linking.cancel()
    await asyncio.gather(linking, return_exceptions=True)
    if screen.link.problem:
        print(screen.link.problem, file=sys.stderr)
    return 0 if screen.done else 1


def run_agent(
    name: str, token: str = "", url: str = "", auto: bool = False, script: bool = False, http: str = HTTP
) -> int:
    """Be this agent until told to stop. Exit code: 0 after `quit`, 1 when signing in failed, 130 after Ctrl-C.

    Left out: the token is `dev-NAME`, the addresses those of a server on this machine. `script`: lines instead of a
    screen, which is also what a stdin that is no terminal means. `http` is where the text of mails is read.
    """
    token, url = token or f"dev-{name}", url or "ws://127.0.0.1:8081/agent"

    async def be() -> int:
        if script or not sys.stdin.isatty() or os.name == "nt":
            return await _script(Script(token, url, auto, sys.stdout, sys.stderr, http), sys.stdin)
        return await _screen(Screen(token, url, auto, http))

    try:
        return asyncio.run(be())
    except KeyboardInterrupt:
        return 130
