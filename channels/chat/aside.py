"""What a visitor asks for beside words: shown in passing to the agent, left as a letter, sent as a copy, called back.

Nothing here is part of the transcript, and nothing of it opens a conversation.
"""

from __future__ import annotations

from functools import partial

from channels.chat import render as out
from channels.chat.conversation import (
    THREAD,
    Conversation,
    Line,
    Post,
    Tell,
)
from channels.chat.letter import letter
from channels.chat.lines import Lines
from channels.chat.parse import (
    CallMe,
    Here,
    Ident,
    LeaveLetter,
    Read,
    Received,
    SendCopy,
    Typing,
)
from router.engine import commands as c
from router.engine.commands import Reply
from router.errors import (
    BadMessage,
    IllegalMove,
    NotSupported,
    Refusal,
    RouterError,
)
from router.service.signals import Marks, Signal, Writing


class Aside(Lines):
    """Signals both ways, letters, copies and callbacks."""

    # --- in passing ---------------------------------------------------------------------------------------------------

    def signalled(self, thread: str, signal: Signal) -> None:
        """Something in passing from whoever has this conversation."""
        conversation = self.conversations.get(thread.removeprefix(THREAD))
        if conversation is None or conversation.state != "active":
            return
        if isinstance(signal, Writing):
            self._whisper(conversation, out.AgentTyping(name=signal.name, on=signal.on))
            return
        at_ms = min(signal.read_ms, self._look.now_ms())
        if conversation.attention.see(at_ms):
            self._whisper(conversation, out.AgentRead(at_ms=at_ms))
        self._tell_marks(conversation)  # whoever says how far they are has just come, or wants to know

    def _sign(self, conversation: Conversation | None, frame: Typing | Received | Read | Here) -> None:
        """The visitor types, has got or read something, or is simply there."""
        if conversation is None or not conversation.open:
            return
        now, attention = self._look.now_ms(), conversation.attention
        if not isinstance(frame, Received) and attention.alive(now):
            self._put(conversation, out.Idle(closes_at_ms=0))
        match frame:
            case Typing() if attention.types(frame.on, now):
                self._tell(conversation, Writing(frame.on, conversation.name))
            case Received() if attention.mark(min(frame.at_ms, now), 0):
                self._tell_marks(conversation)
            case Read() if attention.mark(0, min(frame.at_ms, now)):
                self._tell_marks(conversation)
            case _:
                pass  # nothing new

    def _tell(self, conversation: Conversation, signal: Signal) -> None:
        if conversation.holder:
            self.actions.append(Tell(conversation.holder, conversation.open, signal))

    def _tell_marks(self, conversation: Conversation) -> None:
        attention = conversation.attention
        if attention.received_ms:
            self._tell(conversation, Marks(attention.read_ms, attention.received_ms))

    # --- mail ---------------------------------------------------------------------------------------------------------

    def _leave_letter(self, line: Line, frame: LeaveLetter) -> None:
        conversation, offline = line.conversation, self._settings.offline
        assert conversation is not None
        if offline is None or not self._may_write(conversation):
            self._error(line, IllegalMove.code, "no letter can be left here now", frame.id)
            return
        wait_s = self._openers.wait_s(line.address, self._look.now_ms())
        if wait_s:
            self._error(line, "too-fast", "too many letters from this address", frame.id, wait_s)
            return
        try:
            raw = letter(
                visitor=conversation.visitor,
                ident=frame.id,
                to=offline.mail_to,
                subject=f"{offline.subject}: {conversation.topic}",
                email=frame.email,
                name=frame.name or conversation.name,
                language=conversation.language,
                text=frame.text,
            )
        except ValueError:
            self._error(line, BadMessage.code, "email: one address, such as eva@example.com", frame.id)
            return
        conversation.attention.letters += 1
        self.actions.append(Post(raw, offline.mail_to, partial(self._posted, conversation, frame.id)))

    def _posted(self, conversation: Conversation, ident: Ident, problem: RouterError | None) -> None:
        if problem is None:
            self._put(conversation, out.Delivered(re=ident, at_ms=self._look.now_ms()))
            return
        conversation.attention.letters -= 1
        retry_after_s = problem.retry_after_s if isinstance(problem, Refusal) else 0
        error = out.Error(code=problem.code, message=str(problem), re=ident, retry_after_s=retry_after_s)
        self._put(conversation, error)

    def _send_copy(self, line: Line, frame: SendCopy) -> None:
        conversation, policy = line.conversation, self._settings.mailed_transcript
        assert conversation is not None
        if policy is None:
            self._error(line, NotSupported.code, "no transcripts are sent here", frame.id)
            return
        if not self._may_copy(conversation):
            self._error(line, IllegalMove.code, "nobody has answered yet", frame.id)
            return
        if policy.to == "signed" and f"mailto:{frame.email.lower()}" not in conversation.identities:
            self._error(line, NotSupported.code, "transcripts go to the address that is known of you only", frame.id)
            return
        command = c.SendCopy(
            key=f"{conversation.thread}:copy:{conversation.newest}",
            thread=conversation.thread,
            channel="email",
            address=frame.email,
            sender=policy.sender,
        )
        self._submit(command, partial(self._copied, conversation, frame.id))

    def _copied(self, conversation: Conversation, ident: Ident, answer: Reply | RouterError) -> None:
        if isinstance(answer, Reply):
            self._put(conversation, out.Delivered(re=ident, at_ms=self._look.now_ms(), duplicate=answer.duplicate))
            return
        retry_after_s = answer.retry_after_s if isinstance(answer, Refusal) else 0
        error = out.Error(code=answer.code, message=str(answer), re=ident, retry_after_s=retry_after_s)
        self._put(conversation, error)

    # --- callback -----------------------------------------------------------------------------------------------------

    def _call_back(self, line: Line, frame: CallMe) -> None:
        """What comes of it is told by the fact: the conversation ends, and they are called."""
        conversation = line.conversation
        assert conversation is not None
        if not conversation.asked:
            self._error(line, IllegalMove.code, "nobody asked whether to call you back")
            return
        command = c.RequestCallback(
            key=f"{conversation.thread}:callback:{conversation.open}",
            thread=conversation.thread,
            to=frame.phone,
            not_before_ms=frame.at_ms or 0,
        )
        self._submit(command, partial(self._not_called, line))

    def _not_called(self, line: Line, answer: Reply | RouterError) -> None:
        if isinstance(answer, RouterError):
            retry_after_s = answer.retry_after_s if isinstance(answer, Refusal) else 0
            self._error(line, answer.code, str(answer), None, retry_after_s)
