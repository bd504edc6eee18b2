"""How each kind of thing that is to be hidden is found in a text. Pure; each in time that grows with the text.

Found is what has the form and passes the check of its kind, however people write it: in one piece, in groups, broken
over a line, in other digits than ours (`\\d` of Unicode), behind a mail's quote mark. Nothing is looked up.

- Cards: 13 to 19 digits that a scheme issues (ISO/IEC 7812; the ranges as the schemes publish them) and that pass
  Luhn's check, in groups as they are printed or of one size. Of other numbers of 16 digits that begin so, one in ten
  looks the same. The last four digits stay, by which customer and agent can speak of it.
- IBAN: the length of its country (the registry of ISO 13616) and its check digits (ISO 7064).
- Numbers of persons: by form (United States, United Kingdom), or by form and check (Spain, France, Italy, Brazil).
- What follows a word that announces it: passwords, PINs, card security codes.
- Keys that are made to be recognised: by the prefix that their issuer gives them, JSON Web Tokens, PEM.
"""

from __future__ import annotations

import re

HIDDEN = "\u2022" * 4

# Between groups: a few blanks of any kind, one dot or dash, or a line's end with what quotes the next line.
_BLANK = r"[ \t\u00a0\u2000-\u200b\u202f\u00ad]"
_SEP = rf"(?:{_BLANK}{{1,3}}|[.\-\u2010-\u2013]|{_BLANK}{{0,3}}\r?\n(?:{_BLANK}|>){{0,8}})"

# --- cards ------------------------------------------------------------------------------------------------------------

_RUN = re.compile(rf"\d+(?:{_SEP}\d+)*")
_DIGIT = re.compile("[0-9]")
_GROUP = re.compile(r"\d+")
_CARD_MIN, _CARD_MAX = 13, 19
_GROUPS_MAX = 10  # of one card: pairs
_LOOKS = 4  # what was hidden may have kept its neighbour from being seen as one
REST = 4  # digits that stay
# By length, how numbers begin: Visa once; Diners Club; American Express and JCB; Visa, Mastercard, Discover, JCB and
# Maestro; Maestro; UnionPay, Visa and Maestro.
_ISSUED: dict[int, tuple[str, ...]] = {
    13: ("4",),
    14: ("30", "36", "38", "39"),
    15: ("34", "37", "2131"),
    16: ("2", "3", "4", "5", "6"),
    17: ("50", "56", "57", "58", "6"),
    18: ("50", "56", "57", "58", "6"),
    19: ("4", "50", "56", "57", "58", "6"),
}
_BEGINNINGS = "23456"
_DOUBLED = {str(digit): digit * 2 - (9 if digit > 4 else 0) for digit in range(10)}


def mask_cards(text: str) -> str:
    """The text with `•••• 1234` in place of each card number."""
    if len(text) < _CARD_MIN or (text.isascii() and _DIGIT.search(text) is None):  # nearly all that people chat
        return text
    for _ in range(_LOOKS):
        hidden = _RUN.sub(_without_cards, text)
        if hidden == text:
            break
        text = hidden
    return text


def _without_cards(run: re.Match[str]) -> str:
    """Digits in groups, among which a card's number may begin and end at any group.

    The four digits that stay of one may begin another with what follows: somebody may have written them so, to have a
    number pass for one that is hidden already. Then they go, too.
    """
    text = run[0]
    if len(text) < _CARD_MIN:
        return text
    groups = [(found.start(), found.end()) for found in _GROUP.finditer(text)]
    digits = _ascii("".join([text[begins:ends] for begins, ends in groups]))
    kept, at, offset = "", 0, 0  # the latter: how many digits stand before this group
    first = 0
    rest = ""  # of a number that was hidden just now: it takes the place of this group
    while first < len(groups):
        last, count = _card_from(run, groups, first, digits, offset, len(rest))
        if last < 0:
            if rest:
                kept, at, rest = kept + rest, groups[first][1], ""
                offset += REST
            else:
                offset += groups[first][1] - groups[first][0]
            first += 1
            continue
        kept += (text[at : groups[first][0]] if not rest else "") + f"{HIDDEN} "
        offset += count - REST
        first, rest = last, digits[offset : offset + REST]
    return kept + text[at:]


def _card_from(
    run: re.Match[str], groups: list[tuple[int, int]], first: int, digits: str, offset: int, rest: int
) -> tuple[int, int]:
    """The last group of the longest card number that begins with this one, and its digits; -1: none does.

    In one piece, as printed (4-4-4-4, 4-6-5, 4-6-4, 4-4-4-1, 4-4-4-4-3), or in pairs and the like. `rest`: how many
    digits the first group has, where they are not those of the text.
    """
    found, count = (-1, 0), 0
    if digits[offset] not in _BEGINNINGS:
        return found
    size = rest or groups[first][1] - groups[first][0]
    longest = 6 if size == 4 else size
    for last in range(first, min(first + _GROUPS_MAX, len(groups))):
        more = size if last == first else groups[last][1] - groups[last][0]
        count += more
        if more > longest or count > _CARD_MAX:
            break
        number = digits[offset : offset + count]
        if (
            count >= _CARD_MIN
            and number.startswith(_ISSUED[count])
            and _passes(number)
            and _is_one(run, groups, first, last)
        ):
            found = last, count
        if size != 4 and more < size:  # only the last of equal groups may be shorter
            break
    return found


