"""An agent's shift in a real browser, and what is kept of it: `python -m tests.desk.shift`; the last line is JSON.

The page is the desk as it is served: its link, its store, its screens. Only the server is played, within the page, so
that a contact passes in a moment: each is offered, accepted by its button, talked over in both directions (of mails
the text is asked for, too), completed and wrapped up by theirs; some are withdrawn and some customers leave. After
each quarter the garbage is collected, and told is what is left: the heap, elements, listeners. A page that forgets who
has gone ends each quarter where the one before it ended.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Page, async_playwright

from router.desk.files import Files
from router.desk.pages import PageRoutes
from tests.desk.conftest import ARGUMENTS, PROGRAMS

CONTACTS, BEFORE = 80, 30  # those before are until everything was drawn and compiled once
QUARTERS = 4
WORDS = 40_000  # letters of each thing that is said: what is kept by mistake shall be seen

SERVER = """(words) => {
  const me = { name: "ana", shown: "Ana", agent: true, supervisor: false, since_ms: Date.now(), reasons: ["lunch"],
    dispositions: ["solved"], version: "0", roles: ["agent"], may: ["work"], teams: [], bands: [],
    customer_fields: ["notes"], calls: true };
  sessionStorage.setItem("session", JSON.stringify({ me, token: "dev-ana" }));
  const text = (what) => `${what} ${Math.random()} `.padEnd(words, "abcdefg ");
  const found = (path) =>
    path === "/v1/session/ticket" ? { ticket: "t" }
    : path === "/v1/desk/me" ? me
    : path.startsWith("/v1/desk/queues/") ? { script: "Say your name.", guidelines: "", templates: [] }
    : path.startsWith("/v1/desk/history/") ? { interactions: [] }
    : path.startsWith("/v1/desk/customers/")
      ? { version: 1, editable: true, identities: ["x"], fields: { notes: text("known") }, changes: [], history: [] }
    : path.endsWith("/content") ? { messages: [{ author: "customer", text: text("mail") }], notes: [] }
    : null;
  window.fetch = async (path) => {
    const body = found(String(path));
    return new Response(JSON.stringify(body ?? { code: "not-found" }), { status: body ? 200 : 404 });
  };

  let seq = 0;
  let line = null;
  const say = (type, fields) => line.onmessage({ data: JSON.stringify({ type, seq: (seq += 1), ...fields }) });
  const pass = (message) => line.onmessage({ data: JSON.stringify(message) });
  const answers = {
    hello: () => say("welcome", { agent: "ana", resumed: false, session: "s", server_time_ms: Date.now(), name: "Ana",
      state: "ready", reason: "", pending: "", load: {}, offers: [], interactions: [] }),
    accept: ({ offer }) => {
      const messages = [{ author: "customer", text: now.channel === "email" ? "" : text("hello"), at_ms: Date.now() }];
      say("assigned", { offer, interaction: { ...now, state: "active", agent: "ana", messages, notes: [] } });
    },
    say: (m) => say("message", { interaction: now.id, author: "agent", agent: "ana", text: m.text, at_ms: Date.now() }),
    note: (m) => say("interaction_updated", { interaction: { ...now, state: "active", connected: true }, cause: "note",
      note: { by: "agent:ana", text: m.text, at_ms: Date.now() } }),
    complete: () => say("interaction_ended", { interaction: now.id, reason: "completed", wrap_up: true,
      wrap_up_until_ms: Date.now() + 60000, disposition: "solved" }),
    finish_wrap_up: () => say("interaction_ended", { interaction: now.id, reason: "wrap-up-finished", wrap_up: false }),
  };
  window.WebSocket = class {
    constructor() {
      this.readyState = 1;
      line = this;
      setTimeout(() => this.onopen());
    }
    send(data) {
      const m = JSON.parse(data);
      answers[m.type]?.(m);
      if (m.type !== "hello" && m.type !== "typing" && m.type !== "seen")
        this.onmessage({ data: JSON.stringify({ type: "ok", re: m.id, interaction: now.id }) });
    }
    close() {}
  };

  // --- the day ---
  let now = null;
  const place = () => document.getElementById("desk");
  const drawn = () => new Promise((done) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => (port1.close(), done());
    port2.postMessage(0);
  });
  async function until(look) {
    for (let n = 0; n < 2000; n++) {
      const seen = look();
      if (seen) return seen;
      await drawn();
    }
    throw new Error(`never seen: ${look}; shown is ${place().innerText.slice(0, 500)}`);
  }
  const named = (one, name) => [...one.children].some((part) => part.textContent === name);
  const button = (name) => [...place().querySelectorAll("button:not([disabled])")].find((one) => named(one, name));
  const press = async (name) => (await until(() => button(name))).click();
  async function write(at, words, name) {
    const box = await until(() => place().querySelector(at));
    box.value = words;
    box.dispatchEvent(new InputEvent("input", { bubbles: true }));
    await until(() => Object.keys(sessionStorage).some((key) => key.startsWith(`draft ${now.id}`)));
    await press(name);
  }
  const gone = () => until(() => place().querySelectorAll(".offer, .row").length === 0);

  async function contact(n) {
    const channel = n % 3 === 1 ? "email" : "chat";
    const id = `i-${n}`;
    now = { id, channel, direction: "inbound", state: "offered", queue: "support", customer: `mailto:${n}@example.org`,
      sender: `${n}@example.org`, recipient: "support@localhost", name: `Customer ${n}`, subject: "", language: "en",
      enqueued_at_ms: Date.now(), requirement: { skill: "support" }, matched_skills: ["support"], attributes: {},
      agent: "", on_hold: false, connected: false, wrap_up_until_ms: 0, band: "normal", reason: "", disposition: "",
      follows: "", misses: 0, declines: 0, connect_failures: 0, suspended: false };
    say("offer", { offer: `o-${n}`, interaction: now, expires_at_ms: Date.now() + 20000, cause: "routed" });
    await until(() => button("Accept"));
    if (n % 10 === 9) {
      say("offer_withdrawn", { offer: `o-${n}`, interaction: id, reason: "customer-left" });
      return gone();
    }
    await press("Accept");
    await until(() => place().querySelector(".talk h1")?.textContent === now.name);
    if (channel === "chat") pass({ type: "typing", interaction: id, on: true });
    const more = channel === "email" ? "" : text("more");
    say("message", { interaction: id, author: "customer", text: more, at_ms: Date.now(), attachments: [], sender: "" });
    await until(() => place().querySelectorAll(".said").length === 2);
    await write("#reply", text("answer"), "Send");
    await until(() => place().querySelectorAll(".said:not(.unsure)").length === 3);
    if (channel === "chat") pass({ type: "receipts", interaction: id, received_ms: Date.now(), read_ms: Date.now() });
    if (n % 10 === 8) {
      say("interaction_ended", { interaction: id, reason: "customer-left", wrap_up: false });
      return gone();
    }
    await press("Complete");
    await press("Finish wrap-up");
    return gone();
  }
  window.shift = async (from, count) => {
    await until(() => line && place().querySelector(".idle h1"));
    for (let n = from; n < from + count; n++) await contact(n);
  };
}"""

# Remarks go by themselves after some seconds, which so fast a day does not have.
QUIET = """async () => {
  for (let n = 0; n < 50; n++) {
    const one = document.querySelector(".remark button");
    if (!one) return;
    one.click();
    await new Promise((done) => setTimeout(done));
  }
}"""


@asynccontextmanager
async def served() -> AsyncIterator[str]:
    """The address of a desk behind which is nobody."""
    app = web.Application()
    app.add_routes(PageRoutes(Files(), lambda place, host: f"ws://{host}:8081").routes())
    server = TestServer(app)
    await server.start_server()
    try:
        yield str(server.make_url("/desk"))
    finally:
        await server.close()


async def begun(page: Page, address: str) -> None:
    await page.add_init_script(f"({SERVER})({WORDS})")
    await page.goto(address)


async def quarters(page: Page, contacts: int, before: int = 0) -> list[dict[str, int]]:
    """What is left after each quarter of a shift. `before`: contacts until everything was drawn and compiled once."""
    session = await page.context.new_cdp_session(page)
    await session.send("Performance.enable")
    await page.evaluate("([from, count]) => shift(from, count)", [0, before])
    found = []
    for quarter in range(QUARTERS):
        at = [before + quarter * contacts // QUARTERS, contacts // QUARTERS]
        await page.evaluate("([from, count]) => shift(from, count)", at)
        await page.evaluate(QUIET)
        for _ in range(2):  # what the first lets go of may hold something that the second takes
            await session.send("HeapProfiler.collectGarbage")
        metrics = {one["name"]: int(one["value"]) for one in (await session.send("Performance.getMetrics"))["metrics"]}
        kept = await page.evaluate("() => JSON.stringify(sessionStorage).length")
        found.append(
            {
                "heap": metrics["JSHeapUsedSize"],
                "nodes": metrics["Nodes"],
                "listeners": metrics["JSEventListeners"],
                "session_storage": kept,
            }
        )
    await session.detach()
    return found


async def whole(contacts: int, before: int) -> dict[str, Any]:
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        raise SystemExit("chromium is needed: apt install chromium")
    async with served() as address, async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=program, args=ARGUMENTS)
        try:
            page = await browser.new_page(locale="en-US", reduced_motion="reduce")
            await begun(page, address)
            return {"contacts": contacts, "before": before, "quarters": await quarters(page, contacts, before)}
        finally:
            await browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.desk.shift", description=__doc__)
    parser.add_argument("--contacts", type=int, default=CONTACTS, help="of the shift")
    parser.add_argument("--before", type=int, default=BEFORE, help="contacts before the first quarter")
    asked = parser.parse_args()
    print(json.dumps(asyncio.run(whole(asked.contacts, asked.before))))


if __name__ == "__main__":
    main()
