"""What becomes of a conversation by the facts of the journal: the only way by which words reach a visitor (rule 2)."""

from __future__ import annotations

from channels.chat import render as out
from channels.chat.conversation import (
    IDLE,
    LEFT,
    THREAD,
    Conversation,
)
from channels.chat.lines import Lines
from channels.chat.parse import (
    Ident,
)
from router.engine import events as e
from router.engine.events import Message
from router.engine.views import (
    Estimate,
    Inform,
    MessageView,
    attachments_of,
    interaction_id,
)


class Facts(Lines):
    """From durable facts to frames."""

    def informed(self, news: Inform) -> None:
        """A fact about an interaction of ours, durable, in the order of the journal."""
        visitor = next((t.removeprefix(THREAD) for t in news.threads if t.startswith(THREAD)), "")
        conversation = self.conversations.get(visitor)
        if conversation is None:
            if not visitor or not isinstance(news.event, e.InteractionArrived):
                return
            conversation = self._conversation(visitor, fresh=False)
        self._fact(conversation, news)

    def _fact(self, conversation: Conversation, news: Inform) -> None:
        match news.event:
            case e.InteractionArrived() as arrived:
                self._learn(conversation, news.interaction)
                self._queued(conversation)
                if arrived.message is not None:
                    self._word(conversation, "customer", arrived.message, "", news.at_ms)
            case e.MessageAdded() as added if news.interaction == conversation.newest:
                name = news.agent_name or conversation.agent if added.author == "agent" else ""
                self._word(conversation, added.author, added.message, name, news.at_ms)
            case _ if news.interaction != conversation.open:
                pass  # about one that is over
            case e.OfferAccepted() as accepted:
                conversation.state, conversation.shown, conversation.asked = "active", None, False
                self._answers(conversation, accepted.agent, news.agent_name)
            case e.ConsultCompleted() as given:
                self._answers(conversation, given.agent, news.agent_name)
            case e.ConsultJoined():
                self._put(conversation, out.Joined(name=news.agent_name, transcript=self._may_copy(conversation)))
            case e.Requeued() | e.Transferred() | e.ConnectFailed() | e.Moved():
                conversation.state, conversation.agent, conversation.holder = "queued", "", ""
                conversation.attention.spoke("customer", news.at_ms)  # it is our turn again
                self._queued(conversation, "moved" if isinstance(news.event, e.Transferred) else "returned")
            case e.CallbackOffered() as asked:
                self._ask(conversation, asked.told)
            case e.InteractionEnded() as ended:
                self._ended(conversation, IDLE if ended.why == IDLE else ended.reason, ended.told)
            case _:
                pass  # the desk's own business

    def _answers(self, conversation: Conversation, holder: str, name: str) -> None:
        """From here on it is this agent who has the conversation."""
        conversation.holder, conversation.agent, conversation.answered = holder, name, True
        conversation.attention.seen_ms = 0
        self._put(conversation, out.Joined(name=name, transcript=self._may_copy(conversation)))

    def _word(self, conversation: Conversation, author: str, message: Message, name: str, now: int) -> None:
        """Something was said. A visitor's own word goes back to its sender as `delivered`, under the same number."""
        ident: Ident | None = None
        own, sender = None, 0
        if author == "customer" and message.external_id:
            pending = conversation.pending.pop(message.external_id, None)
            ident = pending.ident if pending else message.external_id
            if pending:
                own, sender = out.Delivered(re=ident, at_ms=now), pending.line
        if not message.text and not message.blobs:
            return  # a hello that met an open interaction: nobody said anything
        if author == "customer" and conversation.attention.alive(now):
            self._put(conversation, out.Idle(closes_at_ms=0))
        conversation.attention.spoke(author, now)
        view = MessageView(author, now, message.text, name, attachments_of(message))
        said = self._as_said(conversation, view, ident)
        conversation.stream.say(said)
        frame = out.Message(author=author, text=said.text, at_ms=now, id=ident, name=name, attachments=said.attachments)
        self._put(conversation, frame, sender, own)

    def _queued(self, conversation: Conversation, reason: str = "") -> None:
        # Who is being offered, or was taken in the batch behind this fact, has no place in the line: they are next.
        conversation.shown = self._look.estimate(conversation.open) or Estimate(1, None)
        self._show_place(conversation, conversation.shown, reason)

    def _show_place(self, conversation: Conversation, place: Estimate, reason: str) -> None:
        name, wait = interaction_id(conversation.open), place.expected_wait_s
        self._put(
            conversation, out.Queued(interaction=name, position=place.position, expected_wait_s=wait, reason=reason)
        )

    def _ask(self, conversation: Conversation, told: str) -> None:
        """Nobody is asked who cannot be called: where no gateway can, the fact is none of the visitor's business."""
        if self._look.callback_offer(conversation.open) is not None:
            conversation.asked = True
            self._put(conversation, out.CallbackOffered(interaction=interaction_id(conversation.open), text=told))

    def _ended(self, conversation: Conversation, reason: str, told: str = "") -> None:
        frame = out.Ended(interaction=interaction_id(conversation.open), reason=reason, text=told)
        conversation.open, conversation.state, conversation.agent, conversation.asked = 0, "ended", "", False
        conversation.holder, conversation.reason, conversation.shown = "", reason, None
        conversation.attention.asked_ms = conversation.attention.owing_ms = 0
        frame.letter = self._may_write(conversation)
        conversation.since_ms = self._look.now_ms()
        self._open_ones -= 1
        self._put(conversation, frame)
        for line in [line for line in conversation.lines if line.leaving]:
            self._hang_up(line, LEFT, "goodbye")
