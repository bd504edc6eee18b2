"""Who is called, and what the two pages hold."""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pytest

from channels.kiosk.board import Board
from channels.kiosk.rates import Rates
from channels.kiosk.render import Page, kiosk_page, screen_page
from channels.kiosk.settings import Settings, Texts, Translation
from channels.kiosk.words import ENGLISH, OURS
from router.engine import events as e
from router.engine.views import AgentView, Inform
from router.service.ports import DeliveryFailed
from tests.kiosk.support import TOPICS, Kiosk, kiosk_channel, view
from tests.support.desk import RecordingDesk


@pytest.fixture
async def kiosk(tmp_path: Path) -> AsyncIterator[Kiosk]:
    async with kiosk_channel(tmp_path, called=3) as channel:
        yield channel


def news(number: int, event: e.AnyEvent, agent_name: str = "") -> Inform:
    return Inform("walkin", number, (f"kiosk:{number}",), event, agent_name, 5_000)


def accepted(number: int, agent: str = "Ana") -> Inform:
    return news(number, e.OfferAccepted(1, number, agent.lower()), agent)


async def test_a_visitor_is_called_when_an_agent_has_accepted(kiosk: Kiosk) -> None:
    assert await kiosk.serving() == []
    kiosk.adapter.inform(news(17, e.OfferMade(1, 17, "ana", 0)))
    assert await kiosk.serving() == []
    kiosk.adapter.inform(accepted(17))
    assert await kiosk.serving() == [{"ticket": "A-017", "agent": "Ana", "called_at_ms": 5_000}]


@pytest.mark.parametrize(
    "event",
    [
        e.InteractionEnded(17, "completed", "ana"),
        e.Requeued(17, "ana", "agent-lost"),
        e.Transferred(17, "sales", None, "ana", ""),
        e.ConnectFailed(17, "ana"),
    ],
)
async def test_who_is_served_or_waits_again_is_not_called_any_more(kiosk: Kiosk, event: e.AnyEvent) -> None:
    kiosk.adapter.inform(accepted(17))
    kiosk.adapter.inform(accepted(18, "Ben"))
    kiosk.adapter.inform(news(17, event))
    kiosk.adapter.inform(news(99, event))
    assert [call["ticket"] for call in await kiosk.serving()] == ["A-018"]


async def test_the_screen_shows_the_last_called_first_and_no_more_than_fit(kiosk: Kiosk) -> None:
    for number in (1, 2, 3, 4, 2):
        kiosk.adapter.inform(accepted(number))
    assert [call["ticket"] for call in await kiosk.serving()] == ["A-002", "A-004", "A-003"]


async def test_after_a_restart_the_screen_shows_who_is_with_whom(tmp_path: Path) -> None:
    desk = RecordingDesk()
    desk.views = {
        1: view(1, "ana"),
        2: view(2, "ana", channel="phone"),
        3: view(3, state="queued"),
        4: view(4, "gone"),
    }
    desk.agent_views["ana"] = AgentView(
        agent="ana", name="Ana M.", state="ready", reason="", pending="", since_ms=0, sessions=1, load={}
    )
    async with kiosk_channel(tmp_path, desk) as kiosk:
        assert [(call["ticket"], call["agent"]) for call in await kiosk.serving()] == [
            ("A-004", "gone"),
            ("A-001", "Ana M."),
        ]


async def test_when_the_engine_was_read_again_so_is_the_screen(kiosk: Kiosk) -> None:
    kiosk.adapter.inform(accepted(17))
    kiosk.desk.views = {18: view(18, "ben")}
    kiosk.adapter.reset("restored")
    assert [call["ticket"] for call in await kiosk.serving()] == ["A-018"]


async def test_the_screen_is_never_taken_from_a_cache(kiosk: Kiosk) -> None:
    response = await kiosk.client.get("/v1/kiosk/now-serving")
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.promise("OB-1")
async def test_health_is_good_only_between_start_and_stop(kiosk: Kiosk) -> None:
    kiosk.adapter.inform(accepted(1))
    assert kiosk.adapter.health().ok
    assert kiosk.adapter.health().figures == {"called": 1}
    await kiosk.adapter.stop()
    assert not kiosk.adapter.health().ok


async def test_a_kiosk_takes_no_orders(kiosk: Kiosk) -> None:
    assert kiosk.adapter.actions == frozenset()
    with pytest.raises(DeliveryFailed):
        await kiosk.adapter.deliver(None)  # type: ignore[arg-type]


def test_a_board_that_is_refilled_keeps_to_its_size() -> None:
    board = Board(2)
    for number in range(5):
        board.follow(accepted(number + 1), f"A-{number}")
    assert len(board) == 2


