"""Decides whether the addresses of a source's host may be used. Pure.

A host name can resolve to any address, so the rules apply to all its addresses. The caller connects to the address
that was checked, so that a later DNS answer (DNS rebinding) changes nothing.
"""

import ipaddress
from collections.abc import Callable

from pgimport.model.project_spec import AllowedSources
from pgimport.model.reasons import Failure, Reason

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], list[str]]  # host, port → all A and AAAA records; raises OSError if there is none


_PUBLIC_ADDRESS = "Write the public host name or address of the source server into the source URL."
_CHECK_NAME = "Check the spelling of the host name and its DNS records."


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


# Addresses at which clouds give credentials or settings to whoever asks, from their documentation. a9fe:a9fe is
# 169.254.169.254.
METADATA_SERVICES = _networks(
    "169.254.169.254/32",  # most clouds
    "169.254.170.2/32",  # credentials of tasks in AWS ECS
    "169.254.170.23/32",  # credentials of pods in AWS EKS
    "fd00:ec2::23/128",
    "fd00:ec2::254/128",  # AWS
    "fd20:ce::254/128",  # Google Cloud
    "168.63.129.16/32",  # Azure
    "100.100.100.200/32",  # Alibaba Cloud
    "169.254.0.23/32",  # Tencent Cloud
    "192.0.0.192/32",  # Oracle Cloud
    "fd00:c1::a9fe:a9fe/128",
    "169.254.42.42/32",  # Scaleway
    "fd00:42::42/128",
    "fd00:a9fe:a9fe::1/128",  # Akamai, formerly Linode
    "fe80::a9fe:a9fe/128",  # OpenStack
)
# Loopback, link-local, and addresses that are not unicast.
_RESERVED = _networks(
    "0.0.0.0/8",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/127",
    "64:ff9b:1::/48",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
)
# Only spec.sources.allowedCIDRs can allow these, never allowedHosts.
_NEVER_BY_NAME = (*_RESERVED, *METADATA_SERVICES)
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
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE = ipaddress.IPv6Network("::/96")  # RFC 4291 2.5.5.1: an IPv4 address in an IPv6 one, long deprecated


def _is_within(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address in network for network in networks)


def _unwrap(address: Address) -> tuple[Address, ...]:
    """Returns the addresses that receive the packets: the IPv4 addresses within mapped, compatible, NAT64, 6to4 and
    Teredo addresses."""
    if isinstance(address, ipaddress.IPv4Address):
        return (address,)
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address in NAT64 or (address in _COMPATIBLE and int(address) > 1):
        return (ipaddress.IPv4Address(int(address) & 0xFFFFFFFF),)
    if address.sixtofour is not None:
        return (address.sixtofour,)
    if address.teredo is not None:
        return address.teredo
    return (address,)


def _is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv4Address):
        return not _is_within(address, _NOT_PUBLIC_4)
    return address in _PUBLIC_6 and not _is_within(address, _NOT_PUBLIC_6)


def _is_network_allowed(address: Address, allowed: tuple[Network, ...]) -> bool:
    """A metadata service needs an entry of its own: an admin who allows fd00::/8 means the cluster's own servers."""
    if _is_within(address, METADATA_SERVICES):
        return ipaddress.ip_network(address) in allowed
    return _is_within(address, allowed)


def _is_host_allowed(host: str, patterns: list[str]) -> bool:
    name = host.lower().rstrip(".")
    for pattern in (text.lower().rstrip(".") for text in patterns):
        if name == pattern or (pattern.startswith("*.") and len(pattern) > 2 and name.endswith(pattern[1:])):
            return True
    return False


def _describe_reserved(address: Address) -> str:
    if address.is_loopback:
        return "a loopback address, by which a pod reaches only itself"
    if _is_within(address, METADATA_SERVICES):
        return "the address of a cloud's metadata service, which is no database server"
    return "a link-local address" if address.is_link_local else "a reserved address, which no server can have"


def decide_address(host: str, addresses: list[str], sources: AllowedSources, role: str = "source") -> str | Failure:
    """Returns the first of the host's addresses, or a failure if any of them is forbidden.

    `role` says what the host is, for the message.
    """

    def forbid(reason: str, advice: str = "") -> Failure:
        message = f"access to the {role} {host} is forbidden: {reason}"
        return Failure(Reason.SOURCE_ADDRESS_FORBIDDEN, message, advice)

    cidrs = tuple(ipaddress.ip_network(text, strict=False) for text in sources.allowed_cidrs)
    is_host_allowed = _is_host_allowed(host, sources.allowed_hosts)
    if not addresses:
        return forbid("its name has no address", _CHECK_NAME)
    for text in addresses:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return forbid("its name resolves to something that is not an IP address", _CHECK_NAME)
        for real in _unwrap(address):
            if _is_network_allowed(real, cidrs):
                continue
            if _is_within(real, _NEVER_BY_NAME):
                return forbid(f"{text} is {_describe_reserved(real)}", _PUBLIC_ADDRESS)
            if not is_host_allowed and not _is_public(real):
                return forbid(f"{text} is not a public address")
    return addresses[0]
