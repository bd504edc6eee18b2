"""What a wallboard costs: only what says something new is drawn, and nothing is kept of what was."""

from __future__ import annotations

import pytest

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


async def test_an_answer_that_says_nothing_new_touches_nothing() -> None:
    async with board() as page:
        assert await page.locator("tbody tr").count() == 200
        assert await page.locator("li.person").count() == 500
        assert await page.evaluate(TOUCHED, 5) == 0


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
