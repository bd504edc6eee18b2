"""In what language somebody writes, among those that the house speaks.

The library knows some hundred languages; asked about a short text it would find Galician where the house has Spanish.
So it is asked only which of the configured ones it is, and its answer counts when it is sure: three words of thanks, an
order number or a name are in no language. The model is in the library's own package; nothing is fetched.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from router.errors import ConfigError

TEXT_MAX = 2_000  # characters that are looked at: more makes it no surer
LETTERS_MIN = 8
SURE = 0.9

# The codes of the library's model: a list here, so that a file can be checked without reading the model.
KNOWN = frozenset(
    [
        "ace",
        "af",
        "am",
        "an",
        "ar",
        "ary",
        "arz",
        "as",
        "az",
        "ba",
        "bcl",
        "be",
        "bg",
        "bn",
        "br",
        "bs",
        "ca",
        "crh",
        "cs",
        "cy",
        "da",
        "de",
        "dz",
        "el",
        "en",
        "eo",
        "es",
        "et",
        "eu",
        "ext",
        "fa",
        "fi",
        "fo",
        "fr",
        "fuv",
        "fy",
        "ga",
        "gcf",
        "gcr",
        "gd",
        "gl",
        "gom",
        "grc",
        "gu",
        "gug",
        "guw",
        "ha",
        "hbo",
        "he",
        "hi",
        "hr",
        "ht",
        "hu",
        "hy",
        "id",
        "ig",
        "is",
        "it",
        "ja",
        "jv",
        "ka",
        "kab",
        "kik",
        "kk",
        "km",
        "kn",
        "ko",
        "ku",
        "ky",
        "la",
        "lb",
        "lg",
        "lij",
        "ln",
        "lo",
        "lt",
        "ltg",
        "lv",
        "mg",
        "mk",
        "ml",
        "mn",
        "mr",
        "ms",
        "mt",
        "my",
        "ne",
        "nl",
        "nn",
        "no",
        "nso",
        "oc",
        "om",
        "or",
        "pa",
        "pcm",
        "pl",
        "ps",
        "pt",
        "qu",
        "ro",
        "ru",
        "rw",
        "sa",
        "sdh",
        "se",
        "si",
        "sk",
        "sl",
        "sn",
        "so",
        "sq",
        "sr",
        "st",
        "sv",
        "sw",
        "ta",
        "te",
        "tg",
        "th",
        "tk",
        "tl",
        "tr",
        "tt",
        "ug",
        "uk",
        "ur",
        "uz",
        "uzs",
        "vec",
        "vi",
        "vo",
        "wa",
        "wuu",
        "xh",
        "yo",
        "yue",
        "zh",
        "zu",
        "zxx",
    ]
)

_LETTERS = re.compile(r"[^\W\d_]")
_ADDRESSES = re.compile(r"\S+@\S+|https?://\S+|\bwww\.\S+")


def check_languages(languages: Sequence[str], path: str) -> None:
    """Raises ConfigError, for what `Detector` could not tell apart."""
    if len(languages) == 1:
        raise ConfigError(path, "at least two languages, or none", repr(languages[0]))
    for number, language in enumerate(languages):
        if language not in KNOWN:
            expected = 'the code of a language that can be told from others, such as "en", "es" or "de"'
            raise ConfigError(f"{path}[{number}]", expected, repr(language))
        if language in languages[:number]:
            raise ConfigError(f"{path}[{number}]", "each language once", repr(language))


class Detector:
    """Made once: it reads its model, which takes a second or more."""

    def __init__(self, languages: Sequence[str], path: str) -> None:
        """`path` is the setting that names the languages. Raises ConfigError."""
        from py3langid import langid  # 60 MB of memory, for those who want it

        self._model: Any = langid.LanguageIdentifier.from_modelpath(
            str(files("py3langid") / langid.MODEL_FILE), norm_probs=True
        )
        try:
            self._model.set_languages(list(languages))
        except ValueError as problem:
            known = "codes of ISO 639-1 that the library knows, at least two"
            raise ConfigError(path, known, f"{', '.join(languages)}: {problem}") from None

    def of(self, text: str) -> str:
        """The language's code; "" where it cannot be told. Some hundred microseconds."""
        words = _ADDRESSES.sub(" ", text[:TEXT_MAX])
        if len(_LETTERS.findall(words)) < LETTERS_MIN:
            return ""
        language, confidence = self._model.classify(words)
        return str(language) if confidence >= SURE else ""
