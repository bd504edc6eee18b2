"""What of a routing plan and its people is well formed, and hardly meant: part of what `switchboard check` notes.

Only what the file itself shows. People transfer contacts to wherever they like, and agents may be added later, so
nothing here is a mistake for certain. Notes are gathered where one cause would make many.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from channels.kiosk.settings import Settings as Kiosk
from channels.registry import KINDS, known_channels
from router.engine.admission import RESORTS
from router.engine.config import Agent, Config, Queue, Resort, Rule
from router.engine.matching import Profile
from router.engine.relaxation import Ladder, asked_on_top
from router.engine.requirements import Node, agents_named, fits

NAMED = 5  # of many of a kind, so many are named

# RFC 5646: a primary subtag has two or three letters, longer ones are reserved and none is registered.
_TAG = re.compile(r"([A-Za-z]{2,3})(-[A-Za-z0-9]{2,8})*")
# ISO 639-1, with two that were withdrawn and are still in use (bh, sh). Codes of three letters are far too many.
_CODES = """
aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el
en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu
ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na
nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg sh si sk sl sm sn
so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu
"""
TWO_LETTERS = frozenset(_CODES.split())


# --- where contacts come from ---------------------------------------------------------------------------------------


def channels(config: Config, sections: Mapping[str, Struct]) -> Iterator[str]:
    """`sections`: what the file says of how contacts come in; none: it is about what the engine decides by alone."""
    known = sorted(known_channels(sections))
    for name in config.channels:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            meant = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
            yield f"channels.{name}: nothing brings contacts in by a channel of this name; {meant}"
        elif sections and not any(name in KINDS[kind].channels(section) for kind, section in sections.items()):
            left_out = next(kind for kind, entry in KINDS.items() if name in entry.channels(entry.settings()))
            yield f"channels.{name}: nothing brings contacts in by it, since there is no section [{left_out}]"


def page_language(kiosk: Kiosk) -> Iterator[str]:
    """In which the page begins, with a button for each of the others; without buttons it may be any."""
    own, offered = kiosk.page_language, ", ".join(kiosk.languages)
    if not _is_language(own):
        yield f"kiosk.page_language: {_no_language(own)}"
    elif offered and own.partition("-")[0] not in {code.partition("-")[0] for code in kiosk.languages}:
        yield f"kiosk.page_language: no button leads back to {own!r}, as it is not one of kiosk.languages ({offered})"


# --- where contacts go ------------------------------------------------------------------------------------------------


def rules(config: Config) -> Iterator[str]:
    yield from _unreached_rules(config)
    led_to = _led_to(config)
    for name in config.queues:
        if name not in led_to:
            yield (
                f"queues.{name}: no rule leads here, and nothing else in this file; it gets only what people transfer "
                "or ask to be called back in it"
            )


def _unreached_rules(config: Config) -> Iterator[str]:
    """Rules of which every channel and address is taken by rules before them that ask for nothing further."""
    taken: dict[tuple[str, str | None], str] = {}  # channel, address (None: any) -> rule
    lost: dict[tuple[str, ...], list[str]] = {}  # rules that take it all -> those that get nothing
    for rule in config.rules:
        pairs = _pairs(rule, config)
        takers = [taken.get((channel, None)) or taken.get((channel, to)) for channel, to in pairs]
        found = tuple(dict.fromkeys(taker for taker in takers if taker is not None))
        if takers and None not in takers:
            lost.setdefault(found, []).append(rule.name)
        elif not rule.when:
            for pair in pairs:
                taken.setdefault(pair, rule.name)
    places = {rule.name: i for i, rule in enumerate(config.rules)}
    for before, names in lost.items():
        is_one = len(names) == 1
        yield (
            f"rules[{places[names[0]]}]: {_listed(names)} {'is' if is_one else 'are'} never reached, since "
            f"{_listed(before)} before {'it' if is_one else 'them'} already {'takes' if len(before) == 1 else 'take'} "
            "all of that; put narrower rules first"
        )


def _pairs(rule: Rule, config: Config) -> list[tuple[str, str | None]]:
    """What the rule's plain conditions let through."""
    addresses: tuple[str | None, ...] = rule.to or (None,)
    return [(channel, to) for channel in rule.channel or config.channels for to in addresses]


def _led_to(config: Config) -> set[str]:
    """Queues into which something comes by itself: by a rule, or out of a queue where that is so."""
    found: set[str] = set()
    ahead = [rule.queue for rule in config.rules]
    ahead += [step.queue for rule in config.rules for step in rule.relax or () if step.queue]
    ahead += [channel.no_show.queue for channel in config.channels.values() if channel.no_show.queue]
    ahead += [config.default_queue] if config.default_queue else []
    while ahead:
        name = ahead.pop()
        if name not in found:
            found.add(name)
            ahead += _out_of(config.queues[name])
    return found


def _out_of(queue: Queue) -> Iterator[str]:
    """Where its rules move what waits in it, or would."""
    resorts: list[Resort | None] = [getattr(queue, name) for name in RESORTS]
    yield from (resort.queue for resort in resorts if resort is not None and resort.queue)
    yield from (step.queue for step in queue.relax if step.queue)
    yield from (overflow.to for overflow in queue.overflow)
    if queue.unservable.queue:
        yield queue.unservable.queue


