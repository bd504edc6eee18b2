"""An agent gives a mail to somebody outside of the house: the contact ends, and they get it by mail."""

from __future__ import annotations

import asyncio
import email
import email.policy

from tests.system.clients import Agent, every, letter, send_mail
from tests.system.daemon import Daemon


async def test_a_mail_is_forwarded_and_over_and_its_answer_is_new_work(daemon: Daemon) -> None:
    ana = Agent("ana", daemon.socket)
    await ana.sign_in()
    await ana.ready()
    await asyncio.to_thread(send_mail, daemon.smtp, letter("m1"))
    mine = await ana.accept()
    refused = await ana.ask("transfer", interaction=mine, to={"address": "tel:+15550100"})
    assert (refused["type"], "name@example.org" in refused["message"]) == ("error", True)
    given = await ana.ask("transfer", interaction=mine, to={"address": "claims@partner.example"})
    assert given["type"] == "ok", given
    outbox = daemon.data / "outbox"
    await every(0.05, lambda: len(list(outbox.glob("*.eml"))) == 1)
    [path] = outbox.glob("*.eml")
    sent = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    assert (sent["To"], sent["Subject"]) == ("claims@partner.example", "Fwd: About m1")
    text, original = sent.iter_parts()
    assert "Where is my parcel?" in text.get_content()
    inner = email.message_from_bytes(original.get_content(), policy=email.policy.default)
    assert inner["Message-ID"] == "<m1@example.org>"
    assert (await daemon.interaction(mine))["state"] == "closed"
    answer = letter("m2", text="Paid.").replace(b"\n\n", f"\nIn-Reply-To: {sent['Message-ID']}\n\n".encode(), 1)
    await asyncio.to_thread(send_mail, daemon.smtp, answer)
    follows = await daemon.interaction("i-2")
    assert (follows["follows"], follows["channel"]) == (mine, "email")
    await ana.cut()
