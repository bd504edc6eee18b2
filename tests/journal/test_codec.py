"""What a record means does not depend on which program reads it, or it is not read."""

from typing import Any, get_type_hints

import msgspec
import pytest

from router.engine.config import Callbacks, Config, Duration, Queue, Rule, to_bytes
from router.engine.events import (
    EVENT_TYPES,
    AnyEvent,
    Blob,
    Configured,
    Event,
    InteractionArrived,
    Message,
    OfferExpired,
    OfferMade,
    Record,
)
from router.engine.requirements import Node
from router.errors import JournalVersion
from router.journal import codec

SAID = Message("hello", (Blob("ab" * 32, 5, "text/plain", "a.txt"),), "<1@b.example>")
SAMPLES: dict[object, Any] = {
    int: 1 << 40,
    str: "süß 漢字",
    bytes: b"\0\xff",
    bool: True,
    float: 1.5,
    tuple[str, ...]: ("tel:+15550100", ""),
    dict[str, str]: {"site": "north"},
    Node | None: Node(all=(Node(skill="support", level=3), Node(negated=Node(agent=("ana",))))),
    Node: Node(skill="support", level=3),
    Message: SAID,
    Message | None: SAID,
}


def sample(kind: type[Event]) -> Any:
    """An event with every field set; a configuration is one that can be read."""
    fields = {name: SAMPLES[hint] for name, hint in get_type_hints(kind).items() if not name.startswith("_")}
    return kind(**fields | ({"document": to_bytes(Config())} if "document" in fields else {}))


SAMPLES[InteractionArrived | None] = sample(InteractionArrived)


def required(kind: type[Event]) -> int:
    return len(kind.__struct_fields__) - len(kind.__struct_defaults__)


@pytest.mark.promise("DU-3")
@pytest.mark.parametrize("kind", EVENT_TYPES, ids=lambda kind: kind.__name__)
def test_every_event_comes_back_as_it_was(kind: type[Event]) -> None:
    event = sample(kind)
    payload = codec.encode(1_764_000_000_250, "mail:1", event)
    assert codec.decode(payload) == Record(1_764_000_000_250, "mail:1", event)
    assert payload == msgspec.msgpack.encode(Record(1_764_000_000_250, "mail:1", event))


@pytest.mark.promise("DU-3")
@pytest.mark.parametrize("kind", EVENT_TYPES, ids=lambda kind: kind.__name__)
def test_a_record_from_before_a_field_was_added_gets_its_default(kind: type[Event]) -> None:
    at_ms, key, fields = msgspec.msgpack.decode(codec.encode(1, "", sample(kind)))
    old = msgspec.msgpack.encode([at_ms, key, fields[: 1 + required(kind)]])
    event = codec.decode(old).event
    names = kind.__struct_fields__[required(kind) :]
    assert tuple(getattr(event, name) for name in names) == kind.__struct_defaults__


def test_an_event_that_this_version_does_not_know_is_refused_with_what_to_do() -> None:
    with pytest.raises(JournalVersion, match="run the version that wrote it, or newer"):
        codec.decode(msgspec.msgpack.encode([1, "", ["teleported", 1]]))


@pytest.mark.parametrize("payload", [b"", b"\xc1", b"\x93\x01", msgspec.msgpack.encode([1, "", ["held", "one", 2]])])
def test_what_is_no_record_is_refused(payload: bytes) -> None:
    with pytest.raises(JournalVersion):
        codec.decode(payload)


def rename_reason(raw: Any) -> Any:
    """Format 1 of a made-up history called the event "offer-lapsed" and noted seconds."""
    at_s, key, (tag, *fields) = raw
    return [at_s * 1_000, key, ["offer-expired" if tag == "offer-lapsed" else tag, *fields]]


def number_agents(raw: Any) -> Any:
    """Format 2 named agents by number."""
    at_ms, key, (tag, offer, interaction, agent) = raw
    return [at_ms, key, [tag, offer, interaction, f"agent-{agent}"]]


@pytest.mark.promise("DU-3")
def test_old_formats_keep_their_meaning_step_by_step() -> None:
    upcasts = {1: rename_reason, 2: number_agents}
    expected = Record(5_000, "k", OfferExpired(1, 2, "agent-7"))
    first = msgspec.msgpack.encode([5, "k", ["offer-lapsed", 1, 2, 7]])
    assert codec.decode(codec.upcast(first, 1, 3, upcasts)) == expected
    second = msgspec.msgpack.encode([5_000, "k", ["offer-expired", 1, 2, 7]])
    assert codec.decode(codec.upcast(second, 2, 3, upcasts)) == expected


def test_there_is_an_upcast_from_every_format_before_this_one() -> None:
    assert sorted(codec.UPCASTS) == list(range(1, codec.FORMAT))


def test_a_newer_format_is_refused_with_what_to_do() -> None:
    with pytest.raises(JournalVersion, match="run the version that wrote it, or newer"):
        codec.check_format(codec.FORMAT + 1)


def test_for_people_every_field_has_its_name() -> None:
    event: AnyEvent = OfferMade(1, 2, "ana", 3)
    assert codec.named(event)["expires_at_ms"] == 3
    shown = codec.named(sample(InteractionArrived))
    assert shown["message"]["blobs"][0]["name"] == "a.txt"
    assert shown["requirement"]["all"][1] == {"not": {"agent": ("ana",)}}


@pytest.mark.promise("DU-3")
def test_a_configuration_with_an_option_of_a_newer_version_is_refused_like_a_record_of_one() -> None:
    newer = to_bytes(Config()).replace(b"{", b'{"option-of-next-year":1,', 1)
    payload = codec.encode(1, "", Configured(version=1, document=newer))
    with pytest.raises(JournalVersion, match=r"option-of-next-year.*run the version that wrote it, or newer"):
        codec.decode(payload)


@pytest.mark.promise("DU-3", "DU-5")
def test_a_rule_is_written_without_what_it_does_not_ask_for() -> None:
    """An older version beside this one refuses what it does not know, also where it says nothing."""
    config = Config(queues={"support": Queue()}, rules=(Rule(name="all", queue="support", to=("+1",)),))
    written = msgspec.json.decode(to_bytes(config))["rules"]
    assert written == [{"name": "all", "queue": "support", "to": ["+1"]}]


@pytest.mark.promise("DU-3", "DU-5")
def test_how_callbacks_are_made_is_written_only_where_it_is_no_default() -> None:
    """`silence` came later: a version without it must be able to read a house that never asked for it."""
    assert msgspec.json.decode(to_bytes(Config()))["callbacks"] == {}
    patient = Config(callbacks=Callbacks(silence=Duration(60_000)))
    assert msgspec.json.decode(to_bytes(patient))["callbacks"] == {"silence": "1m"}
