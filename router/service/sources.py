"""Whom a limit "for each address" counts.

A household or an office has one IPv4 address, but 2^64 addresses of IPv6: a provider gives it a /64 at least (RFC
6177), and a single machine may use a new one for each connection (RFC 8981). So IPv6 is counted by its /64.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network

PREFIX = 64


@lru_cache(maxsize=4_096)
def source_of(address: str) -> str:
    """An IPv4 address as it is, also where it comes mapped into IPv6; of IPv6 the network; anything else as it is."""
    try:
        found = ip_address(address.partition("%")[0])  # behind it stands the interface of a link-local one
    except ValueError:
        return address
    if not isinstance(found, IPv6Address):
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ip_network((found, PREFIX), strict=False)) if not found.is_loopback else address


def nearest(address: str, forwarded: Iterable[str], trusted: Container[str]) -> str:
    """Who speaks through our own proxies: the nearest hop of X-Forwarded-For that is none of them."""
    if address not in trusted:
        return address
    hops = [hop.strip()[:64] for hop in ",".join(forwarded).split(",")]
    for hop in reversed([hop for hop in hops if hop]):
        address = hop
        if hop not in trusted:
            break
    return address
