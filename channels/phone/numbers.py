"""Telephone numbers as gateways write them, and as we compare them: E.164 where that is certain.

A number is certain when it is written with "+", or when the gateway's country is set and it is a whole number there.
A local number without its area code is not: two people in two towns have the same one, and must not become one
customer (IN-6). "Possible" is asked for, not "valid": numbering plans change faster than their tables.

Most gateways write E.164 already. For those `_as_written` sees, by the table of the country, that reading would
change nothing; that costs a tenth of reading, and a test holds it against the library.
"""

from __future__ import annotations

import re
from functools import lru_cache

import phonenumbers
from phonenumbers import PhoneMetadata, PhoneNumberFormat, ValidationResult

_E164 = re.compile(r"\+[1-9]\d{6,14}", re.ASCII)
# 'Display <sip:USER@HOST;user=phone>', 'sips:USER@HOST', 'tel:NUMBER;ext=1' - the part that may be a number.
_ADDRESS = re.compile(r'(?:"[^"]*"\s*|[^<>"]*)<([^<>]*)>.*|(.*)', re.DOTALL)
_SCHEME = re.compile(r"(?:sips?|tel):", re.IGNORECASE)
_ENOUGH = (ValidationResult.IS_POSSIBLE, ValidationResult.IS_POSSIBLE_LOCAL_ONLY)


def bare(text: str) -> str:
    """The number or name within a SIP or tel address; anything else as it is, without spaces around it."""
    text = text.strip()
    found = _ADDRESS.fullmatch(text)
    inner = ((found[1] or found[2] or "") if found else text).strip()
    if scheme := _SCHEME.match(inner):
        inner = inner[scheme.end() :].partition("@")[0].partition(";")[0].partition(":")[0]
    return inner


@lru_cache(maxsize=4_096)
def _e164(text: str, country: str) -> str:
    try:
        number = phonenumbers.parse(text, country or None)
    except phonenumbers.NumberParseException:
        return ""
    reason = phonenumbers.is_possible_number_with_reason(number)
    if reason not in (_ENOUGH if text.startswith("+") else _ENOUGH[:1]):
        return ""
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def e164(text: str, country: str = "") -> str:
    """`text` as E.164 ("+15550100"), or "" where that is not certain. `country` is a region code ("DE") or ""."""
    if text.startswith("+") and _as_written(text):
        return text
    number = bare(text)
    return _e164(number, country) if number and len(number) <= 64 else ""


def _as_written(text: str) -> bool:
    """Whether `text` is E.164 of a possible length, and carries no national prefix that reading would take away."""
    if not _E164.fullmatch(text):
        return False
    found = _country(text[1:4])
    if found is None:
        return False
    lengths, prefix, start = found
    return len(text) - start in lengths and not (prefix and prefix.match(text, start))


@lru_cache(maxsize=1_200)
def _country(begins: str) -> tuple[frozenset[int], re.Pattern[str] | None, int] | None:
    """What `_table` says of the country of a number that begins with these digits, and where its own number begins."""
    for digits in (1, 2, 3):  # no country's code is the beginning of another's
        table = _table(begins[:digits])
        if table is not None:
            return *table, 1 + digits
    return None


def _table(code: str) -> tuple[frozenset[int], re.Pattern[str] | None] | None:
    """The lengths of a country's numbers and what its national prefixes look like. None: no such country."""
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(int(code))
    if not regions:
        return None
    if regions[0] == phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY:
        metadata = PhoneMetadata.metadata_for_nongeo_region(int(code), None)
    else:
        metadata = PhoneMetadata.metadata_for_region(regions[0], None)
    if metadata is None or metadata.general_desc is None:
        return None
    description, prefix = metadata.general_desc, metadata.national_prefix_for_parsing
    lengths = frozenset((*description.possible_length, *description.possible_length_local_only))
    return lengths, re.compile(prefix) if prefix else None
