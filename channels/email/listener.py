"""SMTP and LMTP, on top of aiosmtpd's conversation.

What is ours and why:
- DATA is read in whole buffers, not by lines: a third less work for each message, no limit on the length of a line, and
  memory is counted while a message comes in. Only CRLF "." CRLF ends a message: to take a bare line feed for a line end
  lets a sender smuggle a second message past the server in front of us (CVE-2023-51764).
- LMTP answers DATA once for each recipient (RFC 2033 4.2).
- Every answer has an enhanced code (RFC 2034), as LMTP demands.
- Answers to commands that were sent ahead go out together (RFC 2920 3.2): one system call for a message, not four.
  A client that sends ahead without end is interrupted for others, and waits where it does not read.
- Common addresses are recognised by one regular expression; aiosmtpd's general reader is asked for the others.
- A full house, a foreign host, a slow or clumsy client are turned away with words that say which.

aiosmtpd offers AUTH, its own log and limits by line; none of them is used here.

A session knows no message formats. It hands (content, envelope sender, recipients) to `take` and gets one answer for
each recipient. While that is awaited the client may vanish: the message is then recorded or not, nobody was told
either, and the client's next attempt is recognised by its key.
"""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, cast

from aiosmtpd.smtp import SMTP, Envelope, syntax

from channels.email import gate as g
from channels.email.gate import Gate
from router.observe import counter, get_logger

log = get_logger("email")

# Every line of every message would pass through it otherwise, customers' words included.
logging.getLogger("mail.log").setLevel(logging.CRITICAL + 1)

END = b"\r\n.\r\n"
READER_LIMIT = 65_536  # bytes read ahead of a slow consumer; a longer command line is answered with 500
TURN = 16  # answers in a row before others get their turn

_refused = counter("email_refused_total", "Connections, commands and messages refused.", ("code",))

_ADDRESS = re.compile(r"<((?:[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+)?)>[ \t]*(.*)")
_UNKNOWN = "Too many unrecognized commands"  # the library's, at the fifth: it closes without our codes
_BARE_STATUS = re.compile(r"([245]\d\d)([ -])(?!\d\.\d)")
_ENHANCED = {"501": ".5.4", "502": ".5.1", "503": ".5.1", "500": ".5.2", "552": ".3.4", "553": ".1.3", "555": ".5.4"}


class Recipient(NamedTuple):
    """One address of ours that a message is for."""

    address: str  # as in the settings
    detail: str = ""  # what stood behind a plus


Take = Callable[[bytes, str, Sequence[Recipient]], Awaitable[list[str]]]
Find = Callable[[str], Recipient | None]


class Mail(Envelope):
    """The envelope of the message being taken."""

    def __init__(self) -> None:
        super().__init__()
        self.recipients: list[Recipient] = []


class Hooks:
    """What aiosmtpd asks while it leads the conversation. Small on purpose: it is inspected for each connection."""

    def __init__(self, gate: Gate, find: Find, clock: Callable[[], float]) -> None:
        self._gate, self._find, self._clock = gate, find, clock

    async def handle_MAIL(self, server: Session, session: Any, mail: Mail, address: str, options: list[str]) -> str:
        refusal = self._gate.may_send(server.host, self._clock())
        if refusal:
            return refusal
        mail.mail_from = address
        return "250 2.1.0 Sender accepted"

    async def handle_RCPT(self, server: Session, session: Any, mail: Mail, address: str, options: list[str]) -> str:
        if len(mail.recipients) >= self._gate.settings.max_recipients:
            return "452 4.5.3 Too many recipients, send the others in another message"
        recipient = self._find(address)
        if recipient is None:
            return "550 5.1.1 No such address here"
        mail.rcpt_tos.append(address)
        mail.recipients.append(recipient)
        return "250 2.1.5 Recipient accepted"

    async def handle_VRFY(self, server: Session, session: Any, mail: Mail, address: str) -> str:
        return "252 2.5.0 Send it and see"

    async def handle_exception(self, error: Exception) -> str:
        log.error("Mail session failed", action="email_session_failed", exc_info=error)
        return "451 4.3.0 Something went wrong here, try again later"


