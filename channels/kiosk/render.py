"""The kiosk's two pages, each one file with all it needs.

No build step, nothing from elsewhere: style and script stand in the page, and the Content-Security-Policy names their
hashes, so nothing else can run. What comes from settings is escaped text in the markup and never part of a script.
A page comes in its own language; the kiosk's brings all others along, to change at a touch. The parts lie in `pages/`,
as they are edited.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from pathlib import Path
from string import Template

import msgspec

from channels.kiosk.settings import Settings
from channels.kiosk.words import direction, page_texts, speeches
from router.service.look import TOKENS

_PAGES = Path(__file__).with_name("pages")
_STYLE = TOKENS.read_text(encoding="utf-8") + (_PAGES / "style.css").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Page:
    body: bytes
    headers: Mapping[str, str]


def kiosk_page(settings: Settings, site: str = "") -> Page:
    """Where visitors check in."""
    nothing = f'<p data-text="no_topics">{escape(page_texts(settings)["no_topics"])}</p>'
    return _page(
        "kiosk",
        settings,
        site,
        topics="".join(_button("topic", code, label or code) for code, label in _topics(settings, site).items()),
        languages="".join(_button("language", code, label, code) for code, label in settings.languages.items()),
        words=escape(msgspec.json.encode(speeches(settings)).decode()),
        no_topics="" if settings.topics else nothing,
        no_languages="" if settings.languages else " hidden",
        max_name=str(settings.max_name),
        show_ticket_ms=str(int(settings.show_ticket)),
        idle_ms=str(int(settings.idle)),
    )


def screen_page(settings: Settings, site: str = "") -> Page:
    """Who is called."""
    return _page("screen", settings, site, refresh_ms=str(max(250, int(settings.refresh))))


def _topics(settings: Settings, site: str) -> dict[str, str]:
    known = settings.sites.get(site)
    wanted = known.topics if known is not None and known.topics else tuple(settings.topics)
    return {topic: settings.topics[topic] for topic in wanted if topic in settings.topics}


def _page(name: str, settings: Settings, site: str, **parts: str) -> Page:
    script = (_PAGES / f"{name}.js").read_text(encoding="utf-8")
    texts = {f"text_{field}": escape(text) for field, text in page_texts(settings).items()}
    texts |= {"lang": escape(settings.page_language), "dir": direction(settings.page_language)}
    texts |= {"site": escape(site), "place": _place(settings, site)}
    markup = Template((_PAGES / f"{name}.html").read_text(encoding="utf-8"))
    html = markup.substitute(texts, style=_STYLE, script=script, **parts)
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(_STYLE)}'; connect-src 'self'; "
        "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    headers = {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }
    return Page(html.encode(), headers)


def _place(settings: Settings, site: str) -> str:
    known = settings.sites.get(site)
    return f'<p class="place"><bdi>{escape(known.label or site)}</bdi></p>' if known is not None else ""


def _button(name: str, value: str, label: str, lang: str = "") -> str:
    spoken = f' lang="{escape(lang)}" dir="{direction(lang)}"' if lang else ""
    return f'<button type="button" data-{name}="{escape(value)}"{spoken}>{escape(label)}</button>'


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(sha256(text.encode()).digest()).decode()
