"""A batch with separator sheets: which pages are one document, and what becomes of each. Pure.

A sheet begins a document, and is its first page. What stands before the first sheet is a document, too. The first
document stays the item that the batch came as, with the file as it came; each other one arrives as an item of its own,
with its pages and what its sheet says, since when the batch waits. Their keys are made of the batch's number and their
place in it, so that a batch met again after a crash gives the same ones.

What somebody works on stays whole: they have all of it before them. What came out of a batch is not looked through for
further ones.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from channels.scan.recognise import attributes_of
from router.engine.commands import Arrive
from router.engine.events import Blob, Message
from router.engine.views import InteractionView

DOCUMENTS_MAX = 500  # of one batch; the last takes what is left
# What the batch knows of itself, and its documents know better.
_OWN = frozenset({"pages", "width", "height", "dpi", "condition", "kind", "detail", "document", "documents", "batch"})


class Slice(Struct, frozen=True):
    """Pages of one of an item's files, which stand together."""

    file: int
    first: int
    count: int


class Document(Struct, frozen=True):
    slices: tuple[Slice, ...]
    codes: tuple[str, ...] = ()  # of its own sheet

    @property
    def pages(self) -> int:
        return sum(one.count for one in self.slices)


def documents(files: Sequence[Sequence[Sequence[str]]], begins: str) -> list[Document]:
    """The documents of an item, by the codes of each page of each file."""
    found: list[tuple[list[Slice], tuple[str, ...]]] = []
    for number, pages in enumerate(files):
        for page, codes in enumerate(pages):
            is_sheet = any(code.startswith(begins) for code in codes)
            if not found or (is_sheet and len(found) < DOCUMENTS_MAX):
                found.append(([], tuple(codes) if is_sheet else ()))
            _extend(found[-1][0], number, page)
    return [Document(tuple(slices), codes) for slices, codes in found]


def _extend(slices: list[Slice], file: int, page: int) -> None:
    if slices and slices[-1].file == file:
        last = slices.pop()
        slices.append(Slice(file, last.first, last.count + 1))
    else:
        slices.append(Slice(file, page, 1))


def may_be_parted(view: InteractionView) -> bool:
    return view.state in ("queued", "offered") and "batch" not in view.attributes


def arrival(view: InteractionView, place: int, of: int, one: Document, blobs: Sequence[Blob], begins: str) -> Arrive:
    """Document `place` (2, 3, ...) of so many. What a sidecar said of the batch is said of each of them."""
    own = f"scan.batch:{view.id}:{place}"
    known = {name: value for name, value in view.attributes.items() if name not in _OWN}
    sheet = {name: value for name, value in attributes_of("", one.codes, {}, begins).items() if name not in known}
    counted = {"pages": str(one.pages), "batch": view.id, "document": str(place), "documents": str(of)}
    return Arrive(
        key=own,
        channel=view.channel,
        threads=(own,),
        # By whom it is nobody knows where no sender is told: then it is a customer of its own.
        identities=(f"ref:{own}" if view.customer.startswith("ref:") else view.customer,),
        sender=view.sender,
        recipient=view.recipient,
        name=view.name,
        subject=f"{view.channel.capitalize()}, {one.pages} page{'s' if one.pages != 1 else ''}",
        language=view.language,
        attributes={**known, **sheet, **counted},
        message=Message("", tuple(blobs), external_id=own),
        received_at_ms=view.enqueued_at_ms,
    )
