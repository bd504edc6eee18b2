"""What a house must not keep in clear is nowhere below its data folder, whatever channel it came by (OB-6)."""

from __future__ import annotations

import asyncio
import json
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests.scan.pictures import png
from tests.system.clients import Agent, Visitor, call_event, drop, every, phone, send_mail
from tests.system.conftest import QUICK
from tests.system.daemon import CONFIG, Daemon

CARD, IBAN, CONTRACT = "4111 1111 1111 1111", "DE89 3704 0044 0532 0130 00", "C-12345678"
SECRETS = f"{CARD}, {IBAN}, {CONTRACT}"
HIDDEN = "•••• 1111, •••• 3000, ••••"
MASKING = """
[masking]
kinds = ["cards", "iban"]
patterns = { contract = '\\bC-[0-9]{8}\\b' }
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "masked.toml"
    text = CONFIG.read_text().replace("[email]\n", "[email]\nmask_raw = true\n")
    path.write_text(text + MASKING)
    return path


def mail() -> bytes:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = f"Eva {CONTRACT} <eva@example.org>", "support@localhost", SECRETS
    made["Message-ID"] = "<m1@example.org>"
    made.set_content(SECRETS)
    form = json.dumps({"said": SECRETS}).encode()
    made.add_attachment(form, maintype="application", subtype="json", filename=f"{CARD}.json")
    return made.as_bytes()


def found_in(folder: Path) -> list[str]:
    """The files in which any of it stands, in their bytes or their names."""
    wanted = [form.encode() for one in (CARD, IBAN, CONTRACT) for form in (one, one.replace(" ", ""))]
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [str(path) for path in files if any(one in path.read_bytes() or one.decode() in path.name for one in wanted)]


@pytest.mark.promise("OB-6")
async def test_no_channel_and_no_person_leaves_it_on_the_disk(tmp_path: Path, config: Path) -> None:
    async with Daemon(tmp_path / "data", QUICK, config) as daemon:
        event = call_event("incoming", "c1", attributes={"account": SECRETS})
        _, answer = await phone(daemon.session, daemon.http, event)
        called = answer["interaction"]
        assert (await daemon.interaction(called))["attributes"]["account"] == HIDDEN
        ana = Agent("ana", daemon.socket)
        await ana.sign_in()
        await ana.ready()
        await ana.accept(called)
        assert (await ana.ask("note", interaction=called, text=SECRETS))["type"] == "ok"
        assert (await ana.ask("complete", interaction=called, notes=SECRETS))["type"] == "ok"
        _, answer = await daemon.post("/v1/kiosk/checkins", {"topic": "support", "name": SECRETS})
        assert (await daemon.interaction(answer["interaction"]))["name"] == HIDDEN
        visitor = Visitor(daemon.socket)
        await visitor.hello()
        await visitor.say("m1", SECRETS)
        assert (await daemon.interaction(visitor.interaction))["messages"][0]["text"] == HIDDEN
        await asyncio.to_thread(send_mail, daemon.smtp, mail())
        folder = tmp_path / "data" / "drop" / "fax"
        drop(folder, "one.json", json.dumps({"name": SECRETS, "attributes": {"said": SECRETS}}).encode())
        drop(folder, "one.png", png())
        await every(0.05, lambda: not list(folder.iterdir()))
        waiting = {one["channel"]: one for one in await daemon.interactions()}
        assert (waiting["fax"]["name"], waiting["fax"]["attributes"]["said"]) == (HIDDEN, HIDDEN)
        assert (waiting["email"]["name"], waiting["email"]["subject"]) == ("Eva ••••", HIDDEN)
        _, content = await daemon.get(f"/v1/interactions/{waiting['email']['id']}/content")
        assert content["messages"][0]["text"] == HIDDEN
        why = {"why": SECRETS}
        assert (await daemon.post(f"/v1/interactions/{waiting['fax']['id']}/close", why))[0] == 200
        card = {"fields": {"notes": SECRETS}, "version": 0}
        assert (await daemon.post(f"/v1/desk/customers/{called}", card))[0] == 200
        assert daemon.troubles() == []
        assert await daemon.stop() == 0
    assert found_in(tmp_path / "data") == []
    assert found_in(tmp_path) == [], "nor in its log"
