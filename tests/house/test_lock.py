"""The lock names versions and hashes, and nothing about where somebody once downloaded them."""

import re
from pathlib import Path

import pytest

LOCKS = Path(__file__).parents[2] / "requirements"
PIN = re.compile(r"^([a-z0-9][a-z0-9._-]*)==(\S+)", re.MULTILINE)


def pins(name: str) -> set[tuple[str, ...]]:
    return set(PIN.findall((LOCKS / name).read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", sorted(LOCKS.iterdir()), ids=lambda path: path.name)
def test_a_lock_names_no_host(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert [mark for mark in ("://", "--index", "--extra-index", "--find-links", "file:") if mark in text] == []


def test_what_runs_is_what_was_tested() -> None:
    assert pins("run.txt")
    assert pins("run.txt") <= pins("dev.txt")


@pytest.mark.parametrize("path", sorted(LOCKS.glob("*.txt")), ids=lambda path: path.name)
def test_every_pin_has_a_hash(path: Path) -> None:
    blocks = re.split(r"\n(?=[a-z0-9])", path.read_text(encoding="utf-8"))[1:]
    assert blocks
    assert [block for block in blocks if not PIN.match(block) or "--hash=sha256:" not in block] == []
