"""What may stand under `[scan]`, and what is refused."""

from __future__ import annotations

from fnmatch import fnmatchcase

import msgspec
import pytest

from channels.scan.settings import UNFINISHED, Settings, check
from router.engine.config import decode_hook
from router.errors import ConfigError


def read(text: str) -> Settings:
    return msgspec.toml.decode(text, type=Settings, dec_hook=decode_hook)


def test_without_any_option_there_are_two_folders() -> None:
    found = read("")
    assert {name: folder.channel for name, folder in found.folders.items()} == {"fax": "fax", "mail": "mail"}


def test_a_folder_may_say_everything() -> None:
    [folder] = read(
        """
        [folders.north]
        path = "/srv/fax"
        channel = "fax"
        to = "+15550100"
        settle = "500ms"
        expects_sidecar = true
        """
    ).folders.values()
    assert (folder.to, int(folder.settle), folder.expects_sidecar) == ("+15550100", 500, True)


@pytest.mark.promise("OB-4")
@pytest.mark.parametrize(
    "text",
    [
        "folder = 1",
        "[folders.North]",
        "[folders.fax]\nsettle = 2",
        "[folders.fax]\nmax_pages = 0",
        "[inspector]\nmemory_bytes = 1000",
        'country = "Germany"',
    ],
)
def test_what_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        read(text)


@pytest.mark.parametrize("name", ["fax000000001.tif", "scan001.pdf", "a.json", "ff5a1b2c3.01"])
def test_no_usual_name_counts_as_unfinished(name: str) -> None:
    assert not any(fnmatchcase(name, pattern) for pattern in UNFINISHED)


@pytest.mark.promise("OB-4")
@pytest.mark.parametrize("path", ["quarantine", "quarantine/fax", "./blobs", ".", "../elsewhere", "drop/../quarantine"])
def test_a_folder_of_the_daemons_own_is_no_drop_folder(path: str) -> None:
    """What is set aside from it would lie in it again, and be set aside for ever."""
    with pytest.raises(ConfigError, match=r"scan\.folders\.fax\.path"):
        check(read(f'[folders.fax]\npath = "{path}"'))


def test_any_other_folder_is_one() -> None:
    for path in ("drop/fax", "/srv/quarantine", "scans"):
        check(read(f'[folders.fax]\npath = "{path}"'))
