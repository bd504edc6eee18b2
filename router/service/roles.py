"""Who somebody is to this house, and what each role may do.

A role is a set of permissions and nothing else; whoever has several roles has what any of them has. The engine knows
nothing of roles: it is the edges that ask, before anything is decided, and each of them asks the same table.

    agent        works: own contacts, own stream
    helpdesk     looks after people at their desks: who is there, accounts, states; reads no customer's words
    supervisor   leads teams: sees and reads their contacts, moves them, joins in
    quality      reads their contacts, and changes nothing
    operator     everything but an agent's own work

Teams narrow what a helpdesk, a supervisor or quality sees to some agents, their contacts and their queues
(`scope.py`). An operator is of the house and is never narrowed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

from msgspec import Struct

Role = Literal["agent", "helpdesk", "supervisor", "quality", "operator"]
Permission = Literal["work", "floor", "contacts", "words", "lead", "people", "accounts", "house"]

ROLES: tuple[Role, ...] = get_args(Role)

MAY: dict[Role, frozenset[Permission]] = {
    "agent": frozenset({"work"}),
    "helpdesk": frozenset({"floor", "people", "accounts"}),
    "supervisor": frozenset({"floor", "contacts", "words", "lead", "people"}),
    "quality": frozenset({"floor", "contacts", "words"}),
    "operator": frozenset({"floor", "contacts", "words", "lead", "people", "accounts", "house"}),
}

# As whom somebody with several roles acts in the journal: the one that says most.
_TITLES: tuple[Role, ...] = ("operator", "supervisor", "helpdesk", "quality", "agent")


class Identity(Struct, frozen=True):
    """Somebody who has proved who they are."""

    name: str
    roles: tuple[Role, ...]
    teams: tuple[str, ...] | None = None  # None: all
    agent: str = ""  # as whom they work; "": as nobody
    session: bytes = b""  # the digest of their session's token; b"": they came with a token of the configuration
    may: frozenset[Permission] = frozenset()

    @property
    def title(self) -> Role:
        return next(role for role in _TITLES if role in self.roles)

    @property
    def by(self) -> str:
        """As the journal and the audit name them: `operator:NAME`, `supervisor:NAME`."""
        return f"{self.title}:{self.name}"


def identity(
    name: str, roles: Iterable[Role], teams: tuple[str, ...] | None = None, agent: str = "", session: bytes = b""
) -> Identity:
    given = tuple(role for role in ROLES if role in set(roles))
    assert given, "nobody is somebody without a role"
    may = frozenset[Permission]().union(*(MAY[role] for role in given))
    return Identity(name, given, None if "operator" in given else teams, agent, session, may)
