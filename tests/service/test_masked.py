"""What stands before the engine hides the words of every command, and touches nothing by which things are found."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest

from router.engine import commands as c
from router.engine.events import Blob, Message
from router.errors import NotFound
from router.service.masked import WORDS, over
from router.service.masking import Masking, MaskingSettings
from tests.support.desk import RecordingDesk
from tests.support.house import house

CARD, HIDDEN = "4111111111111111", "•••• 1111"
IBAN = "DE89370400440532013000"
MASK = Masking().of(cards=True)

# Texts that are names: ids, addresses, what the configuration calls things, what a gateway says in words of its own.
NAMES = {
    "key", "channel", "sender", "recipient", "language", "direction", "automatic", "thread", "threads", "identities",
    "author", "by", "reason", "line", "to", "first", "queue", "address", "agent", "agents", "session", "state",
    "disposition", "band", "customer", "other", "identity", "calendar", "error", "document", "prefer", "ticket",
}  # fmt: skip


def test_every_text_of_every_command_is_a_word_or_a_name() -> None:
    """A new command, or a new field, has to say which."""
    for kind in get_args(c.AnyCommand):
        texts = {
            one.name
            for one in msgspec.inspect.type_info(kind).fields  # type: ignore[attr-defined]
            if not isinstance(one.type, msgspec.inspect.IntType | msgspec.inspect.BoolType | msgspec.inspect.FloatType)
        }
        assert texts == (texts & NAMES) | set(WORDS.get(kind, ())), kind.__name__


def command_with_words(kind: type[Any], text: str) -> Any:
    """Its words all hold the text; what else it needs is whatever fits."""
    given: dict[str, Any] = {}
    for one in msgspec.inspect.type_info(kind).fields:  # type: ignore[attr-defined]
        if one.name in WORDS[kind]:
            given[one.name] = {
                "message": Message(text, (Blob("0" * 64, 3, name=f"{text}.txt"),), "id", "a@b.example"),
                "attributes": {"note": text},
                "fields": {"note": text},
            }.get(one.name, text)
        elif one.required:
            given[one.name] = {"threads": ("t",), "to": c.Target(queue="q")}.get(one.name, 1)
    return kind(**given)


@pytest.mark.promise("OB-6")
@pytest.mark.parametrize("kind", WORDS, ids=lambda kind: kind.__name__)
def test_what_people_write_in_a_command_is_hidden_in_all_of_it(kind: type[Any]) -> None:
    taken: list[c.AnyCommand] = []
    desk = RecordingDesk()
    desk.submit = lambda command, done: taken.append(command)  # type: ignore[method-assign]
    over(desk, MASK, replies=True).submit(command_with_words(kind, f"it is {CARD}"), lambda outcome: None)
    assert taken == [command_with_words(kind, f"it is {HIDDEN}")]


async def test_names_stay_by_which_things_are_found() -> None:
    desk = RecordingDesk()
    asked = c.Arrive(
        key=f"mail:{CARD}",
        channel="email",
        threads=(f"mail:{CARD}",),
        identities=(f"mailto:{CARD}@a.example",),
        sender=f"{CARD}@a.example",
        message=Message("", (Blob(CARD * 4, 1),), f"{CARD}@a.example", f"{CARD}@a.example"),
    )
    await over(desk, MASK).ask(asked)
    assert desk.commands[0] is asked


async def test_what_agents_say_is_sent_as_it_is_unless_the_house_wants_it_hidden() -> None:
    said = c.Say(agent="ana", interaction=1, message=Message(CARD))
    for replies, text in ((False, CARD), (True, HIDDEN)):
        desk = RecordingDesk()
        await over(desk, MASK, replies).ask(said)
        assert [x.message.text for x in desk.commands if isinstance(x, c.Say)] == [text]


def test_a_desk_with_nothing_to_hide_is_the_desk_itself() -> None:
    desk = RecordingDesk()
    assert over(desk, None) is desk
    assert over(desk, Masking().of(cards=False)) is desk


async def test_a_customers_card_and_a_note_are_journaled_without_the_number() -> None:
    """The real engine: what was hidden is what comes back, and a second save of it changes nothing."""
    async with house() as real:
        desk = over(real.desk, Masking(MaskingSettings(kinds=("iban",))).house)
        call = c.Arrive(key="k", channel="phone", threads=("t",), identities=("tel:+15550100",))
        here = (await desk.ask(call)).interaction
        await desk.ask(c.Note(interaction=here, text=f"pays with {CARD} or {IBAN}", by="ana"))
        card = {"identity": "tel:+15550100", "by": "ana"}
        await desk.ask(c.DescribeCustomer(fields={"account": f"{CARD}, {IBAN}"}, version=0, **card))
        with pytest.raises(NotFound):
            desk.rehearse(c.Note(interaction=99, text=CARD, by="ana"))
        seen = desk.customer("tel:+15550100").card
        assert seen.fields == {"account": f"{HIDDEN}, •••• 3000"}
        await desk.ask(c.DescribeCustomer(fields=seen.fields, version=1, **card))
        assert desk.customer("tel:+15550100").card.version == 1
        assert [note.text for note in desk.interaction(here).notes] == [f"pays with {HIDDEN} or •••• 3000"]
        journal = b"".join(payload for _, payload in real.journal.read(0))
        assert (CARD.encode() in journal, IBAN.encode() in journal) == (False, False)
