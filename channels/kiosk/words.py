"""What the two pages say, language by language.

A text is looked for in three places: what the house wrote for the language, ours where we speak it, and the page's own
language, which is whole. A visitor may choose a language in which nobody wrote a word: it is sent with the check-in and
the page stays as it is. The house's own texts win over ours, also in a regional form of the page's language.
"""

from __future__ import annotations

import re

from msgspec import Struct
from msgspec.structs import asdict

from channels.kiosk.settings import Settings, Texts, Translation

ENGLISH: dict[str, str] = asdict(Texts())
SPANISH = {
    "title": "Bienvenido",
    "name": "Su nombre (opcional)",
    "phone": "Su número de teléfono (opcional)",
    "language": "Idioma",
    "topics": "¿En qué podemos ayudarle?",
    "no_topics": "Por favor, diríjase a nuestro personal.",
    "ticket": "Su turno",
    "position": "Su lugar en la fila: {n}",
    "now": "Usted es el siguiente. Mire la pantalla, por favor.",
    "wait": "Unos {n} minutos",
    "again": "Siguiente visitante",
    "idle": "¿Sigue ahí? Esta página vuelve a empezar en {n} segundos.",
    "code": "Tengo cita: mi código",
    "code_button": "Registrarme",
    "no_code": "No conocemos este código. Escríbalo de nuevo o elija un tema.",
    "too_early": "Es demasiado pronto para esta cita. Vuelva más cerca de la hora, por favor.",
    "again_called": "Segunda llamada",
    "no_phone": "Esto no puede ser un número de teléfono. Corríjalo o déjelo vacío, por favor.",
    "code_left": "Ha escrito un código. Regístrese con él o siga sin cita.",
    "without_code": "Seguir sin cita",
    "failed": "No ha funcionado. Inténtelo de nuevo, por favor.",
    "closed": "Ahora no podemos atender este tema. Elija otro o diríjase a nuestro personal, por favor.",
    "serving": "Turnos llamados",
    "nobody": "No se llama a nadie en este momento.",
    "stale": "Esta pantalla ha perdido la conexión.",
}
OURS = {"en": ENGLISH, "es": SPANISH}

# Languages that are written from right to left unless their tag names another script; and the scripts that are.
_LANGUAGES = re.compile("ar|arc|azb|bal|ckb|dv|fa|glk|he|iw|khw|ks|lrc|mzn|nqo|pnb|ps|sd|syr|ug|ur|ydd|yi")
_SCRIPTS = re.compile("adlm|arab|aran|hebr|mand|mend|nkoo|rohg|samr|syrc|thaa")


class Speech(Struct, frozen=True):
    """What a page can say in one language."""

    dir: str
    texts: dict[str, str]
    topics: dict[str, str]


def direction(tag: str) -> str:
    """How the language of a tag (RFC 5646) is written, as HTML's `dir` says it."""
    language, *more = tag.lower().split("-")
    script = next((part for part in more[:2] if re.fullmatch("[a-z]{4}", part)), "")
    known = _SCRIPTS.fullmatch(script) if script else _LANGUAGES.fullmatch(language)
    return "rtl" if known else "ltr"


def page_texts(settings: Settings) -> dict[str, str]:
    """The texts in the page's own language, every one of them. What still is our English becomes ours in it."""
    ours = OURS.get(_base(settings.page_language), {})
    written: dict[str, str] = asdict(settings.texts)
    return {name: ours.get(name, text) if text == ENGLISH[name] else text for name, text in written.items()}


def speeches(settings: Settings) -> dict[str, Speech]:
    """By language: the page's own, whole, and those of the choice in which there is something to say."""
    own = Speech(direction(settings.page_language), page_texts(settings), settings.topics)
    chosen = {code: _speech(settings, code, own) for code in settings.languages if code != settings.page_language}
    return {settings.page_language: own} | {code: one for code, one in chosen.items() if one.texts or one.topics}


def _speech(settings: Settings, code: str, own: Speech) -> Speech:
    written = settings.translations.get(code, Translation())
    if _base(code) == _base(settings.page_language):
        return Speech(direction(code), own.texts | written.texts, own.topics | written.topics)
    return Speech(direction(code), OURS.get(_base(code), {}) | written.texts, written.topics)


def _base(tag: str) -> str:
    return tag.partition("-")[0].lower()
