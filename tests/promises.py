"""Ties tests to the promises of the product.

A test that shows a promise carries `@pytest.mark.promise("RT-4")`; the ids stand in promises.txt. Any other id is a
collection error, so that a typo cannot pass for proof. `pytest --promises` ends with a table: each promise, how many
tests carry it, and how many of those did not pass.

The ids travel with the reports of the tests, because under xdist the tests are collected in other processes.
"""

from collections import Counter, defaultdict
from collections.abc import Generator
from pathlib import Path

import pytest

PROPERTY = "promise"
LIST = Path(__file__).with_name("promises.txt")


def read_promises(path: Path = LIST) -> dict[str, str]:
    """Id -> title, in the order of the file."""
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    rows = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
    promises = {ident: title for ident, title in rows}  # noqa: C416 - a line without a title is refused
    assert len(promises) == len(rows), f"{path}: an id stands there twice"
    return promises


def promises_of(item: pytest.Item) -> list[str]:
    """The ids on a test, its class and its module; one marker may name several."""
    return list(dict.fromkeys(str(ident) for mark in item.iter_markers("promise") for ident in mark.args or ("",)))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--promises", action="store_true", help="end with every promise and the tests that show it")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Promises(config), "switchboard-promises")


class Promises:
    def __init__(self, config: pytest.Config) -> None:
        self.known = read_promises()
        self.wanted = bool(config.getoption("--promises"))
        self.outcomes: dict[str, dict[str, str]] = defaultdict(dict)  # test -> promise -> worst outcome so far

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        report = yield
        items = [node for node in report.result or () if isinstance(node, pytest.Item)]
        wrong = [f"{i.nodeid}: unknown promise {p!r}" for i in items for p in promises_of(i) if p not in self.known]
        if wrong:
            report.outcome, report.result = "failed", []
            report.longrepr = "\n".join([*wrong, f"The ids stand in {LIST.name}."])
        for item in items:
            item.user_properties += [(PROPERTY, ident) for ident in promises_of(item)]
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for name, ident in report.user_properties:
            if name == PROPERTY:
                seen = self.outcomes[report.nodeid].get(str(ident), "passed")
                self.outcomes[report.nodeid][str(ident)] = seen if report.passed else report.outcome

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self.wanted:
            return
        tally: dict[str, Counter[str]] = {ident: Counter() for ident in self.known}
        for outcomes in self.outcomes.values():
            for ident, outcome in outcomes.items():
                tally[ident][outcome] += 1
        write = terminalreporter.write_line
        terminalreporter.section("promises")
        for ident, title in self.known.items():
            write(f"{ident:<6} {describe(tally[ident]):<28} {title}")
        none = [ident for ident, counts in tally.items() if not counts["passed"]]
        write(f"{len(self.known) - len(none)} of {len(self.known)} promises shown by a test that passed in this run")
        if none:
            write("without one: " + " ".join(none))


def describe(counts: Counter[str]) -> str:
    """`3 tests`, `3 tests, 1 failed`, or `none`."""
    total = counts.total()
    if not total:
        return "none"
    others = [f"{count} {outcome}" for outcome, count in sorted(counts.items()) if outcome != "passed"]
    return ", ".join([f"{total} test{'s' if total > 1 else ''}", *others])
