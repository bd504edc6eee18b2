"""The daemon with its fence broken: `python -m tests.faults.unfenced serve ...`, for the test of the laboratory itself.

Two scripts forget to look at the token. Who has been replaced while it was stopped hears "kept" for its appends and "go
on" for its lease, so it acknowledges what no log holds, beside the one that leads.
"""

from __future__ import annotations

from router.__main__ import main
from router.journal import redis_scripts
from router.journal.redis_scripts import Script

REFUSES = "return {'fenced', redis.call('GET', KEYS[3]) or ''}"


def unfenced(script: Script, lie: str) -> Script:
    assert script.text.count(REFUSES) == 1, "the fence is another one than the test knows"
    return Script(script.text.replace(REFUSES, lie))


if __name__ == "__main__":
    redis_scripts.APPEND = unfenced(redis_scripts.APPEND, "return 'kept'")
    redis_scripts.RENEW = unfenced(redis_scripts.RENEW, "return redis.call('TIME')")
    main()
