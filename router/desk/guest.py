"""The desk as a guest of the HTTP port: its pages and its questions, as routes."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from channels.chat.settings import Settings as Chat
from router.desk.files import Files
from router.desk.pages import PageRoutes
from router.desk.questions import QuestionRoutes
from router.desk.settings import Settings
from router.desk.widget import WidgetRoutes, widget_files
from router.http.house import House
from router.service.sockets import SocketSettings


def desk_routes(
    settings: Settings,
    house: House,
    sockets: SocketSettings,
    socket_port: Callable[[], int],
    chat: Chat | None = None,
    demo: bool = False,
) -> list[web.RouteDef]:
    """No desk where it is switched off, no widget where there is no chat or where that is switched off; `demo`: with a
    page to try it on. `socket_port` is asked with each page: before the start none is known.
    """

    def socket(host_and_port: str, host: str) -> str:
        if settings.socket_url:
            return settings.socket_url
        if house.settings.behind_proxy:
            return f"wss://{host_and_port}"
        return f"{'wss' if sockets.tls_certificate else 'ws'}://{host}:{socket_port()}"

    widget = WidgetRoutes(chat, widget_files(), socket, demo).routes() if chat is not None and chat.widget else []
    if not settings.enabled:
        return widget
    return [*widget, *PageRoutes(Files(), socket).routes(), *QuestionRoutes(house, settings).routes()]
