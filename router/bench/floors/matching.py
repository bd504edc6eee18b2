"""The matching floors: what a decision costs when nothing but matching is done.

`Grouped` is the idea of the engine's matcher, bare: classes are heaps of ints, cells are deques of ints, a decision is
the smallest head among the compatible ones. No events, no offers, no configuration, no names.

`Naive` looks at everybody and everything. It is slow, and it is plain to see that it is right.

Both take the same decisions as the engine; a test plays histories against each other. Channels are 0 (exclusive), 1 and
2; a load is a counter of eight bits for each.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from heapq import heapify, heappop, heappush

BITS = 22  # up to 4 million agents, and as many waiting
MASK = (1 << BITS) - 1
NONE = 1 << 61
CHANNELS = 3
CAPS = (1, 3, 5)
FEW = 4  # compatible groups: so many are looked at one by one

Needs = dict[int, int]  # skill -> least level


def room(load: int) -> int:
    """The channels with room, as a bit set. Channel 0 needs an agent without other work, and takes all of them."""
    if load & 255:
        return 0
    free = 0 if load else 1
    for channel in (1, 2):
        if load >> 8 * channel & 255 < CAPS[channel]:
            free |= 1 << channel
    return free


def meets(skills: Needs, needs: Needs) -> bool:
    return all(skills.get(skill, 0) >= level for skill, level in needs.items())


class Groups:
    """Heads of numbered groups: by number, as a bit set of those that are not empty, and in order."""

    def __init__(self) -> None:
        self.head: list[int] = []
        self.group_of: list[int] = []  # who -> group
        self.filled = 0
        self.order: list[int] = []

    def set_head(self, g: int, entry: int) -> None:
        old = self.head[g]
        self.head[g] = entry
        if old == NONE:
            self.filled |= 1 << g
        else:
            del self.order[bisect_left(self.order, old)]
        if entry == NONE:
            self.filled ^= 1 << g
        else:
            insort(self.order, entry)

    def best(self, compatible: int, members: list[int]) -> int:
        """The smallest head among the compatible groups, or NONE.

        Few are looked at one by one. Of many, the order over all heads is walked to the first compatible one, for a few
        steps; where that does not help, all compatible heads are compared.
        """
        wanted = compatible & self.filled
        count = wanted.bit_count()
        if count <= FEW:
            best, head = NONE, self.head
            while wanted:
                low = wanted & -wanted
                entry = head[low.bit_length() - 1]
                if entry < best:
                    best = entry
                wanted ^= low
            return best
        steps = 4 * len(self.order) // count + 4
        if steps < count:
            for entry in self.order[:steps]:
                if compatible >> self.group_of[entry & MASK] & 1:
                    return entry
        return min(map(self.head.__getitem__, members))


class Grouped:
    def __init__(self, profiles: list[Needs], needs: list[tuple[int, Needs]], agents: int) -> None:
        self.channel = [channel for channel, _ in needs]
        self.met = [[r for r, (_, n) in enumerate(needs) if meets(p, n)] for p in profiles]
        # classes
        self.classes = Groups()
        self.classes.head = [NONE] * len(needs)
        self.heaps: list[list[int]] = [[] for _ in needs]
        self.waiting = [0] * len(needs)
        self.slot_entry: list[int] = []
        self.slot_ident: list[int] = []
        self.free_slots: list[int] = []
        # cells
        self.cells = Groups()
        self.queues: list[deque[int]] = []  # behind the head
        self.cell_ids: dict[int, int] = {}
        self.rooms: dict[int, int] = {}
        # which cell can serve which class, both ways, as a bit set and as a list
        self.cells_of = [0] * len(needs)
        self.cell_list_of: list[list[int]] = [[] for _ in needs]
        self.classes_of: list[int] = []
        self.class_list_of: list[list[int]] = []
        # agents
        self.profile = [a % len(profiles) for a in range(agents)]
        self.load = [0] * agents
        self.entry = [0] * agents  # where an agent stands, 0 if nowhere
        self.cells.group_of = [0] * agents
        self.stamp = 0
        for profile in range(len(profiles)):
            for free in (7, 6, 4, 2):
                self._cell(profile, free)  # now, not in the first decision that needs it
        for a in range(agents):
            self._place(a)

    def _cell(self, profile: int, free: int) -> int:
        key = profile << CHANNELS | free
        found = self.cell_ids.get(key)
        if found is not None:
            return found
        cell = self.cell_ids[key] = len(self.queues)
        self.queues.append(deque())
        self.cells.head.append(NONE)
        mine = [r for r in self.met[profile] if free >> self.channel[r] & 1]
        self.class_list_of.append(mine)
        self.classes_of.append(sum(1 << r for r in mine))
        for r in mine:
            self.cells_of[r] |= 1 << cell
            self.cell_list_of[r].append(cell)
        return cell

    def _room(self, load: int) -> int:
        found = self.rooms.get(load)
        if found is None:
            found = self.rooms[load] = room(load)
        return found

    def _place(self, a: int) -> None:
        """Behind everybody of the cell that the load now asks for."""
        free = self._room(self.load[a])
        if not free:
            return
        cell = self._cell(self.profile[a], free)
        self.stamp += 1
        entry = self.entry[a] = self.stamp << BITS | a
        self.cells.group_of[a] = cell
        if self.cells.head[cell] == NONE:
            self.cells.set_head(cell, entry)
        else:
            self.queues[cell].append(entry)

    def _withdraw(self, a: int) -> None:
        """An entry in the middle only becomes stale."""
        entry, self.entry[a] = self.entry[a], 0
        if not entry:
            return
        cell = self.cells.group_of[a]
        if self.cells.head[cell] != entry:
            return
        queue, live = self.queues[cell], self.entry
        while queue:
            entry = queue.popleft()
            if live[entry & MASK] == entry:
                self.cells.set_head(cell, entry)
                return
        self.cells.set_head(cell, NONE)

    def arrive(self, r: int, key: int, ident: int) -> int:
        """The agent for a new interaction, or -1: then it waits. Smaller keys come first."""
        entry = self.cells.best(self.cells_of[r], self.cell_list_of[r])
        if entry != NONE:
            a = entry & MASK
            self._withdraw(a)
            self.load[a] += 1 << 8 * self.channel[r]
            self._place(a)
            return a
        if self.free_slots:
            slot = self.free_slots.pop()
            self.slot_ident[slot] = ident
            self.classes.group_of[slot] = r
        else:
            slot = len(self.slot_entry)
            self.slot_entry.append(0)
            self.slot_ident.append(ident)
            self.classes.group_of.append(r)
        entry = self.slot_entry[slot] = key << BITS | slot
        self.waiting[r] += 1
        heappush(self.heaps[r], entry)
        if entry < self.classes.head[r]:
            self.classes.set_head(r, entry)
        return -1

    def release(self, a: int, channel: int) -> list[int]:
        """The agent is done with one; all that they get next."""
        self._withdraw(a)
        self.load[a] -= 1 << 8 * channel
        given: list[int] = []
        while free := self._room(self.load[a]):
            cell = self._cell(self.profile[a], free)
            entry = self.classes.best(self.classes_of[cell], self.class_list_of[cell])
            if entry == NONE:
                break
            slot = entry & MASK
            self._forget(slot)
            self.load[a] += 1 << 8 * self.channel[self.classes.group_of[slot]]
            given.append(self.slot_ident[slot])
        self._place(a)
        return given

    def _forget(self, slot: int) -> None:
        """The head of its class is taken; the next live one takes its place."""
        r = self.classes.group_of[slot]
        self.slot_entry[slot] = 0
        self.free_slots.append(slot)
        self.waiting[r] -= 1
        heap, live = self.heaps[r], self.slot_entry
        heappop(heap)
        while heap and live[heap[0] & MASK] != heap[0]:
            heappop(heap)
        self.classes.set_head(r, heap[0] if heap else NONE)
        if len(heap) > 2 * self.waiting[r] + 64:
            self.heaps[r] = [e for e in heap if live[e & MASK] == e]
            heapify(self.heaps[r])


class Naive:
    """The same decisions by looking at everybody and everything."""

    def __init__(self, profiles: list[Needs], needs: list[tuple[int, Needs]], agents: int) -> None:
        self.needs = needs
        self.channel = [channel for channel, _ in needs]
        self.skills = [profiles[a % len(profiles)] for a in range(agents)]
        self.load = [0] * agents
        self.since = list(range(agents))
        self.stamp = agents
        self.waiting: dict[int, tuple[int, int]] = {}  # ident -> (key, class)

    def _can(self, a: int, r: int) -> bool:
        channel, needs = self.needs[r]
        return bool(room(self.load[a]) >> channel & 1) and meets(self.skills[a], needs)

    def _take(self, a: int, r: int) -> None:
        self.load[a] += 1 << 8 * self.channel[r]
        self._stamp(a)

    def _stamp(self, a: int) -> None:
        self.stamp += 1
        self.since[a] = self.stamp

    def arrive(self, r: int, key: int, ident: int) -> int:
        best, since = -1, NONE
        for a in range(len(self.skills)):
            if self.since[a] < since and self._can(a, r):
                best, since = a, self.since[a]
        if best < 0:
            self.waiting[ident] = (key, r)
        else:
            self._take(best, r)
        return best

    def release(self, a: int, channel: int) -> list[int]:
        self.load[a] -= 1 << 8 * channel
        self._stamp(a)
        given: list[int] = []
        while (ident := self._first(a)) >= 0:
            given.append(ident)
            self._take(a, self.waiting.pop(ident)[1])
        return given

    def _first(self, a: int) -> int:
        best, smallest = -1, NONE
        for ident, (key, r) in self.waiting.items():
            if key < smallest and self._can(a, r):
                best, smallest = ident, key
        return best
