"""What the primary part of the state promises: it is what a snapshot holds, all of it and nothing else."""

from __future__ import annotations

from typing import Any

from router.engine import image
from router.engine.model import State
from router.engine.primary import Primary


class Watched:
    """A state that writes down what is read of it."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.read: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        self.read.add(name)
        return getattr(self.state, name)


def test_a_snapshot_reads_the_primary_fields_and_no_others() -> None:
    watched: Any = Watched(State())
    image.to_bytes(watched)
    assert watched.read == set(Primary.__slots__)


def test_no_field_is_both_and_none_hides_in_a_dictionary() -> None:
    assert not set(Primary.__slots__) & set(State.__slots__)
    assert not hasattr(State(), "__dict__")
