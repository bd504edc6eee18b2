"""Measure the wallboard in a real browser: `python -m tests.desk.wallboard`; the last line is JSON.

The page's own modules draw 200 queues and 500 agents; sixty times a second one answer is laid over what is seen, in
which ten queues and twenty-five agents have changed. Told are the times between frames as the page sees them, the
frames that the browser's own tracing says were dropped, the time in scripts, the processor time of each answer, which
does not depend on what else the machine does (16.7 ms are a frame), and, over a simulated shift of eight
hours of answers every two seconds, what the page's memory is after the garbage collector has run.
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
from playwright.async_api import CDPSession, Page, async_playwright

from router.desk.files import Files
from router.desk.pages import PageRoutes
from tests.desk.conftest import ARGUMENTS, PROGRAMS

QUEUES, AGENTS = 200, 500
SHIFT = 8 * 3_600 // 2  # answers
SIZE = {"width": 1_920, "height": 1_080}

# A board with nobody signed in: what `Watch` lays over the state is laid here by hand.
BOARD = """async ([base, queues, agents]) => {
  const [{ Floor }, { html, render }, { overlaid, UNSEEN }] = await Promise.all(
    ["floor", "html", "watch"].map((name) => import(`${base}/js/${name}.js`)));
  const start = Date.now();
  const queue = (n, at) => ({
    queue: `queue ${n}`, waiting: (n + at) % 40, offered: at % 3, active: n % 17, open: true, servability: {},
    oldest_enqueued_at_ms: start - (n % 90) * 1000, service_level: 0.8,
    day: { since_ms: start, answered: 90, in_target: 80, abandoned: at % 7, late: at % 7, short: 0, service_level: 0.9,
      abandon_rate: (at % 7) / 97 },
    share_of_target: ((n * 7 + at) % 130) / 100,
  });
  const agent = (n, at) => ({
    agent: `agent-${n}`, name: `Agent ${n}`, state: (n + at) % 5 ? "ready" : "not_ready", reason: "", pending: "",
    since_ms: start - n * 1000, sessions: 1, load: (n + at) % 3 ? { chat: 1 + ((n + at) % 3) } : {},
  });
  let seen = { ...UNSEEN, at: 1 };
  const desk = { watch: { show() {}, choose() {}, act() {}, may: () => true } };
  const me = { may: ["floor", "people"], bands: [], agent: false };
  const place = document.body.appendChild(document.createElement("div"));
  place.className = "desk";
  document.getElementById("desk").replaceChildren();
  const range = (n, make) => Array.from({ length: n }, (_, at) => make(at));
  // Each call is an answer as it comes from the server: every object is new, few say something new.
  window.answer = (at) => {
    const fields = {
      queues: range(queues, (n) => queue(n, Math.floor((at + n) / 20))),
      agents: range(agents, (n) => agent(n, Math.floor((at + n) / 20))),
    };
    seen = overlaid(seen, fields);
    render(html`<${Floor} desk=${desk} state=${{ watch: seen, me, view: { offers: {} } }} />`, place);
  };
  window.answer(0);
}"""

FRAMES = """(seconds) => new Promise((done) => {
  const times = [], work = [];
  let at = 1, last = 0;
  const frame = (now) => {
    if (last) times.push(now - last);
    last = now;
    const before = performance.now();
    window.answer(at++);
    work.push(performance.now() - before);
    if (times.length < seconds * 60) requestAnimationFrame(frame);
    else done({ times, work });
  };
  requestAnimationFrame(frame);
})"""

SHIFTS = """([from, count]) => new Promise((done) => {
  let at = from;
  const some = () => {
    for (let n = 0; n < 20 && at < from + count; n++) window.answer(at++);
    if (at < from + count) setTimeout(some); else done();
  };
  some();
})"""


@asynccontextmanager
async def board(queues: int = QUEUES, agents: int = AGENTS) -> AsyncIterator[Page]:
    """The page with a wallboard of this size."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        raise SystemExit("chromium is needed: apt install chromium")
    files = Files()
    app = web.Application()
    app.add_routes(PageRoutes(files, lambda place, host: f"ws://{host}:8081").routes())
    server = TestServer(app)
    await server.start_server()
    try:
        async with async_playwright() as driver:
            browser = await driver.chromium.launch(executable_path=program, args=ARGUMENTS)
            page = await browser.new_page(viewport=SIZE)  # type: ignore[arg-type]
            await page.goto(str(server.make_url("/desk")))
            await page.evaluate(BOARD, [f"/desk/{files.version}", queues, agents])
            yield page
            await browser.close()
    finally:
        await server.close()


