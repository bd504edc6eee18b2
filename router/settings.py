"""From a configuration file to settings that may be used: one TOML file, decoded, checked, explained when it is wrong.

The file holds two kinds of things side by side. What the engine decides by (channels, queues, rules, agents ...:
`engine.config.Config`) becomes one document that is journaled. What the edges need (ports, limits, secrets) stays
outside the journal. Both are checked as a whole before anything starts (OB-4): every error names the dotted path, what
was expected and what was found, and what looks like a secret is never repeated.

Environment variables override single values: SWITCHBOARD__HTTP__PORT=9090 is `http.port`. They are read as TOML values
where they parse as such, otherwise as text.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import msgspec.inspect
from msgspec import Meta, Struct, field
from msgspec.structs import fields, replace

from channels.registry import KINDS, known_channels
from router.agents.settings import Settings as AgentLink
from router.almanac import with_almanacs
from router.desk.settings import Settings as Desk
from router.desk.settings import check as check_desk
from router.engine import config as engine
from router.engine.config import NAME, Duration
from router.engine.plan import channels_named, check_config
from router.errors import ConfigError
from router.http.access import check_exposure, check_tokens
from router.http.settings import HttpSettings
from router.journal.settings import JournalSettings
from router.service.accounts import AccountSettings
from router.service.accounts import check as check_accounts
from router.service.blobs import BlobSettings
from router.service.domains.parts import DomainSettings, split
from router.service.mailbox import MailboxSettings
from router.service.masking import MaskingSettings
from router.service.masking import check as check_masking
from router.service.outbox import OutboxSettings
from router.service.quarantine import QuarantineSettings
from router.service.remote.settings import LinkSettings
from router.service.sockets import SocketSettings

ENV_PREFIX = "SWITCHBOARD__"
_SECRET = re.compile(r"token|secret|password|key", re.IGNORECASE)


class Sockets(SocketSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The shared websocket port: agents under /agent, visitors under /chat."""

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535)] = 8081


class Operators(Struct, frozen=True, forbid_unknown_fields=True):
    """Who may use the operator API. Left out: nobody, and then nothing listens beyond loopback."""

    # Token -> name, as the audit shows it. Where `http` or `sockets` listen beyond loopback, at least 16 characters.
    tokens: dict[str, str] = field(default_factory=dict)


class Stop(Struct, frozen=True, forbid_unknown_fields=True):
    """How long each stage of stopping may take before the next one begins."""

    intake: Duration = Duration(10_000)  # contacts that are being taken
    outbox: Duration = Duration(5_000)  # deliveries under way; the rest is delivered after the next start
    edges: Duration = Duration(5_000)  # goodbyes and open requests


