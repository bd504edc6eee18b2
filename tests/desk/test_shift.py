"""A page that is open for a whole shift keeps nothing of those who have gone (the figures: docs/desk.md)."""

from __future__ import annotations

import pytest

from tests.desk import shift
from tests.desk.conftest import NewPage

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.system]

# What the browser itself adds while it compiles what runs often. A page that kept the mails alone would have twice as
# much, and an element of each contact would be more than these.
GROWTH = 6 * shift.WORDS
ELEMENTS, LISTENERS = 20, 5


async def test_a_desk_is_no_larger_at_the_end_of_a_shift_than_in_its_middle(new_page: NewPage) -> None:
    page = await new_page()
    async with shift.served() as address:
        await shift.begun(page, address)
        _, middle, _, end = await shift.quarters(page, shift.CONTACTS, shift.BEFORE)
    assert end["heap"] - middle["heap"] < GROWTH, (middle, end)
    assert end["nodes"] - middle["nodes"] < ELEMENTS, (middle, end)
    assert end["listeners"] - middle["listeners"] < LISTENERS, (middle, end)
    assert end["session_storage"] - middle["session_storage"] < ELEMENTS, (middle, end)
