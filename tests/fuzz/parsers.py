"""The parsers of what strangers send, each with real inputs to begin with, and what they may answer: anything, or an
error of the product.

Beside a development checkout lie real mails and scans; small ones of them join the inputs that a long run begins with.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import get_args

from channels.chat.parse import parse as chat_frame
from channels.email.automatic import look_closer
from channels.email.body import readable_text
from channels.email.hiding import NotHidden, masked_mail
from channels.email.parse import read_letter
from channels.email.reply import split
from channels.email.results import authentication
from channels.email.tnef import SIGNATURE, unpack
from channels.kiosk.appointments import parse as appointment
from channels.kiosk.parse import arrival, e164
from channels.kiosk.parse import parse as check_in
from channels.kiosk.settings import Settings as Kiosk
from channels.phone.generic import parse as generic
from channels.phone.jambonz import parse as jambonz
from channels.phone.kamailio import parse as kamailio
from channels.phone.plivo import parse as plivo
from channels.phone.request import Raw
from channels.phone.twilio import parse as twilio
from channels.scan.finding import kind_of
from channels.scan.parse import identity_of, parse_sidecar
from channels.scan.recognise import attributes_of
from channels.scan.tiff import read_chain
from router.agents.messages import decode as agents_message
from router.service.masking import Kind, Masking, MaskingSettings
from tests.phone.support import DEV
from tests.scan.pictures import fax, tiff_chain

CORPORA = Path(__file__).resolve().parents[3] / "shared" / "corpora"
# Of real files as many, and as large, as leave a long run its speed.
REAL_MAX = 40
REAL_BYTES_MAX = 3_000

MAIL = b"""\
Received: from a.example by b.example; Mon, 23 Nov 2026 10:00:00 +0100\r
Authentication-Results: mx.shop.example; dkim=pass header.d=a.example; spf=fail smtp.mailfrom=a@a.example\r
From: =?utf-8?q?J=C3=BCrgen?= <j@a.example>\r
To: "Support, Team" <support@shop.example>\r
Subject: Re: =?iso-8859-1?b?SOlsbG8=?=\r
Message-ID: <m2@a.example>\r
In-Reply-To: <m1@shop.example>\r
References: <m0@a.example>\r
 <m1@shop.example>\r
