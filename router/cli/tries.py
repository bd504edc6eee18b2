"""`switchboard try`: be a customer for a minute, on the demo configuration.

Each try is a real client from outside the process: it signs a webhook as a gateway does, opens a websocket as a browser
does, speaks SMTP, writes a file into the drop folder. It prints what it sends and what comes back.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import smtplib
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from email.message import EmailMessage
from http.client import HTTPException
from pathlib import Path
from typing import Any

from router.cli.addresses import one_line
from router.errors import RouterError

CALLER_WAITS_S = 20.0

# A PDF with one page that says nothing.
PDF_OBJECTS = (
    b"<</Type/Catalog/Pages 2 0 R>>",
    b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
    b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<<>>>>",
)


def pdf() -> bytes:
    """The smallest good PDF: its table says where each object begins."""
    made, places = b"%PDF-1.4\n", []
    for number, body in enumerate(PDF_OBJECTS, 1):
        places.append(len(made))
        made += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(places) + 1
    end = b"trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (size, len(made))
    return made + b"xref\n0 %d\n%s" % (size, table) + end


def say(text: str) -> None:
    print(text, flush=True)


def call(url: str, to: str, secret: str, seconds: float = CALLER_WAITS_S, ask: Callable[[str], str] = input) -> None:
    """Ring, wait, hang up: signed events of the generic gateway `dev`. `seconds`: how long, where nobody can say."""
    call_id = f"try-{uuid.uuid4().hex[:8]}"
    say(f"calling {to} as +15550199 ...")
    say(f"  answer: {_event(url, secret, call_id, 'incoming', to)}")
    if sys.stdin.isatty():
        ask("the caller waits (answer as an agent); Enter hangs up ")
    else:
        say(f"the caller waits {seconds:g} seconds")
        time.sleep(seconds)
    say(f"  answer: {_event(url, secret, call_id, 'ended', to)}")


def _event(url: str, secret: str, call_id: str, kind: str, to: str) -> Any:
    event = {"event_id": uuid.uuid4().hex, "call_id": call_id, "type": kind, "from": "+15550199", "to": to}
    body = json.dumps(event | {"at": time.time(), "attributes": {}}).encode()
    at = str(int(time.time()))
    signature = hmac.new(secret.encode(), at.encode() + b"." + body, hashlib.sha256).hexdigest()
    headers = {"Switchboard-Signature": f"t={at},v1={signature}", "Content-Type": "application/json"}
    return post(f"{url}/v1/phone/dev/events", body, headers)


def post(url: str, body: bytes, headers: dict[str, str]) -> Any:
    """The JSON answer. Raises RouterError in words."""
    request = urllib.request.Request(url, body, headers, method="POST")  # noqa: S310 - the user named the address
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise RouterError(f"{error.code}: {error.read().decode(errors='replace')}") from error
    except OSError as error:
        raise RouterError(f"{url} does not answer ({error}); is the daemon running? ./run starts it") from error
    except (HTTPException, ValueError) as error:
        raise RouterError(
            f"{url} gives no answer of a daemon ({one_line(error)}); is that its HTTP address?"
        ) from error


def walk_in(url: str, topic: str) -> None:
    body = json.dumps({"topic": topic, "name": "Eva"}).encode()
    answer = post(f"{url}/v1/kiosk/checkins", body, {"Content-Type": "application/json"})
    say(f"  ticket {answer['ticket']}, position {answer['position']}: {answer}")


def mail(address: tuple[str, int], to: str) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "Eva <eva@example.org>", to, "Where is my parcel?"
    message["Message-ID"] = f"<{uuid.uuid4().hex}@example.org>"
    message.set_content("Hello,\n\nmy parcel 4711 has not arrived. Can you look?\n\nEva\n")
    try:
        with smtplib.SMTP(*address, timeout=10) as server:
            server.send_message(message)
    except (OSError, ValueError) as error:  # a host that can have no such name is a ValueError
        raise RouterError(f"no mail to {address[0]}:{address[1]} ({error}); is the daemon running?") from error
    say(f"  250: the mail to {to} is recorded")


def scan(folder: Path) -> None:
    if not folder.is_dir():
        raise RouterError(f"{folder} does not exist; name the data folder with --data")
    name = f"try-{uuid.uuid4().hex[:8]}"
    part = folder / f"{name}.pdf.part"
    part.write_bytes(pdf())
    (folder / f"{name}.json").write_text(json.dumps({"from": "+15550199"}))
    part.rename(folder / f"{name}.pdf")
    say(f"  {folder / name}.pdf is there; it disappears when it is recorded, after about two seconds")


def chat(url: str, topic: str) -> None:
    """Lines from the terminal are messages; what comes is printed. Ctrl-D leaves."""
    from websockets.exceptions import WebSocketException

    try:
        asyncio.run(_chat(url, topic))
    except (KeyboardInterrupt, EOFError):
        say("left")
    except OSError as error:
        raise RouterError(f"{url} does not answer ({error}); is the daemon running?") from error
    except (WebSocketException, ValueError) as error:
        raise RouterError(f"{url} is no chat of a daemon ({one_line(error)})") from error


async def _chat(url: str, topic: str) -> None:
    from websockets.asyncio.client import connect

    async with connect(url, subprotocols=["switchboard.chat.v1"]) as socket:  # type: ignore[list-item]
        await socket.send(json.dumps({"type": "hello", "topic": topic, "name": "Eva"}))
        reader = asyncio.create_task(_print_all(socket))
        number = 0
        while (line := await asyncio.to_thread(sys.stdin.readline)) and not reader.done():
            number += 1
            await socket.send(json.dumps({"type": "message", "id": f"m{number}", "text": line.rstrip("\n")}))
        await socket.send(json.dumps({"type": "leave"}))
        await asyncio.wait([reader], timeout=2)


async def _print_all(socket: Any) -> None:
    async for text in socket:
        say(f"  < {text}")