# --- who could take them ----------------------------------------------------------------------------------------------


def people(config: Config, domains: Mapping[str, Config]) -> Iterator[str]:
    """`domains`: the parts of the house in which agents and queues can meet; one without a name is all of it."""
    yield from _languages(config.agents)
    places = {rule.name: i for i, rule in enumerate(config.rules)}
    for name, part in domains.items():
        if part.agents:
            yield from _unmet(part, places)
        elif part.queues:
            yield f"{f'domains.{name}' if name else 'agents'}: there are no agents, so what comes waits for nobody"


def _languages(agents: dict[str, Agent]) -> Iterator[str]:
    found: dict[str, list[str]] = {}
    for name, agent in agents.items():
        for tag in agent.languages:
            if not _is_language(tag):
                found.setdefault(tag, []).append(name)
    for tag, names in found.items():
        others = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
        yield f"agents.{names[0]}.languages{others}: {_no_language(tag)}"


def _no_language(tag: str) -> str:
    return f'{tag!r} is no language; write a code such as "en" or "pt-BR"'


def _is_language(tag: str) -> bool:
    found = _TAG.fullmatch(tag)
    return found is not None and (len(found[1]) == 3 or found[1].lower() in TWO_LETTERS)


def _unmet(config: Config, places: dict[str, int]) -> Iterator[str]:
    """What queues and rules ask for at first, and nobody has. Whoever borrows has others' agents, too."""
    profiles = _profiles(config)
    told: set[str] = set()
    for name, queue in config.queues.items():
        if not queue.borrow and (missing := _missing(queue.requirement, profiles)):
            told.add(name)
            yield f"queues.{name}.requirement: {_nobody(missing)}; {_then(config, queue, None, profiles)}"
    for rule in config.rules:
        queue = config.queues[rule.queue]
        asked = asked_on_top(queue, rule.requirement)
        if rule.queue not in told and not queue.borrow and (missing := _missing(asked, profiles)):
            where = f"rules[{places[rule.name]}].requirement"
            yield f"{where}: {_nobody(missing)}; {_then(config, queue, rule, profiles)}"


def _profiles(config: Config) -> list[Profile]:
    """Of everybody; who differs in nothing but the name counts once, unless somebody asks for a name."""
    asked = [queue.requirement for queue in config.queues.values()]
    asked += [rule.requirement for rule in config.rules if rule.requirement is not None]
    by_name = any(agents_named(node) for node in asked)
    found: dict[object, Profile] = {}
    for name, agent in config.agents.items():
        parts = (sorted(agent.skills.items()), agent.languages, sorted(agent.attributes.items()), agent.team)
        profile = Profile(agent.skills, agent.languages, agent.attributes, agent.team, name if by_name else "")
        found.setdefault((repr(parts), profile.agent), profile)
    return list(found.values())


def _met(node: Node, profiles: Iterable[Profile]) -> bool:
    return any(fits(node, profile) for profile in profiles)


def _missing(node: Node, profiles: list[Profile]) -> list[str]:
    """What nobody has of a requirement that nobody meets; nothing if somebody meets it."""
    if _met(node, profiles):
        return []
    parts = list(dict.fromkeys(text for child in node.all or node.any or () for text in _missing(child, profiles)))
    return parts or [_in_words(node)]


def _in_words(node: Node) -> str:
    if node.skill:
        return f"skill {node.skill!r} at level {'' if node.op == '>=' else node.op + ' '}{node.level}"
    if node.language:
        return f"language {node.language!r}"
    if node.attribute:
        return f"{node.attribute} {' or '.join(map(repr, node.one_of))}"
    if node.team:
        return f"team {' or '.join(map(repr, node.team))}"
    return "all that is asked for at once" if node.all else "what is asked for"


def _nobody(missing: Sequence[str]) -> str:
    return f"no agent of this file has {_listed(missing, 'or', quoted=False)}"


def _then(config: Config, queue: Queue, rule: Rule | None, profiles: list[Profile]) -> str:
    """What becomes of what asks for it."""
    steps = rule.relax if rule is not None and rule.relax is not None else queue.relax
    asked = asked_on_top(queue, rule.requirement if rule is not None else None)
    if any(_met(node, profiles) for node in Ladder(steps, config.queues).row(asked)):
        return "what comes waits until its plan asks for less"
    if any(step.queue for step in steps):
        return "what comes waits until its plan moves it"
    policy = queue.unservable.policy
    if policy == "wait":
        return "what comes waits for somebody to be added"
    return f"what becomes of it is said by unservable.policy, {policy!r}"


def _listed(names: Sequence[str], word: str = "and", quoted: bool = True) -> str:
    shown = [repr(name) if quoted else name for name in names[:NAMED]]
    if len(names) > NAMED:
        shown.append(f"{len(names) - NAMED} more")
    return f"{', '.join(shown[:-1])} {word} {shown[-1]}" if len(shown) > 1 else shown[0]
