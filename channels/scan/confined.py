"""Become another program, with limits: so much memory, so much processor time, after everybody else.

    python -m channels.scan.confined MEMORY_BYTES SECONDS PROGRAM [ARGUMENT ...]

Limits are set in the process that becomes the program, because a daemon with threads cannot set them between fork and
exec.
"""

from __future__ import annotations

import os
import resource
import sys

FILE_MAX = 256 << 20  # bytes of what it writes: a searchable PDF of a thousand fax pages


def main() -> None:
    memory, seconds, program = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    os.nice(15)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_MAX, FILE_MAX))
    os.execvp(program, sys.argv[3:])  # noqa: S606 - the program is the operator's own setting


if __name__ == "__main__":
    main()
