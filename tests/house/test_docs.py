"""What the pages say exists: every command, path, option, message, code and metric; and none of these is left out."""

from __future__ import annotations

import ast
import importlib
import json
import pkgutil
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_origin

import click
import pytest
from aiohttp import web
from jsonschema_rs import Draft7Validator
from msgspec import NODEFAULT, Struct
from msgspec.structs import fields

import channels
import router
from channels.chat import parse as chat_in
from channels.chat import render as chat_out
from channels.phone.kinds import KINDS as GATEWAYS
from channels.registry import KINDS
from router import errors, observe
from router.__main__ import cli
from router.agents import messages
from router.app import App
from router.cli import asyncapi
from router.engine.config import Config
from router.settings import Settings, load
from tests.house.pages import PAGES, ROOT, Fence, Page

pages = pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
AGENTS, CHAT, PHONE, EMAIL, SCANS, OPERATORS = (
    Page(ROOT / f"docs/{name}.md") for name in ("agents", "chat", "phone", "email", "scans", "operators")
)

# Words of other people's systems and of our own files, which no Python source has to name.
WIDGET = frozenset(  # what its tag is told, which is read in a browser
    f"data-{name}" for name in ("topic", "topics", "language", "look", "dir", "name", "visitor", "open")
) | {"light", "dark", "rtl", "ltr"}
FOREIGN = WIDGET | frozenset("flock fcntl transport_maps venv curl sales support body".split())  # noqa: SIM905
REPOSITORY = ("config/", "docs/", "deploy/", "router/", "channels/", "tests/")
FILES = (".db", ".secret", ".toml", ".py")
SCRIPT_VERBS = frozenset("test faults calls fuzz lint types format bench lock clean help".split())  # noqa: SIM905


# --- what there is ----------------------------------------------------------------------------------------------------


@cache
def words() -> frozenset[str]:
    """Every identifier of the sources and every text that stands in them."""
    found: set[str] = set()
    for path in [*ROOT.glob("router/**/*.py"), *ROOT.glob("channels/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Constant(value=str(text)):
                    found.add(text)
                case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name) | ast.keyword(arg=str(name)):
                    found.add(name)
                case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                    found.add(name)
    return frozenset(found)


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, re.Pattern[str]]]:
    """Method and path of everything that the daemon serves on the shipped configuration."""
    loaded = load(ROOT / "config/dev.toml", env={"SWITCHBOARD__DATA": str(tmp_path_factory.mktemp("data"))})
    app = App(loaded)
    found = []
    for route in app.http.app.router.routes():
        assert isinstance(route, web.AbstractRoute)
        assert route.resource is not None
        pattern = re.sub(r"\\{[^}]*}", "[^/]+", re.escape(route.resource.canonical))
        found.append((route.method, re.compile(pattern)))
    app.blobs.close()
    return found


def inner_struct(kind: Any) -> Any:
    """The struct within an optional, a table or a list; None where there is none."""
    if isinstance(kind, type) and issubclass(kind, Struct):
        return kind
    return next((found for part in get_args(kind) if (found := inner_struct(part)) is not None), None)


def has_option(dotted: str) -> bool:
    first, *rest = dotted.split(".")
    at: Any = KINDS[first].settings if first in KINDS else None
    if at is None:
        kind = {f.encode_name: f.type for owner in (Settings, Config) for f in fields(owner)}.get(first)
        at, table = inner_struct(kind), get_origin(kind) is dict
    else:
        table = False
    for step in rest:
        if table:
            table = False
            continue
        options = {f.encode_name: f.type for f in fields(at)} if at is not None else {}
        if step not in options:
            return False
        at, table = inner_struct(options[step]), get_origin(options[step]) is dict
    return True


SECTIONS = {f.encode_name for owner in (Settings, Config) for f in fields(owner)} | KINDS.keys()


# --- pages and spans --------------------------------------------------------------------------------------------------


@pages
def test_every_link_leads_somewhere(path: Path) -> None:
    for link in Page(path).links:
        if re.match(r"https?://", link):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name) if name else path
        assert target.exists(), link
        if anchor:
            assert anchor in Page(target).anchors, link


def demand(page: Path, check: Iterator[str]) -> None:
    wrong = list(check)
    assert wrong == [], page.name


@pages
def test_every_command_and_its_options_exist(path: Path) -> None:
    page = Page(path)
    lines = [line.strip() for fence in page.fences for line in fence.text.splitlines()]
    for text in [*page.spans, *lines]:
        found = re.match(r"(?:switchboard|\./run) +([^#|>]*)", text)
        if found and not (text.startswith("./run") and found[1].split()[0] in SCRIPT_VERBS):
            check_command(found[1].split())


