"""Which of the house's languages somebody writes."""

from importlib.resources import files

import pytest
from py3langid import langid

from router.errors import ConfigError
from router.service.language import KNOWN, Detector


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector(("en", "es", "de", "fr"), "email.languages")


@pytest.mark.parametrize(
    ("said", "language"),
    [
        ("Where is my parcel? It was due on Monday.", "en"),
        ("¿Dónde está mi paquete? Lo esperaba el lunes.", "es"),
        ("Wo bleibt mein Paket? Es sollte am Montag kommen.", "de"),
        ("Où est mon colis ? Je l'attendais lundi.", "fr"),
        ("Order 4711", ""),
        ("ann@customer.example https://shop.example/hilfe/wo-ist-mein-paket", ""),
        ("12345 67890", ""),
        ("", ""),
    ],
)
def test_it_is_told_where_it_can_be(detector: Detector, said: str, language: str) -> None:
    assert detector.of(said) == language


@pytest.mark.promise("OB-4")
def test_an_unknown_language_is_refused_when_the_settings_are_read() -> None:
    with pytest.raises(ConfigError) as refusal:
        Detector(("en", "xx"), "email.languages")
    assert str(refusal.value).startswith("email.languages")


def test_what_can_be_checked_without_the_model_is_what_the_model_knows() -> None:
    model = langid.LanguageIdentifier.from_modelpath(str(files("py3langid") / langid.MODEL_FILE))
    assert set(model.nb_classes) == KNOWN
