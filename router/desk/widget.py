"""The chat widget on other people's pages: one script that fetches the rest, and a page to try it on.

Everything is given to any page, since that is what it is for; what it may do, the websocket port and the uploads judge
by its origin (`sockets.origins`). The script is asked for each time and names the version of all else, which browsers
keep for ever, as they do the desk's files. Libraries and colours are the desk's own files under another path.

Nothing here needs more of a page's policy than this address in script-src and connect-src (and the websocket's in
connect-src): no inline script, no inline style, no markup from text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from aiohttp import web

from channels.chat.settings import Settings
from router.desk.files import TOO, WEB, Files, etag_of
from router.desk.pages import EACH_TIME, FOR_EVER, HEADERS, POLICY, Socket, answer, host_of
from router.errors import NotFound

PATH = "/chat"
WIDGET = Path(__file__).parent / "widget"
SHARED = ("vendor/preact.js", "vendor/hooks.js", "vendor/htm.js")

OPEN = HEADERS | {"Cross-Origin-Resource-Policy": "cross-origin", "Access-Control-Allow-Origin": "*"}
_LANGUAGE = re.compile(r"en|es")


def widget_files() -> Files:
    return Files(WIDGET, TOO | {name: WEB / name for name in SHARED})


class WidgetRoutes:
    """`demo`: whether there is a page to try it on, which is for this machine only."""

    def __init__(self, settings: Settings, files: Files, socket: Socket, demo: bool) -> None:
        self._settings = settings
        self._files = files
        self._socket = socket
        self._demo = demo
        self._loader = Template(files.files["loader.js"].body.decode())
        self._page = Template(files.files["demo.html"].body.decode())

    def routes(self) -> list[web.RouteDef]:
        pages = [web.get(PATH + "/", self.page)] if self._demo else []
        return [
            *pages,
            web.get(PATH + "/widget.js", self.script),
            web.get(PATH + "/{version:[0-9a-f]{16}}/{name:.+}", self.file),
        ]

    async def script(self, request: web.Request) -> web.Response:
        house = json.dumps(self._house(request)).replace("<", "\\u003c")
        body = self._loader.substitute(house=house).encode()
        headers = OPEN | {"Cache-Control": EACH_TIME}
        return answer(request, body, "text/javascript", etag_of(body), headers)

    def _house(self, request: web.Request) -> Mapping[str, Any]:
        s = self._settings
        return {
            "base": f"{PATH}/{self._files.version}",
            "socket": self._socket(*host_of(request)) + s.path,
            "text_max": s.text_max,
            "file_max": s.file_max,
            "file_types": list(s.file_types),
        }

    async def file(self, request: web.Request) -> web.Response:
        found = self._files.find(request.match_info["version"], request.match_info["name"])
        if found is None:
            raise NotFound("there is no such file in this version; load the page again")
        headers = OPEN | {"Cache-Control": FOR_EVER, "Content-Security-Policy": "default-src 'none'"}
        return answer(request, found.body, found.media_type, found.etag, headers, found)

    async def page(self, request: web.Request) -> web.Response:
        """Under the strictest policy that the widget can stand, so that every look at it is a test of that."""
        socket = self._socket(*host_of(request))
        asked = request.query.get("lang", "")
        body = self._page.substitute(
            base=f"{PATH}/{self._files.version}",
            lang=asked if _LANGUAGE.fullmatch(asked) else "en",
            dir="rtl" if request.query.get("dir") == "rtl" else "ltr",
            address=escape(f"{request.scheme}://{request.host}"),
        ).encode()
        headers = HEADERS | {"Cache-Control": EACH_TIME, "Content-Security-Policy": POLICY.format(socket=socket)}
        return answer(request, body, "text/html", etag_of(body), headers)
