"""Which beginnings may still be submitted."""

from channels.phone.memory import CallMemory


def memory(limit: int = 100, keep_ms: int = 1_000) -> CallMemory:
    return CallMemory(limit, keep_ms)


def test_a_call_that_ended_before_it_began_does_not_begin() -> None:
    calls = memory()
    assert calls.admits("c", "k", 0)
    calls.ended("c", was_known=False, now_ms=0)
    assert not calls.admits("c", "k", 0)
    assert calls.admits("other", "k", 0)


def test_the_beginning_of_a_call_that_is_over_may_be_repeated_but_not_made_anew() -> None:
    calls = memory()
    calls.began("c", "k", 0)
    calls.ended("c", was_known=True, now_ms=1)
    assert calls.admits("c", "k", 2)
    assert not calls.admits("c", "another", 2)


def test_a_call_from_before_a_restart_may_be_repeated_by_any_key() -> None:
    calls = memory()
    calls.ended("c", was_known=True, now_ms=0)
    assert calls.admits("c", "k", 0)
    calls.ended("c", was_known=False, now_ms=0)  # a late copy
    assert calls.admits("c", "k", 0)


def test_an_end_is_remembered_for_its_time() -> None:
    calls = memory(keep_ms=1_000)
    calls.ended("c", was_known=False, now_ms=0)
    assert not calls.admits("c", "k", 1_000)
    assert calls.admits("c", "k", 1_001)
    calls.ended("d", was_known=False, now_ms=1_001)
    assert len(calls) == 1


def test_no_more_is_remembered_than_the_limit() -> None:
    calls = memory(limit=3)
    for n in range(10):
        calls.ended(f"c{n}", was_known=False, now_ms=n)
    assert len(calls) == 3
    assert calls.admits("c6", "k", 10)
    assert not calls.admits("c7", "k", 10)
