"""Source URLs: text in, an allow-listed `SourceURL` out; then the addresses of its host in, one pinned address out.

The URL is parsed here and rebuilt from its parts wherever it is used: libpq never sees the text. All addresses
of the host are judged, and the one that is used is pinned, so that a second answer of the DNS changes nothing.
No message holds a password: parts of a URL are quoted only after they proved to be what they stand for.
"""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from pgimport.model.reasons import Failure, Reason
from pgimport.model.spec import Sources, SSLMode

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], list[str]]  # host, port → every A and AAAA record; OSError where there is none

DEFAULT_PORT = 5432
DEFAULT_APPLICATION_NAME = "pgimport"
MAX_CONNECT_TIMEOUT = 60  # seconds
MAX_URL_LENGTH = 4096

_SCHEMES = ("postgresql", "postgres")
_HOST_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(\.(?!-)[a-z0-9_-]{1,63})*\.?", re.ASCII)
_PARAMETER = re.compile(r"[a-z_]{1,40}", re.ASCII)
_ENDPOINT = re.compile(r"endpoint=([a-z0-9][a-z0-9-]{0,62})", re.ASCII)
_APPLICATION_NAME = re.compile(r"[ -~]{1,63}", re.ASCII)
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceURL:
    """A source as its URL names it; only parameters of the allow-list."""

    host: str
    port: int
    user: str
    password: str | None = field(repr=False)
    dbname: str
    sslmode: SSLMode = SSLMode.REQUIRE
    connect_timeout: int | None = None  # seconds
    application_name: str = DEFAULT_APPLICATION_NAME
    channel_binding: str | None = None
    endpoint: str | None = None  # of a provider that routes by `options=endpoint=…`
    system_roots: bool = False  # sslrootcert=system


@dataclass(frozen=True, slots=True)
class Pinned:
    """A source and the one address it may be reached at: `hostaddr`; the name stays for SNI and `verify-full`."""

    url: SourceURL
    address: str


def parse_source_url(text: str) -> SourceURL | Failure:
    """The text of a URL → its parts, or what is wrong with it."""
    try:
        return _parse(text.strip())
    except _Invalid as error:
        return Failure(Reason.SOURCE_URL_INVALID, f"the source URL is not usable: {error}")


class _Invalid(Exception):
    """What is wrong, in words that quote nothing secret."""


def _parse(text: str) -> SourceURL:
    if not text:
        raise _Invalid("it is empty")
    if len(text) > MAX_URL_LENGTH:
        raise _Invalid(f"it is longer than {MAX_URL_LENGTH} characters")
    if _CONTROL.search(text) or " " in text or "\\" in text:
        raise _Invalid("it holds a space, a backslash or a control character; percent-encode it")
    try:
        parts = urlsplit(text)
    except ValueError:
        raise _Invalid("its host is malformed") from None
    if parts.scheme not in _SCHEMES or "://" not in text:
        raise _Invalid("it must begin with postgresql:// or postgres://")
    # Exactly one @, before the host: so nothing below can be a piece of a password that was not encoded.
    if text.count("@") != 1 or "@" not in parts.netloc:
        raise _Invalid(
            "it needs exactly one @, between password and host; percent-encode special characters"
            " of user and password (@ is %40, / is %2F, ? is %3F, # is %23)"
        )
    if parts.fragment or text.endswith("#"):
        raise _Invalid("it has a fragment (#…)")
    credentials, _, location = parts.netloc.partition("@")
    user, _, password = credentials.partition(":")
    host, port = _parse_location(location)
    return SourceURL(
        host=host,
        port=port,
        user=_decoded(user, "user"),
        password=_decoded(password, "password") if password else None,
        dbname=_parse_dbname(parts.path),
        **_parse_parameters(parts.query),  # type: ignore[arg-type]
    )


def _decoded(text: str, what: str) -> str:
    if not text:
        raise _Invalid(f"it names no {what}")
    if _BAD_ESCAPE.search(text):
        raise _Invalid(f"its {what} holds a % that begins no percent-encoded character (% itself is %25)")
    try:
        value = unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise _Invalid(f"its {what} is not UTF-8") from None
    if _CONTROL.search(value):
        raise _Invalid(f"its {what} holds a control character")
    return value


def _parse_location(location: str) -> tuple[str, int]:
    if "," in location:
        raise _Invalid("it names several hosts; name one")
    if location.startswith("["):
        literal, bracket, rest = location[1:].partition("]")
        try:
            host = str(ipaddress.IPv6Address(literal)) if bracket and "%" not in literal else ""
        except ValueError:
            host = ""
    else:
        host, colon, port = location.partition(":")
        rest = colon + port
        host = host.lower() if _HOST_NAME.fullmatch(host.lower()) else ""
    if not host:
        raise _Invalid("it names no host, or one that is neither a DNS name nor an address (sockets are not possible)")
    if rest in ("", ":"):
        return host.rstrip("."), DEFAULT_PORT
    if not re.fullmatch(r":[0-9]{1,5}", rest, re.ASCII) or not 1 <= int(rest[1:]) <= 65535:
        raise _Invalid("its port is not a number from 1 to 65535")
    return host.rstrip("."), int(rest[1:])


