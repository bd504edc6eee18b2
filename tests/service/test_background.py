"""What every part's background task promises: an end that is over, a fault that is told, and nothing told twice."""

from __future__ import annotations

import asyncio

import pytest

from router.service import background

MISSING = "nobody looks"


async def for_ever() -> None:
    await asyncio.Event().wait()


async def fails() -> None:
    raise ValueError("what a customer wrote")


async def test_nothing_is_wrong_while_it_goes_on() -> None:
    task = background.begin(for_ever(), "looker")
    assert background.trouble(task, MISSING) == ""
    await background.end(task)
    assert background.trouble(task, MISSING) == MISSING


def test_what_never_began_is_missing() -> None:
    assert background.trouble(None, MISSING) == MISSING


async def test_the_end_waits_for_the_last_moments() -> None:
    over = []

    async def tidy() -> None:
        try:
            await for_ever()
        finally:
            await asyncio.sleep(0)
            over.append("tidied")

    task = background.begin(tidy(), "looker")
    await asyncio.sleep(0)  # it has begun
    await background.end(task)
    assert over == ["tidied"]


@pytest.mark.promise("OB-1")
async def test_a_fault_is_told_by_its_type_and_logged_whole(capsys: pytest.CaptureFixture[str]) -> None:
    task = background.begin(fails(), "looker")
    await asyncio.wait([task])
    assert background.trouble(task, MISSING) == "nobody looks (ValueError; see the log)"
    said = capsys.readouterr().err
    assert "task_died" in said
    assert "looker" in said
    await background.end(task)  # what died before ends without a word
    assert "task_died" not in capsys.readouterr().err


async def test_a_fault_in_the_last_moments_hinders_no_stop(capsys: pytest.CaptureFixture[str]) -> None:
    async def stumbles() -> None:
        try:
            await for_ever()
        finally:
            raise OSError("the file is gone")

    task = background.begin(stumbles(), "looker")
    await asyncio.sleep(0)  # it has begun
    await background.end(task)
    assert background.trouble(task, MISSING) == "nobody looks (OSError; see the log)"
    assert "task_died" in capsys.readouterr().err


async def test_the_end_of_what_never_began_or_has_ended_is_nothing() -> None:
    await background.end(None)
    task = background.begin(for_ever(), "looker")
    await background.end(task)
    await background.end(task)
