"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path


def write_durably(folder: Path, name: str, data: bytes) -> None:
    """The file is there whole or not at all, and once this returns it stays. The same name again replaces it."""
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{name}.part"
    with open(draft, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, folder / name)
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
