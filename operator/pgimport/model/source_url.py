"""Source URLs: text in, an allow-listed `SourceURL` or `FileURL` out; with its host's addresses, one pinned address.

The URL is parsed here and rebuilt from its parts wherever it is used: libpq never sees the text. No message holds a
password: parts of a URL are quoted only after they proved to be what they stand for.
"""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from urllib.parse import SplitResult, unquote, urlsplit

from pgimport.model.reasons import Failure, Reason
from pgimport.model.source_addresses import Resolve, decide_address
from pgimport.model.spec import AllowedSources, SSLMode

DEFAULT_PORT = 5432
DEFAULT_FILE_PORT = 443
DEFAULT_APPLICATION_NAME = "pgimport"
MAX_CONNECT_TIMEOUT = 60  # seconds
MAX_URL_LENGTH = 4096

_SCHEMES = ("postgresql", "postgres")
_FILE_SCHEMES = ("https",)
_HOST_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(\.(?!-)[a-z0-9_-]{1,63})*\.?", re.ASCII)
_PARAMETER = re.compile(r"[a-z_]{1,40}", re.ASCII)
_ENDPOINT = re.compile(r"endpoint=([a-z0-9][a-z0-9-]{0,62})", re.ASCII)
_APPLICATION_NAME = re.compile(r"[ -~]{1,63}", re.ASCII)
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


Parsed = TypeVar("Parsed")


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


@dataclass(frozen=True, slots=True, kw_only=True)
class FileURL:
    """A dump file at an HTTPS server."""

    host: str
    port: int
    target: str = field(repr=False)  # path and query as they are: either may hold the right to read the file
    scheme: str = "https"  # http only for the platform's own upload store

    @property
    def origin(self) -> str:
        """`https://files.example.com:443`."""
        return f"{self.scheme}://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


URL = TypeVar("URL", bound=SourceURL | FileURL)


@dataclass(frozen=True, slots=True)
class PinnedURL(Generic[URL]):
    """A source and the one address it may be reached at; the name stays for SNI and the certificate."""

    url: URL
    address: str


def parse_source(text: str) -> SourceURL | FileURL | Failure:
    """A live source's URL, or a dump file's; or what is wrong with it."""
    is_file = text.strip().lower().startswith(("https:", "http:"))
    return parse_file_url(text) if is_file else parse_source_url(text)


def parse_source_url(text: str) -> SourceURL | Failure:
    """The text of a postgresql:// URL → its parts, or what is wrong with it."""
    return _tried(_parse, text)


def parse_file_url(text: str) -> FileURL | Failure:
    """The text of an https:// URL → its parts, or what is wrong with it."""
    return _tried(_parse_file, text)


def parse_upload_url(text: str, origin: str) -> FileURL | Failure:
    """The URL of an upload, which must be the store's own; it may speak http, for it is the platform's."""
    found = _tried(lambda given: _parse_file(given, ("http", "https")), text)
    if isinstance(found, FileURL) and found.origin != origin:
        return Failure(Reason.SOURCE_URL_INVALID, "the upload's URL does not lead to the upload store")
    return found


def parse_origin(endpoint: str) -> str:
    """Of the store's own URL, which the platform's admin wrote: with its port. Raises ValueError."""
    try:
        return _parse_file(endpoint, ("http", "https")).origin
    except _Invalid as error:
        raise ValueError(str(error)) from None


def _tried(parse: Callable[[str], Parsed], text: str) -> Parsed | Failure:
    try:
        return parse(text.strip())
    except _Invalid as error:
        return Failure(Reason.SOURCE_URL_INVALID, f"the source URL is not usable: {error}")


class _Invalid(Exception):
    """What is wrong, in words that quote nothing secret."""


def _split(text: str, schemes: tuple[str, ...]) -> SplitResult:
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
    if parts.scheme not in schemes or "://" not in text:
        raise _Invalid(f"it must begin with {' or '.join(f'{scheme}://' for scheme in schemes)}")
    return parts


def _parse_file(text: str, schemes: tuple[str, ...] = _FILE_SCHEMES) -> FileURL:
    parts = _split(text, schemes)
    if "@" in parts.netloc:
        raise _Invalid("it holds a user or a password; use a URL that needs none, for example a presigned one")
    if not text.isascii():
        raise _Invalid("it holds characters that are not ASCII; percent-encode them (a host as punycode)")
    if parts.fragment or text.endswith("#"):
        raise _Invalid("it has a fragment (#…)")
    host, port = _parse_location(parts.netloc, DEFAULT_FILE_PORT if parts.scheme == "https" else 80)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return FileURL(host=host, port=port, target=target, scheme=parts.scheme)


def _parse(text: str) -> SourceURL:
    parts = _split(text, _SCHEMES)
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
    host, port = _parse_location(location, DEFAULT_PORT)
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


def _parse_location(location: str, default_port: int) -> tuple[str, int]:
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
        return host.rstrip("."), default_port
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


def resolve_source(url: URL, resolve: Resolve, sources: AllowedSources) -> PinnedURL[URL] | Failure:
    """Resolve the host once, judge all its addresses, pin one."""
    try:
        addresses = resolve(url.host, url.port)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or "no answer"
        return Failure(Reason.SOURCE_UNREACHABLE, f"the source's host name {url.host} cannot be resolved: {why}")
    judged = decide_address(url.host, addresses, sources)
    return judged if isinstance(judged, Failure) else PinnedURL(url, judged)
