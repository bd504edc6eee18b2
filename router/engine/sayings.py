"""Sentences that are more than a text: a code and what it is filled with, and at once the English of it.

Whoever explains says what is so by a code of `ENGLISH`, with its parameters, which may be sayings themselves. A saying
is a text, so that whoever wants English has it as it stands; whoever wants another language words the code anew, with
the same parameters (`service/wording.py`). The types keep it so: where an explanation is asked for as a `Saying`, a
sentence that was merely put together does not pass.

What must never be: a decision that depends on a sentence; a code with two meanings; words of a language in a
parameter.
"""

from __future__ import annotations

from collections.abc import Iterable


class Saying(str):
    """English, and what it was made of."""

    __slots__ = ("code", "given")

    code: str
    given: dict[str, object]  # texts, numbers, sayings, and tuples of texts and sayings


def say(code: str, **given: object) -> Saying:
    made = Saying(ENGLISH[code].format_map(given))
    made.code, made.given = code, given
    return made


def joined(by: str, parts: Iterable[str]) -> Saying:
    """The parts one after the other, with the joint of that code between them."""
    found = tuple(parts)
    made = Saying(ENGLISH[by].join(found))
    made.code, made.given = by, {"parts": found}
    return made


def listed(parts: Iterable[str]) -> Saying:
    """One, another and a third."""
    *first, last = parts
    return joined("and", (joined("comma", first), last)) if first else joined("comma", (last,))


JOINTS = frozenset({"and", "or", "comma", "semicolon"})

