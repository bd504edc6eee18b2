"""What a wallboard costs: only what says something new and is in sight is drawn, and nothing is kept of what was.

What is out of sight is still there: for the wheel, for the keyboard and for a screen reader.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.desk.conftest import NewPage
from tests.desk.wallboard import board, memory

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.system]

# How many rows the browser changes in its document while this many answers are drawn.
TOUCHED = """async (answers) => {
  const touched = [];
  const watch = new MutationObserver((changes) => {
    const rows = new Set(changes.map((change) => (change.target.closest || change.target.parentElement.closest).call(
      change.target.closest ? change.target : change.target.parentElement, "tbody tr, li.person")));
    touched.push([...rows].filter(Boolean).length);
  });
  watch.observe(document.body, { subtree: true, childList: true, characterData: true, attributes: true });
  for (let at = 1; at <= answers; at++) {
    window.answer(0);
    await Promise.resolve(); // no timer comes in between: running times are another matter
  }
  watch.disconnect();
  return touched.reduce((sum, n) => sum + n, 0);
}"""


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def full() -> AsyncIterator[Page]:
    async with board() as page:
        yield page


async def test_an_answer_that_says_nothing_new_touches_nothing(full: Page) -> None:
    assert await full.evaluate(TOUCHED, 5) == 0


QUEUE, PERSON = "tbody tr", "li.person"
# The names of the rows that somebody sees who scrolls through all of it, a screen at a time.
SCROLLED = """async ([box, row]) => {
  const place = document.querySelector(box), seen = new Set();
  for (let top = 0; ; top += place.clientHeight / 2) {
    place.scrollTop = top;
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    const { top: from, bottom: to } = place.getBoundingClientRect();
    for (const one of document.querySelectorAll(row)) {
      const { top, bottom } = one.getBoundingClientRect();
      if (bottom > from && top < to) seen.add(one.dataset.row);
    }
    if (place.scrollTop + place.clientHeight >= place.scrollHeight) return seen.size;
  }
}"""


async def test_only_rows_in_sight_are_made_and_all_can_be_scrolled_to(full: Page) -> None:
    assert 0 < await full.locator(QUEUE).count() < 60
    assert 0 < await full.locator(PERSON).count() < 60
    assert await full.evaluate(SCROLLED, [".scroll", QUEUE]) == 200
    assert await full.evaluate(SCROLLED, [".people ul", PERSON]) == 500


async def test_a_screen_reader_is_told_of_all_rows(full: Page) -> None:
    await full.evaluate("for (const box of document.querySelectorAll('.scroll, .people ul')) box.scrollTop = 0")
    await expect(full.locator("table.queues")).to_have_attribute("aria-rowcount", "201")
    await expect(full.locator(QUEUE).first).to_have_attribute("aria-rowindex", "2")
    await expect(full.locator(PERSON).first).to_have_attribute("aria-posinset", "1")
    await expect(full.locator(PERSON).first).to_have_attribute("aria-setsize", "500")


async def test_the_keyboard_goes_on_into_rows_that_were_not_made(full: Page) -> None:
    await full.locator(f"{QUEUE} button").first.focus()
    numbers = []
    for _ in range(70):
        numbers.append(await full.evaluate("document.activeElement.closest('tbody tr').ariaRowIndex"))
        await full.keyboard.press("Tab")
        await full.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert numbers == [str(number) for number in range(2, 72)]


async def test_who_has_the_focus_keeps_it_wherever_their_row_goes(full: Page) -> None:
    row = full.locator(QUEUE).first
    name = await row.get_attribute("data-row")
    await row.locator("button").focus()
    focused = "document.activeElement.closest('[data-row]')"
    places = set()
    for at in range(0, 2_600, 100):  # the share of each queue goes round, and with it the order
        await full.evaluate("(at) => window.answer(at)", at)
        assert await full.evaluate(f"{focused}.dataset.row") == name
        places.add(await full.evaluate(f"{focused}.ariaRowIndex"))
    assert len(places) > 5


async def test_on_a_phone_where_rows_differ_in_height_all_are_made() -> None:
    async with board(80, 80) as page:
        assert await page.locator(QUEUE).count() < 80
        await page.set_viewport_size({"width": 390, "height": 844})
        await expect(page.locator(QUEUE)).to_have_count(80)
        await expect(page.locator(PERSON)).to_have_count(80)


async def test_gaps_and_rows_come_to_the_height_of_the_list() -> None:
    async with board(1, 1) as page:
        wrong = await page.evaluate(
            """async () => {
              const base = document.querySelector("script[type=module]").src.replace("main.js", "");
              const { inSight, laidOut } = await import(`${base}sight.js`);
              const wrong = [];
              for (const count of [0, 1, 7, 61, 200, 1001])
                for (const top of [0, 1, 33, 34, 500, 3000, 40000])
                  for (const focused of ["", "row 0", "row 60", "row 199", "gone"]) {
                    const rows = Array.from({ length: count }, (_, n) => ({ id: `row ${n}` }));
                    const scrolled = Math.max(0, Math.min(top, count * 34 - 500));
                    const sight = inSight(count, 34, scrolled, 500);
                    const { drawn, rest } = laidOut(rows, "id", 34, sight, focused);
                    let at = 0;
                    const places = new Map(drawn.map(({ one, gap }) => [one.id, (at += gap + 34) - 34]));
                    const right = [...places].every(([name, place]) => place === 34 * Number(name.split(" ")[1]));
                    const seen = rows.filter((_, n) => n * 34 < scrolled + 500 && n * 34 + 34 > scrolled);
                    const all = seen.every((row) => places.has(row.id));
                    const kept = places.has(focused) === rows.some((row) => row.id === focused) || !focused;
                    if (!right || !all || !kept || at + rest !== count * 34) wrong.push([count, top, focused]);
                  }
              return wrong;
            }"""
        )
        assert wrong == []


@pytest.mark.long
async def test_memory_is_flat_over_a_shift() -> None:
    """Of eight hours of answers, the last quarter leaves no more behind than the garbage collector's own grain."""
    async with board() as page:
        first, *_, last = await memory(page, 14_400)
        assert last <= first * 1.1


async def test_memory_is_flat_over_many_answers() -> None:
    async with board(40, 100) as page:
        first, *_, last = await memory(page, 2_000)
        assert last <= first * 1.1


async def test_what_says_the_same_is_the_same(new_page: NewPage) -> None:
    async with board(1, 1) as page:
        found = await page.evaluate(
            """async () => {
              const base = document.querySelector("script[type=module]").src.replace("main.js", "");
              const { settled } = await import(`${base}watch.js`);
              const before = [{ id: "a", n: { x: 1 } }, { id: "b", n: 2 }];
              const after = settled(before, [{ id: "b", n: 3 }, { id: "a", n: { x: 1 } }, { id: "c" }], "id");
              return [after[1] === before[0], after[0] === before[1], after.map((row) => row.id).join()];
            }"""
        )
        assert found == [True, False, "b,a,c"]
