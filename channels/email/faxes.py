"""Faxes that a fax server sends as mail. Pure: bytes in, files out.

HylaFAX and its like put the document into an attachment (TIFF or PDF) and say in the text who sent it. Mail of a server
that the settings name is therefore no mail: its documents go into a drop folder of the scan channel, each with a
sidecar, where they become faxes like those of any other source, inspected and set aside as those are. A mail of such a
server without a document (a report, a failure) stays a mail.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

import msgspec
from msgspec import Struct

from channels.email.body import attachment_content, readable_text
from channels.email.parse import Letter
from channels.email.text import clean

DOCUMENTS = {
    "image/tiff": ".tif",
    "image/tif": ".tif",
    "application/pdf": ".pdf",
    "image/jpeg": ".jpg",
    "image/png": ".png",
}
FAXES_MAX = 20  # documents of one mail
NUMBER_MAX = 40

# As HylaFAX, mgetty and usual gateways write it, one on a line: "CallID1: +15550199".
_LINE = re.compile(r"^[ \t]*([A-Za-z][A-Za-z0-9 _-]{1,30}?)[ \t]*:[ \t]*\"?([^\"\n]{1,200})", re.MULTILINE)
_NUMBER = re.compile(r"\+?\d[\d ()./-]{3,30}")
_CALLER = ("callid1", "caller id", "callerid", "cidnumber", "sender", "remote id", "from", "tsi")
_CALLED = ("callid3", "called", "did", "to", "destination")
_TOLD = {"pages": "stated_pages", "commid": "comm_id", "received on": "line"}


class FaxFile(Struct, frozen=True):
    """One document, and what is to stand beside it."""

    name: str
    content: bytes
    sidecar_name: str
    sidecar: bytes


def fax_files(raw: bytes, letter: Letter) -> list[FaxFile]:
    """The documents of a fax server's mail, by names that the same mail always gets; empty if it brings none."""
    read = readable_text(raw)
    said = {name.strip().lower(): clean(value, 200) for name, value in reversed(_LINE.findall(read.text))}
    files: list[FaxFile] = []
    for number, part in enumerate(read.attachments):
        ending = DOCUMENTS.get(part.media_type.lower())
        if ending is None or len(files) >= FAXES_MAX:
            continue
        stem = f"mail-{letter.digest[:24]}-{number}"
        sidecar = msgspec.json.encode(_sidecar(said, letter) | {"id": stem})
        files.append(FaxFile(stem + ending, attachment_content(raw, number)[1], stem + ".json", sidecar))
    return files


def _sidecar(said: dict[str, str], letter: Letter) -> dict[str, object]:
    found: dict[str, object] = {"attributes": _attributes(said, letter)}
    for field, names in (("from", _CALLER), ("to", _CALLED)):
        if number := _number(said, names):
            found[field] = number
    if sent := letter.attributes.get("sent_at_ms", ""):
        found["received_at"] = datetime.fromtimestamp(int(sent) / 1_000, UTC).isoformat()
    return found


def _attributes(said: dict[str, str], letter: Letter) -> dict[str, str]:
    told = {_TOLD[name]: value for name, value in said.items() if name in _TOLD}
    return told | {"fax_server": letter.senders[0].address if letter.senders else ""}


def _number(said: dict[str, str], names: tuple[str, ...]) -> str:
    for name in names:
        if found := _NUMBER.search(said.get(name, "")):
            return re.sub(r"[^\d+]", "", found[0])[:NUMBER_MAX]
    return ""
