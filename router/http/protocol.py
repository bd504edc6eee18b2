"""What is answered below the application, where a request cannot even be read: in the same form as everything else."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from aiohttp import web

from router.service.problems import PROBLEM_TYPE, encode


class Protocol(web.RequestHandler):
    """A connection. It adds nothing to the library's but the form of that answer, so one can be made of the other."""

    __slots__ = ()

    def handle_error(
        self, request: Any, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        super().handle_error(request, status, exc, message)  # logs, and raises where an answer was begun
        known = HTTPStatus(status)
        code, detail = ("internal", known.description) if status >= 500 else ("bad-request", "this is no HTTP request")
        answer = web.Response(status=status, body=encode(status, code, detail), content_type=PROBLEM_TYPE)
        answer.force_close()
        return answer