def _is_one(run: re.Match[str], groups: list[tuple[int, int]], first: int, last: int) -> bool:
    """Not a column of numbers, and not the whole or the fraction of a number with a decimal point."""
    begins, ends = run.start() + groups[first][0], run.start() + groups[last][1]
    if first != last:
        return run.string.count("\n", begins, ends) <= 1  # of what was broken over a line
    return not (_is_joined(run.string, begins - 1, begins - 2) or _is_joined(run.string, ends, ends + 1))


def _is_joined(text: str, sign: int, digit: int) -> bool:
    inside = min(sign, digit) >= 0 and max(sign, digit) < len(text)
    return inside and text[sign] in ".," and text[digit].isdigit()


def _ascii(digits: str) -> str:
    """As we write them, whatever script they are of."""
    return digits if digits.isascii() else "".join([str(int(digit)) for digit in digits])


def _passes(digits: str) -> bool:
    """Luhn's check: every second digit from the right is doubled, and the sum of all digits ends in 0."""
    total = sum(map(int, digits[-1::-2])) + sum(_DOUBLED[digit] for digit in digits[-2::-2])
    return total % 10 == 0


_CODE = re.compile(
    r"(?i)(\b(?:cvv2?|cvc2?|cvn|csc|cid|card (?:security )?code|security code|card verification (?:value|code|number)"
    r"|prüfziffer|prüfnummer|kartenprüfnummer|código de seguridad|cryptogramme|code de sécurité"
    r"|código de segurança|codice di sicurezza)\b[^\d\u2022]{0,16}?)\d{3,4}(?!\d)"
)


def mask_card_codes(text: str) -> str:
    """The three or four digits behind a word for a card's security code."""
    return _CODE.sub(rf"\1{HIDDEN}", text)


# --- accounts ---------------------------------------------------------------------------------------------------------

_IBAN_BEGINS = re.compile(r"(?<![^\W_])[A-Za-z]{2}[0-9]{2}")
_IBAN_NEXT = re.compile(rf"{_SEP}?([A-Za-z0-9])")
# The registry's lengths, by country.
_IBAN_LENGTHS = {
    country: length
    for length, countries in {
        15: "NO",
        16: "BE",
        18: "DK FI FK FO GL NL SD",
        19: "MK SI",
        20: "AT BA EE KZ LT LU MN XK",
        21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS VA",
        23: "AE GI IL IQ OM SO TL",
        24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "LY PT ST",
        26: "IS TR",
        27: "BI DJ FR GR IT MC MR SM",
        28: "AL AZ BY CY DO GT HU LB NI PL SV",
        29: "BR EG PS QA UA",
        30: "JO KW MU YE",
        31: "MT SC",
        32: "LC",
        33: "RU",
    }.items()
    for country in countries.split()
}


def mask_iban(text: str) -> str:
    """The text with `•••• 3000` in place of each international bank account number."""
    kept, at = "", 0
    for begins in _IBAN_BEGINS.finditer(text):
        if begins.start() < at:
            continue
        end, number = _iban_at(text, begins)
        if end:
            kept, at = kept + text[at : begins.start()] + f"{HIDDEN} {number[-4:]}", end
    return kept + text[at:] if at else text


def _iban_at(text: str, begins: re.Match[str]) -> tuple[int, str]:
    """Where it ends and what it is; (0, "") where there is none."""
    number, end = begins[0].upper(), begins.end()
    length = _IBAN_LENGTHS.get(number[:2], 0)
    while len(number) < length:
        more = _IBAN_NEXT.match(text, end)
        if more is None:
            return 0, ""
        number, end = number + more[1].upper(), more.end()
    if not length or (end < len(text) and text[end].isalnum()):
        return 0, ""
    whole = "".join(str(int(c, 36)) for c in number[4:] + number[:4])
    return (end, number) if int(whole) % 97 == 1 else (0, "")


# --- persons ----------------------------------------------------------------------------------------------------------

_SSN = re.compile(r"(?<![\d-])(?!000|666|9)[0-9]{3}([ -])(?!00)[0-9]{2}\1(?!0000)([0-9]{4})(?![\d-])")
_NINO = re.compile(
    r"(?i)\b(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]"
    r"[ -]?[0-9]{2}[ -]?[0-9]{2}[ -]?[0-9]{2}[ -]?[A-D]\b"
)
_DNI = re.compile(r"(?i)\b(?:([0-9]{8})|([XYZ])[ -]?([0-9]{7}))[ -]?([A-Z])\b")
_DNI_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"
_NIR = re.compile(
    r"(?i)\b([12] ?[0-9]{2} ?(?:0[1-9]|1[0-2]|[2-9][0-9]) ?(?:[0-9]{2}|2[AB]) ?[0-9]{3} ?[0-9]{3})[ -]?([0-9]{2})\b"
)
_CF = re.compile(r"(?i)\b[A-Z]{6}[0-9L-NP-V]{2}[A-EHLMPR-T][0-9L-NP-V]{2}[A-Z][0-9L-NP-V]{3}[A-Z]\b")
# Of the Italian code, what a letter or digit counts in the odd places, from 0 and A onwards.
_CF_ODD = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
_CPF = re.compile(r"(?<![\d.-])[0-9]{3}\.?[0-9]{3}\.?[0-9]{3}-?[0-9]{2}(?![\d-])")


