"""Real files from public projects, kept beside the repository: `shared/corpora` next to its root, or where
SWITCHBOARD_CORPORA says."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def corpora() -> Path:
    """The folder of the collections; a test that needs it is skipped, and says so, where it is absent."""
    given = os.environ.get("SWITCHBOARD_CORPORA")
    path = Path(given) if given else ROOT.parent / "shared" / "corpora"
    if not path.is_dir():
        pytest.skip(f"the collection of real input files is not here: {path}")
    return path


def scans() -> dict[Path, dict[str, Any]]:
    """Each scan with what its origin and several tools say of it."""
    found = {}
    for listing in sorted((corpora() / "scans").glob("*/expectations.json")):
        for entry in json.loads(listing.read_bytes())["files"]:
            found[listing.parent / entry["file"]] = entry["expect"]
    assert found
    return found
