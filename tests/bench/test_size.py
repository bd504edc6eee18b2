"""What a house needs on paper: the page shows what the command prints, and the sums are those of its rules."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from router.__main__ import cli
from router.bench import size as sizing
from router.bench.machines import unit_costs
from router.bench.size import MEASURED, Costs, Work, costs_of, markdown, simulated, size
from router.errors import ConfigError
from tests.house.pages import ROOT, Page

LARGE = Work(agents=100_000, domains=200)


def by_name(w: Work, c: Costs = MEASURED) -> dict[str, sizing.Need]:
    return {need.what: need for need in size(w, c)}


def test_the_page_shows_what_the_command_prints() -> None:
    page = (ROOT / "docs/machines.md").read_text()
    command = "switchboard size --agents 100000 --domains 200"
    assert command in page
    printed = CliRunner().invoke(cli, command.split()[1:])
    assert printed.exit_code == 0, printed.output
    assert printed.output == markdown(size(LARGE, MEASURED)) + "\n"
    assert printed.output in page


def test_every_unit_cost_stands_on_the_page() -> None:
    table = next(t for t in Page(ROOT / "docs/machines.md").tables if t.header[0] == "unit cost")
    shown = {row[0].strip("`"): float(row[1].replace(",", "")) for row in table.rows}
    assert shown == msgspec.to_builtins(MEASURED)


def test_every_unit_cost_is_measured_by_the_benchmark() -> None:
    figures = {name: _Anything() for name in ("contacts, one edge of two", "contacts, two edges", "held", "still")}
    figures |= {name: _Anything() for name in ("messages, one edge of two", "messages, two edges", "remembered")}
    assert set(unit_costs(figures)) == set(Costs.__struct_fields__)


class _Anything(dict[str, float]):
    def __missing__(self, key: str) -> float:
        return 2.0


def test_an_engine_process_carries_its_pair_when_the_other_one_is_gone() -> None:
    c = replace(Costs(), engine_contact_us=1_000.0)
    w = Work(agents=36_000, domains=10, contacts=10, messages=0, events=1, fill=0.5)  # 10 contacts a second and domain
    assert by_name(w, c)["engines"].count == "2"
    assert by_name(w, c)["engines"].each.startswith("0.10 cores")
    assert by_name(w, replace(c, engine_contact_us=10_000.0))["engines"].count == "4"  # a domain is a tenth of a core


def test_a_domain_that_is_too_much_for_any_process_is_said_and_not_rounded_away() -> None:
    with pytest.raises(ConfigError) as refused:
        size(Work(agents=100_000, domains=1), replace(MEASURED, engine_contact_us=1e6))
    assert refused.value.path == "--fill, --gib"
    assert "engine of one domain" in refused.value.found


def test_sockets_and_failures_set_the_number_of_edges() -> None:
    c = replace(Costs(), socket_kib=16.0)
    edges = by_name(Work(agents=30_000, domains=1), c)["edges"]
    assert edges.count == "4"  # three carry 10,000 each, and one may be missing
    assert "10,000 sockets" in edges.why
    assert by_name(Work(agents=30_000, domains=1, sockets=2), c)["edges"].count == "7"


def test_no_edge_is_fuller_than_it_may_be() -> None:
    for c in (MEASURED, replace(MEASURED, copy_contact_us=5_000.0), replace(MEASURED, socket_us=100.0)):
        load = sizing._Load(LARGE, c)
        for found in (sizing.edges(LARGE, c, load), sizing.engines(LARGE, c, load)):
            assert found.cores <= LARGE.fill
            assert found.gib <= LARGE.gib
            assert found.groups * found.domains >= LARGE.domains


@pytest.mark.parametrize("fill", [0.02, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("agents", [1, 500, 100_000])
def test_one_edge_fewer_would_not_do(agents: int, fill: float) -> None:
    w = Work(agents=agents, domains=1, fill=fill, gib=1_000.0)
    load = sizing._Load(w, MEASURED)
    if load.copies >= fill:
        with pytest.raises(ConfigError, match="an edge of one domain"):
            sizing.edges(w, MEASURED, load)
        return
    found = sizing.edges(w, MEASURED, load)
    assert found.cores <= fill
    left = found.of - 1
    if left > 1:
        sockets, cores = agents / (left - 1), load.copies + load.taken / (left - 1)
        assert sockets > sizing.SOCKETS_MOST or cores > fill


def test_a_house_beyond_all_measure_is_refused_and_no_bug() -> None:
    said = CliRunner().invoke(cli, ["size", "--agents", "10000000", "--domains", "1"])
    assert isinstance(said.exception, ConfigError)


def test_bytes_follow_contacts() -> None:
    c = replace(Costs(), log_contact_bytes=500.0, file_contact_bytes=600.0)
    w = Work(agents=3_600, domains=1, contacts=10, messages=0, events=1, hours=10, replicas=1)
    needs = by_name(w, c)
    assert needs["bytes a second"].each == "0.01 MB of log"  # ten contacts a second
    assert needs["disk a day"].each == "0.2 GB of log"
    assert needs["disk a day"].count == "0.4 GB"  # of two
    assert by_name(replace(w, keep=4_000.0), c)["Redis"].count == "3 + 3"  # 67 GiB of log


def test_a_log_that_is_too_large_for_one_redis_is_said() -> None:
    assert "journal.url" not in by_name(LARGE)["Redis"].why or by_name(LARGE)["Redis"].count != "1 + 1"
    assert "journal.url" in by_name(replace(LARGE, keep=400.0))["Redis"].why


def test_ones_own_costs_are_read_from_the_benchmark(tmp_path: Path) -> None:
    own = msgspec.to_builtins(MEASURED) | {"engine_contact_us": 1.0}
    file = tmp_path / "mine.json"
    file.write_text(json.dumps({"figures": {"machines: unit costs": [own]}}))
    said = CliRunner().invoke(cli, ["size", "--agents", "500", "--costs", str(file), "--json"])
    assert json.loads(said.output)["costs"]["engine_contact_us"] == 1.0
    for broken in (b"{}", b"[", b'{"figures": {"machines: unit costs": []}}'):
        with pytest.raises(ConfigError) as refused:
            costs_of(broken)
        assert refused.value.path == "--costs"


@pytest.mark.promise("EX-3")
def test_the_simulator_makes_as_many_contacts_and_records_as_are_computed_with() -> None:
    """One of the page's domains, half an hour: 500 agents, 12 contacts an hour each."""
    found = simulated(500, 12.0)
    computed = sizing._Load(LARGE, MEASURED)
    assert found.a_second == pytest.approx(computed.contacts, rel=0.1)  # 3,000 by chance: 10 % are five sigmas
    assert found.records == pytest.approx(4, rel=0.02)  # arrived, offered, accepted, ended
    # The benchmark's contacts bring a text of 150 bytes and more; the log has its own few bytes for each batch.
    assert found.log_bytes < MEASURED.file_contact_bytes < 4 * found.log_bytes


@pytest.mark.parametrize(
    ("option", "amount"), [("--redis-gib", "0"), ("--gib", "0"), ("--hours", "nan"), ("--fill", "0")]
)
def test_what_cannot_be_reckoned_with_is_refused_by_its_option(option: str, amount: str) -> None:
    said = CliRunner().invoke(cli, ["size", "--agents", "100", option, amount])
    assert said.exit_code == 2
    assert f"Invalid value for '{option}'" in said.output
