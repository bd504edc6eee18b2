"""The front page: names what there is, for somebody who opens the address in a browser."""

from __future__ import annotations

from html import escape

from aiohttp import web

from router import __version__

LINKS = (
    ("/desk", "where agents and supervisors work"),
    ("/kiosk", "check-in for walk-in customers"),
    ("/readyz", "every part and its state"),
    ("/livez", "whether the process lives"),
    ("/metrics", "metrics for Prometheus"),
    ("/v1/openapi.json", "the operators' API, for machines"),
)

_STYLE = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"


def front_page(links: tuple[tuple[str, str], ...] = LINKS) -> str:
    rows = "".join(f'<li><a href="{escape(path)}">{escape(path)}</a> {escape(what)}</li>' for path, what in links)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Switchboard</title>'
        '<meta name="viewport" content="width=device-width">'
        "<style>body{font:16px/1.6 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem}</style></head>"
        f"<body><h1>Switchboard</h1><p>Version {escape(__version__)}. This is what stands here:</p><ul>{rows}</ul>"
        "</body></html>"
    )


def page_routes(links: tuple[tuple[str, str], ...]) -> list[web.RouteDef]:
    text = front_page(links)

    async def page(request: web.Request) -> web.Response:
        headers = {"Content-Security-Policy": _STYLE, "X-Content-Type-Options": "nosniff"}
        return web.Response(text=text, content_type="text/html", headers=headers)

    return [web.get("/", page)]
