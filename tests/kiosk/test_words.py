"""What the pages say in which language, and from which side."""

from __future__ import annotations

import re
from typing import Any

import pytest
from msgspec.structs import asdict

from channels.kiosk.settings import Settings, Site, Texts, Translation
from channels.kiosk.words import ENGLISH, OURS, direction, page_texts, speeches
from router.errors import ConfigError
from tests.kiosk.support import TOPICS

CHOICE = {"en": "English", "es": "Español", "ar": "العربية"}


def test_every_language_of_ours_says_all_that_english_says_with_the_same_blanks() -> None:
    assert {"en", "es"} <= OURS.keys()
    for code, texts in OURS.items():
        assert texts.keys() == set(Texts.__struct_fields__), code
        for name, text in texts.items():
            assert text, (code, name)
            assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", ENGLISH[name])), (code, name)
            assert code == "en" or text != ENGLISH[name], (code, name)


def test_a_page_says_in_its_language_what_nobody_wrote() -> None:
    texts = page_texts(Settings(page_language="es-MX", texts=Texts(title="Clínica Norte")))
    assert texts == OURS["es"] | {"title": "Clínica Norte"}


def test_a_page_in_a_language_that_we_do_not_speak_says_what_was_written_and_else_english() -> None:
    texts = page_texts(Settings(page_language="de", texts=Texts(title="Willkommen")))
    assert texts == ENGLISH | {"title": "Willkommen"}


def test_the_house_words_win_over_ours() -> None:
    arabic = Translation(texts={"title": "أهلا"}, topics={"sales": "المبيعات"})
    spanish = Translation(texts={"title": "Buenas"})
    spoken = speeches(Settings(topics=TOPICS, languages=CHOICE, translations={"ar": arabic, "es": spanish}))
    assert spoken["en"].texts == ENGLISH
    assert spoken["en"].topics == TOPICS
    assert spoken["es"].texts == OURS["es"] | {"title": "Buenas"}
    assert spoken["es"].topics == {}
    assert (spoken["ar"].dir, spoken["ar"].texts, spoken["ar"].topics) == ("rtl", arabic.texts, arabic.topics)


def test_a_regional_form_of_the_pages_language_says_what_the_house_wrote_for_it() -> None:
    british = Translation(texts={"ticket": "Your number"})
    languages = {"en": "English (US)", "en-GB": "English (UK)"}
    settings = Settings(texts=Texts(title="Hi"), languages=languages, translations={"en-GB": british})
    assert speeches(settings)["en-GB"].texts == asdict(Texts(title="Hi", ticket="Your number"))


def test_of_a_language_without_words_there_is_nothing_to_say() -> None:
    assert speeches(Settings(languages={"fi": "Suomi"})).keys() == {"en"}


@pytest.mark.parametrize(
    ("tag", "side"),
    [
        ("en", "ltr"),
        ("es-MX", "ltr"),
        ("ar", "rtl"),
        ("ar-EG", "rtl"),
        ("he", "rtl"),
        ("fa-IR", "rtl"),
        ("ckb", "rtl"),
        ("az", "ltr"),
        ("az-Arab", "rtl"),
        ("uz-arab-AF", "rtl"),
        ("ks-Deva", "ltr"),
        ("ar-Latn", "ltr"),
        ("", "ltr"),
    ],
)
def test_a_language_is_written_from_its_own_side_and_a_script_says_more(tag: str, side: str) -> None:
    assert direction(tag) == side


@pytest.mark.promise("OB-4")
@pytest.mark.parametrize(
    ("code", "translation", "path", "words"),
    [
        ("fr", Translation(), "kiosk.translations.fr", "page_language: es, ar, found 'fr'"),
        ("en", Translation(), "kiosk.translations.en", "beside page_language"),
        ("es", Translation(texts={"titel": "x"}), "kiosk.translations.es.texts.titel", "one of title, name"),
        ("es", Translation(topics={"sale": "x"}), "kiosk.translations.es.topics.sale", "support, sales, found 'sale'"),
    ],
)
def test_words_that_nobody_could_ever_read_are_refused(
    code: str, translation: Translation, path: str, words: str
) -> None:
    given: dict[str, Any] = {"topics": TOPICS, "languages": CHOICE, "sites": {"north": Site(prefix="N")}}
    with pytest.raises(ConfigError) as refusal:
        Settings(**given, translations={code: translation})
    assert refusal.value.path == path
    assert words in str(refusal.value)
