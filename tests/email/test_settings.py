"""Options are refused early, with their name; the gate counts what they allow."""

from typing import Any

import msgspec
import pytest

from channels.email import gate as g
from channels.email.gate import Gate
from channels.email.settings import Settings, check
from router.engine.config import decode_hook
from router.errors import ConfigError

FILE = """
hostname = "mx.shop.example"
idle_timeout = "2m"
[addresses]
"support@shop.example" = { name = "Support" }
"sales@shop.example" = {}
[smart_host]
host = "relay.shop.example"
timeout = "10s"
"""


def load(text: str) -> Settings:
    return msgspec.toml.decode(text, type=Settings, dec_hook=decode_hook)


def test_a_file_is_read_with_units() -> None:
    got = load(FILE)
    check(got)
    assert (got.smtp.port, got.lmtp.port, got.smtp.host) == (2525, 2424, "127.0.0.1")
    assert got.idle_timeout == 120_000
    assert got.addresses["support@shop.example"].name == "Support"
    assert got.smart_host is not None
    assert got.smart_host.timeout == 10_000


@pytest.mark.promise("OB-4")
@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"peers": ("10.0.0.0/99",)}, "email.peers.0"),
        ({"addresses": {"support": {}}}, "email.addresses"),
        ({"addresses": {"A@b.example": {}, "a@B.example": {}}}, "email.addresses"),
        ({"reply_from": "nobody"}, "email.addresses"),
        ({"smart_host": {"host": "x"}, "outbox_folder": "y"}, "email.outbox_folder"),
        ({"max_message_bytes": 2_000, "max_buffered_bytes": 1_999}, "email.max_buffered_bytes"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, Any], path: str) -> None:
    with pytest.raises(ConfigError) as failed:
        check(msgspec.convert(options, Settings))
    assert failed.value.path == path


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="unknown"):
        load("prot = 1")


def test_peers_are_networks() -> None:
    gate = Gate(Settings(peers=("192.0.2.0/24", "2001:db8::/32")))
    allowed = ["192.0.2.7", "::ffff:192.0.2.7", "2001:db8::1", "2001:db8::1%eth0"]
    assert [gate.enter(host) for host in allowed] == [""] * 4
    assert [gate.enter(host) for host in ("127.0.0.1", "2001:db9::1", "", "/run/socket")] == [g.FOREIGN] * 4


def test_a_rate_is_counted_by_the_minute() -> None:
    gate = Gate(Settings(max_messages_per_minute_per_peer=2))
    assert [gate.may_send("a", t) for t in (0.0, 59.0, 59.9)] == ["", "", g.TOO_FAST]
    assert gate.may_send("b", 59.9) == ""
    assert gate.may_send("a", 60.0) == ""


def test_rates_of_many_peers_take_bounded_memory() -> None:
    gate = Gate(Settings(max_messages_per_minute_per_peer=1))
    for number in range(g.PEERS_REMEMBERED * 2):
        gate.may_send(str(number), 0.0)
    assert len(gate._rates) <= g.PEERS_REMEMBERED


def test_what_came_in_goes_out() -> None:
    gate = Gate(Settings(max_connections=1))
    assert gate.enter("127.0.0.1") == ""
    assert gate.enter("127.0.0.1") == g.FULL
    gate.leave("127.0.0.1")
    assert gate.enter("127.0.0.1") == ""
    gate.draining = True
    assert (gate.enter("127.0.0.1"), gate.may_begin(), gate.may_send("x", 0)) == (g.CLOSING,) * 3
