"""Consult and conference: the owner of an interaction asks somebody, and stays its owner (MV-1).

    asking --answered--> consulting --joined--> conference
       |                     |                      |
       |                     |______completed_______|--> the colleague is the owner
       |_____________________|______ended___________|--> the owner is alone again

What is between the two agents is an interaction of its own, the *consult* (direction "consult"). It waits, is offered,
accepted, declined, missed and cools off as every other one, takes room of the agent who has it, and nothing in matching
knows of it. It has no names (threads), so no channel can speak of it and none is told of it. What is said in it stays
between the two; what is said in the interaction that it is about is shown to both.

The customer's interaction has one owner at every instant, since a consult never touches who that is, but in one fact:
`ConsultCompleted`, which moves it from one to the other. So wherever a history breaks off, there is one owner.

A consult that asks an outside address has no interaction: there is no agent whose room it takes. A bot is asked as an
agent where it has a session, as an address where it has a telephone.

When a consult is over, and why:
    cancelled, left         one of the two said so
    declined, missed        by the last of those who are there and could; a queue asks one after the other
    nobody                  answered within `consult.wait`, or the one agent who was asked is gone
    agent-lost              who was asked did not come back within their grace
    connect-failed          the gateway could not reach whom it should
    over                    the owner no longer has the interaction: it ended, was given on, or went back

An owner who does not come back to a conference leaves the customer with a colleague, who becomes the owner. Without a
conference the interaction does what it does without a consult (AG-2), and the consult is over.
"""

from __future__ import annotations

from collections.abc import Iterator

from router.engine import commands as c
from router.engine import events as e
from router.engine import outside
from router.engine.entities import Agent, Consult, Interaction
from router.engine.events import Event
from router.engine.lookups import find_agent as agent_of
from router.engine.lookups import find_interaction as interaction
from router.engine.model import State, Timer
from router.engine.plan import names_of
from router.engine.requirements import Node, both, canonical, check, no_such
from router.engine.sayings import say
from router.engine.transitions import ACTIVE, CLOSED, QUEUED, demand
from router.engine.work import ended, owned, withdrawals
from router.errors import BadMessage, IllegalMove, NotEligible, NotFound, NotOwner, NotSupported, UnknownName

# --- asked by agents --------------------------------------------------------------------------------------------------


def start(s: State, ask: c.Consult, now_ms: int) -> list[Event]:
    item = owned(s, ask.interaction, ask.agent)
    demand(item.number, item.state, e.ConsultStarted)
    if item.number in s.legs:
        raise IllegalMove(f"i-{item.number} is a consult itself; its owner asks somebody else")
    if item.number in s.consults:
        raise IllegalMove(f"somebody is asked about i-{item.number} already; end that consult first")
    _must_be_possible(s, item)
    to, wait = ask.to, s.config.consult.wait
    if sum((bool(to.queue), bool(to.agent), to.requirement is not None, bool(to.address))) != 1:
        raise BadMessage("to: say exactly one of queue, agent, requirement, address")
    until = now_ms + wait if wait else 0
    if to.address:
        _must_reach_outside(s, item, to.address)
        return [e.ConsultStarted(item.number, 0, ask.agent, "", None, "", to.address, until, ask.why)]
    queue, requirement = _whom(s, item, ask.agent, to)
    asked = s.last_interaction + 1
    return [e.ConsultStarted(item.number, asked, ask.agent, queue, requirement, to.agent, "", until, ask.why)]


def _must_be_possible(s: State, item: Interaction) -> None:
    if outside.cannot_consult(s, item):
        gateway = item.threads[0].partition(":")[0]
        raise NotSupported(f"the gateway {gateway} cannot bring a third party into a contact; transfer it instead")


def _must_reach_outside(s: State, item: Interaction, address: str) -> None:
    if "consulted" not in s.config.channels[item.born.channel].actions:
        raise NotSupported(f"nobody outside can be asked about a {item.born.channel} contact; ask an agent or a queue")
    outside.must_be_in_reach(s, item, address)


