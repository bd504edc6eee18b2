"""Imports point one way, and the walk that says so is itself shown to notice."""

from pathlib import Path

import pytest

from tests.house.layers import OURS, may_import, place_of, room_of, sources, violations

ROOT = Path(__file__).parents[2]


def build(root: Path, files: dict[str, str]) -> Path:
    """A tree with these files, and an empty one for each room they may name."""
    rooms = ["app", "http", "agents", "service", "engine", "errors", "observe", "bench"]
    places = [*OURS, *(f"router/{room}" for room in rooms), "channels/email", "channels/chat"]
    for name in (f"{place}/__init__.py" for place in places):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    for name, text in files.items():
        (root / name).write_text(text, encoding="utf-8")
    return root


def test_imports_point_one_way() -> None:
    assert violations(ROOT) == []


def test_every_module_has_a_place() -> None:
    """A new room is a decision: it gets its place in the table before it gets its first import."""
    special = {*OURS, "router.observe", "router.simulate", "router.bench"}
    rooms = {room_of(".".join(path.relative_to(ROOT).with_suffix("").parts)) for path in sources(ROOT)}
    homeless = {room for room in rooms - special if place_of(room) is None}
    assert homeless - {f"{package}.__init__" for package in OURS} == set()


@pytest.mark.parametrize("package", OURS)
def test_package_files_stay_thin(package: str) -> None:
    assert len((ROOT / package / "__init__.py").read_text(encoding="utf-8").splitlines()) < 20


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("router/service/writer.py", "import router.http"),
        ("router/service/writer.py", "from router import app"),
        ("router/service/writer.py", "def late():\n    from ..agents import protocol"),
        (
            "router/service/writer.py",
            "import typing\nif typing.TYPE_CHECKING:\n    from router.app import X",
        ),
        ("router/service/writer.py", "import importlib\nimportlib.import_module('channels.email.parse')"),
        ("router/service/writer.py", "from router.bench import load"),
        ("router/http/server.py", "from router.agents import protocol"),
        ("channels/email/adapter.py", "from channels.chat import parse"),
        ("channels/email/adapter.py", "from .. import chat"),
        ("channels/__init__.py", "from channels.email import parse"),
        ("router/engine/decide.py", "from router.observe import log"),
        ("router/engine/decide.py", "import time"),
        ("router/engine/decide.py", "def now():\n    from asyncio import get_running_loop"),
        ("router/engine/decide.py", "import channels"),
        ("router/errors/tree.py", "from router.engine import model"),
        ("router/observe/logs.py", "from router.service import clock"),
        ("router/__main__.py", "from router.bench import load"),
        ("router/app/build.py", "import router.attic"),
    ],
)
def test_a_forbidden_import_is_found(tmp_path: Path, file: str, text: str) -> None:
    found = violations(build(tmp_path, {file: text}))
    assert len(found) == 1
    assert found[0].startswith(f"{file}:{len(text.splitlines())}: ")


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("router/app/build.py", "from router import __version__, http\nimport channels.email.adapter"),
        (
            "router/service/writer.py",
            "import asyncio\nfrom router.engine.decide import go\nfrom ..observe import log",
        ),
        ("router/engine/decide.py", "import datetime\nfrom .model import State\nfrom ..errors import ClientError"),
        ("channels/email/adapter.py", "from .parse import parse_mail\nfrom router.service import ports"),
        ("router/__main__.py", "def bench():\n    from router.bench import load"),
        ("router/bench/load.py", "from router.app import build"),
    ],
)
def test_an_allowed_import_is_not(tmp_path: Path, file: str, text: str) -> None:
    assert violations(build(tmp_path, {file: text})) == []


def test_the_simulator_sees_the_engine_and_nothing_to_its_left() -> None:
    rooms = ["router.engine", "router.errors", "router.observe", "router.journal", "router.service", "router.app"]
    assert [room for room in rooms if may_import("router.simulate", room)] == rooms[:3]