Auto-Submitted: auto-replied\r
MIME-Version: 1.0\r
Content-Type: multipart/mixed; boundary="=_b"\r
\r
--=_b\r
Content-Type: multipart/alternative; boundary=c\r
\r
--c\r
Content-Type: text/plain; charset=utf-8\r
Content-Transfer-Encoding: quoted-printable\r
\r
Hello =E2=82=AC\r
\r
On Mon, 23 Nov 2026, Support wrote:\r
> old words\r
-- \r
J\xc3\xbcrgen\r
--c\r
Content-Type: text/html; charset=windows-1252\r
\r
<p onclick="x()">Hello <b>there</b><blockquote type="cite">old</blockquote>\r
--c--\r
--=_b\r
Content-Type: application/pdf; name*=utf-8''a%20b.pdf\r
Content-Transfer-Encoding: base64\r
Content-Disposition: attachment; filename="a.pdf"\r
\r
JVBERi0xLjQK\r
--=_b\r
Content-Type: message/delivery-status\r
\r
Reporting-MTA: dns; mx.a.example\r
\r
Final-Recipient: rfc822; k@a.example\r
Action: failed\r
Status: 5.1.1\r
--=_b--\r
"""
TNEF = SIGNATURE.ljust(4, b"\0") + b"\1\0" + b"\x02\x02\x90\x06\0\x0e\0\0\0" + b"\0" * 14 + b"\0\0"
FRAMES = [
    json.dumps(one).encode()
    for one in (
        {"type": "hello", "token": "t", "topic": "support", "last_seq": 3},
        {"type": "message", "id": "m1", "text": "hello \u20ac"},
        {"type": "typing"},
        {"type": "accept", "id": "a", "offer": "o-1"},
        {"type": "say", "id": "b", "interaction": "i-1", "text": "x", "attachments": [{"digest": "0" * 64}]},
        {"type": "transfer", "id": "c", "interaction": "i-1", "to": {"requirement": {"all": [{"skill": "x"}]}}},
    )
]
CHECK_INS = [
    b'{"topic":"support","name":"Ana","language":"es","phone":"+15550100"}',
    b'{"code":"K7M2","site":"north"}',
]
SIDECARS = [
    b'{"from":"+15550199","to":"+15550100","received_at":"2026-11-22T20:00:00Z","attributes":{"line":3,"x":true}}',
    b'\xef\xbb\xbf{"id":"1","name":"Kim","language":"de","subject":"Fax"}',
]
BOOKED = [b'{"at":"2026-11-23T10:30:00+01:00","topic":"support","name":"Kim","agent":"ana","language":"es"}']
TIFFS = [fax(2)[-2_000:], fax(1), tiff_chain([1, 2, 0]), tiff_chain([-1], 5), b"MM\0+\0\x08\0\0" + b"\0" * 7 + b"\x10"]


GENERIC = [
    b'{"event_id":"e","call_id":"c","type":"incoming","from":"+15550199","to":"+15550100","attributes":{"a":"b"}}',
    b'{"event_id":"f","call_id":"c","type":"dtmf","at":1763800000.5,"attributes":{"digits":"1"}}',
]
JAMBONZ = [
    b'{"call_sid":"c","account_sid":"a","direction":"inbound","from":"+15550199","to":"+15550100","call_status":"trying"}',
    b'{"call_sid":"c","queue_sid":"q","queue_time":3,"queue_result":"hangup","sip_status":200}',
]
FORMS = [
    b"CallSid=CA1&AccountSid=AC1&From=%2B15550199&To=%2B15550100&CallStatus=ringing&ApiVersion=2010-04-01&Direction=inbound",
    b"CallUUID=u&From=15550199&To=15550100&CallStatus=in-progress&Event=StartApp&Direction=inbound&HangupCause=NORMAL",
]


def gateway(module: ModuleType, path: str) -> Callable[[bytes], object]:
    return lambda data: module.parse(Raw(path, f"/v1/phone/dev/{path}", {}, data), DEV)


def text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def kiosk(data: bytes) -> object:
    return arrival(check_in(data, Kiosk()), "k", Kiosk(country="US"), 1)


EVERYTHING = Masking(MaskingSettings(kinds=get_args(Kind), patterns={"contract": r"C-[0-9]{4,}"})).of(cards=True) or str


def hidden(data: bytes) -> object:
    try:
        return masked_mail(data, EVERYTHING)
    except NotHidden:
        return None


def scan_texts(data: bytes) -> object:
    said = text(data)
    return attributes_of(said, [said, f"SWB:{said}"], {"x": ("old words", said[:20] or "y")}, "SWB:")


def numbers(data: bytes) -> object:
    return e164(text(data)[:64], "DE"), identity_of(text(data), "US")


PARSERS: dict[str, tuple[Callable[[bytes], object], Sequence[bytes]]] = {
    "mail head": (read_letter, [MAIL]),
    "mail body": (readable_text, [MAIL]),
    "mail of programs": (look_closer, [MAIL]),
    "mail without cards": (hidden, [MAIL.replace(b"old", b"4111 1111 1111 1111"), MAIL]),
    "masking": (
        lambda data: EVERYTHING(text(data)),
        [b"4111 1111 1111 1111 DE89 3704 0044 0532 0130 00 cvv 123 password: x1 078-05-1120 12345678Z C-12345", MAIL],
    ),
    "quoted replies": (lambda data: split(text(data)), [MAIL[700:]]),
    "authentication results": (
        lambda data: authentication(text(data).split("\n"), {"mx.shop.example"}),
        [b"mx.shop.example; dkim=pass header.d=a.example; spf=fail (x (y)) smtp.mailfrom=a@a.example; dmarc=none"],
    ),
    "winmail.dat": (lambda data: unpack(SIGNATURE + data), [TNEF]),
    "chat frames": (lambda data: chat_frame(data, 4_000), FRAMES),
    "agents' messages": (agents_message, FRAMES),
    "calls, generic": (gateway(generic, "events"), GENERIC),
    "calls, Kamailio": (gateway(kamailio, "events"), GENERIC),
    "calls, jambonz": (gateway(jambonz, "call"), JAMBONZ),
    "calls, Twilio": (gateway(twilio, "voice"), FORMS),
    "calls, Plivo": (gateway(plivo, "answer"), FORMS),
    "check-ins": (kiosk, CHECK_INS),
    "appointments": (appointment, BOOKED),
    "sidecars": (parse_sidecar, SIDECARS),
    "TIFF directories": (lambda data: read_chain(BytesIO(data), 1_000), TIFFS),
    "kinds of files": (lambda data: kind_of(data[:1_024], text(data[-20:])), [*TIFFS, b"%PDF-1.7", b"\0\0\x01"]),
    "what was read": (scan_texts, [MAIL[700:1_200], b"SWB:dept=claims;urgent=yes"]),
    "telephone numbers": (numbers, [b"+49 (0)30 1234-567", b"0015550100", b"tel:+1555;ext=7", b"a@b.example"]),
}


def seeds_of(name: str) -> list[bytes]:
    """What a long run begins with: the parser's own inputs, and real ones where there are any."""
    own = list(PARSERS[name][1])
    return own + _real(REAL[name]) if name in REAL else own


# Where real inputs of a parser lie, by what their names end in.
REAL = {
    "mail head": "email/*/*.eml",
    "mail body": "email/*/*.eml",
    "mail of programs": "email/*/*.txt",
    "quoted replies": "email/reply-quoting/*.txt",
    "TIFF directories": "scans/*/*.tif*",
    "kinds of files": "scans/*/*",
}


def _real(pattern: str) -> list[bytes]:
    found = [path for path in sorted(CORPORA.glob(pattern)) if 0 < path.stat().st_size <= REAL_BYTES_MAX]
    step = max(1, len(found) // REAL_MAX)
    return [path.read_bytes() for path in found[::step]][:REAL_MAX]