@pytest.mark.promise("IN-5")
def test_rates_are_kept_of_a_bounded_number_of_addresses() -> None:
    rates = Rates(per_minute=1, addresses=2)
    assert rates.take("a", 0)
    assert not rates.take("a", 59_999)
    assert rates.take("b", 59_999)
    assert rates.take("c", 59_999)  # pushes out a, who was silent longest
    assert rates.take("a", 59_999)
    assert not rates.take("c", 59_999)


# --- pages ------------------------------------------------------------------------------------------------------------


class Seen(HTMLParser):
    """What a page is made of."""

    def __init__(self, page: Page) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.within: dict[str, str] = {}
        self._open = ""
        self.feed(page.body.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open = tag

    def handle_data(self, data: str) -> None:
        self.within[self._open] = self.within.get(self._open, "") + data

    def handle_endtag(self, tag: str) -> None:
        self._open = ""


PAGES = (kiosk_page, screen_page)
PARTS = Path(kiosk_page.__code__.co_filename).with_name("pages")
HOSTILE = "\"'><script>alert(1)</script><img src=https://x.example onerror=alert(1)>$title"


@pytest.mark.parametrize("path", ["/kiosk", "/kiosk/now-serving"])
async def test_pages_are_given_to_anybody_under_a_strict_policy(kiosk: Kiosk, path: str) -> None:
    response = await kiosk.client.get(path)
    assert (response.status, response.content_type, response.charset) == (200, "text/html", "utf-8")
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("make", PAGES)
def test_the_policy_names_just_the_script_and_style_of_the_page(make: object) -> None:
    page = make(Settings(topics=TOPICS))  # type: ignore[operator]
    seen = Seen(page)
    for tag in ("script", "style"):
        digest = base64.b64encode(sha256(seen.within[tag].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in page.headers["Content-Security-Policy"]


@pytest.mark.parametrize("make", PAGES)
def test_a_page_needs_nothing_from_elsewhere_and_has_no_script_in_its_markup(make: object) -> None:
    seen = Seen(make(Settings(topics=TOPICS)))  # type: ignore[operator]
    for _, attributes in seen.tags:
        assert not {"src", "style", "srcset"} & attributes.keys()
        assert not [name for name in attributes if name.startswith("on")]
        assert attributes.get("href", "data:,") == "data:,"
    assert [tag for tag, _ in seen.tags].count("script") == 1
    assert not re.search(r"https?://", seen.within["script"] + seen.within["style"])


@pytest.mark.parametrize("make", PAGES)
@pytest.mark.promise("OB-6")
def test_what_comes_from_settings_is_text(make: object) -> None:
    texts = Texts(**dict.fromkeys(Texts.__struct_fields__, HOSTILE))
    said = {"es": Translation(dict.fromkeys(Texts.__struct_fields__, HOSTILE), {HOSTILE: HOSTILE})}
    choice = {"es": HOSTILE}
    hostile = Settings(
        topics={HOSTILE: HOSTILE}, languages=choice, texts=texts, page_language=HOSTILE, translations=said
    )
    plain = Settings(topics={"a": "a"}, languages={"es": "es"})
    tags = [tag for tag, _ in Seen(make(hostile)).tags]  # type: ignore[operator]
    assert tags == [tag for tag, _ in Seen(make(plain)).tags]  # type: ignore[operator]


def test_each_topic_and_language_has_its_button() -> None:
    settings = Settings(topics=TOPICS, languages={"en": "English", "es": "Español"})
    buttons = [attributes for tag, attributes in Seen(kiosk_page(settings)).tags if tag == "button"]
    assert [button["data-topic"] for button in buttons if "data-topic" in button] == ["support", "sales"]
    assert [button["data-language"] for button in buttons if "data-language" in button] == ["en", "es"]


@pytest.mark.parametrize("make", PAGES)
@pytest.mark.parametrize(("language", "side"), [("en", "ltr"), ("es", "ltr"), ("he", "rtl")])
def test_a_page_says_its_language_and_from_which_side_it_is_read(make: object, language: str, side: str) -> None:
    (html,) = [found for tag, found in Seen(make(Settings(page_language=language))).tags if tag == "html"]  # type: ignore[operator]
    assert html == {"lang": language, "dir": side}


def test_styles_know_no_left_and_no_right() -> None:
    style = (PARTS / "style.css").read_text()
    assert "inline-size" in style
    assert not re.search(r"\b(left|right)\b", style)


def test_the_screen_speaks_the_language_of_the_house() -> None:
    body = screen_page(Settings(page_language="es")).body.decode()
    assert OURS["es"]["nobody"] in body
    assert ENGLISH["nobody"] not in body


def test_a_kiosk_without_topics_says_so() -> None:
    assert Seen(kiosk_page(Settings())).within["p"] == Texts().no_topics
    assert Texts().no_topics not in Seen(kiosk_page(Settings(topics=TOPICS))).within.get("p", "")
