"""Every option of the visitors' chat. A section that is left out mounts nothing."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from router.engine.config import Duration, Timeout
from router.errors import ConfigError

Positive = Annotated[int, Meta(ge=1)]
Rate = Annotated[float, Meta(gt=0)]

SECRET_MIN = 32  # characters; what hmac-sha256 is worth is not more than its key


class Offline(Struct, frozen=True, forbid_unknown_fields=True):
    """What visitors can do where their queue takes nobody: leave a letter, which arrives as mail."""

    # The address of ours it is for; one that `email.addresses` has and the routing rules take.
    mail_to: Annotated[str, Meta(min_length=3, max_length=254)]
    # How its subject begins; the topic follows.
    subject: Annotated[str, Meta(min_length=1, max_length=100)] = "Message from the website"


class Transcript(Struct, frozen=True, forbid_unknown_fields=True):
    """All that was said, by mail to the visitor, once the conversation is over and if they ask for it."""

    # The address of ours it comes from; answers to it are mail like any other.
    sender: Annotated[str, Meta(min_length=3, max_length=254)]
    # `signed`: only to the address that the embedding page signed. Left out: to any, but one for each conversation, and
    # only where an agent answered: who wants to send mail to strangers in our name must talk to one of us first.
    to: Literal["any", "signed"] = "any"


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """Times are judged on the engine's clock, looked at once in `sweep`."""

    # On the shared websocket port.
    path: str = "/chat"

    # --- who may talk, and as whom ---
    # Signs visitors' tokens. Left out: made at the first start and kept in `chat.secret` in the data folder.
    token_secret: str = ""
    # Shared with the page that embeds the chat, which signs `visitor` with it. Left out: no page is believed.
    visitor_secret: str = ""
    # How long after its last welcome a token brings a finished conversation back. An open one takes it at any age.
    session: Timeout = Timeout(86_400_000)
    # Where a hello without a topic goes. Left out: such a hello is refused.
    default_topic: str = ""

    # --- what is stored of what they write ---
    # Numbers of payment cards become `•••• 1234` before anything is recorded or shown.
    mask_cards: bool = True

    # --- what becomes of visitors who vanish ---
    # No socket for so long: the conversation ends. A tunnel is shorter.
    visitor_grace: Duration = Duration(120_000)
    # With the agent's words last and no sign of life for so long, the visitor is asked whether they are still there; no
    # sign for `idle_close` after that, and the conversation ends, so that its agent has room again. Looking something
    # up takes minutes. "0s": nobody is asked, and nobody is closed for that reason.
    idle_warn: Duration = Duration(600_000)
    idle_close: Duration = Duration(120_000)
    # How long a finished conversation's stream can be resumed from memory.
    keep_ended: Duration = Duration(600_000)
    # How often positions, graces and silent sockets are looked at.
    sweep: Timeout = Timeout(5_000)

    # --- what else is offered ---
    # The script that puts the chat on a page, at /chat/widget.js on the HTTP port. False where pages bring their own.
    widget: bool = True
    # Where nobody can talk. Left out: a visitor whose queue is closed is told so, and that is all.
    offline: Offline | None = None
    # Left out: no transcripts by mail.
    mailed_transcript: Transcript | None = None

    # --- files ---
    # Kinds that visitors may send; pictures and documents are looked at, so that nothing else comes under their name.
    # An empty list: none at all.
    file_types: Annotated[tuple[str, ...], Meta(max_length=50)] = (
        "image/png",
        "image/jpeg",
        "image/gif",
        "image/webp",
        "application/pdf",
        "text/plain",
    )
    # Bytes of one file: a photograph of a telephone, made smaller. `http.body_limit` holds besides.
    file_max: Annotated[int, Meta(ge=1, le=1 << 30)] = 4_000_000
    # Files that a visitor may upload in a minute, all of them at once if need be.
    file_rate: Positive = 20

    # --- limits (those on bytes, connections and connections per address are the websocket port's) ---
    # Characters of one message: longer is a document, not talk.
    text_max: Positive = 4_000
    # Messages per second and visitor, far above typing. The burst is what a client kept while it was offline.
    message_rate: Rate = 20.0
    message_burst: Positive = 200
    # Conversations that one address may open in a minute, so that nobody fills the queue ahead of everybody; the burst
    # is an office behind one address. 0: no limit.
    hello_rate: Annotated[float, Meta(ge=0)] = 30.0
    hello_burst: Positive = 30
    # Frames of any kind per second and socket; beyond it the socket is closed.
    frame_rate: Rate = 40.0
    frame_burst: Positive = 400
    # Frames not understood that a socket may send: a client under development needs some.
    strikes: Annotated[int, Meta(ge=0)] = 10
    # A socket that says nothing for so long is closed: it costs memory and is nobody.
    hello_timeout: Timeout = Timeout(10_000)
    # Windows of one browser. Beyond it the oldest is closed, which may be a dead one.
    sockets_per_visitor: Positive = 20
    # Open at once; about 100 kB each when they are long.
    conversations: Positive = 10_000
    # Messages of one socket that wait for its welcome.
    backlog: Positive = 32
    # Frames of a visitor kept for who was cut off. A longer cut gets the transcript.
    ring: Positive = 256
    # Messages in that transcript, the newest: as many as the engine keeps at hand.
    transcript: Positive = 200
    # Characters of text in it: a welcome must fit what may wait for a slow client.
    transcript_max: Positive = 131_072

    def __post_init__(self) -> None:
        for name in ("token_secret", "visitor_secret"):
            if 0 < len(getattr(self, name)) < SECRET_MIN:
                raise ConfigError(f"chat.{name}", f"at least {SECRET_MIN} characters", "fewer")
        if not self.path.startswith("/"):
            raise ConfigError("chat.path", "a path that starts with /", repr(self.path))
