"""Times and counts as people read them: the desk's very modules, asked in a browser with nobody signed in."""

from __future__ import annotations

from typing import Any

import pytest

from tests.desk.conftest import NewPage

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.system]


async def said(new_page: NewPage, base: str, script: str, given: Any, **options: str) -> Any:
    """What a script makes of `given`, with the desk's modules at `base`."""
    page = await new_page(**options)
    await page.goto(base.rpartition("/")[0])
    return await page.evaluate(script, [base, given])


MOMENT = """async ([base, [then, now, language]]) => {
  const { moment } = await import(`${base}/js/format.js`);
  return moment(Date.parse(then), language, Date.parse(now));
}"""


@pytest.mark.parametrize(
    ("then", "language", "shown"),
    [
        ("2026-03-01T09:05", "en-GB", "09:05"),
        ("2026-02-28T09:05", "en-GB", "28 Feb, 09:05"),
        ("2026-01-01T00:00", "en-GB", "1 Jan, 00:00"),
        ("2025-12-31T23:59", "en-GB", "31 Dec 2025, 23:59"),
        ("2025-01-20T09:05", "en-GB", "20 Jan 2025, 09:05"),
        ("2024-01-20T09:05", "en-GB", "20 Jan 2024, 09:05"),
        ("2024-01-20T09:05", "es", "20 ene 2024, 09:05"),
    ],
)
async def test_a_time_has_its_year_where_that_is_not_this_one(
    new_page: NewPage, base: str, then: str, language: str, shown: str
) -> None:
    assert await said(new_page, base, MOMENT, [then, "2026-03-01T18:00", language]) == shown


SAY = """async ([base, [language, key, n]]) => {
  const { speak, t } = await import(`${base}/js/words.js`);
  speak(language);
  return t(key, { n });
}"""


@pytest.mark.parametrize(
    ("language", "key", "n", "text"),
    [
        ("en", "audit.shown", 0, "0 acts are shown"),
        ("en", "audit.shown", 1, "1 act is shown"),
        ("en", "audit.shown", 2, "2 acts are shown"),
        ("es", "audit.shown", 1, "Se muestra 1 acto"),
        ("es", "audit.shown", 50, "Se muestran 50 actos"),
        ("es", "story.misses", 0, "0 perdidas"),
        ("es", "story.misses", 1, "1 perdida"),
        ("es", "story.declines", 1, "1 rechazada"),
        ("es", "story.declines", 3, "3 rechazadas"),
        ("en", "story.declines", 1, "1 declined"),
        ("es", "offer.left", 1, "queda 1 s"),
        ("es", "offer.left", 20, "quedan 20 s"),
        ("en", "signout.text", 1, "You still have 1 open. After a short time it may go back to its queue."),
        ("en", "signout.text", 2, "You still have 2 open. After a short time they may go back to their queue."),
        ("es", "signout.text", 1, "Tiene 1 sin cerrar. En poco tiempo puede volver a su cola."),
    ],
)
async def test_one_is_said_of_one_and_many_of_many(
    new_page: NewPage, base: str, language: str, key: str, n: int, text: str
) -> None:
    assert await said(new_page, base, SAY, [language, key, n]) == text