def _parse_dbname(path: str) -> str:
    if "/" in path[1:]:
        raise _Invalid("its path must be a database name alone; percent-encode / as %2F")
    return _decoded(path[1:], "database")


def _parse_parameters(query: str) -> dict[str, object]:
    found: dict[str, object] = {}
    seen: set[str] = set()
    for item in query.split("&") if query else []:
        name, equals, raw = item.partition("=")
        if not equals or not _PARAMETER.fullmatch(name):
            raise _Invalid("its parameters are not of the form name=value&name=value")
        if name in seen:
            raise _Invalid(f"it gives {name} twice")
        seen.add(name)
        value = _decoded(raw, f"parameter {name}")
        if name not in _PARAMETERS:
            allowed = ", ".join(_PARAMETERS)
            raise _Invalid(f"parameter {name} is not allowed (allowed: {allowed})")
        found.update(_PARAMETERS[name](value))
    if found.get("system_roots") and found.get("sslmode") != SSLMode.VERIFY_FULL:
        raise _Invalid("sslrootcert=system needs sslmode=verify-full")
    return found


def _sslmode(value: str) -> dict[str, object]:
    if value not in set(SSLMode):
        raise _Invalid(f"sslmode must be one of {', '.join(SSLMode)}")
    return {"sslmode": SSLMode(value)}


def _connect_timeout(value: str) -> dict[str, object]:
    if not re.fullmatch(r"[0-9]{1,4}", value, re.ASCII) or int(value) == 0:
        raise _Invalid("connect_timeout must be a number of seconds, 1 or more")
    return {"connect_timeout": min(int(value), MAX_CONNECT_TIMEOUT)}


def _application_name(value: str) -> dict[str, object]:
    if not _APPLICATION_NAME.fullmatch(value):
        raise _Invalid("application_name must be 1 to 63 printable ASCII characters")
    return {"application_name": value}


def _channel_binding(value: str) -> dict[str, object]:
    if value not in ("disable", "prefer", "require"):
        raise _Invalid("channel_binding must be disable, prefer or require")
    return {"channel_binding": value}


def _options(value: str) -> dict[str, object]:
    match = _ENDPOINT.fullmatch(value)
    if match is None:
        raise _Invalid("options may only be endpoint=<name>")
    return {"endpoint": match[1]}


def _sslrootcert(value: str) -> dict[str, object]:
    if value != "system":
        raise _Invalid("sslrootcert may only be system; a CA of your own comes from spec.source.caSecretRef")
    return {"system_roots": True}


_PARAMETERS: dict[str, Callable[[str], dict[str, object]]] = {
    "sslmode": _sslmode,
    "connect_timeout": _connect_timeout,
    "application_name": _application_name,
    "channel_binding": _channel_binding,
    "options": _options,
    "sslrootcert": _sslrootcert,
}

# --- addresses -----------------------------------------------------------------------------------------------


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


def _within(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address in network for network in networks)


def _unwrapped(address: Address) -> tuple[Address, ...]:
    """The addresses that a packet would really go to: IPv4 inside of mapped, NAT64, 6to4 and Teredo addresses."""
    if isinstance(address, ipaddress.IPv4Address):
        return (address,)
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address in _NAT64:
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


def _parsed_cidrs(texts: list[str]) -> tuple[Network, ...]:
    """What is no network widens nothing."""
    found: list[Network] = []
    for text in texts:
        try:
            found.append(ipaddress.ip_network(text, strict=False))
        except ValueError:
            continue
    return tuple(found)


def _forbidden(host: str, why: str) -> Failure:
    return Failure(Reason.SOURCE_ADDRESS_FORBIDDEN, f"the source {host} may not be reached: {why}")


def judge_addresses(host: str, addresses: list[str], sources: Sources) -> str | Failure:
    """Every address that `host` resolved to → the one to use; a single forbidden one is enough to refuse all."""
    cidrs = _parsed_cidrs(sources.allowed_cidrs)
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


def resolve_source(url: SourceURL, resolve: Resolve, sources: Sources) -> Pinned | Failure:
    """Resolve the host once, judge all its addresses, pin one."""
    try:
        addresses = resolve(url.host, url.port)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or "no answer"
        return Failure(Reason.SOURCE_UNREACHABLE, f"the source's host name {url.host} cannot be resolved: {why}")
    judged = judge_addresses(url.host, addresses, sources)
    return judged if isinstance(judged, Failure) else Pinned(url, judged)
