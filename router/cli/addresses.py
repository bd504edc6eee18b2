"""Addresses on the command line: refused in one line where they cannot be meant, before anything is tried."""

from __future__ import annotations

from urllib.parse import urlsplit

import click


class Url(click.ParamType[str]):
    """An address with a host, under one of these schemes."""

    name = "url"

    def __init__(self, *schemes: str) -> None:
        self.schemes = schemes

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not _is_url(value, self.schemes):
            self.fail(f"expected an address such as {self.schemes[0]}://127.0.0.1:8080, found {value!r}", param, ctx)
        return value


class HostPort(click.ParamType[tuple[str, int]]):
    """HOST:PORT."""

    name = "host:port"

    def convert(
        self, value: str | tuple[str, int], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        if isinstance(value, tuple):
            return value
        host, _, port = value.rpartition(":")
        if not _is_url(f"smtp://{value}", ("smtp",)) or not host or not port:
            self.fail(f"expected HOST:PORT such as 127.0.0.1:2525, found {value!r}", param, ctx)
        return host.strip("[]"), int(port)


def _is_url(text: str, schemes: tuple[str, ...]) -> bool:
    if not text.isascii() or any(sign <= " " or sign in "?#@" for sign in text):
        return False
    try:
        parts = urlsplit(text)
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, or a bracket that is not closed
        return False


def one_line(error: Exception) -> str:
    """What another server said may have several."""
    return " ".join(str(error).split())
