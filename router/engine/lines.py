"""Lines of integers, smallest first, of which only the heads are looked at.

An entry is one integer, `order << BITS | who`, so that to compare entries is to compare numbers. A line is its head
and, behind it, a sorted list: most entries come at its end and leave at its head, both in O(1). Removing one from the
middle only marks it stale; it is dropped when it comes to the head, or when so much is stale that a clean list pays.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator

NONE = 1 << 120  # larger than any entry
# A line is cleaned when more of it is stale than this, and than an eighth of it: cleaning then costs O(1) per removal.
STALE_MIN = 64
# Up to so many heads are looked up one by one; of more, the built-in minimum over all members of the set is quicker.
FEW = 6


class Lines:
    """Numbered lines of integers, smallest first, with all heads at hand."""

    __slots__ = ("at", "filled", "head", "rest", "stale")

    def __init__(self) -> None:
        self.head: list[int] = []  # NONE where a line is empty
        self.rest: list[list[int]] = []  # those behind the head, from `at` on
        self.at: list[int] = []
        self.stale: list[set[int]] = []  # removed, but still in `rest`
        self.filled = 0  # bit set of the lines that are not empty

    def add_line(self) -> int:
        self.head.append(NONE)
        self.rest.append([])
        self.at.append(0)
        self.stale.append(set())
        return len(self.head) - 1

    def push(self, line: int, entry: int) -> None:
        head = self.head[line]
        if head == NONE:
            self.head[line] = entry
            self.filled |= 1 << line
            return
        if entry < head:
            self.head[line], entry = entry, head
        rest, stale = self.rest[line], self.stale[line]
        if stale and entry in stale:
            stale.remove(entry)
        elif not rest or entry > rest[-1]:
            rest.append(entry)
        else:
            insort(rest, entry, self.at[line])

    def remove(self, line: int, entry: int) -> None:
        rest, i, stale = self.rest[line], self.at[line], self.stale[line]
        if self.head[line] != entry:
            stale.add(entry)
            if len(stale) > STALE_MIN and len(stale) * 8 > len(rest) - i:
                self.rest[line] = [x for x in rest[i:] if x not in stale]
                self.at[line] = 0
                stale.clear()
            return
        end = len(rest)
        while stale and i < end and rest[i] in stale:
            stale.remove(rest[i])
            i += 1
        if i < end:
            self.head[line] = rest[i]
            i += 1
        else:
            self.head[line] = NONE
            self.filled ^= 1 << line
        # Those that are over are thrown away when they are many, or all there is.
        if i == end or (i > STALE_MIN and i * 2 > end):
            del rest[:i]
            i = 0
        self.at[line] = i

    def first(self, wanted: int, members: list[int]) -> int:
        """The smallest head of these lines. `wanted` is the bit set of those of `members` that are not empty."""
        head = self.head
        if wanted.bit_count() > FEW:
            return min(map(head.__getitem__, members))
        best = NONE
        while wanted:
            line = wanted.bit_length() - 1
            wanted ^= 1 << line
            if head[line] < best:
                best = head[line]
        return best

    def purge(self, line: int) -> list[int]:
        """What is behind the head, from `at` on, with nothing stale in it."""
        rest, stale = self.rest[line], self.stale[line]
        for entry in stale:
            del rest[bisect_left(rest, entry, self.at[line])]
        stale.clear()
        return rest

    def nth(self, lines: list[int], n: int) -> int:
        """The entry with `n` smaller ones before it in these lines together."""
        heads = sorted(self.head[line] for line in lines if self.head[line] < NONE)
        parts = [(heads, 0, len(heads))]
        for line in lines:
            rest = self.purge(line)
            parts.append((rest, self.at[line], len(rest)))
        return nth(parts, n)

    def ahead(self, line: int, entry: int) -> int:
        """How many entries of the line come before `entry`."""
        if self.head[line] >= entry:
            return 0
        before = bisect_left(self.rest[line], entry, self.at[line]) - self.at[line]
        return 1 + before - sum(1 for x in self.stale[line] if x < entry)

    def walk(self, line: int) -> Iterator[int]:
        """The entries in order."""
        if self.head[line] == NONE:
            return
        yield self.head[line]
        rest, stale = self.rest[line], self.stale[line]
        for i in range(self.at[line], len(rest)):
            if rest[i] not in stale:
                yield rest[i]

    def last(self, line: int, n: int) -> list[int]:
        """Up to so many entries from the end, the very last one first."""
        rest, stale, found = self.rest[line], self.stale[line], list[int]()
        for i in range(len(rest) - 1, self.at[line] - 1, -1):
            if len(found) == n:
                return found
            if rest[i] not in stale:
                found.append(rest[i])
        return found if self.head[line] == NONE or len(found) == n else [*found, self.head[line]]

    def count(self, line: int) -> int:
        return (self.head[line] != NONE) + len(self.rest[line]) - self.at[line] - len(self.stale[line])


def nth(parts: list[tuple[list[int], int, int]], n: int) -> int:
    """The number with `n` smaller ones before it in these stretches of sorted lists.

    Halves the longest stretch each time, so it looks at logarithmically many numbers.
    """
    while True:
        longest, start, end = max(parts, key=lambda part: part[2] - part[1])
        if end - start <= 1:
            return sorted(part[0][part[1]] for part in parts if part[2] > part[1])[n]
        pivot = longest[(start + end) // 2]
        cuts = [bisect_left(part[0], pivot, part[1], part[2]) for part in parts]
        below = sum(cut - part[1] for cut, part in zip(cuts, parts, strict=True))
        if n < below:
            parts = [(part[0], part[1], cut) for cut, part in zip(cuts, parts, strict=True)]
        else:
            n -= below
            parts = [(part[0], cut, part[2]) for cut, part in zip(cuts, parts, strict=True)]


def numbers_in(bits: int) -> Iterator[int]:
    """The numbers in a bit set."""
    while bits:
        n = bits.bit_length() - 1
        bits ^= 1 << n
        yield n
