"""Addresses of a source's host: every A and AAAA record comes in, the one to use or a refusal goes out. Pure.

A name is no proof of anything: only the addresses behind it are judged, all of them, and the one that is used is
pinned, so that a second answer of the DNS changes nothing.
"""

import ipaddress
from collections.abc import Callable

from pgimport.model.reasons import Failure, Reason
from pgimport.model.spec import AllowedSources

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], list[str]]  # host, port → every A and AAAA record; OSError where there is none


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


# The machine itself, its link, the cloud's metadata services, and what is no unicast address: only a CIDR that the
# platform's admin wrote lets them through, never a host name.
_NEVER_BY_NAME = _networks(
    "0.0.0.0/8",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "100.100.100.200/32",
    "168.63.129.16/32",
    "192.0.0.192/32",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/127",
    "64:ff9b:1::/48",
    "fe80::/10",
    "fec0::/10",
    "fd00:ec2::254/128",
    "fd20:ce::254/128",
    "ff00::/8",
)
_NOT_PUBLIC_4 = _networks(
    "10.0.0.0/8",
    "100.64.0.0/10",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
)
_PUBLIC_6 = ipaddress.IPv6Network("2000::/3")
_NOT_PUBLIC_6 = _networks("2001::/23", "2001:db8::/32", "3fff::/20")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE = ipaddress.IPv6Network("::/96")  # RFC 4291 2.5.5.1: an IPv4 address in an IPv6 one, long deprecated


def _within(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address in network for network in networks)


def _unwrapped(address: Address) -> tuple[Address, ...]:
    """The addresses that a packet would really go to: IPv4 inside of mapped, compatible, NAT64, 6to4 and Teredo
    addresses."""
    if isinstance(address, ipaddress.IPv4Address):
        return (address,)
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        return (ipaddress.IPv4Address(int(address) & 0xFFFFFFFF),)
    if address.sixtofour is not None:
        return (address.sixtofour,)
    if address.teredo is not None:
        return address.teredo
    return (address,)


def _public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv4Address):
        return not _within(address, _NOT_PUBLIC_4)
    return address in _PUBLIC_6 and not _within(address, _NOT_PUBLIC_6)


def _host_allowed(host: str, patterns: list[str]) -> bool:
    name = host.lower().rstrip(".")
    for pattern in (text.lower().rstrip(".") for text in patterns):
        if name == pattern or (pattern.startswith("*.") and len(pattern) > 2 and name.endswith(pattern[1:])):
            return True
    return False


def _forbidden(host: str, why: str) -> Failure:
    return Failure(Reason.SOURCE_ADDRESS_FORBIDDEN, f"the source {host} may not be reached: {why}")


def decide_address(host: str, addresses: list[str], sources: AllowedSources) -> str | Failure:
    """Every address that `host` resolved to → the one to use; a single forbidden one is enough to refuse all."""
    cidrs = tuple(ipaddress.ip_network(text, strict=False) for text in sources.allowed_cidrs)
    named = _host_allowed(host, sources.allowed_hosts)
    if not addresses:
        return _forbidden(host, "its name has no address")
    for text in addresses:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return _forbidden(host, "its name resolves to something that is no plain address")
        for real in _unwrapped(address):
            if _within(real, cidrs):
                continue
            if _within(real, _NEVER_BY_NAME):
                return _forbidden(host, f"{text} is a loopback, link-local, metadata or reserved address")
            if not named and not _public(real):
                return _forbidden(host, f"{text} is not a public address")
    return addresses[0]
