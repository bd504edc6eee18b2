"""What a visitor's client is told: JSON text frames with `type` and `seq`.

`seq` counts the frames of one visitor's stream without gaps. Three kinds of frames take no number of their own: a
welcome says where the stream stands for this socket (the next frame is `seq` + 1), as do `typing` and `read`, which
tell of the moment and are never told again; and an error before the welcome carries 0.
Clients ignore fields and types that they do not know.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

Ident = str | int


class Frame(Struct, kw_only=True, omit_defaults=True, tag_field="type", tag=str.lower):
    """Base of all frames. The stream sets `seq` just before it encodes one."""

    seq: int = -1  # never sent as such, so that omit_defaults keeps 0


class Attachment(Struct, frozen=True):
    """A file that came with a message."""

    name: str
    media_type: str
    size: int  # bytes
    url: str = ""  # path on the HTTP port, as a download; good for as long as the server keeps its secret


class Said(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One message of a transcript."""

    author: str  # customer, agent, system
    text: str
    at_ms: int  # Unix milliseconds
    id: Ident | None = None  # the client's own id, on its visitor's messages of this process's life
    name: str = ""  # of the agent
    attachments: tuple[Attachment, ...] = ()


class Welcome(Frame):
    """`resumed`: nothing was missed that does not follow now. Otherwise `messages` replaces what the client had."""

    token: str
    interaction: str | None
    resumed: bool
    state: str  # none, queued, active, ended
    name: str = ""  # of the agent who answers
    position: int = 0
    expected_wait_s: int | None = None
    reason: str = ""  # why it ended
    messages: tuple[Said, ...] | None = None
    truncated: bool = False  # the transcript had more before these
    callback_offered: bool = False  # they were asked whether to call them back, and may still say yes
    read_ms: int = 0  # the agent has read everything up to the message with this time
    closes_at_ms: int = 0  # the visitor was asked whether they are still there; as in `idle`
    letter: bool = False  # nobody can talk now, but a `letter` can be left
    transcript: bool = False  # `transcript` may be asked for


class Queued(Frame, omit_defaults=True):
    """Waiting; 1 is the next. `expected_wait_s` is null while there is too little to tell from."""

    interaction: str  # another one than before: the messages that follow are a new conversation
    position: int
    expected_wait_s: int | None
    # Why the place is no better than before. `higher-priority`: somebody who goes first came in, came back, or has by
    # now waited longer beside what was promised. `returned`: an agent had it who could not stay. `moved`: it waits for
    # others now. Left out: nothing of the kind.
    reason: str = ""


class CallbackOffered(Frame, tag="callback_offered"):
    """The visitor may be called back instead of waiting here: `callback` says yes. `text` is to be shown."""

    interaction: str
    text: str = ""


class Joined(Frame):
    """Somebody answers. With `transcript` the visitor may ask for one."""

    name: str
    transcript: bool = False


class AgentTyping(Frame, tag="typing"):
    """The agent writes, or (`on` false) no longer. Over as well when it is not said again within some seconds."""

    name: str
    on: bool


class AgentRead(Frame, tag="read"):
    """The agent has seen every message up to the one with this time."""

    at_ms: int


class Idle(Frame):
    """The visitor was silent for long and the conversation ends at that time; 0: it does not any more."""

    closes_at_ms: int


class Message(Frame):
    """Something said. A customer's message with an id of this client is the same as `delivered` for it."""

    author: str
    text: str
    at_ms: int
    id: Ident | None = None
    name: str = ""
    attachments: tuple[Attachment, ...] = ()


class Delivered(Frame):
    """Message `re` is recorded: it will not be lost any more.

    For its sender it stands in the transcript here, unless it is a `duplicate`: then it has its place already.
    A `letter` and a `transcript` that were asked for are answered so, too.
    """

    re: Ident
    at_ms: int
    duplicate: bool = False


class Ended(Frame):
    """The conversation is over. The next message opens a new one. `text` is what the visitor is to be told of it.

    With the reason `callback` they will be called, with the place that they had. With `letter` one can be left.
    """

    interaction: str
    reason: str
    text: str = ""
    letter: bool = False


class Error(Frame):
    """`re` names the message that was not taken. With `retry_after_s` it may be sent again, same id, after that."""

    code: str
    message: str
    re: Ident | None = None
    retry_after_s: int = 0


_encode = msgspec.json.Encoder().encode


def encode(frame: Frame, seq: int) -> bytes:
    frame.seq = seq
    return _encode(frame)