ENGLISH = {
    "and": " and ",
    "or": " or ",
    "comma": ", ",
    "semicolon": "; ",
    # why one agent has not got it (explain)
    "has-it": "{agent} has it",
    "had-it": "{agent} had it",
    "over": "it is over: {reason}",
    "is-offered": "it is being offered to {agent} right now",
    "leaving": "{agent} is no longer in the configuration and only finishes the present work",
    "signed-out": "{agent} is not signed in",
    "unmet": "{agent} does not meet the requirement: {parts}",
    "going": "{agent} becomes {state} after the present work",
    "going-because": "{agent} becomes {state} after the present work ({reason})",
    "state-ready": "ready",
    "state-not_ready": "not ready",
    "not-ready": "{agent} is not ready",
    "not-ready-because": "{agent} is not ready ({reason})",
    "never-ready": "{agent} is signed in but has not become ready yet",
    "it-is-held": "it {held}",
    "pausing": "all who could take it refused it {n} times; it is offered again in {wait}",
    "cool-off": "{agent} missed or declined it; others are tried for {wait} more",
    "taken": "{agent} has it",
    "could-interrupt": "{agent} could get it now, by putting other work aside",
    "could-get-it": "{agent} could get it now",
    "room-held": "{why}; a place is held for it, for at most {wait} more",
    "place-held": "the free place of {agent} is held for {wanted}, which needs more room, for at most {wait} more",
    "no-channel": "{agent} takes no {channel}: the cap for it is 0",
    "channel-too-heavy": "{agent} takes no {channel}: its weight of {weight} is more than the budget of {budget}",
    "nothing": "nothing",
    "suspended": "{agent} has {held}, and {n} suspended, which comes before anything new",
    "cap": "{agent} has {held}; the cap for {channel} is {cap}",
    "exclusive": "{agent} has {held}, which leaves room for nothing else",
    "exclusive-channel": "{agent} has {held}; {channel} needs an agent without other work",
    "budget": "{agent} has {held}; one more {channel} would go over the budget of {budget}",
    "none-of": "none of: {parts}",
    "asks": "asks for {what}",
    "asks-lacks": "asks for {what}, does not have {skill}",
    "asks-level": "asks for {what}, has level {level}",
    # requirements
    "skill": "{skill} {op} {level}",
    "language": "language {language}",
    "attribute": "{name} is {values}",
    "team": "team {names}",
    "agent": "agent {names}",
    "not": "not ({what})",
    "group": "({parts})",
    "nobody": "nobody",
    "anybody": "anybody",
    # held for some by name (preferred)
    "held": "is held for {names} because {why}",
    "held-until": "is held for {names} until {until} because {why}",
    # one sentence (explain, headline)
    "place-kept": "waits until {agent}, who keeps a place free for it, has room",
    "offered": "is offered to {names}",
    "owned": "{agent} has it",
    "documented": "{agent} documents it",
    "owned-aside": "{agent} has it and has put it aside: it is suspended until there is room for it",
    "documented-aside": "{agent} documents it and has put it aside: it is suspended until there is room for it",
    "is-over": "is over: {reason}",
    "why-one": "waits because the only agent who fits and is signed in {kept}",
    "why-all": "waits because all {n} agents who fit and are signed in {kept}",
    "why-some": "waits because of {n} agents who fit and are signed in, {parts}",
    "why-one-seen": "waits because, among the {seen} agents looked at, the only agent who fits and is signed in {kept}",
    "why-all-seen": "waits because, among the {seen} agents looked at, all {n} agents who fit and are signed in {kept}",
    "why-some-seen": (
        "waits because, among the {seen} agents looked at, of {n} agents who fit and are signed in, {parts}"
    ),
    "why-not-lent": "waits because those signed in who might take it are of other queues, which lend nobody just now",
    "why-nobody": "waits because nobody who is signed in can take it",
    "part": "{n} {kept}",
    "could-one": "could get it now",
    "could-some": "could get it now",
    "room-one": "has no room",
    "room-some": "have no room",
    "place-one": "keeps a place free for something else",
    "place-some": "keep places free for something else",
    "suspended-one": "must take up suspended work first",
    "suspended-some": "must take up suspended work first",
    "pausing-one": "refused it again and again, and is asked again after a pause",
    "pausing-some": "refused it again and again, and are asked again after a pause",
    "cool-off-one": "declined or missed it just now",
    "cool-off-some": "declined or missed it just now",
    "not-ready-one": "is not ready",
    "not-ready-some": "are not ready",
    # what time will change (outlook, limits)
    "lease-over": "it ends as unconfirmed, unless its gateway speaks of it before",
    "band-raised": "it joins the first band, {band}, before everything less urgent",
    "cap-reached": "nothing in its band that came later can go before it any more",
    "if-expected": "if it is then expected to wait for more than {longest} still, {then}",
    "hold-over": "it waits for everybody who fits, in its place, and no longer for some alone",
    "cool-off-over": "{agent} may be offered it again",
    "overflow-checked": "it is looked at whether it should wait in {queues}",
    "lending-checked": "it is looked at whether {lender} should lend agents",
    "drain-over": "{agent} takes other work again, if there is no room for it by then",
    "drain-over-other": "{agent} no longer holds a place for {wanted}",
    "asked-back": "the customer is asked whether to call them back",
    "ends-uncallable": "it ends, since the customer cannot be called back",
    "ends": "it ends",
    "moves": "it moves to queue {queue}, unless that does not take it then",
    "longest": "nobody waits longer than {longest} in queue {queue}: {does}",
    "longest-passed": "nobody waits longer than {longest} in queue {queue}, and it has; it is tried again: {does}",
    "if-nobody-came": "if by then nobody who fits queue {queue} has signed in for {grace}, {does}",
    "if-unservable": "if by then nobody who is signed in can take it, {does}",
    "policy-end": "it ends ({reason})",
    "policy-move": "it moves to queue {queue}",
    "policy-relax": "it takes steps of the relaxation plan until somebody fits",
    "policy-callback": "the customer is offered to be called back",
    "emergency-over": "the emergency ends that closes calendar {calendar}",
    "opens": "calendar {calendar} opens: from then on its waiting time counts again",
    "closes": "calendar {calendar} closes: {does}",
    "clock-stops": "if it still waits, no more time counts as waiting until it opens again",
    "call-expires": "it is too late to call the customer: the callback is over",
    "consult-over": "nobody has answered: who asks is told so, and this is over",
    "agent-returns": "{agent} is ready again, who was taken off for missed offers",
    "wrap-up-over": "{agent}'s wrap-up of something else ends, unless it is extended",
    "step": "step {last} of {all} of the relaxation plan: from then on it {does}",
    "steps": "steps {first} to {last} of {all} of the relaxation plan: from then on it {does}",
    "step-band": "stands in band {band}",
    "step-release": "is held for nobody by name",
    "step-callback": "is offered to be called back",
    "step-queue": "waits in queue {queue}",
    "step-nothing": "waits as before",
    # queues that lend (lending, pressure)
    "lends": "{lender} lends agents to {queue}: of {queue}, {needed}; of {lender}, {spare}",
    "lends-nobody": "{lender} lends nobody: {spare}",
    "borrows-nobody": "{queue} borrows nobody from {lender}: {needed}",
    "lends-later": "{lender} lends nobody just now: that is looked at every {pause}",
    "share-is": "who waits longest has used {share} of the target",
    "share-must": "who waits longest has used {share} of the target, must be {wanted}",
    "wait-is": "its expected wait is {wait}",
    "wait-must": "its expected wait is {wait}, must be {wanted}",
    "level-unknown": "too few of its contacts were answered of late to tell its service level",
    "level-is": "its service level is {level}",
    "level-must": "its service level is {level}, must be {wanted}",
    "own-level-is": "its own service level is {level}",
    "own-level-must": "its own service level is {level}, must be {wanted}",
    "own-wait-unknown": "its own expected wait cannot be told yet",
    "own-wait-is": "its own expected wait is {wait}",
    "own-wait-must": "its own expected wait is {wait}, must be {wanted}",
    "more-than": "over {what}",
    "less-than": "under {what}",
    "at-least": "at least {what}",
    "endless": "without an end, since nobody of its own is ready",
}
