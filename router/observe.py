"""What the process tells about itself: structured logs and metrics.

Logs. A line is a fact with fields: a fixed sentence, `action` to search by, then what it is about
(`log.info("Offer expired", action="offer_expired", interaction="i-7", agent="ana", waited_ms=20_000)`). On a terminal
it is readable, otherwise one JSON object. What libraries say through `logging` takes the same way out, first line only.

Masking (OB-6) is the last thing before a line is rendered, for every line, and does not rely on the caller's care:
- a field whose name looks like a secret is printed as "***", whatever it holds; so is what follows such a name
  in a text;
- fields that carry customers' words (text, subject, body, notes...) are dropped;
- phone numbers and mail addresses are shortened, in any field: enough to recognise one, not enough to use it;
- what the house hides from its records (`mask_also`) is hidden from any text;
- a value that is not plain data is named by its type only, since it may hold any of these;
- of an exception the frames are shown, but its message only where it is about code or the machine, not about data.

Metrics live in one registry of ours. A metric has a bounded number of series: a label that an outsider can choose must
not be able to fill the memory, so label values beyond the bound are counted together as "other".

A leaf: imports nothing of ours but the errors.
"""

from __future__ import annotations

import asyncio
import logging
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePath
from types import TracebackType
from typing import IO, Any, TypeVar, cast

import msgspec
import prometheus_client as prometheus
import structlog
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from router.errors import ConfigError, RouterError

# --- masking ----------------------------------------------------------------------------------------------------------

HIDDEN = "***"
_SECRECY = r"token|passw|secret|authorization|signature|cookie|api[_-]?key|private[_-]?key|credential"
_SECRECY_NAME = re.compile(_SECRECY, re.IGNORECASE)
WORDS = frozenset({"text", "subject", "body", "notes", "note", "content", "html", "transcript", "words"})
_ADDRESS_NAMES = frozenset(
    {"from", "to", "sender", "recipient", "phone", "caller", "callee", "customer", "identity", "address", "endpoint"}
)

_IN_TEXT = re.compile(
    rf"(?i)([\w-]*(?:{_SECRECY})[\w-]*[\"']?\s*[=:]\s*[\"']?)(?:(?:bearer|basic)\s+)?[^\s\"'&,;)\]}}]+"
)
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{4,}")
_MAIL = re.compile(r"([^\s@<>\"',;:()\[\]=]{1,64})@([^\s@<>\"',;:()\[\]]{1,255})")
_PHONE = re.compile(r"(?<![\w.])\+\d(?:[ ().-]{0,2}\d){5,18}(?!\d)")
_BARE_PHONE = re.compile(r"(?<![\w.+-])\d(?:[ ().-]{0,2}\d){6,18}(?![\w-])")

# Messages of these speak of code or of the machine. Any other exception may quote what a customer sent.
_SPEAK_OF_CODE = (
    RouterError,
    OSError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    NameError,
    RuntimeError,
    TypeError,
)

TEXT_MAX = 500  # characters of one value: a line is a fact, not a document
DEPTH_MAX = 4  # of nested values; nothing that we log on purpose is deeper
ITEMS_MAX = 50  # of one list or table


_also: Callable[[str], str] | None = None


def mask_also(mask: Callable[[str], str] | None) -> None:
    """From now on every text goes through this, too: numbers of payment cards, and what else a house keeps nowhere."""
    global _also
    _also = mask


def short_phone(number: str) -> str:
    """`+15555550100` as `+1555***100`. At least four digits are hidden, so a short number shows less."""
    plus, digits = number.startswith("+"), re.sub(r"\D", "", number)
    head = max(0, min(4, len(digits) - 7))
    return f"{'+' if plus else ''}{digits[:head]}{HIDDEN}{digits[-3:] if len(digits) > 6 else ''}"


def short_mail(local: str, domain: str) -> str:
    return f"{local[:1]}{HIDDEN}@{domain}"