def _whom(s: State, item: Interaction, owner: str, to: c.Target) -> tuple[str, Node]:
    """The queue that counts it, and the whole of what it asks for: never for the owner."""
    if to.agent:
        return item.queue, _named(s, item, owner, to.agent)
    somebody_else = Node(negated=Node(agent=(owner,)))
    if to.queue:
        if to.queue not in s.queues:
            raise UnknownName(f"to.queue: {no_such('queue', to.queue, s.queues)}")
        return to.queue, canonical(both(s.queue_config(to.queue).requirement, somebody_else))
    assert to.requirement is not None
    check(to.requirement, names_of(s.config), "to.requirement")
    return item.queue, canonical(both(to.requirement, somebody_else))


def _named(s: State, item: Interaction, owner: str, name: str) -> Node:
    """A colleague is asked for what they know, whatever the queue wants of those who answer its customers."""
    agent = agent_of(s, name)
    if name == owner:
        raise IllegalMove(f"i-{item.number} is yours; ask somebody else")
    if not agent.available:
        raise NotEligible(f"{name} is not there to be asked; ask a queue or somebody who is ready")
    if not agent.capacity.room(0) >> s.channel_index[item.born.channel] & 1:
        raise NotEligible(f"{name} takes no {item.born.channel}; ask somebody who does")
    return canonical(Node(agent=(name,)))


def join(s: State, ask: c.JoinConsult, now_ms: int) -> list[Event]:
    item, consult = _own(s, ask.interaction, ask.agent)
    asked = _must_be_answered(s, consult)
    return [] if consult.joined else [e.ConsultJoined(item.number, consult.leg, asked, ask.agent)]


def complete(s: State, ask: c.CompleteConsult, now_ms: int) -> list[Event]:
    """The outside gets it as by any transfer to the outside: it ends here."""
    item, consult = _own(s, ask.interaction, ask.agent)
    asked = _must_be_answered(s, consult)
    if not consult.leg:
        return [ended(s, item, "transferred", now_ms, by=ask.agent, address=consult.address)]
    if not may_own(s.agents[asked]):
        raise NotEligible(f"{asked} is not there to take it")
    return [e.ConsultCompleted(item.number, consult.leg, ask.agent, asked, "completed")]


def end(s: State, ask: c.EndConsult, now_ms: int) -> list[Event]:
    agent_of(s, ask.agent)
    interaction(s, ask.interaction)
    number = s.legs.get(ask.interaction, ask.interaction)
    consult = s.consults.get(number)
    if consult is None:
        return []  # over already
    if s.interactions[number].owner == ask.agent:
        return over(s, number, "cancelled", ask.agent)
    if consult.leg and s.interactions[consult.leg].owner == ask.agent:
        return over(s, number, "left", ask.agent)
    raise NotOwner(f"i-{ask.interaction} is not yours")


def _own(s: State, number: int, agent: str) -> tuple[Interaction, Consult]:
    item = owned(s, s.legs.get(number, number), agent)
    consult = s.consults.get(item.number)
    if consult is None:
        raise IllegalMove(f"nobody is asked about i-{item.number}")
    return item, consult


def _must_be_answered(s: State, consult: Consult) -> str:
    if not consult.answered_at_ms:
        raise IllegalMove(f"nobody has answered yet whom i-{consult.interaction} asks; wait, or end the consult")
    return s.interactions[consult.leg].owner if consult.leg else ""


# --- told by gateways -------------------------------------------------------------------------------------------------


def confirm(s: State, ask: c.ConfirmConsult, now_ms: int) -> list[Event]:
    """An outside address has answered; of a colleague it says that their telephone has."""
    consult = _of(s, ask.thread)
    if consult is None:
        return []
    if not consult.leg:
        return [] if consult.answered_at_ms else [e.ConsultAnswered(consult.interaction, 0, "")]
    leg = s.interactions[consult.leg]
    return [e.ConnectionConfirmed(leg.number)] if leg.state == ACTIVE and not leg.connected else []


def fail(s: State, ask: c.FailConsult, now_ms: int) -> list[Event]:
    consult = _of(s, ask.thread)
    return over(s, consult.interaction, "connect-failed", "", ask.reason) if consult is not None else []


def _of(s: State, thread: str) -> Consult | None:
    """None: the consult is over, and this was said too late."""
    number = s.threads.get(thread)
    if number is None or not s.interactions[number].open:
        raise NotFound(f"no open interaction {thread[:100]!r}")
    return s.consults.get(number)


