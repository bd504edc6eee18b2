"""The loop that a daemon runs on is not the one that most tests run on."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ASKED_FOR_A_TRANSPORT = re.compile(r"isinstance\([^()]*asyncio\.(?:Transport|WriteTransport|DatagramTransport)\b")


def test_nobody_asks_whether_a_transport_is_one_of_asyncio() -> None:
    """uvloop's are not: a limit that asks for it refuses nobody, and an abort does nothing."""
    files = [path for folder in ("router", "channels") for path in (ROOT / folder).rglob("*.py")]
    assert [str(path.relative_to(ROOT)) for path in files if ASKED_FOR_A_TRANSPORT.search(path.read_text())] == []
