"""The settings of the scan folders, as they stand under `[scan]`.

Durations are written with a unit ("2s"), sizes in bytes. Leaving an option out means its default.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated

from msgspec import Meta, Struct, field

from router.engine.config import Duration, Name, Timeout
from router.errors import ConfigError
from router.service.language import check_languages

MIB = 1 << 20

# Folders of the data folder that are the daemon's own.
OURS = ("quarantine", "blobs", "appointments", "journal.db")

# Names that writers use while they are not done, and what desktops leave behind.
UNFINISHED = (".*", "*~", "~*", "*.part", "*.partial", "*.filepart", "*.crdownload", "*.tmp", "*.temp", "*.lock")


class Folder(Struct, frozen=True, forbid_unknown_fields=True):
    """One folder that a fax server, a scanner or a person drops files into."""

    path: str = ""  # left out: drop/NAME in the data folder; a relative path starts in the data folder
    channel: Name = "fax"  # the engine's channel: "fax" or "mail"
    to: str = ""  # what the routing plan sees as `to` where no sidecar says; left out: the folder's name
    # A file whose size and times have not changed for so long is complete. Fax servers write a page in seconds, but
    # without a pause of two; raise it for slow links. 0s: take it at first sight (only where files are renamed in).
    settle: Duration = Duration(2_000)
    expects_sidecar: bool = False  # true: a document waits for its sidecar, at most `sidecar_wait`
    # Also how long a document waits for a sidecar that is there, but still being written.
    sidecar_wait: Duration = Duration(10_000)
    orphan_after: Duration = Duration(600_000)  # a sidecar (or an empty file) that stays alone so long is quarantined
    ignore: tuple[str, ...] = UNFINISHED  # patterns of names that are never taken, whatever their case
    # A fax of 100 pages has 5 MB, a colour scan of 50 pages 40 MB. Bigger files go to quarantine unread, those bigger
    # than `quarantine.max_bytes` stay in the folder.
    max_file_bytes: Annotated[int, Meta(ge=1)] = 64 * MIB
    max_pages: Annotated[int, Meta(ge=1, le=100_000)] = 1_000  # nobody reads more at a desk; more goes to quarantine
    max_sidecar_bytes: Annotated[int, Meta(ge=64, le=16 * MIB)] = 64 * 1_024  # a sidecar is a few lines
    # A scanner that writes one file a page (scan001.tif, scan002.tif): files with one stem and rising numbers are one
    # item once no further page has come for so long. 0s: every file is an item of its own.
    page_gap: Duration = Duration(0)


def _default_folders() -> dict[str, Folder]:
    return {"fax": Folder(channel="fax"), "mail": Folder(channel="mail")}


class Inspector(Struct, frozen=True, forbid_unknown_fields=True):
    """Limits of the child that looks into a file. What exceeds one goes to quarantine, where it can be retried."""

    seconds: Annotated[int, Meta(ge=1, le=600)] = 10  # a good fax page takes 0.1 s
    memory_bytes: Annotated[int, Meta(ge=96 * MIB)] = 256 * MIB  # of address space; 45 MiB are the program itself
    # A3 at 600 dpi has 70 million. A picture that announces more is refused before it is decoded.
    max_pixels: Annotated[int, Meta(ge=10_000)] = 120_000_000
    concurrency: Annotated[int, Meta(ge=1, le=32)] = 1  # how many files at once: routing needs the other core
    recycle_after: Annotated[int, Meta(ge=1)] = 1_000  # files until the parent of these children is renewed


Word = Annotated[str, Meta(min_length=2, max_length=100)]
Language = Annotated[str, Meta(pattern=r"^[A-Za-z_]{2,20}$")]


def _showing() -> Inspector:
    return Inspector(seconds=20, memory_bytes=512 * MIB)


class Reading(Struct, frozen=True, forbid_unknown_fields=True):
    """The slow lane: what stands on the pages is read after the item came, and the routing plan is asked once more.

    The item never waits for it. Text that a PDF carries and bar codes are always read; pixels are read by tesseract
    where it is installed. Found words, codes and the language become attributes; the text, and a PDF that can be
    searched, join the item.
    """

    enabled: bool = True  # false: nothing is read
    tesseract: str = "tesseract"  # the program; "": pixels are never read. Where it is not installed, neither
    languages: Annotated[tuple[Language, ...], Meta(min_length=1, max_length=16)] = ("eng",)  # as tesseract names them
    # Of the contact, as routing rules see it ("en", "es"): which of these the text is in. Left out: nobody looks.
    detect: tuple[str, ...] = ()
    # Name -> words or phrases. Those names of which one stands in the text are the attribute `words`, with blanks in
    # between: `attributes["words"].contains("cancellation")`. Left out: nothing is looked for.
    words: dict[Name, tuple[Word, ...]] = field(default_factory=dict)
    # A bar code that begins so is a separator sheet: what follows are attributes ("SWB:dept=claims;urgent=yes").
    separator: Annotated[str, Meta(min_length=2, max_length=20)] = "SWB:"
    # What waits and has such a sheet after its first page is a batch: each document becomes an item of its own. false:
    # it stays one item, with what its sheets say.
    split: bool = True
    # Pages of one file that are looked through for sheets; what comes after belongs to the last document.
    batch_pages: Annotated[int, Meta(ge=1, le=10_000)] = 500
    # Numbers of payment cards become `•••• 1234` in the text and in `codes`. The pages and the searchable PDF stay as
    # they came.
    mask_cards: bool = True
    pages: Annotated[int, Meta(ge=1, le=1_000)] = 20  # of one file; a fax says what it is about on the first two
    seconds: Annotated[int, Meta(ge=5, le=3_600)] = 180  # for reading one file's pixels: a page takes some 4
    memory_bytes: Annotated[int, Meta(ge=256 * MIB)] = 1_024 * MIB  # of tesseract's address space
    after: Duration = Duration(2_000)  # once nothing more has come of an item for so long: it may have several files


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """All of `[scan]`."""

    folders: dict[Name, Folder] = field(default_factory=_default_folders)  # an empty table switches the channel off
    inspector: Inspector = Inspector()
    # Limits of the children that draw pages for agents and read them, for files of every channel.
    showing: Inspector = field(default_factory=_showing)
    reading: Reading = Reading()
    # Folders are read again at least so often, since network shares raise no event and events can be lost.
    poll: Timeout = Timeout(5_000)
    files_per_pass: Annotated[int, Meta(ge=1, le=10_000)] = 100  # so that a flood in one folder does not starve another
    # After a refusal nothing is tried for as long as it asked, doubling up to this.
    longest_backoff: Duration = Duration(60_000)
    # A sidecar may not claim that its document has waited longer than this: it would pass everybody else.
    oldest: Duration = Duration(30 * 86_400_000)
    # The country whose national numbers callers use ("US"): they become identities. Left out: only +1555... do.
    country: Annotated[str, Meta(pattern=r"^([A-Z]{2})?$")] = ""


def check(settings: Settings) -> None:
    """A drop folder is a place of its own: in those of the daemon every file would be taken and set aside for ever, and
    in one with two names taken twice. Raises ConfigError.
    """
    check_languages(settings.reading.detect, "scan.reading.detect")
    known: dict[str, str] = {}
    for name, folder in settings.folders.items():
        path = PurePosixPath(folder.path)
        inside = path.parts[:1] if not path.is_absolute() else ()
        if ".." in path.parts or (folder.path and not path.parts) or inside in {(own,) for own in OURS}:
            expected = f"a folder of its own, not in {', '.join(OURS)} or above the data folder"
            raise ConfigError(f"scan.folders.{name}.path", expected, repr(folder.path))
        place = str(path) if folder.path else f"drop/{name}"
        if known.setdefault(place, name) != name:
            raise ConfigError(f"scan.folders.{name}.path", "a path of its own", f"that of {known[place]}")
