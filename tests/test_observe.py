"""Log lines are facts without secrets, numbers or customers' words; metrics stay bounded."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import prometheus_client
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from router import observe
from router.errors import ConfigError, IllegalMove
from router.service.finders import mask_cards

SECRET = "s3cr3t-value"
WORDS = "I want to cancel my contract"


class Lines:
    """A stream of bytes that is no terminal."""

    def __init__(self) -> None:
        self.raw = io.BytesIO()

    def write(self, data: bytes) -> None:
        self.raw.write(data)

    def flush(self) -> None:
        pass

    @property
    def text(self) -> str:
        return self.raw.getvalue().decode()

    @property
    def facts(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """The log as a list of facts; everything as it was afterwards."""
    root = logging.getLogger()
    handlers, level, processors = list(root.handlers), root.level, list(observe._PROCESSORS)
    before, stream = structlog.get_config(), observe.SINK.stream
    out = Lines()
    observe.setup("info", json=True, stream=out)  # type: ignore[arg-type]
    yield out
    structlog.configure(**before)
    observe._PROCESSORS[:] = processors
    observe.SINK.stream = stream
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


def test_a_line_is_a_fact_with_fields(lines: Lines) -> None:
    observe.get_logger("offers").info("Offer expired", action="offer_expired", interaction="i-7", waited_ms=20_000)
    (fact,) = lines.facts
    assert fact.pop("at").endswith("Z")
    assert fact == {
        "level": "info",
        "area": "offers",
        "event": "Offer expired",
        "action": "offer_expired",
        "interaction": "i-7",
        "waited_ms": 20_000,
    }


def test_everything_said_within_carries_what_was_bound(lines: Lines) -> None:
    log = observe.get_logger("x")
    with observe.bind(interaction="i-7"):
        log.info("Within")
    log.info("After")
    assert [fact.get("interaction") for fact in lines.facts] == ["i-7", None]


def test_lines_below_the_level_are_not_made(lines: Lines) -> None:
    observe.get_logger("x").debug("Detail")
    assert lines.facts == []


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"log\.level: expected one of debug, info"):
        observe.setup("loud")


def test_on_a_terminal_a_line_can_be_read(lines: Lines) -> None:
    observe.setup("info", json=False, stream=lines)  # type: ignore[arg-type]
    log = observe.get_logger("x")
    log.info("Listening", port=8080, token=SECRET)
    try:
        raise OSError("disk full")
    except OSError:
        log.exception("Bad day")
    assert "Listening" in lines.text
    assert "OSError: disk full" in lines.text
    assert SECRET not in lines.text


# --- masking ---

NAMES = [
    "token", "access_token", "Password", "passwd", "secret", "client_secret", "Authorization", "signature",
    "Switchboard-Signature", "api_key", "apiKey", "x-api-key", "Set-Cookie", "credentials", "private_key",
]  # fmt: skip
PLACES: list[Any] = [
    lambda name, value: {name: value},
    lambda name, value: {"details": {name: value}},
    lambda name, value: {"details": [{"headers": {name: [value, value]}}]},
    lambda name, value: {name: {"inner": value}},
    lambda name, value: {"url": f"https://host/path?x=1&{name}={value}&y=2"},
    lambda name, value: {"said": f"{name}: {value}"},
    lambda name, value: {"said": f'{{"{name}": "{value}"}}'},
    lambda name, value: {"said": f"Authorization: Bearer {value}"},
    lambda name, value: {"said": f"sent bearer {value} to the gateway"},
    lambda name, value: {"error": OSError(f"{name}={value}")},
    lambda name, value: {"error": ValueError(value)},
    lambda name, value: {"command": SayIt(value)},
    lambda name, value: {"raw": value.encode()},
    lambda name, value: {"text": value, "Subject": value, "body": value, "notes": value},
    lambda name, value: {"nested": {"text": value, "html": value}},
]


class SayIt:
    """What somebody might log whole by mistake."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text

    __str__ = __repr__


secrets = st.text("abcdefghjkmnpqrstuvwxyzABCDEFGH0123456789+/=._~-", min_size=8, max_size=60).filter(
    lambda s: s.strip("=.-") == s
)


