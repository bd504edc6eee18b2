"""Reads our Markdown as far as the tests of the documentation need it: fences, code spans, tables, headings, links."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "router/ARCHITECTURE.md", *ROOT.glob("docs/*.md")])

_FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_LINK = re.compile(r"\[(?:[^\]\[]|`[^`]*`)*\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Fence:
    kind: str  # what stands behind the three backticks
    text: str


@dataclass(frozen=True)
class Table:
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Page:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = path.read_text(encoding="utf-8")

    @cached_property
    def fences(self) -> list[Fence]:
        return [Fence(kind.strip(), text) for kind, text in _FENCE.findall(self.text)]

    @cached_property
    def prose(self) -> str:
        return _FENCE.sub("", self.text)

    @cached_property
    def spans(self) -> list[str]:
        return [span.replace("\\|", "|") for span in _SPAN.findall(self.prose)]

    @cached_property
    def links(self) -> list[str]:
        return _LINK.findall(self.prose)

    @cached_property
    def anchors(self) -> set[str]:
        """As forges make them of headings."""
        headings = re.findall(r"^#+ (.*)$", self.prose, re.MULTILINE)
        return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}

    @cached_property
    def tables(self) -> list[Table]:
        found: list[Table] = []
        for block in re.findall(r"(?:^\|.*\|\n?)+", self.prose, re.MULTILINE):
            rows = [tuple(_cells(line)) for line in block.strip().splitlines()]
            found.append(Table(rows[0], tuple(rows[2:])))
        return found

    def column(self, title: str) -> list[str]:
        """The code spans in the columns of this title, over all tables."""
        return [
            span
            for table in self.tables
            if title in table.header
            for row in table.rows
            for span in _SPAN.findall(row[table.header.index(title)])
        ]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]
