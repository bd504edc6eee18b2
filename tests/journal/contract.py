"""What every journal promises; one suite for all of them, the one in memory included.

A subclass provides a rig: how to make one, how to leave it as a kill would, how to break its disk.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

import pytest

from router.errors import JournalCorrupt, JournalFailed, SequenceGap
from router.journal.port import Journal, Snapshot


class Rig(Protocol):
    def make(self) -> Journal:
        """The journal of this test, not open; the same one each time."""

    def crashed(self, journal: Journal) -> Journal:
        """Another process, not open yet, on what would be left if this one were killed now."""

    def damage(self, journal: Journal, seq: int) -> None:
        """Flip a bit of a record. The journal is not open."""

    def break_disk(self) -> None:
        """From now on nothing becomes durable."""

    def mend_disk(self) -> None: ...


def payloads(first: int, count: int) -> list[bytes]:
    """Records that differ from one another in content and length."""
    return [
        b"record %d " % seq + bytes(seq % 251 for _ in range(seq * 37 % 400)) for seq in range(first, first + count)
    ]


def records(first: int, last: int) -> list[tuple[int, bytes]]:
    return list(zip(range(first, last + 1), payloads(first, last - first + 1), strict=True))


def fill(journal: Journal, sizes: Sequence[int]) -> None:
    """Append batches of these sizes behind what is there."""
    for size in sizes:
        journal.append(journal.last_seq + 1, payloads(journal.last_seq + 1, size))


class JournalContract:
    @pytest.fixture
    def rig(self) -> Rig:
        raise NotImplementedError

    @pytest.fixture
    def journal(self, rig: Rig) -> Iterator[Journal]:
        journal = rig.make()
        journal.open()
        yield journal
        rig.mend_disk()
        journal.close()

    def test_a_new_journal_is_empty_and_clean(self, rig: Rig) -> None:
        journal = rig.make()
        opened = journal.open()
        assert (opened.last_seq, opened.clean, opened.notes) == (0, True, ())
        assert list(journal.read()) == []
        journal.close()

    def test_records_are_numbered_from_one_without_gaps(self, journal: Journal) -> None:
        fill(journal, [1, 3, 2])
        assert journal.last_seq == 6
        assert list(journal.read()) == records(1, 6)

    def test_reading_starts_after_the_number_given(self, journal: Journal) -> None:
        fill(journal, [2_500])
        assert list(journal.read(2_498)) == records(2_499, 2_500)
        assert list(journal.read(2_500)) == []

    def test_any_bytes_are_a_payload(self, journal: Journal) -> None:
        odd = [b"", b"\0" * 5_000, bytes(range(256)), b"x" * 1_000_000]
        journal.append(1, odd)
        assert [payload for _, payload in journal.read()] == odd

    @pytest.mark.parametrize("first", [1, 3, 5])
    def test_an_append_that_does_not_continue_is_refused_and_writes_nothing(self, journal: Journal, first: int) -> None:
        fill(journal, [3])
        with pytest.raises(SequenceGap):
            journal.append(first, payloads(first, 2))
        assert list(journal.read()) == records(1, 3)
        fill(journal, [1])  # and it is no failure: the next proper one is taken
        assert list(journal.read()) == records(1, 4)

    def test_an_empty_append_is_the_callers_bug(self, journal: Journal) -> None:
        with pytest.raises(AssertionError):
            journal.append(1, [])

    def test_one_batch_may_be_large(self, journal: Journal) -> None:
        fill(journal, [5_000])
        assert list(journal.read()) == records(1, 5_000)

    def test_reading_goes_on_while_records_are_added(self, journal: Journal) -> None:
        fill(journal, [10])
        reading = journal.read()
        seen = [next(reading)]
        fill(journal, [10])
        seen += reading
        assert seen in (records(1, 10), records(1, 20))

    # --- closing, crashing ---

    def test_what_was_closed_opens_clean_with_everything(self, rig: Rig, journal: Journal) -> None:
        fill(journal, [4, 4])
        journal.close()
        opened = journal.open()
        assert (opened.last_seq, opened.clean, opened.notes) == (8, True, ())
        fill(journal, [1])
        assert list(journal.read()) == records(1, 9)

    def test_closing_twice_is_harmless(self, journal: Journal) -> None:
        journal.close()
        journal.close()

    def test_nothing_is_taken_or_read_unless_it_is_open(self, rig: Rig) -> None:
        journal = rig.make()
        for _ in ("before opening", "after closing"):
            with pytest.raises(JournalFailed):
                journal.append(1, [b"x"])
            with pytest.raises(JournalFailed):
                journal.probe()
            with pytest.raises(JournalFailed):
                list(journal.read())
            journal.open()
            journal.close()

    @pytest.mark.promise("DU-1", "IN-2")
    def test_after_a_kill_everything_that_append_returned_for_is_there(self, rig: Rig, journal: Journal) -> None:
        for count in range(1, 8):
            fill(journal, [count])
            after = rig.crashed(journal)
            opened = after.open()
            assert opened.last_seq == journal.last_seq
            assert not opened.clean
            assert "crash" in opened.notes[0]
            assert list(after.read()) == records(1, journal.last_seq)
            after.close()

    @pytest.mark.promise("DU-1")
    def test_work_goes_on_behind_the_last_record_after_a_kill(self, rig: Rig, journal: Journal) -> None:
        fill(journal, [5])
        after = rig.crashed(journal)
        after.open()
        fill(after, [5])
        assert list(after.read()) == records(1, 10)
        after.close()
        assert after.open().clean
        after.close()

    # --- damage ---

    @pytest.mark.promise("DU-1")
    def test_a_torn_last_record_is_dropped_and_said(self, rig: Rig, journal: Journal) -> None:
        fill(journal, [3, 2])
        after = rig.crashed(journal)
        rig.damage(after, 5)
        opened = after.open()
        assert opened.last_seq == 4
        assert any("record 5" in note for note in opened.notes)
        fill(after, [2])
        assert list(after.read()) == records(1, 6)
        after.close()

    def test_a_damaged_record_before_the_last_is_named(self, rig: Rig, journal: Journal) -> None:
        fill(journal, [9])
        after = rig.crashed(journal)
        rig.damage(after, 4)
        after.open()
        reading = after.read()
        assert [next(reading) for _ in range(3)] == records(1, 3)
        with pytest.raises(JournalCorrupt) as caught:
            next(reading)
        assert caught.value.seq == 4
        assert list(after.read(4)) == records(5, 9)
        after.close()

    def test_what_was_closed_whole_is_not_dropped_when_it_is_damaged(self, rig: Rig, journal: Journal) -> None:
        fill(journal, [5])
        journal.close()
        rig.damage(journal, 5)
        with pytest.raises(JournalCorrupt) as caught:
            journal.open()
        assert caught.value.seq == 5

    # --- a disk that fails ---

    @pytest.mark.promise("DU-2")
    def test_a_failed_append_says_so_and_the_service_resumes_without_repair(self, rig: Rig, journal: Journal) -> None:
        fill(journal, [3])
        rig.break_disk()
        with pytest.raises(JournalFailed):
            journal.append(4, payloads(4, 2))
        rig.mend_disk()
        with pytest.raises(JournalFailed):  # what is on the disk is not known before it was opened again
            journal.append(4, payloads(4, 2))
        with pytest.raises(JournalFailed):
            journal.probe()
        journal.close()
        opened = journal.open()
        assert opened.last_seq in (3, 5)  # the failed batch is there as a whole or not at all
        fill(journal, [2])
        assert list(journal.read()) == records(1, journal.last_seq)

    def test_a_probe_adds_no_record(self, journal: Journal) -> None:
        fill(journal, [2])
        journal.probe()
        journal.probe()
        fill(journal, [1])
        assert list(journal.read()) == records(1, 3)

    @pytest.mark.promise("DU-2")
    def test_a_probe_fails_when_an_append_would(self, rig: Rig, journal: Journal) -> None:
        rig.break_disk()
        with pytest.raises(JournalFailed):
            journal.probe()

    # --- snapshots ---

    def test_no_snapshot_is_no_error(self, journal: Journal) -> None:
        assert journal.latest_snapshot() is None

    @pytest.mark.promise("DU-4")
    def test_the_newest_snapshot_is_found_again_after_a_kill(self, rig: Rig, journal: Journal) -> None:
        fill(journal, [30])
        for seq in (10, 20, 30):
            journal.save_snapshot(Snapshot(seq, b"state after %d" % seq))
        assert journal.latest_snapshot() == Snapshot(30, b"state after 30")
        after = rig.crashed(journal)
        after.open()
        assert after.latest_snapshot() == Snapshot(30, b"state after 30")
        after.close()

    @pytest.mark.promise("DU-3")
    def test_a_snapshot_ahead_of_the_log_is_not_used_even_when_the_log_has_grown_past_it(
        self, rig: Rig, journal: Journal
    ) -> None:
        fill(journal, [4])
        journal.save_snapshot(Snapshot(3, b"real"))
        journal.save_snapshot(Snapshot(4, b"of a record that will be torn"))
        after = rig.crashed(journal)
        rig.damage(after, 4)
        after.open()
        assert after.latest_snapshot() == Snapshot(3, b"real")
        fill(after, [5])
        assert after.latest_snapshot() == Snapshot(3, b"real")
        after.close()

    def test_a_snapshot_of_what_is_not_durable_is_the_callers_bug(self, journal: Journal) -> None:
        fill(journal, [4])
        with pytest.raises(AssertionError):
            journal.save_snapshot(Snapshot(5, b""))