# --- what follows -----------------------------------------------------------------------------------------------------


def over(s: State, number: int, reason: str, by: str = "", why: str = "") -> list[Event]:
    """The consult about this interaction ends; nothing, if there is none."""
    consult = s.consults.get(number)
    if consult is None:
        return []
    if not consult.leg:
        return [e.ConsultEnded(0, number, "", reason, by, why)]
    leg = s.interactions[consult.leg]
    if leg.state == CLOSED:  # by a rule of its queue
        return [e.ConsultEnded(0, number, "", reason, by, why)]
    return [*withdrawals(s, leg, reason, by, why), e.ConsultEnded(leg.number, number, leg.owner, reason, by, why)]


def after_accept(s: State, number: int, agent: str) -> Iterator[Event]:
    if number in s.legs:
        yield e.ConsultAnswered(s.legs[number], number, agent)


def after_leaving(s: State, number: int) -> list[Event]:
    """An interaction ended or left its owner: it may be what a consult is about, or the consult itself."""
    about = s.legs.get(number, number)
    if about != number and s.interactions[number].open:
        return []
    return over(s, about, "nobody" if about != number else "over")


def refused(s: State, item: Interaction, reason: str) -> list[Event]:
    """Who is asked next? Nobody, where all who are there have refused: they are not asked over and over."""
    if item.state != QUEUED or item.tried:
        return []
    channel = 1 << s.channel_index[item.born.channel]
    others = not s.queue_config(item.queue).cool_off and s.matcher.staff(s.requirement_of(item), channel) > 1
    return [] if others else over(s, s.legs[item.number], reason)


def not_had(s: State, number: int, reason: str) -> list[Event]:
    """The one agent who was asked is gone; empty if this is no consult."""
    return over(s, s.legs[number], reason) if number in s.legs else []


def give_up(s: State, item: Interaction, agent: Agent) -> list[Event]:
    """An agent does not come back: a consult they were asked by ends, a conference of theirs goes on without them."""
    if item.number in s.legs:
        return over(s, s.legs[item.number], "agent-lost")
    consult = s.consults.get(item.number)
    if consult is None or not consult.joined or not consult.leg:
        return []
    asked = s.interactions[consult.leg].owner
    if not may_own(s.agents[asked]):
        return []
    return [e.ConsultCompleted(item.number, consult.leg, agent.id, asked, "owner-lost")]


def mended(s: State) -> Iterator[Event]:
    """After a restart: what a journal that broke off inside of a command still owes."""
    for number, consult in list(s.consults.items()):
        leg = s.interactions.get(consult.leg)
        if s.interactions[number].state != ACTIVE or (leg is not None and not leg.open):
            yield from over(s, number, "over")
        elif leg is not None and leg.state == ACTIVE and not consult.answered_at_ms:
            yield e.ConsultAnswered(number, leg.number, leg.owner)


def may_own(agent: Agent) -> bool:
    return bool(agent.sessions) and not agent.retired


def due_ms(s: State, t: Timer) -> int:
    """Until when somebody must have answered; 0: no more."""
    consult = s.consults.get(t[2])
    return consult.until_ms if consult is not None and not consult.answered_at_ms else 0


# --- explaining -------------------------------------------------------------------------------------------------------


def story(s: State, item: Interaction) -> dict[str, object]:
    """What a planner wants to know of a consult: empty if the interaction is none and has none."""
    number = s.legs.get(item.number, item.number)
    consult = s.consults.get(number)
    if consult is None:
        return {}
    owner = s.interactions[number].owner
    asked = consult.address or (s.interactions[consult.leg].owner if consult.leg else "")
    if consult.joined:
        words = say("consult-joined", owner=owner, asked=asked)
    elif consult.answered_at_ms:
        words = say("consult-answered", owner=owner, asked=asked)
    elif item.state == QUEUED and item.number in s.legs:
        words = say("consult-waits", owner=owner, about=f"i-{number}")
    else:
        words = say("consult-asks", owner=owner, asked=asked or say("somebody"))
    return {"consult": {"about": f"i-{number}", "summary": words, "next_change_at_ms": consult.until_ms or None}}
