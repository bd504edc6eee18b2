"""Requirements: what an agent must have to be offered an interaction.

A requirement is a small typed tree, written as data (TOML, JSON, the journal), so that a relaxation step can lower one
level and leave the rest alone. It is checked against the names that the configuration knows when it is written: an
unknown skill, attribute, team or agent is refused there and can never become a silent non-match (RT-3).

Written form, each one table with one meaning:
    {skill = "support"}                           level 1 or better
    {skill = "support", op = ">=", level = 4}     also > < <= == !=
    {language = "es"}                             one of the agent's languages; "es" is met by "es-MX"
    {attribute = "site", one_of = ["north"]}      equality is a list of one
    {team = ["billing"]}, {agent = ["ana"]}
    {all = [...]}, {any = [...]}, {not = {...}}   `all = []` is met by everybody

A skill that an agent does not hold counts as level 0, so `{skill = "x", op = "<", level = 3}` is met by somebody
without it.

`fits` decides one tree against one profile. It is called once for each pair of class and profile, not in a decision.
"""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable, Collection, Iterator
from typing import Annotated, Any, Literal, Protocol

from msgspec import Meta, Struct, ValidationError, convert, field, to_builtins
from msgspec.structs import fields

from router.errors import UnknownName

Op = Literal[">=", ">", "<=", "<", "==", "!="]
Level = Annotated[int, Meta(ge=0, le=10)]

COMPARE: dict[str, Callable[[int, int], bool]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
    "==": operator.eq,
    "!=": operator.ne,
}

# Deeper or larger trees are a mistake of the program that wrote them; a person's requirement has under ten nodes.
MAX_DEPTH = 8
MAX_NODES = 200


