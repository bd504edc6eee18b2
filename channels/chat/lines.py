"""What every part of the room builds on: visitors in memory, the lines that show them, and what is put on both."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable, Iterable

from msgspec import structs

from channels.chat import render as out
from channels.chat import tokens
from channels.chat.conversation import (
    FILES,
    LETTERS_MAX,
    OPEN_STATES,
    OVER,
    TALKING,
    TOO_MANY_WINDOWS,
    Action,
    Conversation,
    HangUp,
    Line,
    Look,
    Send,
    Submit,
)
from channels.chat.limits import Bucket, Buckets
from channels.chat.parse import (
    Ident,
)
from channels.chat.render import Attachment, Said
from channels.chat.settings import Settings
from channels.chat.stream import Entry, Stream
from router.engine import commands as c
from router.engine.admission import CAUSES
from router.engine.commands import Reply
from router.engine.views import Attachment as File
from router.engine.views import (
    Estimate,
    MessageView,
)
from router.errors import (
    NotFound,
    RouterError,
)


class Lines:
    """All visitors and their sockets; orders are in `actions`."""

    def __init__(
        self, settings: Settings, look: Look, secret: bytes, chance: Callable[[int], bytes] = secrets.token_bytes
    ) -> None:
        self.actions: deque[Action] = deque()
        self.conversations: dict[str, Conversation] = {}
        self.refusals = 0
        self._settings = settings
        self._look = look
        self._secret = secret
        self._chance = chance
        self._lines: dict[int, Line] = {}
        self._open_ones = 0
        self._openers = Buckets(settings.hello_rate / 60, settings.hello_burst)
        self._openings = 0  # hellos on their way to the journal
        self._draining = False

    # --- visitors in memory -------------------------------------------------------------------------------------------

    def _conversation(self, visitor: str, fresh: bool) -> Conversation:
        """A new place in memory. `fresh`: this visitor never had one, so the numbers may start at 1."""
        s, now = self._settings, self._look.now_ms()
        epoch = int.from_bytes(self._chance(4), "big")
        stream = Stream(epoch, 1 if fresh else now, s.ring, s.transcript, s.transcript_max)
        conversation = Conversation(visitor, stream, Bucket(s.message_rate, s.message_burst, now), now)
        self.conversations[visitor] = conversation
        return conversation

    def _rebuild(self, visitor: str, interaction: int) -> Conversation:
        """From what the desk still knows of this interaction."""
        conversation = self._conversation(visitor, fresh=False)
        try:
            view = self._look.interaction(interaction)
        except NotFound:
            return conversation
        if view.sender != conversation.thread:
            return conversation
        self._learn(conversation, interaction)
        conversation.topic, conversation.name, conversation.language = view.recipient, view.name, view.language
        for said in view.messages:
            self._recall(conversation, said)
        conversation.answered = view.state == "active" or any(said.author == "agent" for said in view.messages)
        if view.state == "active":
            conversation.state, conversation.agent = "active", self._name_of(view.agent)
            conversation.holder = view.agent
        elif view.state in OPEN_STATES:
            conversation.shown = self._look.estimate(interaction) or Estimate(1, None)
            conversation.asked = self._look.callback_offer(interaction) is not None
        else:
            self._open_ones -= 1
            conversation.open, conversation.state, conversation.reason = 0, "ended", view.reason
        return conversation

    def _recall(self, conversation: Conversation, said: MessageView) -> None:
        if said.text or said.attachments:
            name = self._name_of(said.agent) if said.author == "agent" else ""
            conversation.stream.say(self._as_said(conversation, structs.replace(said, agent=name), None))
            conversation.attention.spoke(said.author, said.at_ms)

    def _as_said(self, conversation: Conversation, said: MessageView, ident: Ident | None) -> Said:
        """As visitors see it; `said.agent` is a name here."""
        files = tuple(self._file(conversation, blob) for blob in said.attachments)
        return Said(author=said.author, text=said.text, at_ms=said.at_ms, id=ident, name=said.agent, attachments=files)

    def _file(self, conversation: Conversation, blob: File) -> Attachment:
        ticket = tokens.Ticket(conversation.visitor, blob.digest, blob.size, blob.media_type, blob.name)
        url = f"{FILES}/{tokens.seal_file(self._secret, ticket)}"
        return Attachment(blob.name, blob.media_type, blob.size, url)

    def _name_of(self, agent: str) -> str:
        """As visitors see the agent, who may no longer be in the configuration."""
        try:
            return self._look.agent(agent).name
        except NotFound:
            return agent

    def _learn(self, conversation: Conversation, number: int) -> None:
        was_open = bool(conversation.open)
        conversation.learn(number)
        self._open_ones += bool(conversation.open) - was_open
        if not conversation.lines:
            conversation.since_ms = self._look.now_ms()

    def _forget(self, conversation: Conversation) -> None:
        if self.conversations.get(conversation.visitor) is conversation:
            del self.conversations[conversation.visitor]

    # --- lines --------------------------------------------------------------------------------------------------------

    def _attach(self, line: Line, conversation: Conversation) -> None:
        conversation.lines.append(line)
        if len(conversation.lines) > self._settings.sockets_per_visitor:
            self._hang_up(conversation.lines[0], TOO_MANY_WINDOWS, "opened again elsewhere too often")

    def _detach(self, line: Line) -> None:
        """The line shows nothing any more. Who was only trying to come in leaves no trace."""
        conversation, line.conversation, line.stage, line.backlog = line.conversation, None, OVER, []
        if conversation is None:
            return
        for lines in (conversation.lines, conversation.opening):
            if line in lines:
                lines.remove(line)
        if not conversation.lines:
            conversation.since_ms = self._look.now_ms()
        if conversation.idle and not conversation.newest:
            self._forget(conversation)

    def _hang_up(self, line: Line, code: int, reason: str) -> None:
        if line.stage != OVER:
            self._detach(line)
            self.actions.append(HangUp(line.number, code, reason))

    # --- what is told -------------------------------------------------------------------------------------------------

    def _put(self, conversation: Conversation, frame: out.Frame, sender: int = 0, own: out.Frame | None = None) -> None:
        entry = conversation.stream.put(frame, sender, own)
        self._show(entry, conversation.lines)

    def _show(self, entry: Entry, lines: Iterable[Line]) -> None:
        for line in lines:
            self.actions.append(Send(line.number, entry.seen_by(line.number)))

    def _whisper(self, conversation: Conversation, frame: out.Frame) -> None:
        """To every window, under no number of its own, never again."""
        data = out.encode(frame, conversation.stream.last)
        for line in conversation.lines:
            self.actions.append(Send(line.number, data))

    def _error(self, line: Line, code: str, message: str, re: Ident | None = None, retry_after_s: int = 0) -> None:
        """In the stream once there was a welcome: other windows see it too, and nobody's numbers have a gap."""
        if line.stage == OVER:
            return
        error = out.Error(code=code, message=message, re=re, retry_after_s=retry_after_s)
        if line.stage == TALKING and line.conversation is not None:
            self._put(line.conversation, error)
        else:
            self.actions.append(Send(line.number, out.encode(error, 0)))

    def _submit(self, command: c.AnyCommand, answered: Callable[[Reply | RouterError], None]) -> None:
        self.actions.append(Submit(command, answered))

    # --- what is offered now ------------------------------------------------------------------------------------------

    def _closes_at(self, conversation: Conversation) -> int:
        asked_ms = conversation.attention.asked_ms
        return asked_ms + self._settings.idle_close if asked_ms else 0

    def _may_write(self, conversation: Conversation) -> bool:
        """Whether a letter can be left: where the door was closed, and not where somebody has just been talked to."""
        is_closed = not conversation.open and conversation.reason in CAUSES
        return self._settings.offline is not None and is_closed and conversation.attention.letters < LETTERS_MAX

    def _may_copy(self, conversation: Conversation) -> bool:
        return self._settings.mailed_transcript is not None and conversation.answered