def scrub(text: str, is_address: bool = False) -> str:
    """A text without secrets, numbers and addresses. `is_address`: digits without a plus count as a number too."""
    text = text[: TEXT_MAX + 200]  # what is cut off below must not hide the start of something that is masked
    if _also is not None:
        text = _also(text)
    if "@" in text:
        text = _MAIL.sub(lambda found: short_mail(found[1], found[2]), text)
    if "+" in text:
        text = _PHONE.sub(lambda found: short_phone(found[0]), text)
    if is_address:
        text = _BARE_PHONE.sub(lambda found: short_phone(found[0]), text)
    text = _IN_TEXT.sub(rf"\1{HIDDEN}", text)
    text = _BEARER.sub(rf"\1 {HIDDEN}", text)
    return text if len(text) <= TEXT_MAX else f"{text[:TEXT_MAX]}..."


def masked(name: str, value: Any, depth: int = 0) -> Any:
    """The value as it may be printed under this name."""
    if _SECRECY_NAME.search(name):
        return HIDDEN
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return scrub(value, name.lower() in _ADDRESS_NAMES)
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    if isinstance(value, BaseException):
        return what_went_wrong(value)
    if isinstance(value, PurePath):
        return scrub(str(value))
    if depth >= DEPTH_MAX:
        return "..."
    if isinstance(value, Mapping):
        kept = [(str(k), v) for k, v in list(value.items())[:ITEMS_MAX] if str(k).lower() not in WORDS]
        return {scrub(k): masked(k, v, depth + 1) for k, v in kept}
    if isinstance(value, list | tuple | set | frozenset):
        return [masked(name, v, depth + 1) for v in list(value)[:ITEMS_MAX]]
    return f"<{type(value).__name__}>"


def what_went_wrong(problem: BaseException) -> str:
    """`OSError: no space left`, but only `ValueError` where the message may quote a customer."""
    name = type(problem).__name__
    text = str(problem) if isinstance(problem, _SPEAK_OF_CODE) else ""
    return f"{name}: {scrub(text)}" if text else name


def frames(problem: BaseException) -> str:
    """The traceback down to the first cause. Source lines are code, so they may be shown; messages only as above."""
    parts, seen, current = [], set(), cast("BaseException | None", problem)
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        parts.append("".join(traceback.format_tb(current.__traceback__)) + what_went_wrong(current))
        if isinstance(current, BaseExceptionGroup):
            parts += [f"  within: {frames(part)}" for part in current.exceptions[:5]]
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return "\n-- caused by --\n".join(parts)


ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


def _exception_of(info: BaseException | ExcInfo | bool | None) -> BaseException | None:
    if isinstance(info, BaseException):
        return info
    if isinstance(info, tuple):
        return info[1]
    return sys.exc_info()[1] if info else None


def mask(logger: WrappedLogger, method: str, line: EventDict) -> EventDict:
    """The processor that every line passes. What structlog itself keeps for its formatter (`_...`) is left alone."""
    problem = _exception_of(line.pop("exc_info", None))
    clean: EventDict = {}
    for name, value in line.items():
        if name.startswith("_"):
            clean[name] = value
        elif name.lower() not in WORDS:
            clean[scrub(name)] = masked(name, value)
    if problem is not None:
        clean["error"] = what_went_wrong(problem)
        clean["trace"] = frames(problem)
    return clean


# --- logs -------------------------------------------------------------------------------------------------------------

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

# Libraries print data at their lower levels (frames, mails, addresses), so nothing below this is taken from them.
LIBRARIES_FROM = logging.WARNING


class Sink:
    """Where lines go: one write for each. A log that cannot be written is counted and never stops the work."""

    def __init__(self) -> None:
        self.stream: Any = None  # a file of text or bytes; None: standard error as it is at that moment
        self.lost = 0

    def msg(self, line: str | bytes) -> None:
        data = line if isinstance(line, bytes) else line.encode("utf-8", "backslashreplace")
        stream: Any = self.stream or sys.stderr
        try:
            raw = getattr(stream, "buffer", None)
            if raw is not None:
                raw.write(data + b"\n")
            elif "b" in getattr(stream, "mode", "") or not hasattr(stream, "encoding"):
                stream.write(data + b"\n")
            else:
                stream.write(data.decode() + "\n")
            stream.flush()
        except (OSError, ValueError):  # a full disk, a reader that went away, a stream that was closed
            self.lost += 1

    log = debug = info = warning = error = critical = exception = fatal = failure = err = warn = msg

    def isatty(self) -> bool:
        stream = self.stream or sys.stderr
        return bool(getattr(stream, "isatty", lambda: False)())


