"""Whatever is cut, doubled, lost or restarted: a visitor's view is the transcript, nothing twice, nothing lost.

The client below is what we ask of every client: it keeps its newest token and last number, sends again what it has no
answer for, and takes a transcript that it gets for the whole truth.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from router.engine import commands as c
from router.engine.events import Message
from router.errors import NotFound, Overloaded
from tests.chat.world import Socket, World

SEEDS = range(60)
STEPS = 150


class Client:
    """One window of one visitor."""

    def __init__(self, world: BadDay, name: str) -> None:
        self.world, self.name = world, name
        self.socket: Socket | None = None
        self.token = ""
        self.last_seq = -1
        self.interaction: str | None = None
        self.view: list[tuple[str, str]] = []
        self.sent: dict[str, str] = {}
        self.unanswered: dict[str, str] = {}
        self.delivered: set[str] = set()

    def connect(self) -> None:
        self.drop()
        self.socket = self.world.connect()
        self.socket.seen = self.seen
        if self.token:
            self.socket.send(type="hello", token=self.token, last_seq=self.last_seq)
        else:
            self.socket.send(type="hello", topic="support", name=self.name)

    def drop(self) -> None:
        if self.socket is not None:
            self.socket.cut()
            self.socket = None

    def lost(self) -> None:
        self.socket = None

    def say(self) -> None:
        ident = f"{self.name}-{len(self.sent)}"
        self.sent[ident] = self.unanswered[ident] = f"text {ident}"
        self.send(ident)

    def send(self, ident: str) -> None:
        if self.is_welcome and self.socket is not None:
            self.socket.send(type="message", id=ident, text=self.sent[ident])

    @property
    def is_welcome(self) -> bool:
        return self.socket is not None and self.socket.closed is None and "welcome" in self.socket.types

    def seen(self, frame: dict[str, Any]) -> None:
        kind, seq = frame["type"], frame["seq"]
        if kind == "error" and not seq:
            return
        if kind == "welcome":
            self.welcome(frame)
        else:
            assert seq == self.last_seq + 1, f"{self.name}: {seq} came after {self.last_seq}"
        self.last_seq = seq
        match kind:
            case "queued" if frame["interaction"] != self.interaction:
                self.interaction, self.view = frame["interaction"], []
            case "message":
                self.view.append((frame["author"], frame["text"]))
                self.settled(frame.get("id"))
            case "delivered":
                assert frame["re"] in self.world.recorded(), "delivered, but not in the journal"
                if not frame.get("duplicate"):
                    self.view.append(("customer", self.sent[frame["re"]]))
                self.settled(frame["re"])

    def welcome(self, frame: dict[str, Any]) -> None:
        self.token = frame["token"]
        if frame["resumed"]:
            assert frame["seq"] == self.last_seq
        else:
            assert frame["seq"] > self.last_seq, "numbers never go back"
            self.interaction = frame["interaction"]
            self.view = [(said["author"], said["text"]) for said in frame["messages"]]

    def settled(self, ident: str | None) -> None:
        if ident in self.unanswered:
            del self.unanswered[ident]
            self.delivered.add(ident)


class BadDay(World):
    """A world with two visitors, two windows of one of them, and an agent who answers."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        super().__init__(seed, visitor_grace=10**12, ring=12, transcript=10_000, transcript_max=10**9)
        self.clients = [Client(self, name) for name in ("ada", "bob")]
        self.sign_in()
        self.said = 0

    def recorded(self) -> set[str]:
        facts = (record.event for record in self.desk.durable)
        messages = (getattr(fact, "message", None) for fact in facts)
        return {message.external_id for message in messages if message is not None}

    def step(self) -> None:
        client = self.random.choice(self.clients)
        act = self.random.choices(
            [
                self.talk,
                self.repeat,
                self.come,
                self.cut,
                self.agent,
                self.record,
                self.refuse,
                self.second,
                self.again,
            ],
            [30, 8, 15, 8, 30, 25, 3, 1, 1],
        )[0]
        act(client)
        self.desk.now += self.random.choice((0, 0, 1, 700))
        self.desk.answers_first = self.random.random() < 0.3

    def talk(self, client: Client) -> None:
        if client.is_welcome:
            client.say()

    def repeat(self, client: Client) -> None:
        if client.sent:
            client.send(self.random.choice(list(client.sent)))

    def come(self, client: Client) -> None:
        client.connect()

    def cut(self, client: Client) -> None:
        client.drop()

    def record(self, client: Client) -> None:
        self.flush(self.random.choice((None, 1, 2, 3)))
        for one in self.clients:
            if one.is_welcome:
                for ident in list(one.unanswered):
                    if self.random.random() < 0.3:
                        one.send(ident)

    def refuse(self, client: Client) -> None:
        self.desk.refuse = lambda command: Overloaded("busy") if self.random.random() < 0.5 else None
        self.talk(client)
        self.desk.refuse = lambda command: None

    def second(self, client: Client) -> None:
        """Another window of the same visitor."""
        if client.token and len(self.clients) < 4:
            window = Client(self, f"{client.name}{len(self.clients)}")
            window.token, window.last_seq = client.token, 0
            self.clients.append(window)
            window.connect()

    def again(self, client: Client) -> None:
        keep = self.random.choice((None, 0, 1, 2, 3))
        for one in self.clients:
            one.lost()
        self.desk.now += 2_000
        self.restart(keep)
        self.sign_in()

    def agent(self, client: Client) -> None:
        view = self.desk.agent("ana")
        if view.offers:
            self.desk.do(c.Accept(agent="ana", offer=int(view.offers[0].offer[2:])))
        elif view.interactions:
            number = int(self.random.choice(view.interactions).id[2:])
            if self.random.random() < 0.1:
                self.desk.do(c.Complete(agent="ana", interaction=number))
            else:
                self.said += 1
                self.desk.do(c.Say(agent="ana", interaction=number, message=Message(f"answer {self.said}")))

    def calm_down(self) -> None:
        """Everybody comes back and gets answers for everything."""
        for client in self.clients:
            client.connect()
            self.flush()
            for ident in list(client.unanswered):
                client.send(ident)
                self.flush()
        self.flush()


@pytest.mark.promise("AG-3", "IN-2", "IN-3", "DU-1")
@pytest.mark.parametrize("seed", SEEDS)
def test_the_view_of_a_visitor_equals_the_transcript(seed: int) -> None:
    day = BadDay(seed)
    for _ in range(STEPS):
        day.step()
    day.calm_down()
    said = [text for author, text in whole_talk(day) if author == "customer"]
    assert len(said) == len(set(said)), "something was recorded twice"
    for client in day.clients:
        assert client.unanswered == {}
        assert {client.sent[ident] for ident in client.delivered} <= set(said), "something delivered was lost"
        if client.interaction is not None:
            view = day.desk.interaction(int(client.interaction[2:]))
            assert client.view == [(m.author, m.text) for m in view.messages if m.text]
    assert len({client.interaction for client in day.clients}) == 2, "two visitors are in two conversations"


def whole_talk(day: BadDay) -> list[tuple[str, str]]:
    found, number = [], 1
    while True:
        try:
            found += [(m.author, m.text) for m in day.desk.interaction(number).messages if m.text]
        except NotFound:
            return found
        number += 1
