"""What an agent's client knows: the sum of the messages it was given.

The terminal agent uses it, and the tests hold it against the server's own view after every kind of cut (AG-3). Other
clients may do the same in their language; it is the whole of what a client must get right:

    welcome               forget everything and take this, unless `resumed`
    offer                 one more offer; `offer_withdrawn` and `assigned` end it
    assigned              one more interaction; in place of the `consult` that it names
    message               appended to its interaction, to what is said in a consult, or to what the consult is about
    interaction_updated   laid over what is known of it, `consult` with its messages; a `note` is appended
    interaction_ended     gone, unless `wrap_up`: then it waits for its documentation
    state                 laid over the agent's own
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

Json = dict[str, Any]


class Mirror:
    """One agent as their client sees them. `last_seq` is what the next `hello` should say."""

    def __init__(self) -> None:
        self.last_seq: int | None = None
        self.agent: Json = {}  # agent, name, state, reason, pending
        self.offers: dict[str, Json] = {}
        self.interactions: dict[str, Json] = {}
        self.ahead_ms = 0  # server's clock minus ours, when `now_ms` was given

    @property
    def load(self) -> dict[str, int]:
        """By channel: open offers, work and wrap-up, without what is suspended."""
        work = [interaction for interaction in self.interactions.values() if not interaction.get("suspended")]
        busy = [offer["interaction"] for offer in self.offers.values()] + work
        return dict(Counter(interaction["channel"] for interaction in busy))

    def take(self, message: Json, now_ms: int = 0) -> None:
        """Any message of the server. Answers and unknown types change nothing."""
        step = _STEPS.get(message["type"])
        if step is None:
            return
        if message["type"] == "welcome" and now_ms:
            self.ahead_ms = message["server_time_ms"] - now_ms
        step(self, message)
        self.last_seq = message["seq"]

    def _welcome(self, message: Json) -> None:
        if message["resumed"]:
            return
        self.agent = {name: message[name] for name in ("agent", "name", "state", "reason", "pending")}
        self.offers = {offer["offer"]: offer for offer in message["offers"]}
        self.interactions = {interaction["id"]: interaction for interaction in message["interactions"]}

    def _offer(self, message: Json) -> None:
        self.offers[message["offer"]] = {name: message[name] for name in ("offer", "interaction", "expires_at_ms")}

    def _withdrawn(self, message: Json) -> None:
        self.offers.pop(message["offer"], None)

    def _assigned(self, message: Json) -> None:
        self.offers.pop(message["offer"], None)
        self.interactions.pop(message.get("consult", ""), None)
        self.interactions[message["interaction"]["id"]] = message["interaction"]

    def _message(self, message: Json) -> None:
        messages = self._transcript(message["interaction"])
        if messages is not None:
            said = {name: message[name] for name in ("author", "at_ms")}
            said |= {name: message[name] for name in ("text", "agent", "attachments", "sender") if message.get(name)}
            messages.append(said)

    def _transcript(self, ident: str) -> list[Json] | None:
        """Where what is said in this interaction belongs: what is between two agents stands apart."""
        for known in self.interactions.values():
            consult = known.get("consult", {})
            if ident == consult.get("id"):
                return consult.setdefault("messages", [])  # type: ignore[no-any-return]
            if ident in (known["id"], consult.get("of")):
                return known["messages"]  # type: ignore[no-any-return]
        return None

    def _updated(self, message: Json) -> None:
        known = self._about(message["interaction"]["id"])
        if known is not None and known["id"] != message["interaction"]["id"]:
            known["notes"].append(message["note"])  # of a consult, whose other fields are its own
        elif known is not None:
            between = known.pop("consult", {}).get("messages", [])
            known |= message["interaction"]
            if "consult" in known:
                known["consult"]["messages"] = between
            if "note" in message:
                known["notes"].append(message["note"])

    def _about(self, ident: str) -> Json | None:
        if ident in self.interactions:
            return self.interactions[ident]
        return next((x for x in self.interactions.values() if x.get("consult", {}).get("of") == ident), None)

    def _ended(self, message: Json) -> None:
        known = self.interactions.get(message["interaction"])
        if known is not None and message["wrap_up"]:
            known |= {name: message[name] for name in ("reason", "disposition", "wrap_up_until_ms")}
            known |= {"state": "wrap-up", "on_hold": False, "connected": False}
            known.pop("consult", None)
        else:
            self.interactions.pop(message["interaction"], None)

    def _state(self, message: Json) -> None:
        self.agent |= {name: message[name] for name in ("state", "reason", "pending")}

    def _announcement(self, message: Json) -> None:
        """It is said once and is part of no state."""

    def _goodbye(self, message: Json) -> None:
        """Only its number counts."""


_STEPS: dict[str, Callable[[Mirror, Json], None]] = {
    "welcome": Mirror._welcome,
    "offer": Mirror._offer,
    "offer_withdrawn": Mirror._withdrawn,
    "assigned": Mirror._assigned,
    "message": Mirror._message,
    "interaction_updated": Mirror._updated,
    "interaction_ended": Mirror._ended,
    "state": Mirror._state,
    "announcement": Mirror._announcement,
    "goodbye": Mirror._goodbye,
}