def mask_us_ssn(text: str) -> str:
    """Social security numbers of the United States, as they are written: 123-45-6789."""
    return _SSN.sub(rf"{HIDDEN} \2", text)


def mask_gb_nino(text: str) -> str:
    """National insurance numbers of the United Kingdom."""
    return _NINO.sub(HIDDEN, text)


def mask_es_dni(text: str) -> str:
    """Spanish numbers of identity, of foreigners, too."""
    return _DNI.sub(_dni, text)


def _dni(found: re.Match[str]) -> str:
    number = int(found[1] or f"{'XYZ'.index(found[2].upper())}{found[3]}")
    return HIDDEN if _DNI_LETTERS[number % 23] == found[4].upper() else found[0]


def mask_fr_nir(text: str) -> str:
    """French numbers of social security, with their key."""
    return _NIR.sub(_nir, text)


def _nir(found: re.Match[str]) -> str:
    number = found[1].replace(" ", "").upper().replace("2A", "19").replace("2B", "18")
    return HIDDEN if 97 - int(number) % 97 == int(found[2]) else found[0]


def mask_it_cf(text: str) -> str:
    """Italian tax codes of persons."""
    return _CF.sub(_cf, text)


def _cf(found: re.Match[str]) -> str:
    total = 0
    for place, char in enumerate(found[0][:15].upper()):
        value = int(char) if char.isdigit() else ord(char) - ord("A")
        total += value if place % 2 else _CF_ODD[value]
    return HIDDEN if ord(found[0][15].upper()) - ord("A") == total % 26 else found[0]


def mask_br_cpf(text: str) -> str:
    """Brazilian tax numbers of persons."""
    return _CPF.sub(_cpf, text)


def _cpf(found: re.Match[str]) -> str:
    digits = [int(c) for c in found[0] if c.isdigit()]
    sums = (sum(digit * (end + 1 - place) for place, digit in enumerate(digits[:end])) for end in (9, 10))
    first, second = (one * 10 % 11 % 10 for one in sums)
    is_one = len(set(digits)) > 1 and digits[9:] == [first, second]
    return HIDDEN if is_one else found[0]


# --- secrets ----------------------------------------------------------------------------------------------------------

_PASSWORD = re.compile(
    r"(?i)(\b(?:password|passwd|passphrase|passcode|pwd|passwort|kennwort|contraseña|clave|mot de passe|senha"
    r"|palavra-passe|wachtwoord|hasło)\b[ \t]{0,3}(?:(?:is|was|ist|war|lautet|es|era|est|é|to|jest)\b|[:=]|->)"
    r"[ \t]{0,3}(?:[:=][ \t]{0,3})?[\"'\u201c\u201e«]?)[^\s\"'\u201d\u201c»]{3,256}"
)
_PIN = re.compile(
    r"(?i)(\b(?:pin|pin[ -]?(?:code|number|nummer)|tan|otp|codice pin|código pin)\b[ \t]{0,3}"
    r"(?:(?:is|was|ist|war|lautet|es|era|est|é)\b|[:=])?[ \t]{0,3})[0-9]{3,12}(?!\d)"
)
_PEM = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----|\Z)", re.DOTALL
)
_KEY = re.compile(
    r"(?<![A-Za-z0-9_-])(?:"
    r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"  # RFC 7519
    r"|(?:AKIA|ASIA)[0-9A-Z]{16}"  # Amazon Web Services
    r"|gh[oprsu]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255}|glpat-[A-Za-z0-9_-]{20,255}"
    r"|xox[abeoprs]-[A-Za-z0-9-]{10,255}"  # Slack
    r"|[rs]k_(?:live|test)_[A-Za-z0-9]{16,255}"  # Stripe
    r"|AIza[A-Za-z0-9_-]{35}"  # Google
    r"|npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{50,255}"
    r"|SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"  # SendGrid
    r")(?![A-Za-z0-9])"
)


def mask_passwords(text: str) -> str:
    """What follows a word for a password, and digits that follow a word for a PIN."""
    return _PIN.sub(rf"\1{HIDDEN}", _PASSWORD.sub(rf"\1{HIDDEN}", text))


def mask_keys(text: str) -> str:
    """Keys and tokens of programs."""
    return _KEY.sub(HIDDEN, _PEM.sub(HIDDEN, text) if "PRIVATE KEY" in text else text)
