"""What a file is, and what the inspector says of it, shared by the child that looks and the process that asks.

It crosses a pipe from a process that handled hostile bytes, so every field is bounded and checked when it is read.

Conditions:
    ok          every page that was tried can be shown
    damaged     some of it can be shown
    encrypted   a PDF that wants a password: a person may know it
    raw         fax data without a container: no viewer is sure of it, and the number of pages is unknown
    unreadable  nothing can be shown
    foreign     not one of the kinds that are taken
    too-many-pages, too-many-pixels     over a stated limit
    out-of-time, out-of-memory, crashed     the child did not come to an end
"""

from __future__ import annotations

import re
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

SHOWABLE = frozenset({"ok", "damaged", "encrypted", "raw"})

MEDIA_TYPES = {
    "pdf": "application/pdf",
    "tiff": "image/tiff",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "gif": "image/gif",
    "g3": "image/g3fax",
}

HEAD_BYTES = 1_024  # where the PDF reference allows the header to stand

_SIGNATURES = (
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
)
# Raw fax data: named so, or as mgetty names pages ("ff5a1b2c3.01").
_G3_NAME = re.compile(r".*\.(g3|g32d|fax|\d{2,3})", re.IGNORECASE | re.DOTALL)

# Longer than any answer with every field at its bound.
ANSWER_MAX = 16_384

Count = Annotated[int, Meta(ge=0, le=1 << 40)]
Line = Annotated[str, Meta(max_length=400)]


class Finding(Struct, frozen=True, kw_only=True, omit_defaults=True):
    condition: Annotated[str, Meta(pattern=r"^[a-z-]{2,32}$")]
    kind: Annotated[str, Meta(pattern=r"^[a-z0-9]{0,8}$")] = ""  # a key of MEDIA_TYPES, or "" if it is none of them
    pages: Count = 0  # 0: unknown
    width: Count = 0  # pixels of the first page; 0 for PDF
    height: Count = 0
    dpi: Count = 0
    sender: Line = ""  # the telephone that a fax server wrote into the file
    detail: Line = ""

    @property
    def showable(self) -> bool:
        return self.condition in SHOWABLE


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Finding)


def to_bytes(finding: Finding) -> bytes:
    return _encoder.encode(finding)


def from_bytes(answer: bytes) -> Finding:
    """Raises msgspec.DecodeError for anything that is not a bounded Finding."""
    return _decoder.decode(answer)


def line(text: object) -> str:
    """Text of unknown origin as one bounded printable line."""
    return "".join(c if c.isprintable() else " " for c in str(text)[:400]).strip()


def kind_of(head: bytes, name: str) -> str:
    """A key of `MEDIA_TYPES` by the first HEAD_BYTES of a file, or "". Only raw fax data needs its name."""
    for signature, kind in _SIGNATURES:
        if head.startswith(signature):
            return kind
    if b"%PDF-" in head:
        return "pdf"
    return "g3" if _G3_NAME.fullmatch(name) and _starts_a_line(head) else ""


def _starts_a_line(head: bytes) -> bool:
    """T.4 raw data begins with the end-of-line code: at least eleven zero bits and a one, in either order of bits."""
    zeros = len(head) - len(head.lstrip(b"\0"))
    if not 1 <= zeros <= 8 or zeros == len(head):
        return False
    return zeros > 1 or head[1] & 0xF0 == 0x10 or head[1] & 0x0F == 0x08