SINK = Sink()
_encode = msgspec.json.Encoder(enc_hook=lambda value: f"<{type(value).__name__}>").encode


def render_json(logger: WrappedLogger, method: str, line: EventDict) -> bytes:
    """Fixed fields first, so that lines read in columns."""
    ordered = {name: line.pop(name) for name in ("at", "level", "area", "event") if name in line}
    return _encode({**ordered, **line})


def render_console(logger: WrappedLogger, method: str, line: EventDict) -> str:
    trace = line.pop("trace", "")
    return str(_console(logger, method, line)) + (f"\n{trace}" if trace else "")


_console = structlog.dev.ConsoleRenderer(timestamp_key="at", exception_formatter=lambda out, info: None)

_SHAPE: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
    mask,
]
# Changed in place by `setup`, so that loggers that were used before follow.
_PROCESSORS: list[Processor] = [*_SHAPE, render_json]


def get_logger(area: str) -> FilteringBoundLogger:
    """The logger of one area of the house ("http", "email"). Costs nothing until it is used; ask once per module."""
    return cast("FilteringBoundLogger", structlog.get_logger(area=area))


class _FromLibraries(logging.Handler):
    """Gives records of the standard library's logging to our sink."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            SINK.msg(self.format(record))
        except Exception:  # noqa: BLE001 - logging asks for exactly this: a bad record is reported, not raised
            self.handleError(record)


def _of_library(logger: WrappedLogger, method: str, line: EventDict) -> EventDict:
    """Names the library, and keeps the first line: further ones are reprs of whatever it was working on."""
    record = line.get("_record")
    line["area"] = f"library.{record.name}" if record is not None else "library"
    line["event"] = str(line.get("event", "")).partition("\n")[0]
    return line


def _formatter(as_json: bool) -> logging.Formatter:
    def text(logger: WrappedLogger, method: str, line: EventDict) -> str:
        return render_json(logger, method, line).decode() if as_json else render_console(logger, method, line)

    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[_of_library, *_SHAPE],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, text],
        # The exception travels in `exc_info`, which `mask` turns into frames; the record must not print it again.
        keep_exc_info=False,
    )


def setup(level: str = "info", json: bool | None = None, stream: IO[Any] | None = None) -> None:
    """Once, at start. `json` None: readable on a terminal, JSON otherwise. `stream` None: standard error.

    A logger keeps the level that was set when it was first used. Raises ConfigError for an unknown level.
    """
    if level not in LEVELS:
        raise ConfigError("log.level", f"one of {', '.join(LEVELS)}", repr(level))
    SINK.stream = stream
    as_json = not SINK.isatty() if json is None else json
    _PROCESSORS[:] = [*_SHAPE, render_json if as_json else render_console]
    _configure(LEVELS[level], cache=True)
    handler = _FromLibraries(LIBRARIES_FROM)
    handler.setFormatter(_formatter(as_json))
    root = logging.getLogger()
    root.handlers[:] = [*(old for old in root.handlers if not isinstance(old, _FromLibraries)), handler]
    root.setLevel(LIBRARIES_FROM)
    logging.captureWarnings(True)


def _configure(level: int, cache: bool) -> None:
    structlog.configure(
        processors=_PROCESSORS,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *args: SINK,
        cache_logger_on_first_use=cache,
    )


_configure(logging.INFO, cache=False)  # before `setup`, and in tests, lines are masked as well


def report_stray(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """For `loop.set_exception_handler`: what nobody awaited, without the reprs that asyncio prints."""
    problem = context.get("exception")
    task = context.get("task") or context.get("future")
    name = task.get_name() if isinstance(task, asyncio.Task) else ""
    said = str(context.get("message", "")).partition("\n")[0]
    get_logger("loop").error("Unhandled in the event loop", action="unhandled", said=said, task=name, exc_info=problem)


bind = structlog.contextvars.bound_contextvars  # with bind(interaction="i-7"): every line within carries it


# --- metrics ----------------------------------------------------------------------------------------------------------

PREFIX = "switchboard_"

# Series of one metric. Ours have a handful (a channel, a queue, a code); beyond that somebody is inventing values.
SERIES_MAX = 200

# Seconds. From a single pass of the engine to a slow customer's gateway.
BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

REGISTRY = prometheus.CollectorRegistry(auto_describe=True)
prometheus.disable_created_metrics()  # type: ignore[no-untyped-call] # a time of creation for every series doubles the page and nobody reads it
prometheus.ProcessCollector(registry=REGISTRY)
prometheus.GCCollector(registry=REGISTRY)

M = TypeVar("M", bound="Counter | prometheus.Gauge | prometheus.Histogram")


class Series:
    """One line of a counter. Without a lock: a counter is counted up in one thread, and read in any."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: float = 0

    def inc(self, amount: float = 1) -> None:
        self.value += amount