class Node(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One node of the tree. Exactly one of the first seven fields is set; `check` sees to it."""

    skill: str = ""
    language: str = ""
    attribute: str = ""
    team: tuple[str, ...] = ()
    agent: tuple[str, ...] = ()
    all: tuple[Node, ...] | None = None
    any: tuple[Node, ...] | None = None
    negated: Node | None = field(default=None, name="not")
    op: Op = ">="
    level: Level = 1
    one_of: tuple[str, ...] = ()

    def children(self) -> tuple[Node, ...]:
        if self.negated is not None:
            return (self.negated,)
        return self.all or self.any or ()


Requirement = Node
WORDS = tuple(f.encode_name for f in fields(Node))
ANYBODY = Node(all=())


class Profile(Protocol):
    """What `fits` looks at; the engine's agent profiles have this shape."""

    @property
    def skills(self) -> dict[str, int]: ...
    @property
    def languages(self) -> tuple[str, ...]: ...
    @property
    def attributes(self) -> dict[str, str]: ...
    @property
    def team(self) -> str: ...
    @property
    def agent(self) -> str: ...


class Names(Protocol):
    """The names that a requirement may use."""

    @property
    def skills(self) -> frozenset[str]: ...
    @property
    def attributes(self) -> frozenset[str]: ...
    @property
    def teams(self) -> frozenset[str]: ...
    @property
    def agents(self) -> frozenset[str]: ...


def fits(node: Node, profile: Profile) -> bool:
    """Whether an agent of this profile meets the requirement."""
    if node.skill:
        return COMPARE[node.op](profile.skills.get(node.skill, 0), node.level)
    if node.language:
        return any(_speaks(spoken, node.language) for spoken in profile.languages)
    if node.attribute:
        return profile.attributes.get(node.attribute) in node.one_of
    if node.team:
        return profile.team in node.team
    if node.agent:
        return profile.agent in node.agent
    if node.negated is not None:
        return not fits(node.negated, profile)
    if node.any is not None:
        return any(fits(child, profile) for child in node.any)
    return all(fits(child, profile) for child in node.all or ())


def _speaks(spoken: str, wanted: str) -> bool:
    """Basic filtering of language tags, RFC 4647 section 3.3.1: a range is met by itself and by longer tags."""
    spoken, wanted = spoken.lower(), wanted.lower()
    return spoken == wanted or spoken.startswith(wanted + "-")


def walk(node: Node) -> Iterator[Node]:
    """The node and everything under it."""
    yield node
    for child in node.children():
        yield from walk(child)


def agents_named(node: Node) -> frozenset[str]:
    return frozenset(name for n in walk(node) for name in n.agent)


def both(first: Node, second: Node) -> Node:
    """A requirement that asks for both."""
    if first == ANYBODY:
        return second
    return first if second == ANYBODY else Node(all=(first, second))


def parse(raw: object, names: Names, path: str = "requirement") -> Node:
    """A requirement from untyped data, checked against the known names.

    Raises UnknownName with the path, what is wrong and the nearest known name.
    """
    try:
        node = convert(raw, Node)
    except (ValidationError, RecursionError) as error:
        raise UnknownName(f"{path}: {misread(str(error))}") from error
    check(node, names, path)
    return node


_UNKNOWN_FIELD = re.compile(r"unknown field `([^`]*)`")


def misread(said: str) -> str:
    """A decoder's complaint, with the nearest word where it did not know one."""
    found = _UNKNOWN_FIELD.search(said)
    near = difflib.get_close_matches(found[1], WORDS, 1) if found else []
    return f"{said}; did you mean {near[0]!r}?" if near else said


def check(node: Node, names: Names, path: str = "requirement") -> None:
    """Refuse a tree that is too large or names what the configuration does not know."""
    nodes = list(_bounded(node, path, MAX_DEPTH))
    if len(nodes) > MAX_NODES:
        raise UnknownName(f"{path}: has {len(nodes)} parts; at most {MAX_NODES} are allowed")
    for n, where in nodes:
        _check_one(n, where)
        _known(n.skill, names.skills, "skill", f"{where}.skill")
        _known(n.attribute, names.attributes, "attribute", f"{where}.attribute")
        for team in n.team:
            _known(team, names.teams, "team", f"{where}.team")
        for agent in n.agent:
            _known(agent, names.agents, "agent", f"{where}.agent")


def _bounded(node: Node, path: str, depth: int) -> Iterator[tuple[Node, str]]:
    if depth == 0:
        raise UnknownName(f"{path}: nested deeper than {MAX_DEPTH} levels; flatten it")
    yield node, path
    for child, where in zip(node.children(), _parts(node), strict=True):
        yield from _bounded(child, f"{path}.{where}", depth - 1)


def _parts(node: Node) -> list[str]:
    """What the children are called in the written form."""
    if node.negated is not None:
        return ["not"]
    return [f"{'all' if node.all else 'any'}[{i}]" for i in range(len(node.children()))]


def _check_one(n: Node, path: str) -> None:
    kinds = [bool(n.skill), bool(n.language), bool(n.attribute), bool(n.team), bool(n.agent)]
    kinds += [n.all is not None, n.any is not None, n.negated is not None]
    if sum(kinds) != 1:
        raise UnknownName(f"{path}: say exactly one of skill, language, attribute, team, agent, all, any, not")
    if n.attribute and not n.one_of:
        raise UnknownName(f"{path}: attribute {n.attribute!r} needs one_of = [...]")
    if n.one_of and not n.attribute:
        raise UnknownName(f"{path}: one_of goes with attribute")
    if not n.skill and (n.op, n.level) != (">=", 1):
        raise UnknownName(f"{path}: op and level go with skill")


def _known(name: str, known: Collection[str], kind: str, path: str) -> None:
    if name and name not in known:
        raise UnknownName(f"{path}: {no_such(kind, name, known)}")


# Of more names than these none is told but the nearest, since an answer is for a person to read; and of more than
# these none is compared, since a misspelt agent among a hundred thousand must not hold up a decision.
NAMES_TOLD = 20
NAMES_COMPARED = 1_000


def no_such(kind: str, name: str, known: Collection[str]) -> str:
    """That there is no such thing, and the nearest one that there is, or all of the few that there are."""
    told = f"there is no {kind} {name[:64]!r}"
    if len(known) > NAMES_COMPARED:
        return told
    near = difflib.get_close_matches(name[:64], sorted(known), 1)
    if near:
        return f"{told}; did you mean {near[0]!r}?"
    return told if len(known) > NAMES_TOLD else f"{told}; known: {', '.join(sorted(known)) or 'none'}"


def canonical(node: Node) -> Node:
    """The tree as a decoder makes it. Defaults are left out of bytes by identity, so only such trees that are equal
    are sure to have equal bytes (DU-3)."""
    return convert(as_data(node), Node)


def as_data(node: Node) -> Any:
    """The written form, for answers and explanations."""
    return to_builtins(node)
