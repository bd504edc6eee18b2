"""What must not be kept in clear, made unreadable before it is stored: one policy for all channels. Pure.

Numbers of payment cards are what most houses must hide (`mask_cards`, on where customers write); everything else is
hidden where `masking.kinds` names it or `masking.patterns` describes it, on every channel and in what people of the
house write down. `Masking` is the policy; what asks it is `masked`, which stands before the engine, and the few places
that keep or show words without a command: the raw mail, and what was read from pages.

A kind finds its own by form and, where there is one, by check digits, so that little else is touched (`finders`). Where
people speak of a thing by its last digits those stay. A house's own pattern is an expression of RE2: whatever it says
and whatever a stranger writes, the time grows with the length of the text and no faster.

Masking twice is masking once, so it does no harm where two places do it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from router.errors import ConfigError
from router.service import finders
from router.service.finders import HIDDEN, mask_cards

Mask = Callable[[str], str]
Kind = Literal[
    "cards",
    "card_codes",
    "iban",
    "us_ssn",
    "gb_nino",
    "es_dni",
    "fr_nir",
    "it_cf",
    "br_cpf",
    "passwords",
    "keys",
]
PATTERNS_MAX = 50  # each costs a look at every text
PATTERN_MAX = 1_000  # characters
PATTERN_MEMORY = 4 << 20  # bytes that one may take when compiled

_PROBE = "Ab 1-2_é\n\t"  # an expression that can find nothing at all does so somewhere here
_HALVES = re.compile("[\ud800-\udfff]")  # of characters: no UTF-8, which RE2 reads, can hold them

# In this order: a longer thing is hidden before a shorter one finds a part of it.
_FINDERS: dict[str, Mask] = {
    "keys": finders.mask_keys,
    "passwords": finders.mask_passwords,
    "iban": finders.mask_iban,
    "fr_nir": finders.mask_fr_nir,
    "it_cf": finders.mask_it_cf,
    "card_codes": finders.mask_card_codes,
    "cards": mask_cards,
    "us_ssn": finders.mask_us_ssn,
    "gb_nino": finders.mask_gb_nino,
    "es_dni": finders.mask_es_dni,
    "br_cpf": finders.mask_br_cpf,
}


class MaskingSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is made unreadable before it is stored, whatever channel it came by."""

    # Of what, beside the channels' own `mask_cards`: "cards", "card_codes" (behind CVV, CVC and the like), "iban",
    # "us_ssn", "gb_nino", "es_dni" (NIE, too), "fr_nir", "it_cf", "br_cpf", "passwords" (what follows that word, or
    # PIN, in several languages), "keys" (of well-known services; JSON Web Tokens; private keys in PEM). Left out:
    # nothing.
    kinds: tuple[Kind, ...] = ()
    # Of your own: name -> an expression of RE2 ("\\bC-[0-9]{8}\\b"); what it finds becomes `••••`. Left out: none.
    patterns: dict[str, Annotated[str, Meta(min_length=1, max_length=PATTERN_MAX)]] = field(default_factory=dict)
    # Numbers of payment cards in what people of the house write down: notes, reasons, customers' cards. false: they
    # stay.
    mask_cards: bool = True
    # What agents say to customers, too. It is stored before it is sent, so the customer gets it as it is stored. Left
    # out: it stays, since a house gives out account numbers and codes of its own.
    replies: bool = False


def check(settings: MaskingSettings) -> None:
    """What types cannot say. Raises ConfigError."""
    if len(settings.patterns) > PATTERNS_MAX:
        raise ConfigError("masking.patterns", f"at most {PATTERNS_MAX}", str(len(settings.patterns)))
    for name, pattern in settings.patterns.items():
        _compiled(name, pattern)


class Masking:
    """The policy, ready to be used."""

    def __init__(self, settings: MaskingSettings | None = None) -> None:
        """Raises ConfigError."""
        settings = settings or MaskingSettings()
        self.replies = settings.replies
        self._kinds = frozenset(settings.kinds)
        self._own = [_compiled(name, pattern) for name, pattern in settings.patterns.items()]
        self.house = self.of(cards=settings.mask_cards)

    def of(self, cards: bool) -> Mask | None:
        """What hides what is to be hidden where card numbers are (`cards`) or are not; None: nothing is."""
        kinds = self._kinds | {"cards"} if cards else self._kinds
        steps = [*self._own, *(mask for kind, mask in _FINDERS.items() if kind in kinds)]
        if len(steps) < 2:
            return steps[0] if steps else None

        def mask(text: str) -> str:
            if text:
                for step in steps:
                    text = step(text)
            return text

        return mask


def _compiled(name: str, pattern: str) -> Mask:
    import re2  # a native library: loaded where a house has a pattern of its own

    path, expected = f"masking.patterns.{name}", "an expression of RE2 that finds at least one character"
    options = re2.Options()
    options.log_errors = False
    options.max_mem = PATTERN_MEMORY
    try:
        found = re2.compile(pattern, options)
    except re2.error as problem:
        said = problem.args[0] if problem.args else b""
        raise ConfigError(path, expected, said.decode() if isinstance(said, bytes) else str(said)) from None
    if any(not one[0] for one in found.finditer(_PROBE)) or found.search(""):
        raise ConfigError(path, expected, repr(pattern))
    if found.search(HIDDEN):
        raise ConfigError(path, f"{expected}, and does not find what is put in place ({HIDDEN})", repr(pattern))
    return lambda text: found.sub(_hidden, _HALVES.sub("\ufffd", text)) if text else text


def _hidden(found: Any) -> str:
    return HIDDEN if found[0] else ""
