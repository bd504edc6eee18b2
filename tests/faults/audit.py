"""The ledgers of the outside against the exported journal, by rules of its own.

Nothing of the server is used: the journal is read as JSON lines, and this page says in its own words what must hold.

    lost     acknowledged, but not in the journal
    doubled  one external id, two interactions; one fact twice; an interaction taken while somebody has it
    stuck    everything is idle, and an interaction has not come to its end
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from tests.faults.world import Ledger

Json = dict[str, Any]
# What takes an interaction from the agent who has it.
RELEASES = ("requeued", "transferred", "connect-failed", "ended")


@dataclass
class Findings:
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)

    def __iadd__(self, other: Findings) -> Findings:
        self.lost += other.lost
        self.doubled += other.doubled
        self.stuck += other.stuck
        return self


class History:
    """The journal, told once from its beginning."""

    def __init__(self, lines: list[Json]) -> None:
        self.findings = Findings()
        self.arrived: dict[str, Json] = {}  # interaction -> its arrival
        self.by_key: dict[str, str] = {}  # key of an arrival -> interaction
        self.words: Counter[str] = Counter()  # by external id: visitors' ids are theirs alone here
        self.notes: Counter[tuple[str, str]] = Counter()
        self.accepts: dict[str, tuple[str, str]] = {}  # offer -> agent, interaction
        self.declines: set[tuple[str, str]] = set()
        self.ended: dict[str, str] = {}  # interaction -> reason
        self.owner: dict[str, str] = {}
        self._keys: Counter[str] = Counter()
        for position, line in enumerate(lines, 1):
            if line["seq"] != position:
                self.findings.lost.append(f"record {position} is missing")
            self._take(line)
        self.findings.doubled += [f"key {key} was recorded {n} times" for key, n in self._keys.items() if n > 1]

    def _take(self, line: Json) -> None:
        fact, kind = line["event"], line["type"]
        if line["key"]:
            self._keys[line["key"]] += 1
        interaction = f"i-{fact['interaction']}" if "interaction" in fact else ""
        if kind == "arrived":
            self._arrived(interaction, line["key"], fact)
        elif kind == "message":
            self.words[fact["message"]["external_id"]] += 1
        elif kind == "note":
            self.notes[interaction, fact["text"]] += 1
        elif kind == "offer-accepted":
            self._accepted(interaction, f"o-{fact['offer']}", fact["agent"])
        elif kind == "offer-declined":
            self.declines.add((fact["agent"], f"o-{fact['offer']}"))
        elif kind in RELEASES:
            self.owner.pop(interaction, None)
            if kind == "ended":
                self._ended(interaction, fact["reason"])

    def _arrived(self, interaction: str, key: str, fact: Json) -> None:
        if interaction in self.arrived:
            self.findings.doubled.append(f"{interaction} arrived twice")
        self.arrived[interaction] = fact
        self.by_key[key] = interaction
        if fact.get("message"):
            self.words[fact["message"]["external_id"]] += 1

    def _accepted(self, interaction: str, offer: str, agent: str) -> None:
        if offer in self.accepts:
            self.findings.doubled.append(f"{offer} was accepted twice")
        if interaction in self.owner:
            self.findings.doubled.append(f"{interaction} was taken by {agent} while {self.owner[interaction]} had it")
        if interaction in self.ended:
            self.findings.doubled.append(f"{interaction} was taken by {agent} after its end")
        self.accepts[offer] = (agent, interaction)
        self.owner[interaction] = agent

    def _ended(self, interaction: str, reason: str) -> None:
        if interaction in self.ended:
            self.findings.doubled.append(f"{interaction} ended twice")
        self.ended[interaction] = reason


def audit(lines: list[Json], ledger: Ledger) -> Findings:
    """What the journal does not bear out of what the outside was told."""
    history = History(lines)
    found = history.findings
    _contacts(history, ledger, found)
    for interaction, ident in ledger.said:
        count = history.words[ident]
        if count != 1:
            (found.doubled if count else found.lost).append(f"message {ident} of {interaction}: {count} times")
    for interaction, text in ledger.noted:
        count = history.notes[interaction, text]
        if count != 1:
            (found.doubled if count else found.lost).append(f"note {text!r} of {interaction}: {count} times")
    for agent, offer, interaction in ledger.accepted:
        if history.accepts.get(offer) != (agent, interaction):
            found.lost.append(f"{agent} accepted {offer} of {interaction}")
    found.lost += [
        f"{agent} declined {offer}" for agent, offer in ledger.declined if (agent, offer) not in history.declines
    ]
    for agent, interaction in ledger.completed:
        if interaction not in history.ended:
            found.lost.append(f"{agent} completed {interaction}")
    found.lost += [f"{interaction} was left" for interaction in ledger.left if interaction not in history.ended]
    found.stuck += [
        f"{interaction} has not ended" for interaction in history.arrived if interaction not in history.ended
    ]
    return found


def _contacts(history: History, ledger: Ledger, found: Findings) -> None:
    """Each acknowledged external id leads to exactly one interaction."""
    by_reference = _references(history)
    for contact in ledger.contacts:
        if contact.kind == "chat":
            known = [contact.interaction] if contact.interaction in history.arrived else []
        elif contact.kind in ("phone", "walkin"):
            known = [history.by_key[contact.key]] if contact.key in history.by_key else []
        else:
            known = by_reference[contact.key]
        if len(known) > 1:
            found.doubled.append(f"{contact.key} is {', '.join(known)}")
        if not contact.acknowledged:
            continue
        if not known:
            found.lost.append(f"{contact.kind} {contact.key} {contact.interaction}")
        elif contact.interaction and known[0] != contact.interaction:
            found.doubled.append(f"{contact.key} was acknowledged as {contact.interaction} and is {known[0]}")


def _references(history: History) -> dict[str, list[str]]:
    """Mails by Message-ID and scans by file name: what their senders know them by."""
    found: dict[str, list[str]] = defaultdict(list)
    for interaction, fact in history.arrived.items():
        message = fact.get("message") or {}
        if fact["channel"] == "email":
            found[f"mail:<{message.get('external_id', '').strip('<>')}>"].append(interaction)
        elif fact["channel"] == "fax":
            found[fact["attributes"]["file"]].append(interaction)
    return found