class Settings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All sections that are not the engine's. A channel's section that is left out switches that channel off."""

    data: str = "var"  # journal, blobs, drop folders, quarantine; relative to the working directory
    log_level: str = "info"  # debug, info, warning, error
    log_json: bool | None = None  # left out: JSON unless a person is watching
    http: HttpSettings = HttpSettings()
    sockets: Sockets = Sockets()
    agent_link: AgentLink = AgentLink()
    operators: Operators = Operators()
    accounts: AccountSettings = AccountSettings()
    desk: Desk = Desk()
    journal: JournalSettings = JournalSettings()
    link: LinkSettings = LinkSettings()
    # Parts of the house with an engine and a log of their own each: which agents and queues can meet. Each queue and
    # each agent is in one of them. Left out: the house is one.
    domains: dict[engine.Name, DomainSettings] = field(default_factory=dict)
    mailbox: MailboxSettings = MailboxSettings()
    outbox: OutboxSettings = OutboxSettings()
    blobs: BlobSettings = BlobSettings()
    quarantine: QuarantineSettings = QuarantineSettings()
    masking: MaskingSettings = MaskingSettings()
    stop: Stop = Stop()
    adapters: dict[str, Any] = field(default_factory=dict)  # kind -> its settings; in the file, a section for each

    def check_roles(self, roles: frozenset[str]) -> None:
        """Raise ConfigError for roles that these settings do not allow: "engine", "edge" or both."""
        if len(roles) == 2:
            if self.domains:
                expected = "engines and edges that are processes of their own (--roles engine, --roles edge)"
                raise ConfigError("domains", expected, "one process with both roles")
            return
        if self.journal.kind != "redis":
            raise ConfigError("journal.kind", "redis, for engines and edges that are processes of their own", "sqlite")
        if "engine" in roles and not self.link.listen:
            raise ConfigError("link.listen", "HOST:PORT where this engine listens for edges", "nothing")
        if not self.link.secret:
            raise ConfigError("link.secret", "what engines and edges prove that they know", "nothing")

    def check_domains(self, named: Iterable[str]) -> None:
        """Raise ConfigError where `serve --domains` names what is none."""
        for name in named:
            if not self.domains:
                raise ConfigError("--domains", "nothing, since this configuration has no [domains]", repr(name))
            if name not in self.domains:
                raise ConfigError("--domains", _instead(name, self.domains, "routing domain"), repr(name))


class Loaded(Struct, frozen=True):
    """A configuration that may be used."""

    settings: Settings
    config: engine.Config
    has_edges: bool = True  # false: the document was about what the engine decides by, and about nothing else
    path: str = ""  # of the file, for child processes that need the same journal

    @property
    def document(self) -> bytes:
        return engine.to_bytes(self.config)


ENGINE_KEYS = frozenset(f.encode_name for f in fields(engine.Config))
EDGE_KEYS = frozenset(f.encode_name for f in fields(Settings)) - {"adapters"}


def load(path: Path, env: Mapping[str, str] | None = None) -> Loaded:
    """Read and check a configuration file. Raises ConfigError."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError("file", "a file that can be read", error.strerror or str(error)) from error
    return replace(parse(content, os.environ if env is None else env), path=str(path))


def parse(content: bytes, env: Mapping[str, str] | None = None) -> Loaded:
    """As `load`, from the bytes of a TOML document, or of a JSON object of the same shape."""
    try:
        raw = _raw(content)
        has_edges = not raw.keys() <= ENGINE_KEYS
        for name, value in (env or {}).items():
            if name.startswith(ENV_PREFIX):
                _override(raw, name, value)
        return replace(from_data(raw), has_edges=has_edges)
    except RecursionError:
        raise ConfigError("file", "tables and lists of a few levels", "far too many, one within the other") from None


def _raw(content: bytes) -> dict[str, Any]:
    return _json(content) if content.lstrip().startswith(b"{") else _toml(content)


