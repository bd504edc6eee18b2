"""What every test shares. A plugin has a file of its own; a fixture of one area stands in that area's conftest."""

import os
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

# How long drawing takes says more of what else the machine does than of a strategy.
settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")

pytest_plugins = ("tests.promises",)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """A file is no name for a test: those with the time in them would have another one in each process."""
    return argname if isinstance(val, bytes) and len(val) > 64 else None


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
