"""What every test shares. A plugin has a file of its own; a fixture of one area stands in that area's conftest."""

import os
from collections.abc import Generator

import pytest

pytest_plugins = ("tests.promises",)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that misses a part of its system is named and skipped on a desk; under CI=true it fails."""
    report = yield
    if (
        report.skipped
        and not hasattr(report, "wasxfail")
        and item.get_closest_marker("system")
        and os.environ.get("CI")
    ):
        report.outcome = "failed"
        report.longrepr = f"may not be skipped under CI: {report.longrepr}"
    return report
