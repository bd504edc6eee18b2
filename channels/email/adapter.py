"""The email channel's shell: messages in through SMTP and LMTP, replies out through one smart host.

In. The raw message goes into the blob store (durable), then one `Arrive` for each recipient goes to the desk, and only
its answer becomes the 250. An answer that comes too late, or to a client that is gone, does no harm: the client sends
again, and the key says that we know.

Out. A reply is composed from the raw message it answers, which the blob store still has: Reply-To, Message-ID and
References are read from the source and not from copies that had to be cut to size. It answers the customer's own last
message. What a third person wrote into the conversation does not become the recipient.

Automatic mail is recorded like any other and marked (`attributes["auto"]`); whether it is work for anybody the engine
decides. Nothing here answers by itself, so there is no loop to break.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from functools import partial
from typing import Any

import aiosmtplib
from msgspec import Struct
from msgspec.structs import replace

from channels.email.addresses import Mailbox, canonical_address, identity
from channels.email.automatic import look_closer
from channels.email.body import Part, Readable, readable_text
from channels.email.copies import copy_subject, copy_text
from channels.email.faxes import fax_files
from channels.email.forwards import fitting, forward_text
from channels.email.gate import Gate
from channels.email.hiding import NotHidden, masked_mail, masked_words
from channels.email.listener import Hooks, LmtpSession, Recipient, Session
from channels.email.parse import Letter, arrive, read_letter, token_of, unreadable, with_findings
from channels.email.poller import SOMEBODY, Poller
from channels.email.render import Attachment, ReplyMail, render, reply_id
from channels.email.settings import Listener, Settings, check
from channels.email.text import clean
from channels.email.wording import worded
from router.engine.commands import Append, Arrive, Remark, Reply
from router.engine.events import Blob, Message
from router.engine.views import COPY, Inform, InteractionView, MessageView, Outbound
from router.engine.views import Attachment as File
from router.errors import ClientError, ConfigError, NoRoute, NotFound, Refusal, RouterError, TooLarge, Unavailable
from router.journal.files import SHARED_FILE, make_folder, write_whole
from router.observe import counter, gauge, get_logger, scrub
from router.service.certificates import server_context
from router.service.language import Detector
from router.service.masked import for_channel
from router.service.ports import Context, DeliveryFailed, Health

log = get_logger("email")

RECORDED = "250 2.0.0 Recorded"
LATER = "451 4.3.2 Cannot be recorded now, try again later"
TOO_SLOW = "451 4.3.2 Not recorded in time, try again later"

RAW_TYPE = "message/rfc822"
LARGE = 262_144  # bytes from which a message is read and hashed in a thread: 0.5 ms of work
READERS = 2  # bodies being made readable at once: they hold the interpreter
CANDIDATES = 5  # of the customer's last messages, looked at to find the one that a reply answers
RECIPIENTS_MAX = 10  # of one reply
SAID_MAX = 200  # characters of what the smart host says
FORWARD_TEXT = 1_048_576  # bytes that are kept free for the words of what is forwarded

_messages = counter("email_messages_total", "Messages received whole, by what became of each delivery.", ("outcome",))
_not_masked = counter("email_not_masked_total", "Mails kept as they came, since they could not be written anew.")
_replies = counter("email_replies_total", "Replies handed on, by outcome.", ("outcome",))
_connections = gauge("email_connections", "Open SMTP and LMTP connections.")
_in_flight = gauge("email_in_flight", "Messages between DATA and its answer.")


class Content(Struct, frozen=True):
    """One message of an interaction, made readable."""

    author: str
    at_ms: int
    text: str
    attachments: tuple[Part, ...] = ()
    complete: bool = True
    new: str = ""
    html: str = ""


class EmailAdapter:
    """SMTP and LMTP in, SMTP out. Knows mail; knows no queues and no agents."""

    name = "email"
    channels = ("email",)
    actions = frozenset({"copy", "message", "transferred"})
    hears = False  # a mail's sender is told nothing until somebody writes to them

    def __init__(self, settings: Settings, context: Context) -> None:
        check(settings)
        self._settings, self._context = settings, for_channel(context, settings.mask_cards)
        self._gate = Gate(settings)
        self._sessions: set[Session] = set()
        self._servers: dict[str, asyncio.Server] = {}
        self._reading = asyncio.Semaphore(READERS)
        self._ours = settings.own_addresses()
        self._pollers = [
            Poller(
                name,
                box,
                context.data / "imap",
                settings.max_message_bytes,
                self._take,
                self._set_aside,
                context.desk.now_ms,
            )
            for name, box in settings.mailboxes.items()
        ]
        self._fax_servers = frozenset(one.lower() for one in settings.fax.senders) if settings.fax else frozenset()
        self._detector: Detector | None = None
        self._trusted = frozenset(host.lower() for host in settings.trusted_results)
        context.letters.taken_by(self._take_letter)

    # --- life -------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        for address in self._settings.addresses:
            if not self._context.desk.routes("email", address):
                raise ConfigError(f"email.addresses.{address}", "a routing rule or a default queue for it", "none")
        if self._settings.languages:
            self._detector = await asyncio.to_thread(Detector, self._settings.languages, "email.languages")
        mine = self._settings.tls
        tls = server_context("email.tls", mine.certificate, mine.key) if mine is not None else None
        try:
            await self._listen("smtp", self._settings.smtp, Session, tls)
            await self._listen("lmtp", self._settings.lmtp, LmtpSession, tls)
        except ConfigError:
            await self.stop()
            raise
        for poller in self._pollers:
            poller.start()
        _connections.set_function(lambda: self._gate.connections)
        _in_flight.set_function(lambda: self._gate.in_flight)

    async def _listen(self, name: str, at: Listener, kind: type[Session], tls: ssl.SSLContext | None) -> None:
        if not at.enabled:
            return
        loop = asyncio.get_running_loop()
        hooks = Hooks(self._gate, self._find, loop.time)
        try:
            server = await loop.create_server(
                lambda: kind(hooks, self._gate, self._take, self._sessions, tls), at.host, at.port, backlog=1_024
            )
        except OSError as problem:
            raise ConfigError(f"email.{name}", "an address and port that are free", str(problem)) from None
        self._servers[name] = server
        host, port = server.sockets[0].getsockname()[:2]
        log.info("Mail listener started", action="email_listening", protocol=name, host=host, port=port)

    def port(self, name: str) -> int:
        """Where "smtp" or "lmtp" really listens."""
        return int(self._servers[name].sockets[0].getsockname()[1])

    async def stop_intake(self) -> None:
        """Messages that came in whole are answered; everybody else is told to come again, and keeps what they have."""
        self._gate.draining = True
        for server in self._servers.values():
            server.close()
        for session in list(self._sessions):
            if not session.recording:
                session.dismiss("421 4.3.2 Closing down, try again later")
        await self._gate.quiet.wait()
        await self._stop_polling()

    async def _stop_polling(self) -> None:
        await asyncio.gather(*(poller.stop() for poller in self._pollers))

    async def stop(self) -> None:
        self._gate.draining = True
        await self._stop_polling()
        for server in self._servers.values():
            server.close()
        conversations = [session.conversation for session in self._sessions if session.conversation]
        for session in list(self._sessions):
            session.abort()
        if conversations:
            await asyncio.wait(conversations)
        for server in self._servers.values():
            await server.wait_closed()

    def health(self) -> Health:
        figures = {
            "connections": float(self._gate.connections),
            "in_flight": float(self._gate.in_flight),
            "buffered_bytes": float(self._gate.buffered),
        }
        wanted = [n for n, at in (("smtp", self._settings.smtp), ("lmtp", self._settings.lmtp)) if at.enabled]
        silent = [name for name in wanted if not self._is_listening(name)]
        silent += [one.gone for one in self._pollers if one.gone]
        if silent:
            return Health(False, f"not listening: {', '.join(silent)}", figures)
        failing = [f"{one.name} ({one.trouble})" for one in self._pollers if one.trouble]
        figures["mailboxes_failing"] = float(len(failing))
        if failing:
            return Health(True, f"listening: {', '.join(wanted)}; mailboxes failing: {', '.join(failing)}", figures)
        return Health(True, f"listening: {', '.join(wanted)}" if wanted else "no listener is enabled", figures)

    def _is_listening(self, name: str) -> bool:
        server = self._servers.get(name)
        return server is not None and server.is_serving() and all(s.fileno() >= 0 for s in server.sockets)

    async def readable(self, view: InteractionView) -> tuple[MessageView, ...]:
        """Each message with the text that people read; the raw mail stays its attachment."""
        read = zip(view.messages, await self.content(view), strict=True)
        return tuple(replace(message, text=one.text, new=one.new, html=one.html) for message, one in read)

    def requeue_hooks(self) -> dict[str, Any]:
        """Nothing of this channel is set aside for another try."""
        return {}

    def routes(self) -> Sequence[Any]:
        return ()

    def reset(self, reason: str) -> None:
        """Nothing is kept here that the engine's state could contradict."""

    def inform(self, news: Inform) -> None:
        """Nothing: see `hears`."""

    # --- in ---------------------------------------------------------------------------------------------------------

    def _find(self, address: str) -> Recipient | None:
        """The address of ours that this one means, if the routing plan takes it at present."""
        ours, detail = self._ours.find(address)
        if not ours or not self._context.desk.routes("email", ours):
            return None
        return Recipient(ours, detail)

    async def _take(self, raw: bytes, mail_from: str, recipients: Sequence[Recipient]) -> list[str]:
        """Record one message for these recipients; the answer to each, in order."""
        letter = await self._read(raw, mail_from)
        if self._fax_servers and any(box.address.lower() in self._fax_servers for box in letter.senders):
            answer = await self._take_fax(raw, letter)
            if answer:
                return [answer] * len(recipients)
        try:
            kept = await self._to_keep(raw) if self._settings.mask_raw else raw
            blob = await self._context.blobs.put(kept, media_type=RAW_TYPE, name="message.eml")
        except (RouterError, OSError) as problem:
            log.warning("Message not stored", action="email_not_stored", error=type(problem).__name__)
            _messages.labels("refused").inc(len(recipients))
            return [LATER] * len(recipients)
        details: dict[str, str] = {}
        for recipient in recipients:
            details.setdefault(recipient.address, recipient.detail)
        commands = [arrive(letter, address, blob, detail) for address, detail in details.items()]
        answers = dict(zip(details, await self._record(commands), strict=True))
        return [answers[recipient.address] for recipient in recipients]

    async def _to_keep(self, raw: bytes) -> bytes:
        """Without what is to be hidden. Where that cannot be done it is kept as it is: no mail is lost for this."""
        mask = self._context.mask
        assert mask is not None, "settings.check"
        try:
            async with self._reading:
                return await asyncio.to_thread(masked_mail, raw, mask)
        except NotHidden as problem:
            log.warning("Mail not masked", action="email_not_masked", why=problem)
            _not_masked.inc()
            return raw

    async def _take_letter(self, raw: bytes, address: str) -> None:
        """From another channel, which keeps it until this returns. Raises RouterError."""
        recipient = self._find(address)
        if recipient is None:
            raise NoRoute(f"no mail is taken for {address}")
        status = (await self._take(raw, SOMEBODY, [recipient]))[0]
        if status is not RECORDED:
            raise Unavailable("the letter could not be recorded now", retry_after_s=10)

    async def _take_fax(self, raw: bytes, letter: Letter) -> str:
        """Hand the documents of a fax server's mail to the scan channel; "" if there are none."""
        assert self._settings.fax is not None
        folder = self._context.data / self._settings.fax.folder

        def drop() -> int:
            files = fax_files(raw, letter)
            make_folder(folder, private=False)
            for file in files:  # what is said of a document stands there before it
                write_whole(folder / file.sidecar_name, file.sidecar, SHARED_FILE)
                write_whole(folder / file.name, file.content, SHARED_FILE)
            return len(files)

        try:
            async with self._reading:
                count = await asyncio.to_thread(drop)
        except OSError as problem:
            log.warning("Fax not handed over", action="email_fax_not_dropped", error=type(problem).__name__)
            _messages.labels("refused").inc()
            return LATER
        if count:
            _messages.labels("recorded").inc()
        return RECORDED if count else ""

    async def _read(self, raw: bytes, mail_from: str) -> Letter:
        try:
            letter = await self._head(raw, mail_from)
            if letter.suspect:
                async with self._reading:
                    letter = with_findings(letter, await asyncio.to_thread(look_closer, raw))
            if self._detector is not None and not letter.auto:
                async with self._reading:
                    found = await asyncio.to_thread(self._language, raw)
                letter = replace(letter, language=found or letter.language)
            return letter
        except Exception as problem:  # whatever our reader trips over, the message must reach somebody
            log.error("Message head not understood", action="email_unreadable", exc_info=problem)
            await self._set_aside(raw, f"head not understood: {type(problem).__name__}")
            return unreadable(raw, mail_from)

    def _language(self, raw: bytes) -> str:
        assert self._detector is not None
        return self._detector.of(readable_text(raw[:LARGE]).new)

    async def _head(self, raw: bytes, mail_from: str) -> Letter:
        limit = self._settings.max_header_bytes
        if len(raw) >= LARGE:
            return await asyncio.to_thread(read_letter, raw, mail_from, limit, self._trusted)
        return read_letter(raw, mail_from, limit, self._trusted)

    async def _set_aside(self, raw: bytes, reason: str) -> None:
        """For an operator to see what our reader cannot do. The message itself is recorded all the same."""
        try:
            await self._context.quarantine.put("email", raw, reason)
        except (RouterError, OSError) as problem:
            log.warning("Message not set aside", action="email_not_set_aside", error=type(problem).__name__)

    async def _record(self, commands: Sequence[Arrive]) -> list[str]:
        """The status for each command, in order, within `record_timeout`."""
        loop = asyncio.get_running_loop()
        finished: asyncio.Future[None] = loop.create_future()
        statuses = [TOO_SLOW] * len(commands)
        open_ones = set(range(len(commands)))

        def finish() -> None:
            if not finished.done():
                finished.set_result(None)

        def settle(index: int, answer: Reply | RouterError) -> None:
            statuses[index] = status_of(answer)
            open_ones.discard(index)
            if not open_ones:
                finish()

        limit_s = self._settings.record_timeout / 1_000
        timer = loop.call_later(limit_s, finish) if limit_s else None
        try:
            for index, command in enumerate(commands):
                self._context.desk.submit(command, partial(settle, index))
            await finished
        finally:
            if timer:
                timer.cancel()
        for status in statuses:
            _messages.labels("recorded" if status is RECORDED else "refused").inc()
        return list(statuses)

    # --- out --------------------------------------------------------------------------------------------------------

    async def deliver(self, outbound: Outbound) -> None:
        if outbound.action == COPY:
            mail = self._compose_copy(outbound)
        elif outbound.action == "message" and outbound.message is not None:
            mail = await self._compose(outbound)
        elif outbound.action == "transferred":
            mail = await self._compose_forward(outbound)
        else:
            return
        try:
            data, wide = render(mail)
        except ValueError as problem:
            raise DeliveryFailed(str(problem), final=True) from None
        if len(data) > self._settings.max_reply_bytes:
            raise DeliveryFailed(f"the reply is larger than {self._settings.max_reply_bytes} bytes", final=True)
        try:
            await self._hand_on(outbound.outbound, mail, data, wide)
        except DeliveryFailed as problem:
            _replies.labels("refused" if problem.final else "retried").inc()
            raise
        _replies.labels("sent").inc()
        if self._settings.keep_sent and outbound.action != COPY:  # of a transcript, all of it is there already
            await self._keep_copy(outbound, mail, data)

    async def _keep_copy(self, outbound: Outbound, mail: ReplyMail, data: bytes) -> None:
        """The mail as it left, in the interaction. It has left, so nothing here may have it sent again."""
        key, thread = f"mail.sent:{outbound.outbound}", outbound.threads[0]
        to = ", ".join(box.address for box in mail.recipients)
        try:
            kept = await self._to_keep(data) if self._settings.mask_raw else data
            copy = await self._context.blobs.put(kept, media_type=RAW_TYPE, name="sent.eml")
            said = Message(f"Sent to {to}", (copy,), external_id=mail.message_id)
            try:
                await self._context.desk.ask(Append(key=key, thread=thread, message=said, author="system"))
            except NotFound:  # it is over, and only notes are added to it
                note = f"Sent to {to} as {mail.message_id}; the copy is content {copy.digest}"
                await self._context.desk.ask(Remark(key=key, thread=thread, text=note, by=""))
        except (RouterError, OSError) as problem:
            log.warning("Sent copy not kept", action="email_copy_not_kept", error=type(problem).__name__)

    async def _hand_on(self, number: int, mail: ReplyMail, data: bytes, wide: bool) -> None:
        if self._settings.smart_host:
            await self._send(mail, data, wide)
        elif self._settings.outbox_folder:
            folder = self._context.data / self._settings.outbox_folder
            try:
                await asyncio.to_thread(make_folder, folder, private=False)
                await asyncio.to_thread(write_whole, folder / f"{number:09}.eml", data, SHARED_FILE)
            except OSError as problem:
                raise DeliveryFailed(f"cannot write to {folder.name}: {problem.strerror}") from None
        else:
            raise DeliveryFailed("no way out for mail: set email.smart_host (or email.outbox_folder)", final=True)

    async def _send(self, mail: ReplyMail, data: bytes, wide: bool) -> None:
        host = self._settings.smart_host
        assert host is not None
        try:
            await aiosmtplib.send(
                data,
                sender=mail.sender.address,
                recipients=[box.address for box in mail.recipients],
                mail_options=["SMTPUTF8"] if wide else [],
                hostname=host.host,
                port=host.port,
                username=host.username or None,
                password=host.password or None,
                local_hostname=self._settings.hostname,
                timeout=host.timeout / 1_000 or None,
                start_tls=host.starttls,
                cert_bundle=host.ca_file or None,
            )
        except (aiosmtplib.SMTPException, OSError, ValueError) as problem:
            raise DeliveryFailed(why_not_sent(problem), final=is_final(problem)) from None

    async def _compose(self, outbound: Outbound) -> ReplyMail:
        assert outbound.message is not None
        sender = self._sender(outbound)
        letter = await self._answered(outbound)
        token = next((t.removeprefix("mail:t:") for t in outbound.threads if t.startswith("mail:t:")), "")
        domain = self._settings.message_id_domain or sender.address.rpartition("@")[2]
        return ReplyMail(
            message_id=reply_id(outbound.interaction, outbound.outbound, token or token_of("", sender.address), domain),
            sender=sender,
            recipients=self._recipients(letter, outbound),
            subject=letter.subject if letter else outbound.subject,
            text=self._text_of(outbound),
            at_ms=outbound.at_ms,
            in_reply_to=letter.message_id if letter else "",
            references=(letter.references or letter.in_reply_to) if letter else (),
            attachments=await self._attachments(outbound.message.blobs),
        )

    def _compose_copy(self, outbound: Outbound) -> ReplyMail:
        """Of another channel's conversation, for its customer (`outbound.sender`)."""
        try:
            view = self._context.desk.interaction(outbound.interaction)
        except NotFound:
            raise DeliveryFailed("the conversation is no longer at hand", final=True) from None
        sender = self._sender(outbound)
        if not canonical_address(outbound.sender):
            raise DeliveryFailed("no mail can be sent to the address that was asked for", final=True)
        domain = self._settings.message_id_domain or sender.address.rpartition("@")[2]
        return ReplyMail(
            message_id=reply_id(outbound.interaction, outbound.outbound, token_of("", sender.address), domain),
            sender=sender,
            recipients=(Mailbox("", outbound.sender),),
            subject=copy_subject(view),
            text=copy_text(view, self._name_of),
            at_ms=outbound.at_ms,
            answers=False,
        )

    async def _compose_forward(self, outbound: Outbound) -> ReplyMail:
        """The conversation, for somebody outside of the house whom an agent gave it to (`outbound.endpoint`)."""
        if not canonical_address(outbound.endpoint):
            raise DeliveryFailed("no mail can be sent to the address that it was given to", final=True)
        sender = self._sender(outbound)
        try:
            view = self._context.desk.interaction(outbound.interaction)
            mails = [(raw.name, await self._context.blobs.get(raw.digest)) for raw in _mails_of(view)]
            view = replace(view, messages=await self.readable(view))
        except NotFound:
            raise DeliveryFailed("the conversation is no longer at hand", final=True) from None
        except (RouterError, OSError) as problem:
            raise DeliveryFailed(f"a mail is not at hand: {type(problem).__name__}") from None
        files = fitting(mails, self._settings.max_reply_bytes - FORWARD_TEXT)
        agent = outbound.agent_name or self._settings.hostname
        domain = self._settings.message_id_domain or sender.address.rpartition("@")[2]
        token = next((t.removeprefix("mail:t:") for t in outbound.threads if t.startswith("mail:t:")), "")
        return ReplyMail(
            message_id=reply_id(outbound.interaction, outbound.outbound, token or token_of("", sender.address), domain),
            sender=sender,
            recipients=(Mailbox("", outbound.endpoint),),
            subject=f"Fwd: {outbound.subject}",
            text=forward_text(view, agent, len(files), len(mails) - len(files), self._name_of),
            at_ms=outbound.at_ms,
            attachments=tuple(files),
            answers=False,
        )

    def _name_of(self, agent: str) -> str:
        try:
            return self._context.desk.agent(agent).name or agent
        except NotFound:
            return agent

    def _text_of(self, outbound: Outbound) -> str:
        """The agent's words with the house's around them."""
        assert outbound.message is not None
        text = outbound.message.text
        if not self._settings.wordings or not outbound.agent:
            return text
        try:
            view = self._context.desk.interaction(outbound.interaction)
            queue, language = view.queue, view.language
        except NotFound:  # over and forgotten while the reply waited: what holds for all still holds
            queue = language = ""
        return worded(
            self._settings.wordings,
            queue,
            language,
            text=text,
            agent=outbound.agent_name or outbound.agent,
            subject=outbound.subject,
            interaction=f"i-{outbound.interaction}",
        )

    def _sender(self, outbound: Outbound) -> Mailbox:
        address = self._settings.reply_from or outbound.recipient
        if not canonical_address(address):
            raise DeliveryFailed("no address to reply from: set email.reply_from", final=True)
        entry = self._settings.addresses.get(self._ours.written(address))
        return Mailbox(entry.name if entry else "", address)

    def _recipients(self, letter: Letter | None, outbound: Outbound) -> tuple[Mailbox, ...]:
        """Where the customer wants replies. Never one of our own addresses: we would be talking to ourselves."""
        wanted = [*letter.reply_to[:RECIPIENTS_MAX]] if letter else []
        for boxes in (wanted, [*letter.senders[:1]] if letter else [], [Mailbox("", outbound.sender)]):
            foreign = tuple(b for b in boxes if canonical_address(b.address) and self._find(b.address) is None)
            if foreign:
                return foreign
        raise DeliveryFailed("the customer left no address that a reply can go to", final=True)

    async def _answered(self, outbound: Outbound) -> Letter | None:
        """The customer's last message before this reply, read from its source. None where it is gone."""
        try:
            view = self._context.desk.interaction(outbound.interaction)
        except NotFound:
            return None
        spoken = [m for m in view.messages if m.author == "customer" and m.at_ms <= outbound.at_ms and raw_of(m)]
        for message in reversed(spoken[-CANDIDATES:]):
            blob = raw_of(message)
            assert blob is not None
            try:
                letter = await self._head(await self._context.blobs.get(blob.digest), "")
            except Exception as problem:  # gone, damaged or beyond our reader: the reply goes out without it
                log.warning("Answered message not at hand", action="email_source_missing", exc_info=problem)
                continue
            if not outbound.sender or any(identity(b.address) == identity(outbound.sender) for b in letter.senders):
                return letter
        return None

    async def _attachments(self, blobs: Sequence[Blob]) -> tuple[Attachment, ...]:
        if sum(blob.size for blob in blobs) > self._settings.max_reply_bytes:
            raise DeliveryFailed(f"the attachments are larger than {self._settings.max_reply_bytes} bytes", final=True)
        try:
            return tuple([Attachment(b.name, b.media_type, await self._context.blobs.get(b.digest)) for b in blobs])
        except (RouterError, OSError) as problem:
            raise DeliveryFailed(f"an attachment is not at hand: {type(problem).__name__}") from None

    # --- for readers ------------------------------------------------------------------------------------------------

    async def content(self, view: InteractionView) -> list[Content]:
        """The interaction's messages as people read them. Raises RouterError where a source is gone."""
        return [await self._content_of(message) for message in view.messages]

    async def _content_of(self, message: MessageView) -> Content:
        blob = raw_of(message)
        if message.text or blob is None:
            parts = tuple(Part(b.name, b.media_type, b.size) for b in message.attachments)
            return Content(message.author, message.at_ms, message.text, parts)
        async with self._reading:
            read = await asyncio.to_thread(self._shown, await self._context.blobs.get(blob.digest))
        return Content(message.author, message.at_ms, read.text, read.attachments, read.complete, read.new, read.html)

    def _shown(self, raw: bytes) -> Readable:
        read, mask = readable_text(raw), self._context.mask
        return read if mask is None else masked_words(read, mask)


