"""Explanations from a journal, without a daemon."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from router.__main__ import cli
from router.journal.sqlite import SqliteJournal
from tests.engine.support.office import Office

pytestmark = pytest.mark.promise("EX-1")


@pytest.fixture
def journal(tmp_path: Path) -> str:
    """A mail came, and a while later Ana, to whom it is offered."""
    office, path = Office(), tmp_path / "journal.db"
    office.arrive()
    office.pass_s(10)
    office.ready("ana")
    log = SqliteJournal(path)
    log.open()
    log.append(1, office.checked.payloads)
    log.close()
    return str(path)


def test_it_is_told_as_of_the_last_record(journal: str) -> None:
    said = CliRunner().invoke(cli, ["explain", "i-1", "--journal", journal], catch_exceptions=False)
    assert said.exit_code == 0
    first, _, rest = said.output.partition("\n")
    assert first.startswith("As of ")
    assert first.endswith(", the last record of the journal:")
    assert "i-1 is offered to ana" in rest
    told = CliRunner().invoke(cli, ["explain", "i-1", "--journal", journal, "--json"], catch_exceptions=False)
    assert json.loads(told.output)["as_of"] in first


def test_its_way_and_its_offers_are_told_in_the_language_that_is_asked_for(journal: str) -> None:
    """As a daemon asks for it, for a reader of that language."""
    asked = ["explain", "i-1", "--journal", journal, "--json", "--language"]
    english, spanish = (json.loads(CliRunner().invoke(cli, [*asked, language]).output) for language in ("en", "es"))
    assert [line["what"] for line in english["way"]] == ["it came to queue support", "it was offered to ana"]
    assert [line["what"] for line in spanish["way"]] == ["llegó a la cola support", "se ofreció a ana"]
    assert [line["event"] for line in spanish["way"]] == [line["event"] for line in english["way"]]
    assert [offer["why"] for offer in english["decisions"]] == ["ana was the only agent who could take it"]
    assert [offer["why"] for offer in spanish["decisions"]] == ["ana era la única persona que podía atenderla"]
