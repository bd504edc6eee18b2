"""The benchmark of several machines in small: real processes behind one engine, one start for all of this file."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from router.__main__ import cli
from router.bench import machines, profiled
from router.bench.crowd import shares
from router.bench.estate import SPARE_FILES, Estate, allow_files, estate, parted
from router.bench.measure import Figures
from router.errors import ConfigError
from router.service.domains.parts import split
from router.settings import parse
from tests.support.redis import installed

AGENTS = 200


@pytest.fixture(scope="module")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("profile")


@pytest.fixture(scope="module")
def house(sampled: Path) -> Iterator[Estate]:
    installed()
    with estate(2, AGENTS, profile=str(sampled)) as found:
        yield found


@pytest.mark.system
def test_agents_are_held_over_two_edges_and_each_hears_of_their_offers(house: Estate) -> None:
    found = machines.drive("held", house.told(), AGENTS, 40.0, 0.5)
    assert found["held"] == AGENTS
    assert 0 < found["p50_us"] <= found["p99_us"]
    assert {name for name in found if name.startswith("rss.")} == {f"rss.{name}" for name in house.pids}
    for edge in ("edge-1", "edge-2"):
        assert found[f"rss.{edge}"] > found[f"base.{edge}"]  # sockets cost memory


@pytest.mark.system
def test_an_edge_without_clients_follows_and_the_other_does_the_work(house: Estate, sampled: Path) -> None:
    found = machines.drive("path", house.told(1), AGENTS, 8, 0.4, 0.0, True)
    assert found["rate"] > 0
    assert found["us.edge-1"] > found["us.edge-2"] > 0
    assert found["redis.file"] > 0  # bytes of the log
    shares = machines._shares(house, sampled)
    for who in ("engine", "edge"):
        assert sum(v for k, v in shares.items() if k.startswith(f"{who}: ")) == pytest.approx(1)
    assert any(stage.startswith("edge: copy of the engine") for stage in shares)


@pytest.mark.system
def test_messages_are_taken_by_both_edges(house: Estate) -> None:
    found = machines.drive("notes", house.told(), AGENTS, 0.3, False)
    assert found["rate"] > 0
    assert found["taken.edge-1"] > 0
    assert found["taken.edge-2"] > 0


def test_more_sockets_than_files_may_be_open_are_refused_with_the_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        pytest.skip("this system has no limit")
    with pytest.raises(ConfigError, match=r"ulimit -Hn") as refused:
        allow_files(hard, "--sockets")
    assert refused.value.path == "--sockets"
    assert f"{hard - SPARE_FILES:,}" in refused.value.expected


def test_the_soft_limit_is_raised_as_far_as_is_needed() -> None:
    program = (
        "import resource; from router.bench.estate import allow_files; resource.setrlimit(resource.RLIMIT_NOFILE,"
        "(300, resource.getrlimit(resource.RLIMIT_NOFILE)[1])); allow_files(500, '--sockets');"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(said.stdout) == 500 + SPARE_FILES


def test_sockets_are_said_with_machines_alone() -> None:
    refused = CliRunner().invoke(cli, ["bench", "engine", "--sockets", "100"])
    assert isinstance(refused.exception, ConfigError)
    assert refused.exception.path == "--sockets"


@pytest.mark.parametrize(("count", "parts"), [(10, 2), (7, 3), (2, 2)])
def test_clients_are_spread_evenly_and_none_is_left_out(count: int, parts: int) -> None:
    found = list(shares(count, parts))
    assert [number for share in found for number in share] == list(range(count))
    assert max(map(len, found)) - min(map(len, found)) <= 1


def test_a_house_in_domains_is_a_configuration_that_the_daemon_takes() -> None:
    link = '[journal]\nkind = "redis"\n[link]\nlisten = "127.0.0.1:0"\nsecret = "a-secret-of-this-test"\n'
    loaded = parse((parted(3, 4) + link).encode())
    parts = split(loaded.config, loaded.settings.domains)
    assert [len(part.agents) for part in parts.values()] == [4, 4, 4]
    assert [list(part.queues) for part in parts.values()] == [["d1"], ["d2"], ["d3"]]


def test_who_is_full_first_sets_what_can_be_carried() -> None:
    used: Figures = {"us.redis": 90.0, "us.engine-1": 20.0, "us.edge-1": 40.0, "us.edge-2": 39.0, "us.clients": 80.0}
    assert machines.capacity(used) == (25_000, "edge-1")
    assert machines.capacity(used | {"us.engine-1": 50.0}) == (20_000, "engine-1")


def test_work_counts_for_who_asked_for_it_and_else_for_its_room() -> None:
    def stage(*frames: tuple[str, str]) -> str:
        """The outermost first."""
        inner = None
        for name, function in frames:
            code = compile("pass", name, "exec").replace(co_name=function)
            inner = _Frame(code, inner)
        return profiled.stage_of(inner)  # type: ignore[arg-type]

    engine = ("/x/router/engine/evolve.py", "evolve")
    assert stage(engine) == "engine"
    assert stage(("/x/router/service/remote/edge.py", "_follow"), engine) == "copy of the engine, the rest"
    assert stage(("/x/router/service/remote/edge.py", "take"), ("/usr/lib/python/json.py", "loads")) == "link"
    assert stage(("/usr/lib/python/json.py", "loads")) == "rest"


class _Frame:
    def __init__(self, code: object, back: _Frame | None) -> None:
        self.f_code, self.f_back = code, back


def test_a_finished_interaction_is_remembered_in_bytes_that_do_not_grow() -> None:
    few, many = (machines.remembered(count)["bytes"] for count in (500, 1_500))
    assert 100 < many < 1_000
    assert many < 2 * few