@pytest.mark.promise("OB-6")
@given(name=st.sampled_from(NAMES), place=st.sampled_from(PLACES), value=secrets, as_json=st.booleans())
def test_no_secret_is_ever_in_a_line(name: str, place: Any, value: str, as_json: bool) -> None:
    marked = f"Q{value}Q"  # so that it is nothing else that stands in a line
    line: dict[str, Any] = {"event": "Said", "level": "info", **place(name, marked)}
    line = dict(observe.mask(None, "info", line))
    render = observe.render_json if as_json else observe.render_console
    rendered = str(render(None, "info", line))
    assert marked not in rendered
    assert value not in rendered


@pytest.mark.promise("OB-6")
@given(
    local=st.text("abcdefghijklmnopqrstuvwxyz0123456789.+_-", min_size=2, max_size=30),
    number=st.integers(10**7, 10**14).map(str),
    field=st.sampled_from(["to", "sender", "detail", "error", "thread"]),
)
def test_addresses_and_numbers_are_never_whole(local: str, number: str, field: str) -> None:
    line = observe.mask(None, "info", {"event": "x", field: f"from {local}@customer.example and +{number}"})
    assert local + "@" not in line[field]
    assert number not in line[field]
    assert line[field].count("*") >= 6


@pytest.mark.parametrize(
    ("field", "given_", "shown"),
    [
        ("to", "+15555550100", "+1555***100"),
        ("to", "+15550100", "+1***100"),
        ("to", "sip:15555550100@gw.example", "sip:1***@gw.example"),
        ("phone", "555 555-0100", "555***100"),
        ("phone", "12345", "12345"),
        ("mail", "ann@b.example", "a***@b.example"),
        ("identity", "mailto:ann@b.example", "mailto:a***@b.example"),
        ("interaction", "i-15555550100", "i-15555550100"),
        ("at", "2026-11-22T10:00:00.123456Z", "2026-11-22T10:00:00.123456Z"),
        ("digest", "0123456789" * 6, "0123456789" * 6),
        ("path", Path("var/drop/fax"), "var/drop/fax"),
    ],
)
def test_what_is_shortened_can_still_be_recognised(field: str, given_: Any, shown: str) -> None:
    assert observe.mask(None, "info", {"event": "x", field: given_})[field] == shown


@pytest.mark.promise("OB-6")
def test_an_exception_shows_where_but_not_what_a_customer_wrote(lines: Lines) -> None:
    log = observe.get_logger("x")
    said, nothing = WORDS, dict[str, str]()
    try:
        try:
            nothing[said]
        except KeyError as error:
            raise ValueError(said) from error
    except ValueError:
        log.exception("Parse failed", action="parse_failed")
    (fact,) = lines.facts
    assert WORDS not in lines.text
    assert fact["error"] == "ValueError"
    assert "test_observe.py" in fact["trace"]
    assert "KeyError" in fact["trace"]


def test_an_exception_about_code_or_the_machine_keeps_its_message(lines: Lines) -> None:
    log = observe.get_logger("x")
    for error in (OSError("disk full"), TypeError("'int' is not iterable"), IllegalMove("queued to wrap-up")):
        log.error("Failed", exc_info=error)
    assert [fact["error"] for fact in lines.facts] == [
        "OSError: disk full",
        "TypeError: 'int' is not iterable",
        "IllegalMove: queued to wrap-up",
    ]


def test_a_value_without_end_is_cut(lines: Lines) -> None:
    loop: dict[str, Any] = {}
    loop["again"] = loop
    observe.get_logger("x").info("Said", long="x" * 100_000, many=list(range(10_000)), loop=loop)
    assert len(lines.text) < 2_000


@pytest.mark.promise("OB-6")
def test_what_libraries_say_is_masked_too(lines: Lines) -> None:
    logging.getLogger("aiosmtpd").warning("refused %s token=%s\n%s", "ann@b.example", SECRET, WORDS)
    logging.getLogger("aiosmtpd").info("too low")
    try:
        raise ValueError(WORDS)
    except ValueError:
        logging.getLogger("asyncio").exception("Task failed")
    first, second = lines.facts
    assert (first["area"], first["level"], first["event"]) == (
        "library.aiosmtpd",
        "warning",
        "refused a***@b.example token=***",
    )
    assert (second["error"], WORDS in lines.text) == ("ValueError", False)