async def traced(page: Page, seconds: int) -> dict[str, float]:
    """Frames while sixty answers a second are drawn, as the page and as the browser's tracing tell of them."""
    browser = page.context.browser
    assert browser is not None
    categories = ["devtools.timeline", "devtools.timeline.frame", "disabled-by-default-devtools.timeline"]
    session = await page.context.new_cdp_session(page)
    await session.send("Performance.enable", {"timeDomain": "threadTicks"})
    await page.evaluate(FRAMES, 1)  # the first answers lay everything out
    before = await spent(session)
    plain = await page.evaluate(FRAMES, seconds)
    after = await spent(session)
    await browser.start_tracing(page=page, categories=categories)
    told = await page.evaluate(FRAMES, seconds)
    events: list[dict[str, Any]] = json.loads(await browser.stop_tracing())["traceEvents"]
    names = [event["name"] for event in events]
    times, work = sorted(told["times"]), sorted(told["work"])
    return {
        **parts_of(events, len(times)),
        "frames": len(times),
        "median_ms": round(times[len(times) // 2], 1),
        "p99_ms": round(times[len(times) * 99 // 100], 1),
        "late": sum(1 for time in times if time > 25),
        "dropped_by_tracing": names.count("DroppedFrame"),
        "script_median_ms": round(work[len(work) // 2], 1),
        "script_p99_ms": round(work[len(work) * 99 // 100], 1),
        **{f"cpu_{name}_ms": round((after[name] - before[name]) * 1_000 / len(plain["times"]), 2) for name in after},
    }


# What the tracing names of each part of a frame. Script, style and layout run for each answer wherever it is seen;
# painting records what is to be drawn, and rasterising draws it: without a graphics processor by the same two cores.
PARTS = {
    "script": ("FireAnimationFrame", "FunctionCall", "TimerFire", "RunMicrotasks"),
    "style_and_layout": ("UpdateLayoutTree", "Layout"),
    "paint": ("PrePaint", "Paint", "Layerize", "Commit", "UpdateLayer"),
    "raster": ("RasterTask", "ImageDecodeTask", "GPUTask"),
}


def parts_of(events: list[dict[str, Any]], frames: int) -> dict[str, float]:
    """Processor time of each part of a frame, in milliseconds; what lies within another of its kind counts once."""
    found = {}
    for part, names in PARTS.items():
        spans = [event for event in events if event["name"] in names and "tdur" in event]
        spans.sort(key=lambda event: (event["pid"], event["tid"], event["ts"], -event["dur"]))
        total, end, thread = 0, 0.0, (0, 0)
        for event in spans:
            at = (event["pid"], event["tid"])
            if at != thread or event["ts"] >= end:
                total, end, thread = total + event["tdur"], event["ts"] + event["dur"], at
        found[f"traced_{part}_ms"] = round(total / 1_000 / frames, 2)
    return found


async def spent(session: CDPSession) -> dict[str, float]:
    """Seconds of processor time of the page's main thread so far, whatever else the machine does."""
    metrics = {one["name"]: one["value"] for one in (await session.send("Performance.getMetrics"))["metrics"]}
    wanted = {
        "script": "ScriptDuration",
        "style": "RecalcStyleDuration",
        "layout": "LayoutDuration",
        "all": "TaskDuration",
    }
    return {name: metrics[metric] for name, metric in wanted.items()}


async def memory(page: Page, answers: int) -> list[float]:
    """MB in use after each quarter of a shift, the garbage collected."""
    session = await page.context.new_cdp_session(page)
    found = []
    for quarter in range(4):
        await page.evaluate(SHIFTS, [quarter * answers // 4 + 100_000, answers // 4])
        await session.send("HeapProfiler.collectGarbage")
        found.append(round((await session.send("Runtime.getHeapUsage"))["usedSize"] / 1e6, 2))
    return found


async def measure(seconds: int, answers: int) -> dict[str, Any]:
    async with board() as page:
        frames = await traced(page, seconds)
        return {
            "queues": QUEUES,
            "agents": AGENTS,
            **frames,
            "shift_answers": answers,
            "heap_mb": await memory(page, answers),
        }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.desk.wallboard", description=__doc__)
    parser.add_argument("--seconds", type=int, default=10, help="of sixty answers each")
    parser.add_argument("--answers", type=int, default=SHIFT, help="of the simulated shift")
    asked = parser.parse_args()
    print(json.dumps(asyncio.run(measure(asked.seconds, asked.answers))))


if __name__ == "__main__":
    main()
