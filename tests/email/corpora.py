"""Real mail from public projects. It lies beside a development checkout and is no part of the repository."""

import json
from pathlib import Path
from typing import Any

import pytest

SHARED = Path(__file__).parents[3] / "shared"
CORPORA = SHARED / "corpora" / "email"
ABSENT = "the corpora lie in ../shared/corpora beside a development checkout; there is none here"


def corpus_files(folder: str = "*", suffixes: tuple[str, ...] = (".eml", ".txt", ".msg", ".html")) -> list[Path]:
    """The files of a folder, or of all; empty where there is no `../shared`."""
    if not SHARED.exists():
        return []
    found = sorted(p for p in CORPORA.glob(f"{folder}/*") if p.suffix in suffixes)
    assert found, f"no corpus in {CORPORA}/{folder}"
    return found


def corpus_params(folder: str = "*", suffixes: tuple[str, ...] = (".eml", ".txt", ".msg", ".html")) -> list[Any]:
    """One parameter for each file; where there is no corpus, one that is skipped by name."""
    files = corpus_files(folder, suffixes)
    if not files:
        return [pytest.param(None, id="absent", marks=pytest.mark.skip(reason=ABSENT))]
    return [pytest.param(path, id=f"{path.parent.name}/{path.name}") for path in files]


def expectations(folder: str) -> dict[str, dict[str, Any]]:
    """File name -> what its origin expects."""
    if not SHARED.exists():
        return {}
    table = json.loads((CORPORA / folder / "expectations.json").read_text(encoding="utf-8"))
    return {entry["file"]: entry["expect"] for entry in table["files"]}