@pytest.mark.promise("OB-6")
async def test_what_nobody_awaited_is_logged_without_its_words(lines: Lines) -> None:
    async def fail() -> None:
        raise ValueError(WORDS)

    task = asyncio.ensure_future(fail())
    await asyncio.wait({task})
    context = {"message": f"never retrieved\n{task!r}", "exception": task.exception(), "future": task}
    observe.report_stray(asyncio.get_running_loop(), context)
    (fact,) = lines.facts
    assert (fact["action"], fact["said"], fact["error"]) == ("unhandled", "never retrieved", "ValueError")
    assert WORDS not in lines.text


def test_a_log_that_cannot_be_written_stops_nothing(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(data: bytes) -> None:
        raise OSError(28, "no space left on device")

    monkeypatch.setattr(lines, "write", full)
    before = observe.SINK.lost
    observe.get_logger("x").info("Said")
    assert observe.SINK.lost == before + 1


# --- metrics ---


@pytest.mark.promise("OB-3")
def test_invented_label_values_are_counted_together() -> None:
    made = observe.counter("test_invented_total", "x", ("who",))
    for number in range(observe.SERIES_MAX + 50):
        made.labels(number).inc()
    page = observe.render_metrics().decode()
    assert page.count("switchboard_test_invented_total{") == observe.SERIES_MAX + 1
    assert 'switchboard_test_invented_total{who="other"} 50.0' in page


def test_counters_are_shown_as_the_library_shows_its_own() -> None:
    pages: list[bytes] = []
    kinds: tuple[Any, ...] = (observe.Counter, prometheus_client.Counter)
    for kind in kinds:
        registry = prometheus_client.CollectorRegistry(auto_describe=True)
        untouched = kind("switchboard_untouched", "Never happened.", (), registry=registry)
        kind("switchboard_labelled", "Never happened anywhere.", ("where",), registry=registry)
        plain = kind("switchboard_plain_total", 'What a "reader"\nsees.', (), registry=registry)
        split = kind("switchboard_split", "By two labels.", ("to", "by"), registry=registry)
        plain.inc()
        plain.inc(2.5)
        for to, by in (("b", "x"), ("a", 'y "\\\n'), ("b", "x"), (3, None)):
            split.labels(to, by).inc(10**16)
        assert next(iter(untouched.collect())).name == "switchboard_untouched"
        pages.append(prometheus_client.generate_latest(registry))
    assert pages[0] == pages[1]
    assert b'switchboard_split_total{by="x",to="b"} ' in pages[0]


def test_a_counter_is_counted_by_its_labels_and_by_no_others() -> None:
    plain, split = observe.counter("test_plain_total", "x"), observe.counter("test_split_total", "x", ("a", "b"))
    for wrong in (split.inc, lambda: plain.labels("a"), lambda: split.labels("a")):
        with pytest.raises(AssertionError, match="has the labels"):
            wrong()


def test_a_metric_asked_for_twice_is_one() -> None:
    first = observe.histogram("test_twice_seconds", "x", ("channel",))
    assert observe.histogram("switchboard_test_twice_seconds", "x", ("channel",)) is first
    first.labels(channel="email").observe(0.2)
    first.labels("email").observe(0.3)
    page = observe.render_metrics().decode()
    assert 'switchboard_test_twice_seconds_count{channel="email"} 2.0' in page
    assert "_created" not in page
    with pytest.raises(AssertionError, match="is a Histogram"):
        observe.gauge("test_twice_seconds", "x")


def test_a_gauge_may_be_asked_when_the_page_is_made() -> None:
    observe.gauge("test_depth", "x").set_function(lambda: 3)
    assert "switchboard_test_depth 3.0" in observe.render_metrics().decode()


@pytest.fixture
def hidden_too() -> Iterator[None]:
    observe.mask_also(mask_cards)
    yield
    observe.mask_also(None)


@pytest.mark.promise("OB-6")
@pytest.mark.usefixtures("hidden_too")
def test_what_a_house_keeps_nowhere_is_in_no_line_either() -> None:
    card, hidden = "4111 1111 1111 1111", "•••• 1111"
    assert observe.masked("why", f"not taken: {card}") == f"not taken: {hidden}"
    assert observe.masked("found", {"names": [card], card: OSError(card)}) == {
        "names": [hidden],
        hidden: f"OSError: {hidden}",
    }
