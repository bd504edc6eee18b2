"""What a reader should never meet in the tree: one machine's paths, and notes to oneself left in the code."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("router", "channels", "tests", "config", "deploy", "docs", "requirements", ".ci")
MADE = {".git", "__pycache__", "node_modules", "vendor"}  # .git is a file in a linked working tree

# Written so that this file does not contain what it looks for.
MACHINE_PATH = re.compile(r"(?<![\w.-])/(?:work/|root/|tmp/bash_jobs)")
NOTE_TO_SELF = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME)\b")


def text_files(*folders: str) -> Iterator[tuple[Path, str]]:
    """The text files under these folders and beside them; what is made or comes from elsewhere is left out."""
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*")]
    for path in sorted({*paths, *ROOT.glob("*")}):
        if path.is_file() and not MADE & set(path.parts):
            data = path.read_bytes()
            if b"\0" not in data[:8_000]:
                yield path.relative_to(ROOT), data.decode("utf-8", "replace")


def lines_with(pattern: re.Pattern[str], *folders: str) -> list[str]:
    return [
        f"{path}:{number}: {line.strip()[:100]}"
        for path, text in text_files(*folders)
        if pattern.search(text)
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def test_no_file_knows_one_machine() -> None:
    assert lines_with(MACHINE_PATH, *FOLDERS) == []


def test_no_note_to_self_is_left_in_the_code() -> None:
    assert lines_with(NOTE_TO_SELF, "router", "channels") == []


@pytest.mark.parametrize("text", ["open('/" + "work/x')", "HOME=/" + "root/y", "/" + "tmp/bash_jobs.0/1"])
def test_a_machine_path_is_recognised(text: str) -> None:
    assert MACHINE_PATH.search(text)


@pytest.mark.parametrize("text", ["https://example.org/" + "work/x", "frame/" + "root/y", "/" + "rooted"])
def test_what_only_looks_like_one_is_not(text: str) -> None:
    assert not MACHINE_PATH.search(text)
