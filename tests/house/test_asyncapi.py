"""The AsyncAPI document is what the code says, is valid, and knows every message and close code."""

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema_rs import Draft7Validator, meta

from channels.chat import conversation as chat_protocol
from router.agents import messages
from router.agents import protocol as agent_protocol
from router.cli import asyncapi

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "docs/asyncapi.json"
OFFICIAL = Path(__file__).parent / "vendor/asyncapi-3.0.0.json.gz"


@pytest.fixture(scope="module")
def document() -> Any:
    return asyncapi.document()


def strings(value: Any, key: str) -> Iterator[str]:
    """Every string under this key, wherever it stands."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == key and isinstance(inner, str):
                yield inner
            yield from strings(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner, key)


def resolve(document: Any, reference: str) -> Any:
    at = document
    for step in reference.removeprefix("#/").split("/"):
        at = at[step]
    return at


def test_the_committed_document_is_what_the_message_types_say() -> None:
    assert COMMITTED.read_text() == asyncapi.text(), "run: ./run asyncapi > docs/asyncapi.json"


def test_it_is_valid_by_the_official_schema(document: Any) -> None:
    official = json.loads(gzip.decompress(OFFICIAL.read_bytes()))
    wrong = [
        f"{'/'.join(map(str, e.instance_path))}: {e.message}" for e in Draft7Validator(official).iter_errors(document)
    ]
    assert wrong == []


def test_the_official_schema_sees_a_mistake(document: Any) -> None:
    official = json.loads(gzip.decompress(OFFICIAL.read_bytes()))
    assert not Draft7Validator(official).is_valid(document | {"operations": {"x": {"action": "shout"}}})


def test_every_reference_leads_somewhere(document: Any) -> None:
    for reference in strings(document, "$ref"):
        assert reference.startswith("#/")
        assert resolve(document, reference)


def test_every_schema_is_one(document: Any) -> None:
    for schema in document["components"]["schemas"].values():
        meta.validate(schema)


def test_every_message_of_both_links_is_in_it(document: Any) -> None:
    agent = {f"in.{asyncapi.tag_of(k)}" for k in messages.CLIENT_MESSAGES}
    agent |= {f"out.{asyncapi.tag_of(k)}" for k in messages.SERVER_MESSAGES}
    chat = {f"in.{asyncapi.tag_of(k)}" for k in asyncapi.CHAT_FRAMES}
    chat |= {f"out.{asyncapi.tag_of(k)}" for k in asyncapi.CHAT_ANSWERS}
    assert set(document["channels"]["agent"]["messages"]) == agent
    assert set(document["channels"]["chat"]["messages"]) == chat


def constants(module: Any) -> set[int]:
    """Close codes that a protocol names: whole numbers from 1000 to 4999 in capitals."""
    found = {v for k, v in vars(module).items() if k.isupper() and isinstance(v, int) and 1_000 <= v <= 4_999}
    return {int(v) for v in found}


def test_every_close_code_is_in_it(document: Any) -> None:
    assert constants(agent_protocol) <= set(map(int, document["channels"]["agent"]["x-close-codes"]))
    assert constants(chat_protocol) <= set(map(int, document["channels"]["chat"]["x-close-codes"]))


def test_tokens_and_secrets_are_not_in_it() -> None:
    assert not re.search(r"dev-\w", asyncapi.text())
