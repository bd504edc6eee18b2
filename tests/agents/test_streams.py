"""After any cut the client's view equals the server's (AG-3)."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from router.engine import commands as c
from router.engine.events import Blob, Message
from tests.agents.house import Client, House, number, seen

BLOB = Blob("ab" * 32, 12, "image/png", "a.png")


class Life:
    """Ana with two clients, Ben with one, and customers; every step may be one that the present state refuses."""

    def __init__(self, **limits: int) -> None:
        self.house = House(**limits)
        self.desk = self.house.desk
        self.clients = [Client(self.house.hub), Client(self.house.hub), Client(self.house.hub)]
        self.names = ["ana", "ana", "ben"]

    def everybody_ready(self) -> None:
        for n in range(3):
            self.connect(n)
            self.set_state(3 * n + 1)

    def step(self, kind: str, n: int) -> None:
        getattr(self, kind)(n)

    def _pick(self, n: int) -> Client:
        return self.clients[n % 3]

    def _some(self, n: int, known: dict[str, Any]) -> str:
        return list(known)[n % len(known)] if known else "i-1"

    # customers and time

    def arrive(self, n: int) -> None:
        self.desk.arrive("chat" if n % 2 else "email", f"text {n}", (BLOB,) if n % 3 == 0 else ())

    def customer_says(self, n: int) -> None:
        if self.desk.count:
            k = n % self.desk.count + 1
            for thread in (f"chat:{k}", f"email:{k}"):
                self.desk.do(c.Append(thread=thread, message=Message(f"more {n}", (BLOB,) if n % 4 == 0 else ())))

    def connected(self, n: int) -> None:
        if self.desk.count:
            k = n % self.desk.count + 1
            for thread in (f"chat:{k}", f"email:{k}"):
                self.desk.do(c.ConfirmConnection(thread=thread))

    def leave(self, n: int) -> None:
        if self.desk.count:
            k = n % self.desk.count + 1
            for thread in (f"chat:{k}", f"email:{k}"):
                self.desk.do(c.Leave(thread=thread, reason="customer-left"))

    def pass_time(self, n: int) -> None:
        self.desk.pass_time(n * 100)

    def durable(self, n: int) -> None:
        self.desk.flush(n % 7)

    # clients

    def connect(self, n: int) -> None:
        client = self._pick(n)
        if client.ended or client.conversation.agent:
            client.cut()
        if not client.connected:
            client.connect()
        last = client.mirror.last_seq
        client.hello(self.names[n % 3], **({} if last is None or n % 5 == 0 else {"last_seq": last}))

    def cut(self, n: int) -> None:
        self._pick(n).cut()

    def read(self, n: int) -> None:
        self._pick(n).read(n % 5)

    def set_state(self, n: int) -> None:
        state = "ready" if n % 4 or n < 12 else "not_ready"
        self._pick(n // 3).ask("set_state", state=state, reason="" if state == "ready" else "lunch")

    def accept(self, n: int) -> None:
        client = self._pick(n)
        if n % 3:  # a person decides by what is on the screen now
            self.desk.flush()
            client.read()
        client.ask("accept", offer=self._some(n, client.mirror.offers))

    def decline(self, n: int) -> None:
        client = self._pick(n)
        client.ask("decline", offer=self._some(n, client.mirror.offers))

    def work(self, n: int) -> None:
        """Something about an interaction that this client knows."""
        client = self._pick(n)
        if n % 4:
            self.desk.flush()
            client.read()
        which = self._some(n // 3, client.mirror.interactions)
        kind, more = WORK[n % len(WORK)]
        client.ask(kind, interaction=which, **more)

    def operator(self, n: int) -> None:
        which = number(self._some(n // 3, self._pick(n).mirror.interactions))
        commands: list[c.AnyCommand] = [
            c.Requeue(interaction=which, by="operator:x"),
            c.Close(interaction=which, by="operator:x"),
            c.Note(interaction=which, text="checked", by="operator:x"),
            c.Assign(interaction=which, agent="ana", by="operator:x", override=True),
        ]
        self.desk.do(commands[n % 4])

    def check(self) -> None:
        """Everybody comes back, everything becomes durable and is read: now the views are equal."""
        for n, client in enumerate(self.clients):
            if not client.connected or client.ended or not client.conversation.agent:
                self.connect(n if n % 5 else n + 15)
        self.desk.flush()
        for name, client in zip(self.names, self.clients, strict=True):
            client.read()
            assert client.ended is None
            assert seen(client.mirror) == self.house.truth(name)


WORK: list[tuple[str, dict[str, Any]]] = [
    ("say", {"text": "hello"}),
    ("say", {"text": "", "attachments": [{"digest": "cd" * 32, "size": 5, "name": "b.pdf"}]}),
    ("note", {"text": "call back"}),
    ("hold", {}),
    ("resume", {}),
    ("complete", {"disposition": "solved"}),
    ("finish_wrap_up", {}),
    ("extend_wrap_up", {"by_ms": 5_000}),
    ("transfer", {"to": {"queue": "support"}}),
    ("transfer", {"to": {"queue": "support"}, "mode": "consult"}),
    ("transfer", {"to": {"agent": "ben"}, "mode": "consult"}),
    ("join_consult", {}),
    ("complete_consult", {}),
    ("end_consult", {}),
    ("pick", {}),
]

KINDS = [
    *["arrive"] * 3,
    *["accept"] * 4,
    *["work"] * 5,
    *["customer_says", "customer_says", "connected", "leave", "pass_time", "operator"],
    *["connect", "cut", "set_state", "decline"],
    *["durable", "durable", "read", "read"],
]
STEPS = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 60)), min_size=40, max_size=80)


@pytest.mark.promise("AG-3")
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS)
def test_after_any_cut_the_clients_view_equals_the_servers(steps: list[tuple[str, int]]) -> None:
    life = Life()
    life.everybody_ready()
    for kind, n in steps:
        life.step(kind, n)
    life.check()


@pytest.mark.promise("AG-3")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS)
def test_it_does_so_when_hardly_anything_is_kept(steps: list[tuple[str, int]]) -> None:
    life = Life(keep_messages=16, keep_bytes=16_384)
    life.everybody_ready()
    for kind, n in steps:
        life.step(kind, n)
    life.check()


@pytest.mark.promise("AG-3")
@pytest.mark.long
@settings(max_examples=1_500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS)
def test_after_any_cut_the_views_are_equal_in_many_lives(steps: list[tuple[str, int]]) -> None:
    life = Life()
    life.everybody_ready()
    for kind, n in steps:
        life.step(kind, n)
    life.check()
