"""The table from the journal's events to the messages of the agents' link."""

import json

import pytest

from router.agents import messages as m
from router.agents.render import NOT_TOLD, TABLE, render, welcome
from router.engine import events as e
from router.engine.events import Blob
from router.engine.views import MessageView, Tell, brief
from tests.agents.house import Client, House


def test_every_event_is_either_in_the_table_or_not_told_on_purpose() -> None:
    assert set(TABLE) | NOT_TOLD == set(e.EVENT_TYPES)
    assert not set(TABLE) & NOT_TOLD


def test_an_event_that_is_not_told_is_a_bug_in_the_effects() -> None:
    with pytest.raises(KeyError):
        render(Tell("ana", 1, e.BandRaised(1)))


def written(message: object) -> dict[str, object]:
    found: dict[str, object] = json.loads(m.encode(message))
    return found


def types_of(client: Client) -> list[str]:
    return [message["type"] for message in client.read()]


def test_the_life_of_a_chat_as_its_agent_hears_it() -> None:
    house = House()
    client = house.client("ana")
    client.ask("set_state", state="ready")
    house.desk.arrive()
    house.desk.flush()
    assert types_of(client) == ["ok", "state", "offer"]
    client.ask("accept", offer="o-1")
    house.desk.flush()
    assert types_of(client) == ["ok", "assigned"]
    client.ask("say", interaction="i-1", text="good morning")
    client.ask("note", interaction="i-1", text="regular customer")
    client.ask("hold", interaction="i-1")
    client.ask("resume", interaction="i-1")
    house.desk.flush()
    updated = ["ok", "interaction_updated"]
    assert types_of(client) == ["ok", "message", *updated, *updated, *updated]
    client.ask("complete", interaction="i-1")
    client.ask("extend_wrap_up", interaction="i-1", by_ms=1_000)
    client.ask("finish_wrap_up", interaction="i-1")
    house.desk.flush()
    assert types_of(client) == ["ok", "interaction_ended", *updated, "ok", "interaction_ended"]
    assert client.mirror.interactions == {}


def test_how_offers_end_without_the_agent_having_them() -> None:
    house = House()
    client = house.ready()
    house.desk.arrive()
    house.desk.arrive()
    house.desk.flush()
    client.read()
    client.ask("decline", offer="o-1", reason="busy")
    house.desk.pass_time(20_000)
    house.desk.flush()
    reasons = {x["offer"]: x["reason"] for x in client.read() if x["type"] == "offer_withdrawn"}
    assert reasons["o-1"] == "declined"
    assert reasons["o-2"] == "expired"


def test_an_interaction_that_goes_elsewhere_ends_for_its_agent() -> None:
    assert {
        written(render(Tell("ana", 4, event)))["reason"]
        for event in (
            e.Requeued(1, "operator", "ana"),
            e.Transferred(1, "sales", None, "ana", ""),
            e.ConnectFailed(1, "ana"),
            e.WrapUpFinished(1, "ana", "timeout"),
        )
    } == {"requeued", "transferred", "connect-failed", "wrap-up-finished"}


def test_brief_objects_leave_words_out_and_whole_ones_have_attachments_as_objects() -> None:
    house = House()
    house.at_work()
    house.desk.arrive(blobs=(Blob("ab" * 32, 3, "image/png", "a.png"),))
    house.desk.flush()
    view = house.desk.agent("ana").offers[0].interaction
    assert view.messages == (MessageView("customer", house.desk.now, "hello", "", view.messages[0].attachments),)
    assert {"messages", "notes"} & set(written(brief(view))) == set()
    said = written(view)["messages"]
    assert said == [
        {
            "author": "customer",
            "at_ms": house.desk.now,
            "text": "hello",
            "attachments": [{"digest": "ab" * 32, "size": 3, "media_type": "image/png", "name": "a.png"}],
        }
    ]
    offer = written(welcome(house.desk.agent("ana"), "s-1", 5))["offers"]
    assert isinstance(offer, list)
    assert "messages" not in offer[0]["interaction"]
