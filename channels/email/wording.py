"""What stands around an agent's words in a reply: a greeting, a signature, whatever the house says. Pure.

A wording is plain text with `{text}` where the agent's words go. Which one is taken follows from queue and language of
the contact: the first in the list that fits both. Agents see what they wrote; customers get it with the wording.
"""

from __future__ import annotations

from collections.abc import Sequence
from string import Formatter

from msgspec import Struct

from router.errors import ConfigError

PLACES = ("text", "agent", "subject", "interaction")


class Wording(Struct, frozen=True, forbid_unknown_fields=True):
    """One wording of replies."""

    template: str  # with {text}, and where wanted {agent}, {subject}, {interaction}
    queue: str = ""  # left out: of any queue
    language: str = ""  # of the contact, as "es"; left out: any, also where it is not known


def check_wordings(wordings: Sequence[Wording]) -> None:
    """Raises ConfigError."""
    for number, wording in enumerate(wordings):
        path = f"email.wordings[{number}].template"
        expected = f"a text with {{text}}, and besides only {', '.join(f'{{{name}}}' for name in PLACES[1:])}"
        try:
            parts = list(Formatter().parse(wording.template))
        except ValueError as problem:
            raise ConfigError(path, expected, str(problem)) from None
        names = [name for _, name, spec, conversion in parts if name is not None]
        plain = all(not spec and not conversion for _, name, spec, conversion in parts if name is not None)
        if "text" not in names or not set(names) <= set(PLACES) or not plain:
            raise ConfigError(path, expected, repr(wording.template[:80]))


def worded(wordings: Sequence[Wording], queue: str, language: str, **values: str) -> str:
    """The reply's text. `values` has what PLACES names."""
    for wording in wordings:
        if wording.queue in ("", queue) and wording.language in ("", language):
            return wording.template.format_map(values)
    return values["text"]
