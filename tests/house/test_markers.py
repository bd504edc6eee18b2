"""The promise markers count what they should, a typo in one stops the run, and CI takes no skip for a pass."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.promises import read_promises

TESTS = Path(__file__).parents[1]

GOOD = """
import pytest

@pytest.mark.promise("XX-1")
@pytest.mark.parametrize("n", [1, 2])
def test_shown_twice(n):
    pass

@pytest.mark.promise("XX-1", "XX-2")
def test_broken():
    assert False
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with two promises of its own and the plugin as it stands here."""
    folder = tmp_path / "tests"
    folder.mkdir()
    for name in ("__init__.py", "conftest.py", "promises.py"):
        shutil.copy(TESTS / name, folder / name)
    (folder / "promises.txt").write_text("XX-1  The first\nXX-2  The second\nXX-3  The third\n", encoding="utf-8")
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nmarkers =\n    promise(id): x\n    system: x\npythonpath = .\n", encoding="utf-8"
    )
    return tmp_path


def run(project: Path, text: str, *options: str) -> subprocess.CompletedProcess[str]:
    (project / "tests" / "test_it.py").write_text(text, encoding="utf-8")
    quick = ["-p", "no:cacheprovider", "-p", "no:schemathesis", "-p", "no:hypothesispytest"]
    command = [sys.executable, "-m", "pytest", *quick, "tests", "-rs", *options]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize("workers", ["0", "1"])
def test_the_report_counts_tests_and_names_what_is_missing(project: Path, workers: str) -> None:
    lines = run(project, GOOD, "--promises", "-n", workers).stdout.splitlines()
    assert [line.split() for line in lines if line.startswith("XX-")] == [
        ["XX-1", "3", "tests,", "1", "failed", "The", "first"],
        ["XX-2", "1", "test,", "1", "failed", "The", "second"],
        ["XX-3", "none", "The", "third"],
    ]
    assert "1 of 3 promises shown by a test that passed in this run" in lines
    assert "without one: XX-2 XX-3" in lines
    assert "1 failed, 2 passed" in lines[-1]


@pytest.mark.parametrize("mark", ['promise("XX-4")', "promise"])
def test_an_unknown_promise_stops_the_run(project: Path, mark: str) -> None:
    result = run(project, GOOD.replace('promise("XX-1", "XX-2")', mark))
    assert result.returncode == pytest.ExitCode.INTERRUPTED
    assert "test_broken: unknown promise" in result.stdout


@pytest.mark.parametrize(("ci", "outcome"), [("", "1 skipped"), ("true", "1 failed")])
def test_a_missing_system_part_is_a_skip_on_a_desk_only(
    project: Path, monkeypatch: pytest.MonkeyPatch, ci: str, outcome: str
) -> None:
    monkeypatch.setenv("CI", ci)
    text = 'import pytest\n\n@pytest.mark.system\ndef test_browser():\n    pytest.skip("no browser")\n'
    lines = run(project, text).stdout.splitlines()
    assert outcome in lines[-1]
    assert any("no browser" in line for line in lines)


def test_the_list_of_promises_can_be_read() -> None:
    assert len(read_promises()) == 60
