"""Whom a limit for each address counts."""

import pytest

from channels.email.gate import PEER_FULL, Gate
from channels.email.settings import Settings
from router.service.sources import source_of


@pytest.mark.promise("IN-5")
@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::1"),
        ("", ""),
        ("a name", "a name"),
    ],
)
def test_ipv6_is_counted_by_its_network(address: str, source: str) -> None:
    assert source_of(address) == source


@pytest.mark.promise("IN-5")
def test_a_machine_that_takes_a_new_address_for_each_connection_gains_no_place() -> None:
    gate = Gate(Settings(peers=("2001:db8::/32",), max_connections_per_peer=2))
    assert [gate.enter(f"2001:db8::{i}") for i in range(3)] == ["", "", PEER_FULL]
    assert gate.enter("2001:db8:0:1::1") == ""
    gate.leave("2001:db8::1")
    assert gate.enter("2001:db8::9") == ""