def check_command(given: list[str]) -> None:
    command: click.Command = cli
    for word in given:
        if isinstance(command, click.Group) and not word.startswith("-"):
            assert word in command.commands, f"there is no command {word}"
            command = command.commands[word]
        elif word.startswith("--"):
            options = {name for parameter in command.params for name in parameter.opts} | {"--help"}
            assert word.partition("=")[0] in options, f"{command.name} has no option {word}"


@pages
def test_every_address_is_served(path: Path, routes: list[tuple[str, re.Pattern[str]]]) -> None:
    for span in Page(path).spans:
        found = re.fullmatch(r"(?:(GET|POST|DELETE) )?(/(?:v1|kiosk|livez|readyz|metrics)[^ ]*)", span)
        if found:
            method, asked = found[1], found[2].partition("?")[0]
            if asked.endswith(("...", "/")):  # the beginning of several
                beginning = re.sub(r"[A-Z]{2,}", "x", asked.rstrip(".")).rstrip("/")
                assert any(is_beginning(beginning, pattern) for _, pattern in routes), span
            elif asked not in ("/v1", "/v1/"):
                assert any(method in (None, verb) and pattern.fullmatch(asked) for verb, pattern in routes), span


def is_beginning(text: str, pattern: re.Pattern[str]) -> bool:
    steps, ours = pattern.pattern.replace("\\", "").replace("[^/]+", "*").split("/"), text.split("/")
    return len(ours) <= len(steps) and all(s in ("*", o) for s, o in zip(steps, ours, strict=False))


@pages
def test_every_option_and_every_file_exists(path: Path) -> None:
    for span in Page(path).spans:
        if span.startswith(REPOSITORY):
            assert list(ROOT.glob(span.rstrip("/").replace("X", "*"))), f"there is no {span}"
        elif is_option(span):
            assert has_option(span), f"there is no option {span}"


def is_option(span: str) -> bool:
    """Dotted names whose first part is a section, but no file names."""
    dotted = re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", span)
    return bool(dotted) and span.partition(".")[0] in SECTIONS - {"attributes"} and not span.endswith(FILES)


@pytest.mark.parametrize("path", sorted(ROOT.glob("docs/*.md")), ids=lambda path: path.name)
def test_every_word_in_code_letters_is_one_of_the_code(path: Path) -> None:
    unknown = {
        span
        for span in Page(path).spans
        if re.fullmatch(r"[a-z][a-z0-9]*(?:[_-][a-z0-9]+)+|[a-z]{3,}", span)
        and span not in words() | FOREIGN
        and not span.startswith("switchboard_")
    }
    assert unknown == set()


@pytest.mark.parametrize("path", sorted(ROOT.glob("docs/*.md")), ids=lambda path: path.name)
def test_every_json_example_is_json(path: Path) -> None:
    for fence in Page(path).fences:
        if fence.kind.startswith("json"):
            json.loads(fence.text)


# --- sockets ----------------------------------------------------------------------------------------------------------


def notation(kind: type[Struct], hidden: frozenset[str]) -> str:
    """`say {interaction, text?}`: the fields in their order, `?` behind what may be left out."""
    parts = [
        f.encode_name + ("" if f.default is NODEFAULT and f.default_factory is NODEFAULT else "?")
        for f in fields(kind)
        if f.encode_name not in hidden
    ]
    return f"{asyncapi.tag_of(kind)} {{{', '.join(parts)}}}"


def told(page: Page) -> set[str]:
    return {span for span in page.spans if re.fullmatch(r"[a-z_]+ \{[a-z_?, ]*\}", span)}


def test_the_agents_page_has_every_message_with_its_fields() -> None:
    ids, nothing = frozenset({"id"}), frozenset[str]()
    wanted = {notation(kind, ids) for kind in messages.CLIENT_MESSAGES}
    wanted |= {notation(kind, nothing) for kind in messages.SERVER_MESSAGES}
    assert told(AGENTS) == wanted


def test_the_chat_page_has_every_frame_with_its_fields() -> None:
    wanted = {notation(kind, frozenset()) for kind in get_args(chat_in.Frame)}
    wanted |= {notation(kind, frozenset({"seq"})) for kind in chat_out.Frame.__subclasses__()}
    assert told(CHAT) == wanted


@cache
def described() -> dict[str, Any]:
    return asyncapi.document()


def schema_of(link: str, direction: str, kind: str) -> dict[str, Any]:
    """A schema of the document that stands alone."""
    document = described()
    reference = document["components"]["messages"][f"{link}.{direction}.{kind}"]["payload"]["$ref"]
    return {"$ref": reference, "components": document["components"]}