def status_of(answer: Reply | RouterError) -> str:
    """SMTP's words for the desk's answer."""
    match answer:
        case Reply():
            return RECORDED
        case NoRoute():
            return "550 5.1.1 No such address here"
        case TooLarge():
            return "552 5.3.4 Too large"
        case ClientError():
            return f"554 5.6.0 Not taken ({answer.code})"
        case Refusal():
            return LATER
    return "451 4.3.0 Something went wrong here, try again later"


def _mails_of(view: InteractionView) -> list[File]:
    """The customer's mails, the oldest first, by names that tell them apart."""
    found = [raw for one in view.messages if one.author == "customer" and (raw := raw_of(one))]
    return [replace(raw, name=f"mail-{number}.eml") for number, raw in enumerate(found, 1)]


def raw_of(message: MessageView) -> File | None:
    """The mail that this message was made of."""
    first = message.attachments[:1]
    return first[0] if first and first[0].media_type == RAW_TYPE else None


def is_final(problem: Exception) -> bool:
    """Whether the smart host will never take this message. A refused password is not: an operator mends it."""
    match problem:
        case aiosmtplib.SMTPAuthenticationError():
            return False
        case aiosmtplib.SMTPRecipientsRefused():
            return all(refused.code >= 500 for refused in problem.recipients)
        case aiosmtplib.SMTPNotSupported() | ValueError():
            return True
        case aiosmtplib.SMTPResponseException():
            return problem.code >= 500 and not isinstance(problem, aiosmtplib.SMTPConnectResponseError)
    return False


def why_not_sent(problem: Exception) -> str:
    """For the operator: code and text of the other side, without the customer's address where it can be helped."""
    match problem:
        case aiosmtplib.SMTPRecipientsRefused():
            return "recipients refused: " + "; ".join(_in_words(refused) for refused in problem.recipients)
        case aiosmtplib.SMTPResponseException():
            return f"the smart host said {_in_words(problem)}"
    return f"the smart host was not reached or did not answer: {type(problem).__name__}"


def _in_words(answer: aiosmtplib.SMTPResponseException) -> str:
    return f"{answer.code} {clean(scrub(answer.message), SAID_MAX)}".rstrip()
