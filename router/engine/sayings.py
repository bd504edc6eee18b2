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


def because(reason: str) -> str:
    """A reason that the engine gives, in words; one of the house's own stands as it is."""
    code = f"reason-{reason}"
    return say(code) if code in ENGLISH else reason


def doer(by: str) -> str:
    """Who did it: of `operator:sam` "operator sam", and an agent by their id."""
    role, _, name = by.partition(":")
    return say(role, name=name) if name and role in ("operator", "supervisor") else by


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
    # how an offer was decided (decisions)
    "took-by-hand": "{agent} took it by hand",
    "gave": "{who} gave it to {agent}",
    "gave-in-spite": "{who} gave it to {agent} in spite of requirement and capacity",
    "was-given": "{agent} was given it ({cause})",
    "an-operator": "an operator",
    "chosen-named": "it {held}, and {agent} was the first of them who could take it",
    "chosen-only": "{agent} was the only agent who could take it",
    "chosen-undisturbed": "of {n} who could take it, only {agent} need put nothing else aside for it",
    "chosen-at-first": "of {n} who could take it, only {agent} meets what was asked for at first",
    "chosen-best": "of {n} who could take it, {agent} {best}",
    "chosen-of-equals": "{why}, and of {n} equals had been idle longest",
    "chosen-borrowed": "{why}; borrowed from {lender}, which lends agents to {queue}",
    "best-longest-idle": "had been idle longest",
    "best-best-level": "has the best level",
    "best-least-occupied": "was busy least of late",
    "best-least-flexible": "fits the fewest queues, so that rarer skills stay free",
    "best-fastest": "is expected to be fastest",
    "best-slowest": "is expected to be slowest",
    "best-random": "was drawn",
    "best-blend": "has the most points",
    "behind-lost-tie": "{agent} was as good, but had been idle for a shorter time",
    "behind-named-later": "{agent} could take it, but somebody was named before",
    "behind-would-interrupt": "{agent} could take it by putting other work aside, and somebody need not",
    "behind-outer": "{agent} meets only what is asked for by now; somebody met what was asked for before",
    "behind-not-drawn": "{agent} could take it, but another was drawn",
    "behind-lower-score": "{agent} could take it, but {other} {best}",
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
    # reasons that the engine gives (`because`)
    "reason-completed": "completed",
    "reason-customer-left": "the customer left",
    "reason-abandoned": "the customer gave up waiting",
    "reason-closed": "an operator closed it",
    "reason-unconfirmed": "its gateway confirmed it no more",
    "reason-unheard": "nothing was heard of the call",
    "reason-called-off": "it was cancelled while the customer was being called",
    "reason-transferred": "it was transferred",
    "reason-callback": "the customer is called back instead",
    "reason-automatic": "a program wrote it, and nobody need answer",
    "reason-busy": "the line was busy",
    "reason-no-answer": "nobody answered the call",
    "reason-failed": "the call failed",
    "reason-merged": "it was joined with another one",
    "reason-cancelled": "it was cancelled",
    "reason-expired": "it was too late for it",
    "reason-no-show": "the customer was called and did not come",
    "reason-unservable": "nobody who is signed in could take it",
    "reason-relaxed": "a step of the relaxation plan says so",
    "reason-max-wait": "it had waited as long as anybody may there",
    "reason-out-of-hours": "its calendar was closed",
    "reason-closing": "its calendar closed",
    "reason-emergency": "an emergency had closed its calendar",
    "reason-nobody-there": "nobody who fits had been signed in for too long",
    "reason-queue-full": "its queue was full",
    "reason-overflow": "it would have had to wait too long there",
    "reason-nobody": "nobody answered",
    "reason-over": "what it was about is over",
    "reason-left": "who was asked left it",
    "reason-agent-lost": "its agent did not come back",
    "reason-agent-paused": "they became not ready",
    "reason-session-lost": "they lost their connection",
    "reason-restart": "the router was started anew",
    "reason-taken": "somebody else took it",
    "reason-no-longer-fits": "they fit no more",
    "reason-requeued": "it was sent back to waiting",
    "reason-rerouted": "it moved on",
    "reason-assigned": "an operator gave it to somebody",
    "reason-timeout": "the time for that was over",
    "reason-agent-gone": "none of them was there any more",
    "reason-agent-refused": "they refused it",
    "reason-agent-busy": "they were busy for longer",
    "reason-operator": "an operator said so",
    "reason-after": "its time had come",
    "reason-share": "so much of the target was spent",
    "reason-expected-wait": "a long wait was expected",
    "reason-nobody-signed-in": "nobody who fits was signed in",
    "reason-nobody-ready": "nobody who fits was ready",
    "reason-last-agent": "they had this customer last",
    "reason-asked": "whoever brought it asked for them",
    # how it came there (service/way)
    "operator": "operator {name}",
    "supervisor": "supervisor {name}",
    "way-by": "{what}, by {who}",
    "way-why": "{what} ({why})",
    "way-because": "{what}: {why}",
    "way-arrived": "it came to queue {queue}",
    "way-arrived-rule": "it came to queue {queue} by the rule {rule}",
    "way-from-to": "from queue {queue} to {to}",
    "way-to": "to queue {to}",
    "way-for": "{way}, for {what}",
    "way-rule-moved": "a rule moved it {way}",
    "way-transferred": "{who} transferred it {way}",
    "way-was-transferred": "it was transferred {way}",
    "way-moved": "a rule of its queue moved it to queue {queue}",
    "way-read": "more was read of it: {what}",
    "way-rerouted": "with what was read of it, it came to queue {queue}",
    "way-rerouted-rule": "with what was read of it, it came to queue {queue} by the rule {rule}",
    "way-called": "{agent} called the customer",
    "way-called-again": "{agent} called the customer, call {n}",
    "way-back": "it went back to waiting",
    "way-back-from": "it went back from {agent} to waiting",
    "way-lifted": "{what}, in the first band",
    "somebody": "somebody",
    "way-asked": "{agent} asked {who} and stayed the owner",
    "way-asked-about": "{agent} asked {who} about {about} and stayed the owner",
    "way-handed-lost": "{agent}, who had been asked, has it since {owner} did not come back",
    "way-handed": "{owner} handed it over to {agent}, who had been asked",
    "way-given": "it was given {parts}",
    "given-band": "band {band}",
    "given-weight": "weight {weight}",
    "given-target": "target {target} s",
    "way-ended": "it ended: {reason}",
    "way-ended-at": "it ended: it was transferred to {address}",
    "way-had": "{what}; {agent} had it",
    "way-declined": "{agent} declined it",
    "way-missed": "{agent} missed it",
    "way-not-connected": "{agent} and the customer could not be connected",
    "way-answered": "{agent} answered",
    "way-they-answered": "who was asked answered",
    "way-consult-over": "the consult ended: {reason}",
    "way-kept": "the caller hung up and keeps the place for callback {callback}",
    "way-attempt": "it came to wait as an attempt of callback {callback}",
    "way-raised": "it was lifted into the first band, having waited as long as its band allows",
    "way-step": "it took step {step} of the relaxation plan",
    "way-held": "it was held for {names} because {why}",
    "way-released": "it was no longer held for some alone: {reason}",
    "way-aside": "{agent} put it aside for {other}",
    "way-continued": "{agent} took it up again",
    "way-offered": "it was offered to {agent}",
    "way-accepted": "{agent} accepted it",
    "way-taken-back": "the offer to {agent} was taken back: {reason}",
    "kin-merged": "{other} was joined with {customer}",
    "kin-split": "{other} was parted from {customer}",
    "call-kept": "will be called back at {to} and keeps this place after hanging up",
    "call-now": "{agent} and {to} are being called, attempt {n} of {most}",
    "call-waits": "keeps the place; {to} is called when an agent accepts, attempt {n} of {most}",
    "call-rests": "{to} was to be called: that rests while they wait here, and goes on if they are not served",
    "call-rests-in": "{to} came by themselves and waits in {other}: calling them rests meanwhile",
    "call-goes-on": "{to} is called again in {other}",
    "call-again": "{to} is called again from {at} UTC on, attempt {n} of {most}",
    "consult-joined": "{owner} and {asked} talk with the customer; {owner} owns it",
    "consult-answered": "{owner} consults {asked} and stays the owner",
    "consult-waits": "{owner} asks about {about} and stays its owner; this waits for somebody to answer",
    "consult-asks": "{owner} has it, and asks {asked} about it",
}
