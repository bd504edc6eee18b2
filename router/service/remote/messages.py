"""What an engine and an edge say to each other, without I/O.

A frame is four bytes with the length of what follows, a byte that says of what kind it is, and a body in MessagePack:

    engine -> edge                                      edge -> engine
    CHALLENGE  a number used once                       HELLO     who it is, a number used once, its proof
    WELCOME    its proof; epoch and last durable record COMMANDS  (number, command), several in one
    RECORDS    a batch that is durable                  BEAT      I am still there
    ANSWERS    to commands, and: that was all of the batch
    DUTY       whether this edge delivers what goes out once
    BEAT       I am still there
    SIGNALS    of other edges                           SIGNALS   for people at other edges
    GOODBYE    why it hangs up

Both ends prove that they know the secret, and over which numbers, so neither a listener nor a stranger who waits at the
address of an engine that died learns anything that they could use. Until then a frame may be short only.

The order is the whole of the protocol. RECORDS come before the ANSWERS of the commands that made them, so an edge that
answers its outside knows the facts; each answer says how many records had been decided before its command, so what the
outside is told comes in the order in which one process would have told it. SIGNALS (`signals`) are no facts: they have
no answer, nothing waits for them, and who is slow does not get them. They go to who greeted as one that takes them.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterator, Sequence
from typing import cast

import msgspec
from msgspec import Raw, Struct

from router.engine.commands import AnyCommand, Reply
from router.errors import BadMessage, ClientError, ConfigError, Refusal, RouterError
from router.service.signals import Passed

VERSION = 1  # of these frames; both ends must have the same
HEAD = 4
FIRST_MOST = 4_096  # bytes of a frame before both have proved themselves
# A batch is some hundred records at most unless the disk was very slow; a configuration of a large house is a megabyte.
FRAME_MOST = 64 * 1_048_576

CHALLENGE, WELCOME, RECORDS, ANSWERS, DUTY, BEAT, GOODBYE, HELLO, COMMANDS, SIGNALS = range(1, 11)

SIGNALS_IN_ONE = 500
SIGNALS_MOST = 1_048_576  # bytes of one frame: they are passed on to everybody
SIGNALS_BEHIND = 1_048_576  # bytes that somebody has not taken yet, from which on they get no signals


class Challenge(Struct, array_like=True, frozen=True):
    version: int
    nonce: bytes


class Hello(Struct, array_like=True, frozen=True):
    version: int
    edge: str  # another one in each process
    nonce: bytes
    proof: bytes
    signals: bool = False  # takes them


class Welcome(Struct, array_like=True, frozen=True):
    proof: bytes
    epoch: int  # of who leads: with it the entries of the log that it writes are named
    seq: int  # the last durable record; RECORDS begin with the next
    signals: bool = False  # passes them on


class Answer(Struct, array_like=True, frozen=True, gc=False):
    """`before`: how many records had been decided when the command came."""

    number: int
    before: int
    interaction: int = 0
    duplicate: bool = False
    joined: bool = False
    code: str = ""  # of a refusal
    words: tuple[str, ...] = ()
    retry_after_s: int = 0


class Malformed(Exception):
    """The other end does not speak this protocol: hang up."""


# --- frames -----------------------------------------------------------------------------------------------------------


def frame(kind: int, body: bytes) -> bytes:
    return (len(body) + 1).to_bytes(HEAD, "big") + bytes((kind,)) + body


class Splitter:
    """Bytes as they come, frames as they were. `most` is the longest that is taken."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """(kind, body) of each frame that is whole now. Raises Malformed."""
        buffer = self._buffer
        buffer += data
        at = 0
        try:
            while len(buffer) - at >= HEAD:
                size = int.from_bytes(buffer[at : at + HEAD], "big")
                if not 1 <= size <= self.most:
                    raise Malformed(f"a frame of {size} bytes")
                end = at + HEAD + size
                if len(buffer) < end:
                    break
                kind, body = buffer[at + HEAD], bytes(buffer[at + HEAD + 1 : end])
                at = end
                yield kind, body
        finally:
            del buffer[:at]


_encode = msgspec.msgpack.Encoder().encode
encode_command: Callable[[AnyCommand], bytes] = msgspec.msgpack.Encoder().encode
_challenge = msgspec.msgpack.Decoder(Challenge).decode
_hello = msgspec.msgpack.Decoder(Hello).decode
_welcome = msgspec.msgpack.Decoder(Welcome).decode
_answers = msgspec.msgpack.Decoder(list[Answer]).decode
_records = msgspec.msgpack.Decoder(tuple[int, list[bytes]]).decode
_commands = msgspec.msgpack.Decoder(list[tuple[int, Raw]]).decode
_command: Callable[[Raw], AnyCommand] = msgspec.msgpack.Decoder(AnyCommand).decode
_text = msgspec.msgpack.Decoder(str).decode
_flag = msgspec.msgpack.Decoder(bool).decode
encode_signal: Callable[[Passed], bytes] = msgspec.msgpack.Encoder().encode
_signals = msgspec.msgpack.Decoder(list[Raw]).decode
_signal = msgspec.msgpack.Decoder(Passed).decode


def challenge(nonce: bytes) -> bytes:
    return frame(CHALLENGE, _encode(Challenge(VERSION, nonce)))


def hello(edge: str, nonce: bytes, proof: bytes) -> bytes:
    return frame(HELLO, _encode(Hello(VERSION, edge, nonce, proof, signals=True)))


def welcome(proof: bytes, epoch: int, seq: int) -> bytes:
    return frame(WELCOME, _encode(Welcome(proof, epoch, seq, signals=True)))


def records(first_seq: int, payloads: Sequence[bytes]) -> bytes:
    return frame(RECORDS, _encode((first_seq, payloads)))


def answers(found: Sequence[Answer]) -> bytes:
    return frame(ANSWERS, _encode(found))


def duty(delivers: bool) -> bytes:
    return frame(DUTY, _encode(delivers))


def goodbye(why: str) -> bytes:
    return frame(GOODBYE, _encode(why))


def commands(asked: Sequence[tuple[int, Raw]]) -> bytes:
    return frame(COMMANDS, _encode(asked))


def signals(passed: Sequence[Raw]) -> Iterator[bytes]:
    """In frames that everybody takes."""
    for first in range(0, len(passed), SIGNALS_IN_ONE):
        yield frame(SIGNALS, _encode(passed[first : first + SIGNALS_IN_ONE]))


def signals_again(body: bytes) -> bytes:
    """The same frame, for others. Raises Malformed."""
    if len(body) > SIGNALS_MOST:
        raise Malformed(f"{len(body)} bytes of signals")
    return frame(SIGNALS, body)


BEAT_FRAME = frame(BEAT, b"")


def _read(decode: object, body: bytes) -> object:
    try:
        return decode(body)  # type: ignore[operator]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(str(error)) from error


def read_challenge(body: bytes) -> Challenge:
    """As all `read_...`: raises Malformed."""
    return _same_version(_read(_challenge, body))  # type: ignore[return-value]


def read_hello(body: bytes) -> Hello:
    return _same_version(_read(_hello, body))  # type: ignore[return-value]


def _same_version(found: object) -> object:
    if found.version != VERSION:  # type: ignore[attr-defined]
        raise Malformed(f"it speaks version {found.version} of the link, this is version {VERSION}")  # type: ignore[attr-defined]
    return found


def read_welcome(body: bytes) -> Welcome:
    return _read(_welcome, body)  # type: ignore[return-value]


def read_records(body: bytes) -> tuple[int, list[bytes]]:
    return _read(_records, body)  # type: ignore[return-value]


def read_answers(body: bytes) -> list[Answer]:
    return _read(_answers, body)  # type: ignore[return-value]


def read_duty(body: bytes) -> bool:
    return _read(_flag, body)  # type: ignore[return-value]


def read_goodbye(body: bytes) -> str:
    return _read(_text, body)  # type: ignore[return-value]


def read_commands(body: bytes) -> list[tuple[int, Raw]]:
    return _read(_commands, body)  # type: ignore[return-value]


def read_signals(body: bytes) -> Iterator[Passed]:
    """Those that this version knows: nothing depends on a signal."""
    for raw in cast("list[Raw]", _read(_signals, body)):
        try:
            passed = _signal(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue
        yield passed


def read_command(raw: Raw) -> AnyCommand:
    """One that this version does not know is refused and costs the others nothing: edges may be newer for a while.

    Raises BadMessage.
    """
    try:
        return _command(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadMessage(f"the engine does not understand this command: {error}") from error


# --- proofs -----------------------------------------------------------------------------------------------------------


def proof(secret: str, who: str, engines: bytes, edges: bytes) -> bytes:
    """Of `who` ("engine" or "edge"), over the numbers that both chose."""
    return hmac.digest(secret.encode(), b"switchboard link " + who.encode() + b"\0" + engines + edges, hashlib.sha256)


def proves(found: bytes, secret: str, who: str, engines: bytes, edges: bytes) -> bool:
    return len(edges) == len(engines) == NONCE and hmac.compare_digest(found, proof(secret, who, engines, edges))


NONCE = 32  # bytes
NOT_PROVED = "this edge and this engine have different secrets (link.secret); it must be the same on all machines"


# --- answers ----------------------------------------------------------------------------------------------------------


def answer_of(number: int, before: int, outcome: Reply | RouterError) -> Answer:
    if isinstance(outcome, Reply):
        return Answer(number, before, outcome.interaction, outcome.duplicate, outcome.joined)
    retry_s = outcome.retry_after_s if isinstance(outcome, Refusal) else 0
    if isinstance(outcome, ConfigError):
        words: tuple[str, ...] = (outcome.path, outcome.expected, outcome.found)
    else:
        words = (str(outcome),)
    return Answer(number, before, code=outcome.code, words=words, retry_after_s=retry_s)


def outcome_of(answer: Answer) -> Reply | RouterError:
    if not answer.code:
        return Reply(interaction=answer.interaction, duplicate=answer.duplicate, joined=answer.joined)
    kind = _KINDS.get(answer.code)
    text = answer.words[0] if answer.words else answer.code
    if kind is ConfigError and len(answer.words) == 3:
        return ConfigError(*answer.words)
    if kind is not None and issubclass(kind, Refusal):
        return kind(text, answer.retry_after_s)
    if kind is not None and issubclass(kind, ClientError):
        return kind(text)
    error = ClientError(text) if kind is None else RouterError(text)
    error.code = answer.code  # a newer engine's refusal keeps its name
    return error


def _kinds(of: type[RouterError]) -> Iterator[tuple[str, type[RouterError]]]:
    """By code. What has none of its own is a matter of this process, and its parent to all others."""
    if "code" in vars(of):
        yield of.code, of
    for kind in of.__subclasses__():
        yield from _kinds(kind)


_KINDS = dict(_kinds(RouterError))