class Session(SMTP):
    """One SMTP connection."""

    lmtp = False

    def __init__(
        self, hooks: Hooks, gate: Gate, take: Take, sessions: set[Session], tls: ssl.SSLContext | None
    ) -> None:
        settings = gate.settings
        # aiosmtpd keeps these on its class, where connections change them for one another.
        self.command_size_limits = defaultdict(lambda: settings.max_command_octets)
        self.command_size_limit = settings.max_command_octets
        self.line_length_limit = READER_LIMIT
        self.host = ""
        self.recording = False  # a message came in whole and is not answered yet
        self._gate, self._take, self._sessions = gate, take, sessions
        self._refused, self._errors, self._held = False, 0, 0
        self._unsent, self._answers = bytearray(), 0
        super().__init__(
            hooks,
            data_size_limit=settings.max_message_bytes,
            enable_SMTPUTF8=True,  # otherwise an address that is not ASCII is answered with "bad syntax"
            hostname=settings.hostname,
            ident="ready",
            tls_context=tls,
            require_starttls=bool(settings.tls and settings.tls.required),
            timeout=settings.idle_timeout / 1_000 or 1e9,
            auth_exclude_mechanism=("LOGIN", "PLAIN"),
            loop=asyncio.get_running_loop(),
        )
        del self._smtp_methods["AUTH"]  # nobody signs in here: neither named by HELP nor promised beyond TLS

    # --- the connection ---------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self.transport is None:  # the second call comes after STARTTLS
            name = transport.get_extra_info("peername")
            self.host = name[0] if isinstance(name, tuple) and name else ""
            refusal = self._gate.enter(self.host)
            if refusal:
                self._turn_away(transport, refusal)
                return
            self._sessions.add(self)
        super().connection_made(transport)

    def _turn_away(self, transport: asyncio.BaseTransport, refusal: str) -> None:
        stream = cast(asyncio.Transport, transport)  # those of uvloop are no subclass
        self._refused = True
        _refused.labels(refusal[:9]).inc()
        stream.write(refusal.encode() + b"\r\n")
        stream.close()

    def connection_lost(self, error: Exception | None) -> None:
        if self._refused:
            return
        if self in self._sessions:
            self._sessions.discard(self)
            self._gate.leave(self.host)
        super().connection_lost(error)

    def eof_received(self) -> bool | None:
        return None if self._refused else super().eof_received()

    def data_received(self, data: bytes) -> None:
        if not self._refused:
            super().data_received(data)

    def _timeout_cb(self) -> None:
        self.dismiss("421 4.4.2 Waited too long")

    def dismiss(self, farewell: str) -> None:
        """Say a last word and close."""
        if self.transport is not None and not self.transport.is_closing():
            _refused.labels(farewell[:9]).inc()
            self._say(farewell.encode() + b"\r\n")
            self._flush()
            self.transport.close()

    @property
    def conversation(self) -> asyncio.Task[None] | None:
        return self._handler_coroutine

    def abort(self) -> None:
        transport = self._original_transport or self.transport
        if transport is not None:
            cast(asyncio.Transport, transport).abort()

    # --- the conversation -------------------------------------------------------------------------------------------

    def _create_envelope(self) -> Mail:
        return Mail()

    async def push(self, status: str | bytes) -> None:
        text = status.decode("utf-8", "replace") if isinstance(status, bytes) else status
        if text.startswith("502") and _UNKNOWN in text:
            text = "421 4.7.0 Too many commands that nobody knows"
        if found := _BARE_STATUS.match(text):
            code = found[1]
            text = f"{code}{found[2]}{code[0]}{_ENHANCED.get(code, '.0.0')} {text[4:]}"
        self._say(text.encode("utf-8", "backslashreplace") + b"\r\n")
        if text.startswith(("22", "421")):  # goodbye, or TLS from the next byte on
            self._flush()
        if text[0] in "45":
            _refused.labels(text[:9]).inc()
            self._errors += 1
            if text.startswith("421") and self.transport is not None:
                self.transport.close()
            elif self._errors >= self._gate.settings.max_errors:
                self.dismiss("421 4.7.0 Too many errors")
        await self._pause()

    def _say(self, answer: bytes) -> None:
        """Send this with whatever else is said before the loop comes round."""
        if not self._unsent:
            self.loop.call_soon(self._flush)
        self._unsent += answer

    def _flush(self) -> None:
        if self._unsent and self.transport is not None:
            self._writer.write(bytes(self._unsent))
        self._unsent.clear()

    async def _pause(self) -> None:
        self._answers += 1
        if self._answers % TURN == 0:
            await asyncio.sleep(0)
            await self._writer.drain()

    async def _greet(self, arg: str | None, extended: bool) -> None:
        """RFC 2034: these answers, the greeting and the 3xx have no enhanced code."""
        if not arg:
            await self.push("501 Say who you are")
            return
        assert self.session is not None
        self.envelope = Mail()
        self.session.extended_smtp = extended
        self.session.host_name = arg
        offers = [self.hostname]
        if extended:
            offers += [f"SIZE {self.data_size_limit}", "8BITMIME", "SMTPUTF8", "PIPELINING", "ENHANCEDSTATUSCODES"]
            if self.tls_context and not self._tls_protocol:
                offers.append("STARTTLS")
        lines = [f"250-{offer}\r\n" for offer in offers[:-1]] + [f"250 {offers[-1]}\r\n"]
        self._say("".join(lines).encode())
        await self._pause()

    @syntax("HELO hostname")
    async def smtp_HELO(self, arg: str) -> None:
        await self._greet(arg, extended=False)

    @syntax("EHLO hostname")
    async def smtp_EHLO(self, arg: str) -> None:
        await self._greet(arg, extended=True)

    @syntax("VRFY <address>")
    async def smtp_VRFY(self, arg: str) -> None:
        await self.push("252 2.5.0 Send it and see" if arg else "501 Say which address")

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        if found := _ADDRESS.fullmatch(arg.strip()):
            return found[1] or "<>", found[2]
        try:
            address, rest = super()._getaddr(arg)
        except (IndexError, AttributeError, ValueError, RecursionError):  # so the library's reader ends on some garbage
            return None, None
        return address, rest

    @syntax("DATA")
    async def smtp_DATA(self, arg: str) -> None:
        mail = self.envelope
        assert isinstance(mail, Mail)
        if await self.check_helo_needed():
            return
        if arg:
            await self.push("501 DATA stands alone")
        elif not mail.recipients:
            await self.push("503 Say first from whom and to whom")
        elif refusal := self._gate.may_begin():
            self.envelope = Mail()
            await self.push(refusal)
        else:
            await self._take_message(mail)

    async def _take_message(self, mail: Mail) -> None:
        gate = self._gate
        gate.in_flight += 1
        self._held = 0
        try:
            await self.push("354 End with a dot on a line of its own")
            content = await self._receive()
            self._reset_timeout()
            if isinstance(content, str):
                answers = [content] * len(mail.recipients)
            else:
                self.recording = True
                gate.begin_recording()
                answers = await self._take(content, mail.mail_from or "", mail.recipients)
        finally:
            if self.recording:
                self.recording = False
                gate.end_recording()
            gate.in_flight -= 1
            gate.buffered -= self._held
        self.envelope = Mail()
        await self._answer(answers)
        if gate.draining:
            self.dismiss(g.CLOSING)

    async def _answer(self, answers: list[str]) -> None:
        """SMTP has one answer for all recipients: "later" if it is that for any, good only if it is good for all."""
        await self.push(min(answers, key=lambda answer: "452".index(answer[0])))

    async def _receive(self) -> bytes | str:
        """The message, or why it is not taken."""
        limit, gate = self._gate.settings.max_message_bytes, self._gate
        self._reset_timeout(self._gate.settings.data_timeout / 1_000 or 1e9)
        buffer = bytearray(b"\r\n")  # the line end of DATA itself: an empty message ends at once
        searched, dropped, refusal = 0, 0, ""
        while (end := buffer.find(END, searched)) < 0:
            if not refusal and len(buffer) - 2 > limit + len(END):
                refusal = f"552 5.3.4 Larger than {limit} bytes"
            if refusal:  # read on to the end (RFC 5321 4.2.5), keeping only what may be the start of the end
                dropped += max(0, len(buffer) - 4)
                del buffer[:-4]
                if dropped > 4 * limit:
                    self.dismiss(refusal)
            searched = max(0, len(buffer) - len(END) + 1)
            chunk = await self._reader.read(1 << 30)  # all there is
            if not chunk:
                raise ConnectionResetError
            if not refusal:
                if gate.buffered + len(chunk) > gate.settings.max_buffered_bytes:
                    refusal = g.CROWDED
                else:
                    self._held += len(chunk)
                    gate.buffered += len(chunk)
            buffer += chunk
        if rest := bytes(memoryview(buffer)[end + len(END) :]):
            self._reader.feed_data(rest)  # the next command, sent ahead; the reader is empty here
        if not refusal and end > limit:
            refusal = f"552 5.3.4 Larger than {limit} bytes"
        return refusal or _content(buffer, end)


def _content(buffer: bytearray, end: int) -> bytes:
    """What stands between the two line ends at 0 and `end`, with the transparent dots taken off (RFC 5321 4.5.2)."""
    if buffer.find(b"\r\n.", 0, end) >= 0:
        return bytes(memoryview(buffer)[: end + 2]).replace(b"\r\n.", b"\r\n")[2:]
    return bytes(memoryview(buffer)[2 : end + 2])


class LmtpSession(Session):
    """One LMTP connection (RFC 2033)."""

    lmtp = True

    @syntax("LHLO hostname")
    async def smtp_LHLO(self, arg: str) -> None:
        await self._greet(arg, extended=True)

    @syntax("")
    async def smtp_HELO(self, arg: str) -> None:
        await self.push("500 This is LMTP: say LHLO")

    @syntax("")
    async def smtp_EHLO(self, arg: str) -> None:
        await self.push("500 This is LMTP: say LHLO")

    async def _answer(self, answers: list[str]) -> None:
        for answer in answers:
            await self.push(answer)
