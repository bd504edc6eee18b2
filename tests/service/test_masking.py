"""What must not be kept in clear is made unreadable, and nothing else is."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import iban as iban_of_others
from stdnum import luhn as luhn_of_others
from stdnum.br import cpf
from stdnum.es import dni
from stdnum.fr import nir
from stdnum.it import codicefiscale

from router.errors import ConfigError
from router.service import finders
from router.service.finders import mask_cards
from router.service.masking import Masking, MaskingSettings, check

CARD = "4111 1111 1111 1111"


# --- cards ------------------------------------------------------------------------------------------------------------


@pytest.mark.promise("OB-6")
@pytest.mark.parametrize(
    ("said", "stored"),
    [
        ("4111111111111111", "•••• 1111"),  # the schemes' own numbers for tests
        ("my card is 5555 5555 5555 4444, thanks", "my card is •••• 4444, thanks"),
        ("3782-822463-10005.", "•••• 0005."),
        ("6011.1111.1111.1117", "•••• 1117"),
        ("(4222222222222)", "(•••• 2222)"),
        ("two: 4111111111111111 5105105105105100", "two: •••• 1111 •••• 5100"),
        ("4111  1111\u00a01111\u20091111", "•••• 1111"),  # blanks that a word processor puts
        ("4111\u20111111\u20111111\u20111111", "•••• 1111"),  # its hyphens
        ("４１１１ １１１１ １１１１ １１１１", "•••• 1111"),  # digits of a Japanese keyboard
        ("card: 4111 1111\r\n1111 1111 it is", "card: •••• 1111 it is"),  # broken over a line
        ("> 4111 1111 1111\n> 1111", "> •••• 1111"),  # and quoted
        ("5 4111 1111 1111 1111", "5 •••• 1111"),  # behind another number
        ("ref 2026 4111 1111 1111 1111 12/29", "ref 2026 •••• 1111 12/29"),
        ("VISA-4111111111111111", "VISA-•••• 1111"),
        ("4111 1111 1111 1111 123", "•••• 1111 123"),
        ("order 123, 4111111111111111", "order 123, •••• 1111"),
        ("•••• 4111111111111111", "•••• •••• 1111"),  # written so that it passes for one that is hidden already
        ("•••• 4111 1111 1111 1111", "•••• •••• 1111"),
        ("4111111111194000 0000 0000 0002", "•••• •••• 0002"),  # four digits that belong to two
    ],
)
def test_a_card_number_keeps_its_last_four_digits(said: str, stored: str) -> None:
    assert mask_cards(said) == stored


@pytest.mark.parametrize(
    "said",
    [
        "4111111111111112",  # the check digit is wrong
        "1234567890123452",  # no scheme issues such numbers
        "+49 30 12345678",
        "order 41111111",
        "9999 9999 9999 9995",
        "41111111111111114111111111111111",  # longer than any card number
        "0.4111111111111111",  # a fraction
        "4111111111111111.25",
        "4111\n1111\n1111\n1111",  # a column
        "",
    ],
)
def test_other_numbers_stay(said: str) -> None:
    assert mask_cards(said) == said


def luhn(digits: str) -> str:
    return digits + luhn_of_others.calc_check_digit(digits)


CARDS = st.one_of(
    *(
        st.from_regex(rf"{begins}[0-9]{{{length - len(begins) - 1}}}", fullmatch=True).map(luhn)
        for begins, length in (
            ("4", 13),
            ("36", 14),
            ("37", 15),
            ("5", 16),
            ("2", 16),
            ("6", 17),
            ("56", 18),
            ("4", 19),
        )
    )
)


@given(CARDS, st.sampled_from(["", " ", "-", ".", "  ", "\u00a0"]), st.sampled_from([2, 4]))
def test_every_card_is_found_however_it_is_grouped(number: str, between: str, size: int) -> None:
    written = between.join(number[at : at + size] for at in range(0, len(number), size))
    assert mask_cards(f"card {written} please") == f"card •••• {number[-4:]} please"


@given(CARDS, st.integers(1, 12), st.sampled_from(["\n", "\r\n", " \r\n", "\n> ", "\r\n\t"]))
def test_every_card_is_found_that_a_line_breaks(number: str, at: int, line: str) -> None:
    groups = [number[place : place + 4] for place in range(0, len(number), 4)]
    at = min(at, len(groups) - 1)
    written = " ".join(groups[:at]) + line + " ".join(groups[at:])
    assert mask_cards(f"card {written} please") == f"card •••• {number[-4:]} please"


@pytest.mark.parametrize("written", ["208-1795417763", "2161795417763", "41 1111 1111 1111 11"])
def test_numbers_that_pass_by_chance_stay_where_no_card_has_their_length_or_groups(written: str) -> None:
    """Of an order, of a parcel, and of a card in groups that no card is printed in."""
    assert luhn_of_others.is_valid("".join(c for c in written if c.isdigit()))
    assert mask_cards(written) == written


# --- other kinds ------------------------------------------------------------------------------------------------------


def masks(*kinds: str, **patterns: str) -> Callable[[str], str]:
    found = Masking(MaskingSettings(kinds=kinds, patterns=patterns)).of(cards=False)  # type: ignore[arg-type]
    assert found is not None
    return found


@pytest.mark.promise("OB-6")
@pytest.mark.parametrize(
    ("kind", "said", "stored"),
    [
        ("cards", f"it is {CARD}", "it is •••• 1111"),
        ("card_codes", "CVV: 123, valid 12/29", "CVV: ••••, valid 12/29"),
        ("card_codes", "the security code is 1234.", "the security code is ••••."),
        ("iban", "to DE89 3704 0044 0532 0130 00 please", "to •••• 3000 please"),  # the registry's own examples
        ("iban", "gb29nwbk60161331926819", "•••• 6819"),
        ("iban", "NO12 NO93 8601 1117 947", "NO12 •••• 7947"),
        ("iban", "FR14 2004 1010 0505\r\n0001 3M02 606!", "•••• 2606!"),
        ("us_ssn", "SSN 078-05-1120", "SSN •••• 1120"),
        ("gb_nino", "NI AB 12 34 56 C", "NI ••••"),
        ("es_dni", "DNI 12345678Z y NIE X-1234567-L", "DNI •••• y NIE ••••"),
        ("fr_nir", "n° 1 85 05 78 006 084 91", "n° ••••"),
        ("it_cf", "CF: RSSMRA85T10A562S.", "CF: ••••."),
        ("br_cpf", "CPF 390.533.447-05", "CPF ••••"),
        ("passwords", "My password is hunter2", "My password is ••••"),
        ("passwords", 'Passwort: "Geheim!"', 'Passwort: "••••"'),
        ("passwords", "mi contraseña es s3creta", "mi contraseña es ••••"),
        ("passwords", "PIN 4711 ok", "PIN •••• ok"),
        ("keys", "use ghp_" + "a1" * 18, "use ••••"),
        ("keys", "AKIAIOSFODNN7EXAMPLE", "••••"),
        ("keys", "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nok", "••••\nok"),
        ("keys", "t=eyJhbGciOiJub25lIn0.eyJzdWIiOiIxMjM0In0.c2lnbmVk", "t=••••"),
    ],
)
def test_each_kind_finds_its_own(kind: str, said: str, stored: str) -> None:
    assert masks(kind)(said) == stored


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("card_codes", "room 123"),
        ("iban", "DE89 3704 0044 0532 0130 01"),  # check digits
        ("iban", "DE89 3704 0044 0532 0130 000"),  # one too many
        ("iban", "ZZ89 3704 0044 0532 0130 00"),  # no such country
        ("us_ssn", "078-05-0000"),
        ("us_ssn", "555-0100-2000"),
        ("gb_nino", "GB 12 34 56 C"),
        ("es_dni", "12345678A"),
        ("fr_nir", "1 85 05 78 006 084 92"),
        ("it_cf", "RSSMRA85T10A562T"),
        ("br_cpf", "390.533.447-06"),
        ("br_cpf", "111.111.111-11"),  # passes, and is nobody's
        ("passwords", "I forgot my password, help"),
        ("keys", "ghp_short"),
    ],
)
def test_what_only_looks_like_it_stays(kind: str, said: str) -> None:
    assert masks(kind)(said) == said


DIGITS = st.text("0123456789", min_size=20, max_size=20)


@given(DIGITS, st.sampled_from(["", " ", "-"]))
def test_what_others_call_valid_is_found_and_the_rest_is_not(digits: str, between: str) -> None:
    """Check digits as python-stdnum reckons them."""
    body = digits[:18]
    whole = f"DE{iban_of_others.calc_check_digits('DE00' + body)}{body}"
    grouped = between.join(whole[at : at + 4] for at in range(0, 22, 4))
    assert finders.mask_iban(f"x {grouped} y") == f"x •••• {whole[-4:]} y"
    for number, valid, mask in (
        (f"{digits[:8]}{'TRWAGMYFPDXBNJZSQVHLCKE'[int(digits[8:12]) % 23]}", dni.is_valid, finders.mask_es_dni),
        (digits[:11], cpf.is_valid, finders.mask_br_cpf),
        (f"{digits[:9]}{cpf._calc_check_digits(digits[:9])}", cpf.is_valid, finders.mask_br_cpf),
        (f"18505{digits[:8]}{digits[8:10]}", nir.is_valid, finders.mask_fr_nir),
        (f"18505{digits[:8]}{97 - int('18505' + digits[:8]) % 97:02}", nir.is_valid, finders.mask_fr_nir),
    ):
        assert (mask(number) == "••••") == valid(number), number


@given(st.from_regex(r"[A-Z]{6}[0-9]{2}[ABCDEHLMPRST][0-4][0-9][A-Z][0-9]{3}", fullmatch=True))
def test_an_italian_code_is_one_with_the_letter_that_others_reckon(body: str) -> None:
    right = codicefiscale.calc_check_digit(body)
    wrong = "A" if right != "A" else "B"
    assert (finders.mask_it_cf(body + right), finders.mask_it_cf(body + wrong)) == ("••••", body + wrong)


# --- a house's own ----------------------------------------------------------------------------------------------------


def test_a_house_names_what_else_is_hidden() -> None:
    mask = masks(contract=r"\bC-[0-9]{8}\b")
    assert mask("Grüße, Vertrag C-12345678 – danke") == "Grüße, Vertrag •••• – danke"
    assert mask("\ud83d C-12345678") == "\ufffd ••••", "half a character is none"


@pytest.mark.parametrize("pattern", ["C-[0-9", "(?=C)", "x*", r"\n?", r"\b", "$", "•", ".", "(a{1000}){1000}"])
def test_a_pattern_that_cannot_be_used_is_refused_at_the_start(pattern: str) -> None:
    with pytest.raises(ConfigError, match=r"masking\.patterns\.mine"):
        check(MaskingSettings(patterns={"mine": pattern}))


def test_nothing_is_hidden_where_nothing_is_asked_for() -> None:
    assert Masking().of(cards=False) is None
    assert Masking(MaskingSettings(mask_cards=False)).house is None


EVERYTHING = masks(
    "keys", "passwords", "iban", "fr_nir", "it_cf", "card_codes", "cards", "us_ssn", "gb_nino", "es_dni", "br_cpf"
)
PIECES = st.lists(
    st.one_of(
        st.text(max_size=8),
        CARDS,
        st.sampled_from(
            ["DE89370400440532013000", "cvv ", "123", "password: ", "pin ", "078-05-1120", " ", "\n", "••••"]
        ),
    )
).map("".join)


@pytest.mark.promise("OB-6")
@given(st.lists(st.one_of(CARDS, st.sampled_from(["cvv 123", "PIN 1234", "password: abc", "••••", "and", "12"]))))
def test_whatever_stands_before_it_a_card_is_hidden(words: list[str]) -> None:
    hidden = EVERYTHING(" ".join(words))
    assert not [word for word in words if mask_cards(word) != word and word in hidden]


@given(PIECES)
def test_masking_twice_is_masking_once(text: str) -> None:
    once = EVERYTHING(text)
    assert mask_cards(mask_cards(text)) == mask_cards(text)
    assert EVERYTHING(once) == once


@pytest.mark.parametrize(
    "piece",
    [
        "4 ",
        "44 ",
        "4111 ",
        "4111\n",
        "AB12 ",
        "DE89 3704 ",
        "eyJ",
        "eyJ-",
        "eyJabcdefgh.",
        "-----BEGIN PRIVATE KEY-----",
        "password ",
        "cvv ",
        "1 85 05 ",
        "123-45-",
        "X-1234567",
        "AAAAAA11A11A",
        "390.533.447",
        "(a",
        ">",
    ],
)
def test_a_long_text_comes_to_its_end(piece: str) -> None:
    """Where the time grew with the square of the length these would take minutes, each."""
    assert EVERYTHING(piece * (100_000 // len(piece)))
