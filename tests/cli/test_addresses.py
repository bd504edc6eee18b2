"""What is typed wrongly on the command line is answered in one line, with exit code 2 or 1 and never a traceback."""

from __future__ import annotations

import socket
import threading

import pytest
from click.testing import CliRunner

from router.__main__ import cli
from router.errors import NotFound, RouterError

pytestmark = pytest.mark.promise("EX-1")


@pytest.mark.parametrize("identity", ["x y", "i-ä", "i-1?x=1", "i-1#a", "i-", "o-1", "i-1/../../agents"])
@pytest.mark.parametrize("command", [["explain"], ["why-not", "ana"]])
def test_what_is_no_id_is_said_so(command: list[str], identity: str) -> None:
    answer = CliRunner().invoke(cli, [*command, identity])
    assert isinstance(answer.exception, NotFound)
    assert str(answer.exception) == f"{identity!r} is not an id of the form i-123"


@pytest.mark.parametrize(
    "command",
    [
        ["explain", "i-1", "--url", "nonsense"],
        ["explain", "i-1", "--url", "http://"],
        ["explain", "i-1", "--url", "http://h:x"],
        ["explain", "i-1", "--url", "http://[::1"],
        ["explain", "i-1", "--url", "ftp://127.0.0.1"],
        ["explain", "i-1", "--url", "http://a b"],
        ["try", "call", "--url", "foo"],
        ["try", "chat", "--chat-url", "foo"],
        ["try", "mail", "--smtp", "127.0.0.1:x"],
        ["try", "mail", "--smtp", "127.0.0.1"],
        ["try", "mail", "--smtp", ":25"],
        ["agent", "ana", "--url", "http://127.0.0.1:8081/agent"],
        ["journal", "export", "--after", "-5"],
    ],
)
def test_an_address_that_cannot_be_meant_is_wrong_usage(command: list[str]) -> None:
    answer = CliRunner().invoke(cli, command)
    assert answer.exit_code == 2
    last = answer.output.strip().splitlines()[-1]
    assert last.startswith("Error: Invalid value for '--"), answer.output


@pytest.mark.parametrize(
    "command",
    [
        ["explain", "i-1", "--url", "http://a..b"],
        ["try", "call", "--url", "http://a..b"],
        ["try", "mail", "--smtp", "a..b:25"],
        ["try", "chat", "--chat-url", "ws://a..b"],
    ],
)
def test_a_host_that_can_have_no_such_name_is_one_sentence(command: list[str]) -> None:
    answer = CliRunner().invoke(cli, command)
    assert isinstance(answer.exception, RouterError), answer.exception
    assert "\n" not in str(answer.exception)


@pytest.mark.parametrize(
    ("command", "answered"),
    [
        (["explain", "i-1", "--url", "http://{}"], b"220 mail.example ESMTP\r\n"),
        (["explain", "i-1", "--url", "http://{}"], b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"),
        (["explain", "i-1", "--url", "http://{}"], b"HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\n[]"),
        (["try", "walk-in", "--url", "http://{}"], b"220 mail.example ESMTP\r\n"),
        (["try", "chat", "--chat-url", "ws://{}"], b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"),
    ],
)
def test_something_else_that_answers_there_is_one_sentence(command: list[str], answered: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        answerer = threading.Thread(target=answer_once, args=(server, answered))
        answerer.start()
        at = f"127.0.0.1:{server.getsockname()[1]}"
        answer = CliRunner().invoke(cli, [word.format(at) for word in command])
        answerer.join()
    assert isinstance(answer.exception, RouterError), answer.exception
    assert "\n" not in str(answer.exception)


def answer_once(server: socket.socket, answered: bytes) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(4_096)
        connection.sendall(answered)