def frames(page: Page) -> list[tuple[str, str]]:
    """(direction, text) of the captured conversations."""
    fences: list[Fence] = [fence for fence in page.fences if fence.kind.startswith("frames")]
    assert fences, f"{page.path.name} shows no conversation"
    lines = [line for fence in fences for line in fence.text.splitlines()]
    return [({">": "in", "<": "out"}[line[0]], line[2:]) for line in lines]


@pytest.mark.parametrize(("page", "link"), [(AGENTS, "agent"), (CHAT, "chat")], ids=["agents", "chat"])
def test_the_conversations_shown_follow_the_schemas(page: Page, link: str) -> None:
    shown = next(fence.text for fence in AGENTS.fences if fence.kind == "json interaction")
    for direction, text in frames(page):
        frame = json.loads(text.replace("{...}", shown))
        Draft7Validator(schema_of(link, direction, frame["type"])).validate(frame)


@pytest.mark.parametrize(("page", "link"), [(AGENTS, "agent"), (CHAT, "chat")], ids=["agents", "chat"])
def test_the_close_codes_are_all_of_them(page: Page, link: str) -> None:
    table = next(table for table in page.tables if table.header[0] == "close code")
    shown = {int(code) for row in table.rows for code in re.findall(r"\d{4}", row[0])}
    assert shown == set(map(int, described()["channels"][link]["x-close-codes"]))


# --- codes ------------------------------------------------------------------------------------------------------------


def kinds_of(error: type[errors.RouterError]) -> set[type[errors.RouterError]]:
    return {error}.union(*(kinds_of(kind) for kind in error.__subclasses__() if kind.__module__ == errors.__name__))


def test_every_code_that_a_caller_can_get_is_told() -> None:
    codes = {kind.code for kind in kinds_of(errors.ClientError) | kinds_of(errors.Refusal)} | {"config", "internal"}
    assert codes <= {*AGENTS.column("code"), *CHAT.column("code"), *PHONE.column("`code`"), *OPERATORS.column("`code`")}


LITERAL = {
    AGENTS: (ROOT / "router/agents/protocol.py", r'code="([a-z-]+)"'),
    CHAT: (ROOT / "channels/chat/protocol.py", r'_(?:error|refuse_hello|not_understood)\(line, "([a-z-]+)"'),
}


@pytest.mark.parametrize("page", LITERAL, ids=["agents", "chat"])
def test_every_code_of_a_link_stands_on_its_page(page: Page) -> None:
    path, pattern = LITERAL[page]
    codes = set(re.findall(pattern, path.read_text(encoding="utf-8")))
    assert codes
    assert codes <= set(page.column("code"))


def test_every_answer_of_the_mail_listeners_is_told() -> None:
    texts = [text for text in words() if re.match(r"[45]\d\d \d\.\d\.\d ", text)]
    given = {text[:9] for text in texts}
    told = {span for span in EMAIL.column("answer") if re.fullmatch(r"[45]\d\d \d\.\d\.\d", span)}
    assert told == given


def test_every_reason_for_quarantine_is_told() -> None:
    from channels.scan.intake import REASONS

    assert set(REASONS) <= set(SCANS.column("code"))


# --- operators --------------------------------------------------------------------------------------------------------


def test_the_table_of_metrics_is_all_of_them() -> None:
    """The table against what is registered; counters end in `_total`, as they are shown."""
    for package in (router, channels):
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)  # a module registers what it measures when it is read
    registered: dict[str, tuple[str, ...] | None] = {}
    for name, metric in observe._metrics.items():
        plain = name.removesuffix("_total")
        registered[plain + "_total" if isinstance(metric, observe.Counter) else plain] = metric._labelnames
    for family in observe.REGISTRY.collect():
        if family.name.startswith("switchboard_"):
            name = family.name + "_total" if family.type == "counter" else family.name
            registered.setdefault(name, None)  # collected by hand: its labels are known once it has values
    table = next(table for table in OPERATORS.tables if table.header[0] == "metric")
    shown = {row[0].strip("`"): tuple(re.findall(r"`(\w+)`", row[1])) for row in table.rows}
    assert set(shown) == set(registered)
    assert {n: labels for n, labels in shown.items() if registered[n] is not None} == {
        n: labels for n, labels in registered.items() if labels is not None
    }


def test_every_kind_of_gateway_is_told_of() -> None:
    table = next(table for table in PHONE.tables if table.header[0] == "kind")
    assert {row[0].strip("`"): tuple(re.findall(r"`(\w+)`", row[1])) for row in table.rows} == {
        name: kind.paths for name, kind in GATEWAYS.items()
    }
