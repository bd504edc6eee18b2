import pytest

from router.errors import JournalFailed
from router.journal.memory import MemoryJournal
from router.journal.port import Journal
from tests.journal.contract import JournalContract, fill, payloads, records


class MemoryRig:
    def __init__(self) -> None:
        self.journal = MemoryJournal()

    def make(self) -> Journal:
        return self.journal

    def crashed(self, journal: Journal) -> Journal:
        assert isinstance(journal, MemoryJournal)
        return journal.crashed()

    def damage(self, journal: Journal, seq: int) -> None:
        assert isinstance(journal, MemoryJournal)
        journal.damage(seq)

    def break_disk(self) -> None:
        self.journal.fail_next()

    def mend_disk(self) -> None:
        self.journal.heal()


class TestMemoryJournal(JournalContract):
    @pytest.fixture
    def rig(self) -> MemoryRig:
        return MemoryRig()


def test_it_fails_after_as_many_appends_as_asked() -> None:
    journal = MemoryJournal()
    journal.open()
    journal.fail_after(2)
    fill(journal, [1, 1])
    with pytest.raises(JournalFailed):
        fill(journal, [1])
    assert journal.appends == 2


def test_a_failed_batch_can_turn_out_to_be_durable() -> None:
    journal = MemoryJournal()
    journal.open()
    journal.fail_next(keep=True)
    with pytest.raises(JournalFailed):
        journal.append(1, payloads(1, 2))
    journal.heal()
    assert journal.open().last_seq == 2
    assert list(journal.read()) == records(1, 2)
