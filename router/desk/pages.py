"""The page of the desk and its files, over HTTP.

The page is the only thing made for each request, because its policy and its script must know where the websocket port
is as this browser sees it. No script and no style stands in the page itself, nothing may come from elsewhere, and the
browser is told to refuse every piece of code that would turn text into markup (`require-trusted-types-for`): what
customers write can do nothing here even where we had a bug.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape
from string import Template

from aiohttp import web

from router.desk.files import File, Files, etag_of
from router.errors import BadMessage, NotFound

PATH = "/desk"
FOR_EVER = "public, max-age=31536000, immutable"
EACH_TIME = "no-cache"

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self' {socket}; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
}

# A host as it may stand in a policy: nothing that would end a source or begin another one.
_HOST = re.compile(r"((?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]))(?::[0-9]{1,5})?")

Socket = Callable[[str, str], str]  # (host and port, host) of the page -> the websocket port's address


class PageRoutes:
    def __init__(self, files: Files, socket: Socket) -> None:
        self._files = files
        self._socket = socket
        self._page = Template(files.files["index.html"].body.decode())

    def routes(self) -> list[web.RouteDef]:
        return [web.get(PATH, self.page), web.get(PATH + "/{version:[0-9a-f]{16}}/{name:.+}", self.file)]

    async def page(self, request: web.Request) -> web.Response:
        socket = self._socket(*host_of(request))
        base = f"{PATH}/{self._files.version}"
        preload = "\n".join(f'<link rel="modulepreload" href="{base}/{name}">' for name in self._files.modules())
        body = self._page.substitute(base=base, socket=escape(socket), preload=preload).encode()
        headers = HEADERS | {"Cache-Control": EACH_TIME, "Content-Security-Policy": POLICY.format(socket=socket)}
        return answer(request, body, "text/html", etag_of(body), headers)

    async def file(self, request: web.Request) -> web.Response:
        found = self._files.find(request.match_info["version"], request.match_info["name"])
        if found is None:
            raise NotFound("there is no such file in this version; load the page again")
        headers = HEADERS | {"Cache-Control": FOR_EVER, "Content-Security-Policy": "default-src 'none'"}
        return answer(request, found.body, found.media_type, found.etag, headers, found)


def host_of(request: web.Request) -> tuple[str, str]:
    """(host and port, host) as the browser names us. Raises BadMessage."""
    found = _HOST.fullmatch(request.host)
    if found is None:
        raise BadMessage("the header Host names no host")
    return found[0], found[1]


def answer(
    request: web.Request, body: bytes, media_type: str, etag: str, headers: dict[str, str], file: File | None = None
) -> web.Response:
    headers = headers | {"ETag": etag, "Vary": "Accept-Encoding"}
    if etag in [match.strip().removeprefix("W/") for match in request.headers.get("If-None-Match", "").split(",")]:
        return web.Response(status=304, headers=headers)
    if file is not None and "gzip" in request.headers.get("Accept-Encoding", ""):
        body, headers["Content-Encoding"] = file.packed, "gzip"
    return web.Response(body=body, content_type=media_type, charset="utf-8", headers=headers)