class Counter(Collector):
    """Only goes up. Plain numbers, since something is counted at every step of the way: the page is made from them when
    somebody reads it."""

    def __init__(self, name: str, doc: str, labels: tuple[str, ...], registry: prometheus.CollectorRegistry) -> None:
        self._name, self._doc, self._labelnames = name, doc, labels
        self._alone = Series()  # where there are no labels
        self._series: dict[tuple[str, ...], Series] = {} if labels else {(): self._alone}
        registry.register(self)

    def inc(self, amount: float = 1) -> None:
        assert not self._labelnames, f"{self._name} has the labels {self._labelnames}"
        self._alone.value += amount

    def labels(self, *values: object) -> Series:
        """Keep the answer where the label is known beforehand: this look-up costs more than the counting."""
        key = tuple([str(value) for value in values])
        return self._series.get(key) or self._begin(key)

    def _begin(self, key: tuple[str, ...]) -> Series:
        assert len(key) == len(self._labelnames) > 0, f"{self._name} has the labels {self._labelnames}"
        if len(self._series) >= SERIES_MAX:
            key = ("other",) * len(self._labelnames)
        return self._series.setdefault(key, Series())

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(self._name, self._doc, labels=self._labelnames)
        for values, series in list(self._series.items()):
            family.add_metric(values, series.value)
        yield family


class _Bounded:
    """What gauges and histograms share: no more series than SERIES_MAX."""

    _labelnames: Any
    _metrics: Any

    def labels(self, *values: Any, **named: Any) -> Any:
        """Keep the answer where the label is known beforehand: this look-up costs more than the counting."""
        key = tuple(str(v) for v in values) if values else tuple(str(named[n]) for n in self._labelnames)
        if key not in self._metrics and len(self._metrics) >= SERIES_MAX:
            key = ("other",) * len(self._labelnames)
        return super().labels(*key)  # type: ignore[misc]


class Gauge(_Bounded, prometheus.Gauge):
    """A level. A function given to `set_function` is called in the thread that renders: it may only read one value."""


class Histogram(_Bounded, prometheus.Histogram):
    """How values are spread; seconds unless buckets are given."""


_metrics: dict[str, Any] = {}


def _metric(kind: type[M], name: str, doc: str, labels: tuple[str, ...], **more: Any) -> M:
    """The metric of this name, made when it is asked for first: two adapters of a kind share one."""
    name = name if name.startswith(PREFIX) else PREFIX + name
    known = _metrics.get(name)
    if known is None:
        known = _metrics[name] = kind(name, doc, labels, registry=REGISTRY, **more)
    assert type(known) is kind, f"{name} is a {type(known).__name__}"
    assert known._labelnames == tuple(labels), f"{name} has the labels {known._labelnames}"
    return known


def counter(name: str, doc: str, labels: tuple[str, ...] = ()) -> Counter:
    """`counter("mails_total", "Mails taken.", ("outcome",)).labels("recorded").inc()`; the prefix is added."""
    return _metric(Counter, name, doc, labels)


def gauge(name: str, doc: str, labels: tuple[str, ...] = ()) -> Gauge:
    return _metric(Gauge, name, doc, labels)


def histogram(name: str, doc: str, labels: tuple[str, ...] = (), buckets: tuple[float, ...] = BUCKETS) -> Histogram:
    return _metric(Histogram, name, doc, labels, buckets=buckets)


METRICS_TYPE = prometheus.CONTENT_TYPE_LATEST

_lost = gauge("log_lines_lost", "Log lines that could not be written.")
_lost.set_function(lambda: SINK.lost)


def render_metrics() -> bytes:
    """The page for `/metrics`. Takes up to 100 ms: call it in a thread."""
    return prometheus.generate_latest(REGISTRY)
