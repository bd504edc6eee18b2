"""The desk's files as a browser gets them: compressed once, named by what is in them, never looked for on disk again.

All files together have one name, the digest of their content, and stand under it: `/desk/NAME/js/main.js`. What has
such an address never changes, so browsers keep it for ever, and a page never mixes the files of two versions. Only the
page itself is asked for each time. Nothing is built: what is served is what stands in `web/`.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

from router.service.look import TOKENS

MEDIA_TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".json": "application/json",
}
WEB = Path(__file__).parent / "web"
TOO = MappingProxyType({"tokens.css": TOKENS})  # what every page has, under its name in each


def etag_of(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


class File:
    """One file, as it stands and compressed."""

    def __init__(self, path: Path) -> None:
        self.body = path.read_bytes()
        self.media_type = MEDIA_TYPES[path.suffix]
        self.etag = etag_of(self.body)

    @cached_property
    def packed(self) -> bytes:
        return gzip.compress(self.body, 9, mtime=0)


class Files:
    """Everything below a folder, by its path from there, and `also` files from elsewhere."""

    def __init__(self, root: Path = WEB, also: Mapping[str, Path] = TOO) -> None:
        found = {path.relative_to(root).as_posix(): path for path in _files(root)} | dict(also)
        self.files = {name: File(path) for name, path in sorted(found.items())}
        digest = hashlib.sha256()
        for name, file in self.files.items():
            digest.update(f"{name}\0{file.etag}\0".encode())
        self.version = digest.hexdigest()[:16]

    def find(self, version: str, name: str) -> File | None:
        """None where there is no such file; of another version, so that nobody gets a mixture."""
        return self.files.get(name) if version == self.version else None

    def modules(self) -> list[str]:
        """The scripts that a page needs, so that it can ask for all of them at once."""
        return [name for name in self.files if name.endswith(".js")]


def _files(root: Path) -> Iterator[Path]:
    for path in root.rglob("*"):
        if path.is_file() and path.suffix in MEDIA_TYPES:
            yield path