def _json(content: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(content, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise ConfigError("file", "a JSON object", str(error)) from error


def _toml(content: bytes) -> dict[str, Any]:
    text = _text(content)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _not_toml(str(error), text) from error
    except ValueError as error:  # a number of too many digits
        raise ConfigError("file", "TOML", str(error)) from error


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        rest = error.object  # without a mark at its beginning
        found = f"the byte 0x{rest[error.start]:02x}; save the file as UTF-8"
        raise ConfigError(_end_of(rest[: error.start].decode()), "text in UTF-8", found) from error


_TOML_AT = re.compile(
    r"(?P<what>.*) \((?:at line (?P<line>\d+), column (?P<column>\d+)|at end of document)\)", re.DOTALL
)


def _not_toml(said: str, text: str) -> ConfigError:
    """What the reader of TOML says, with the place before it."""
    found = _TOML_AT.fullmatch(said)
    if found is None:
        return ConfigError("file", "TOML", said)
    place = f"line {found['line']}, column {found['column']}" if found["line"] else _end_of(text)
    what = found["what"][:1].lower() + found["what"][1:]
    if twice := re.fullmatch(r"cannot declare \((.*?),?\) twice", what):
        table = ".".join(re.findall(r"'([^']*)'", twice[1]))
        return ConfigError(place, "each table once", f"{table} a second time")
    if what.startswith("expected "):
        return ConfigError(place, what.removeprefix("expected "))
    return ConfigError(place, "TOML", what)


def _end_of(text: str) -> str:
    """The place that follows this text."""
    return f"line {text.count(chr(10)) + 1}, column {len(text) - text.rfind(chr(10))}"


def from_data(raw: dict[str, Any]) -> Loaded:
    """As `load`, from decoded data."""
    known = ENGINE_KEYS | EDGE_KEYS | KINDS.keys()
    for key in raw:
        if key not in known:
            raise ConfigError(key, _instead(key, known, "section"), "an unknown section")
    adapters = {kind: _decode(raw[kind], KINDS[kind].settings, kind) for kind in KINDS if kind in raw}
    edges = _decode({k: v for k, v in raw.items() if k in EDGE_KEYS}, Settings, "")
    config = _decode({k: v for k, v in raw.items() if k in ENGINE_KEYS}, engine.Config, "")
    for kind, section in adapters.items():
        KINDS[kind].check(section)
    settings = replace(edges, adapters=adapters)
    config = with_almanacs(with_actions(config, adapters), datetime.now(UTC).year)
    _check_spelling(config, adapters)
    check_config(config)
    _check_together(settings, config)
    return Loaded(settings, config)


def _check_spelling(config: engine.Config, adapters: dict[str, Any]) -> None:
    """Where a channel is asked for that contacts come by, and what is defined is nearly that, its table is misspelt."""
    known = known_channels(adapters)
    strange = [name for name in config.channels if name not in known]
    for path, name in (*channels_named(config), *_channels_fed(adapters)):
        if name in known and name not in config.channels and (near := difflib.get_close_matches(name, strange, 1)):
            raise ConfigError(f"channels.{near[0]}", f"{name!r}, as {path} calls it", repr(near[0]))


def _channels_fed(adapters: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Every option of a channel's section that names one of the engine's channels, with the name."""
    for kind, section in adapters.items():
        yield from KINDS[kind].feeds(section).items()


def with_actions(config: engine.Config, adapters: dict[str, Any]) -> engine.Config:
    """Tell the engine what each channel's gateway must be told and can do, and whose contacts must not be ended."""
    wanted: dict[str, tuple[str, ...]] = {}
    consults: dict[str, tuple[str, ...]] = {}
    calls: dict[str, tuple[str, ...]] = {}
    asks: dict[str, tuple[str, ...]] = {}
    unheld: dict[str, tuple[str, ...]] = {}
    reaches: dict[str, tuple[engine.Reach, ...]] = {}
    lasting: set[str] = set()
    for kind, section in adapters.items():
        wanted |= KINDS[kind].actions(section)
        consults |= KINDS[kind].consults(section)
        calls |= KINDS[kind].calls(section)
        asks |= KINDS[kind].asks(section)
        unheld |= KINDS[kind].unheld(section)
        reaches |= KINDS[kind].reaches(section)
        lasting |= KINDS[kind].lasting(section)
    channels = {
        name: replace(
            c,
            actions=wanted.get(name, ()),
            consults=consults.get(name),
            calls=calls.get(name, ()),
            asks=asks.get(name, ()),
            unheld=unheld.get(name, ()),
            reaches=reaches.get(name, ()),
            lasting=c.lasting or name in lasting,
        )
        for name, c in config.channels.items()
    }
    return replace(config, channels=channels)


def _check_letters(adapters: Mapping[str, Any]) -> None:
    """What one channel would write to us by mail must be taken by another, or whoever wrote is turned away."""
    for kind, section in adapters.items():
        for path, address in KINDS[kind].letters(section).items():
            if not any(KINDS[other].takes(theirs, address) for other, theirs in adapters.items()):
                raise ConfigError(path, "one of email.addresses, which mail is taken for", repr(address))


def _check_together(settings: Settings, config: engine.Config) -> None:
    """What one section says of another."""
    for agent in settings.agent_link.tokens.values():
        if agent not in config.agents:
            raise ConfigError("agent_link.tokens", _instead(agent, config.agents, "agent"), repr(agent))
    if settings.log_level not in ("debug", "info", "warning", "error"):
        raise ConfigError("log_level", "debug, info, warning or error", repr(settings.log_level))
    if "\0" in settings.data:
        raise ConfigError("data", "the path of a folder", repr(settings.data))
    for path, channel in _channels_fed(settings.adapters):
        if channel not in config.channels:
            raise ConfigError(path, _instead(channel, config.channels, "channel"), repr(channel))
    for kind, section in settings.adapters.items():
        for name, person in config.agents.items():
            if expected := KINDS[kind].endpoint(section, person.endpoint):
                raise ConfigError(f"agents.{name}.endpoint", expected, repr(person.endpoint))
    _check_addresses(settings)
    _check_letters(settings.adapters)
    check_masking(settings.masking)
    settings.journal.check()
    settings.link.check()
    if settings.link.listen and settings.journal.kind != "redis":
        raise ConfigError("link.listen", 'nothing unless journal.kind is "redis"', repr(settings.link.listen))
    if settings.domains:
        if settings.journal.kind != "redis":
            raise ConfigError("journal.kind", "redis, since there are routing domains", repr(settings.journal.kind))
        split(config, settings.domains)
    if settings.journal.kind == "redis":
        from router.journal.redis_link import check_url  # its client takes a third of a second to import

        check_url(settings.journal.url)
        for kind, section in settings.adapters.items():
            if getattr(section, "token_secret", None) == "":
                expected = 'a secret that all daemons share, since journal.kind is "redis"'
                raise ConfigError(f"{kind}.token_secret", expected, "none")
    check_desk(settings.desk, config.queues)
    check_accounts(settings.accounts, config.teams)
    check_exposure(settings.http, settings.operators.tokens)
    check_tokens(
        {"http.host": settings.http.host, "sockets.host": settings.sockets.host},
        {"operators.tokens": settings.operators.tokens, "agent_link.tokens": settings.agent_link.tokens},
    )


def _check_addresses(settings: Settings) -> None:
    """No two parts can listen at one address. Port 0 is any that is free."""
    wanted = {
        "http.port": (settings.http.host, settings.http.port),
        "sockets.port": (settings.sockets.host, settings.sockets.port),
    }
    for kind, section in settings.adapters.items():
        wanted |= KINDS[kind].listens(section)
    taken: dict[tuple[str, int], str] = {}
    for path, address in wanted.items():
        if address[1] and taken.setdefault(address, path) != path:
            raise ConfigError(path, "a port of its own", f"{address[1]}, that of {taken[address]}")


# --- decoding, with errors that say where -----------------------------------------------------------------------------


def _decode(raw: Any, kind: Any, path: str) -> Any:
    try:
        return msgspec.convert(raw, kind, dec_hook=engine.decode_hook)
    except msgspec.ValidationError as error:
        raise explained(error, raw, kind, path) from error


_AT = re.compile(r"^(?P<what>.*?)(?: - at (?P<key>`key` in )?`(?P<where>[^`]*)`)?$", re.DOTALL)
NAME_PATTERN = NAME.replace("\\", "\\\\")  # as msgspec prints it
_SHAPE = re.compile(r"matching regex ('.*')")
_LANGUAGE = 'a language such as "en" or "pt-BR"'
_COUNTRY = 'a country as two capital letters, such as "US"'
# What texts of settings must look like, for people: by the pattern, as msgspec prints it.
SHAPES = {
    repr(pattern): words
    for pattern, words in {
        r"^[A-Za-z0-9_.-]{1,64}$": "1 to 64 letters, digits, _ . -",
        r"^[A-Za-z0-9_.:-]{0,64}$": "at most 64 letters, digits, _ . : -",
        r"^(everysec|always|wait:[1-9])$": '"everysec", "always", or "wait:N" with 1 to 9 replicas',
        r"^[a-z][a-z0-9_]{0,39}$": "a name of a-z, 0-9 and _ that begins with a letter and has at most 40 of them",
        r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$": _LANGUAGE,
        r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$": _LANGUAGE,
        r"^[A-Z]{1,2}$": "one or two capital letters",
        r"^([A-Z]{2})?$": _COUNTRY,
        r"^[A-Za-z_]{2,20}$": 'a language as tesseract names it, such as "eng" or "chi_sim"',
        r"^(https?://\S+)?$": "an address that begins with http:// or https://",
        r"^(https?://[^/?#\s]+/?)?$": 'an address without a path, such as "https://router.example.org"',
        r"^[A-Za-z0-9-]{0,64}$": "at most 64 letters, digits and -",
        r"^[0-9A-D*#]$(?!\n)": "one key of a telephone: 0 to 9, A to D, * or #",
    }.items()
}
_NAME = re.compile(r"[a-z0-9_.-]+")
_EXPECTED = re.compile(r"`(?P<kinds>[a-z |]+)`(?: of length)?(?: (?P<limit>[<>]=?) (?P<number>[\d.e+-]+))?")
_KINDS = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
    "null": "nothing",
}
_LIMITS = {">=": "at least", "<=": "at most", ">": "more than", "<": "less than"}
OPTIONS_TOLD = 12  # of a table with more of them none is told but the nearest: all stand in the reference
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]|\[\.\.\.\]")


def explained(error: msgspec.ValidationError, raw: Any, kind: Any, path: str = "") -> ConfigError:
    """msgspec's error with a path that names the keys of tables, too, and with the value that was found."""
    found = _AT.match(str(error))
    assert found is not None
    what, where = found["what"], found["where"] or "$"
    steps = list(_steps(where, raw, kind, str(error)))
    at: Any = raw
    for step in steps:
        at = at[step] if not isinstance(at, Mapping) or step in at else None
    if found["key"]:
        steps.append(next((k for k in at if _fails_alone(raw, steps, k, kind, str(error))), "?"))
        at = steps[-1]
    dotted = _dotted([*([path] if path else []), *_without_secrets(steps)])
    unknown = re.search(r"unknown field `([^`]*)`", what)
    if unknown:
        within = _dotted([dotted, unknown[1]]) if dotted else unknown[1]
        return ConfigError(within, _option_meant(unknown[1], _options(kind, steps)), repr(unknown[1]))
    missing = re.search(r"missing required field `([^`]*)`", what)
    if missing:
        return ConfigError(_dotted([dotted, missing[1]]) if dotted else missing[1], "a value", "nothing")
    expected = _in_words(re.sub(r"^[Ee]xpected ", "", what.split(", got ")[0]))
    if what.startswith("Invalid enum value"):
        expected = "one of " + ", ".join(_choices(kind, steps))
    if NAME_PATTERN in what:
        expected = _name_wanted(at)
    shape = _SHAPE.search(what)
    if shape and shape[1] in SHAPES:
        expected = SHAPES[shape[1]]
    return ConfigError(dotted or "file", expected, _shown(dotted, at))


def _in_words(expected: str) -> str:
    """What the library expects, as people who write TOML call it."""
    parted = _EXPECTED.fullmatch(expected)
    if parted is None:
        return expected
    kinds = [_KINDS.get(kind, kind) for kind in parted["kinds"].split(" | ")]
    words, limit = " or ".join(kinds), parted["limit"]
    if limit is None:
        return words
    of = {"a text": " characters", "a list": " entries", "a table": " entries"}.get(kinds[0], "")
    return f"{words} of {_LIMITS[limit]} {parted['number']}{of}"


def _without_secrets(steps: list[str | int]) -> list[str | int]:
    """Tokens are the keys of their tables, and are not repeated either."""
    return ["(a token)" if i and steps[i - 1] == "tokens" else step for i, step in enumerate(steps)]


def _name_wanted(found: Any) -> str:
    wanted = "a name of a-z, 0-9, _ . -"
    if isinstance(found, str) and _NAME.fullmatch(found):
        wanted += " that begins with a letter or digit and has at most 64 of them"
    return wanted


def _choices(kind: Any, steps: list[str | int]) -> list[str]:
    """The values that the type of an option lists."""
    types = _types_at(kind, steps)
    return [repr(value) for one in types if isinstance(one, msgspec.inspect.LiteralType) for value in one.values]


def _options(kind: Any, steps: list[str | int]) -> list[str]:
    """The options that a table has."""
    types = _types_at(kind, steps)
    return [option.encode_name for one in types if isinstance(one, msgspec.inspect.StructType) for option in one.fields]


def _option_meant(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    if near:
        return f"the option {near[0]!r}"
    return "a known option" + (f" ({', '.join(known)})" if len(known) <= OPTIONS_TOLD else "")


def _types_at(kind: Any, steps: list[str | int]) -> list[msgspec.inspect.Type]:
    """What may stand at the end of this way."""
    types = list(_plain(msgspec.inspect.type_info(kind)))
    for step in steps:
        types = [inner for outer in types for part in _inside(outer, step) for inner in _plain(part)]
    return types


def _plain(kind: msgspec.inspect.Type) -> Iterator[msgspec.inspect.Type]:
    match kind:
        case msgspec.inspect.Metadata(type=inner):
            yield from _plain(inner)
        case msgspec.inspect.UnionType(types=several):
            for one in several:
                yield from _plain(one)
        case _:
            yield kind


def _inside(kind: msgspec.inspect.Type, step: str | int) -> list[msgspec.inspect.Type]:
    match kind:
        case msgspec.inspect.StructType(fields=options):
            return [option.type for option in options if option.encode_name == step]
        case msgspec.inspect.DictType(value_type=inner):
            return [inner]
        case msgspec.inspect.ListType(item_type=inner) | msgspec.inspect.VarTupleType(item_type=inner):
            return [inner]
    return []


def _steps(where: str, raw: Any, kind: Any, message: str) -> Iterator[str | int]:
    """The keys on the way; `[...]` stands for a key of a table, found by trying each one alone."""
    at, way = raw, []  # type: ignore[var-annotated]
    for match in _STEP.finditer(where):
        if match[1] is not None:
            step: str | int = match[1]
        elif match[2] is not None:
            step = int(match[2])
        else:
            step = next((k for k in at if _fails_alone(raw, way, k, kind, message)), "?")
        yield step
        way.append(step)
        at = at.get(step, {}) if isinstance(at, Mapping) else at[int(step)]


def _fails_alone(raw: Any, way: list[str | int], key: str, kind: Any, message: str) -> bool:
    """Whether the same error comes when the table at `way` has this key only."""
    alone = _only(raw, way, key)
    try:
        msgspec.convert(alone, kind, dec_hook=engine.decode_hook)
    except msgspec.ValidationError as error:
        return str(error) == message
    return False


def _only(raw: Any, way: list[str | int], key: str) -> Any:
    if not way:
        return {key: raw[key]}
    first, rest = way[0], way[1:]
    if isinstance(raw, Mapping):
        return {**raw, first: _only(raw[first], rest, key)}
    return [_only(x, rest, key) if i == first else x for i, x in enumerate(raw)]


def _dotted(steps: list[Any]) -> str:
    text = ""
    for step in steps:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def _shown(path: str, value: Any) -> str:
    if _SECRET.search(path.rsplit(".", 1)[-1]):
        return "a value that is not shown, since it may be a secret"
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _instead(name: str, known: Any, kind: str) -> str:
    if not known:
        return f"a configured {kind}, and no {kind} is configured"
    near = difflib.get_close_matches(name, list(known), 1)
    return f"{near[0]!r}" if near else "one of " + ", ".join(sorted(known))


def _override(raw: dict[str, Any], name: str, value: str) -> None:
    *way, last = name[len(ENV_PREFIX) :].lower().split("__")
    at = raw
    for step in way:
        at = at.setdefault(step, {})
        if not isinstance(at, dict):
            raise ConfigError(name, "the name of a setting", f"{step} is not a section")
    try:
        at[last] = tomllib.loads(f"value = {value}")["value"]
    except ValueError:
        at[last] = value
