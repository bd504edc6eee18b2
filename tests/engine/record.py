"""Record a day by chance as a history, or write the digests of the recorded ones anew. See histories/README.md."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from router.engine.engine import Engine
from router.journal import codec

HISTORIES = Path(__file__).with_name("histories")


def replayed(payloads: Iterator[bytes]) -> Engine:
    engine = Engine()
    for payload in payloads:
        engine.apply(codec.decode(payload))
    return engine


def digest(engine: Engine) -> str:
    return sha256(engine.snapshot()).hexdigest()


def payloads_of(path: Path) -> Iterator[bytes]:
    data = path.read_bytes()
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 4 + size]
        at += 4 + size


def record(name: str, seed: int, steps: int, kind: str) -> None:
    # Imported here: replaying needs no walk.
    from tests.engine.support.crowd import crowd
    from tests.engine.support.walk import Walk, hall, parted

    kinds = {"--crowd": crowd, "--hall": hall, "--domain": parted}
    checked = (kinds[kind](seed, steps) if kind else Walk(seed, thrift=100).run(steps)).checked
    path = HISTORIES / f"{name}.records"
    path.write_bytes(b"".join(len(p).to_bytes(4, "big") + p for p in checked.payloads))
    path.with_suffix(".digest").write_text(digest(checked.engine) + "\n")
    print(f"{path.name}: {len(checked.payloads)} records, {path.stat().st_size} bytes")


def main(arguments: list[str]) -> None:
    if arguments == ["--digests"]:
        for path in sorted(HISTORIES.glob("*.records")):
            path.with_suffix(".digest").write_text(digest(replayed(payloads_of(path))) + "\n")
    else:
        name, seed, steps, *kind = arguments
        record(name, int(seed), int(steps), "".join(kind))


if __name__ == "__main__":
    main(sys.argv[1:])
