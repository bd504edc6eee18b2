"""What `switchboard check` says of a configuration that is no mistake, and may well be one."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from router.__main__ import cli
from router.cli.notes import notes
from router.settings import parse
from tests.system.daemon import CONFIG

DEV = CONFIG.read_text()


def said(document: str) -> list[str]:
    return list(notes(parse(document.encode())))


def test_of_the_demo_there_is_nothing_to_say() -> None:
    assert said(DEV) == []


@pytest.mark.promise("OB-4")
def test_a_topic_that_no_rule_takes_is_noted() -> None:
    assert 'default_topic = "support"' in DEV
    (note,) = said(DEV.replace('default_topic = "support"', 'default_topic = "suport"'))
    assert note.startswith("chat.default_topic: what comes to 'suport' is refused")


def test_with_a_default_queue_every_address_leads_somewhere() -> None:
    assert said('default_queue = "support"\n' + DEV.replace('default_topic = "support"', 'default_topic = "x"')) == []


def test_a_file_that_is_not_there_is_noted_and_not_repeated(tmp_path: Path) -> None:
    (tmp_path / "there.pem").write_text("a certificate")
    section = f'[http]\ncertificate = "{tmp_path}/there.pem"\nprivate_key = "{tmp_path}/gone.pem"\n'
    assert said(DEV + section) == ["http.private_key: there is no such file on this machine"]


def test_a_file_of_a_channel_is_named_by_its_whole_path() -> None:
    tls = '[email.tls]\ncertificate = "gone.pem"\nkey = "gone.key"\n'
    assert said(DEV + tls) == [
        f"email.tls.{name}: there is no such file on this machine" for name in ("certificate", "key")
    ]


def test_check_says_good_and_then_its_notes(tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_text(DEV.replace('default_topic = "support"', 'default_topic = "suport"'))
    told = CliRunner().invoke(cli, ["check", "--config", str(tmp_path / "my.toml")])
    assert told.exit_code == 0
    first, second = told.output.splitlines()
    assert ": good (" in first
    assert second.startswith("note: chat.default_topic: ")
