"""Parses source URLs with an allow-list of parameters, and pins the address of their host.

Callers rebuild the URL from its parsed parts, so libpq never sees the user's text. No message contains a password:
messages quote a part of the URL only after it was recognised as that part.
"""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from urllib.parse import SplitResult, unquote, urlsplit

from pgimport.model.project_spec import AllowedSources, SSLMode
from pgimport.model.reasons import Failure, Reason
from pgimport.model.source_addresses import Resolve, decide_address

DEFAULT_PORT = 5432
DEFAULT_FILE_PORT = 443
DEFAULT_APPLICATION_NAME = "pgimport"
MAX_CONNECT_TIMEOUT = 60  # seconds
MAX_URL_LENGTH = 4096

STANDARD_INPUT = "-"
_KEYWORDS = re.compile(r"[a-z_]+ *= *", re.ASCII)
_DUMP_ENDINGS = (".dump", ".sql", ".backup", ".tar", ".pgdump", ".gz", ".zst", ".bz2", ".xz", ".lz4", ".tgz", ".zip")
_SCHEMES = ("postgresql", "postgres")
# Schemes of URLs that people paste → what the URL is, and what to do.
_OTHER_SCHEMES: tuple[tuple[str, str, str], ...] = (
    (
        r"(mysql|mariadb|sqlite|sqlserver|mssql|oracle|mongodb|rediss?|cockroachdb|clickhouse)\b",
        "it leads to another kind of database, and only PostgreSQL can be imported",
        "Convert the data to PostgreSQL first, for example with pgloader. Then give the URL of that database.",
    ),
    (
        r"jdbc:|postgres(ql)?\+",
        "it has the form of a driver of JDBC or SQLAlchemy",
        "Remove what the driver added: the URL begins with postgresql:// and holds user and password before the host.",
    ),
    (
        r"(s3|gs|gcs|az|azblob|abfss?|wasbs?|ftps?|sftp|ssh|scp)://",
        "it leads to a file in a way that the import cannot read",
        "Let the store sign an https:// URL for the file (a presigned URL), and give that.",
    ),
)
_FILE_SCHEMES = ("https",)
_HOST_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(\.(?!-)[a-z0-9_-]{1,63})*\.?", re.ASCII)
_PARAMETER = re.compile(r"[a-z_]{1,40}", re.ASCII)
_ENDPOINT = re.compile(r"endpoint=([a-z0-9][a-z0-9-]{0,62})", re.ASCII)
_APPLICATION_NAME = re.compile(r"[ -~]{1,63}", re.ASCII)
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


ParsedURL = TypeVar("ParsedURL")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceURL:
    """Live source: the parts of a postgresql:// URL with parameters of the allow-list."""

    host: str
    port: int
    user: str
    password: str | None = field(repr=False)
    dbname: str
    sslmode: SSLMode = SSLMode.REQUIRE
    connect_timeout: int | None = None  # seconds
    application_name: str = DEFAULT_APPLICATION_NAME
    channel_binding: str | None = None
    endpoint: str | None = None  # value of `options=endpoint=…`, by which some providers route
    system_roots: bool = False  # sslrootcert=system


@dataclass(frozen=True, slots=True, kw_only=True)
class FileURL:
    """Dump file on an HTTPS server."""

    host: str
    port: int
    target: str = field(repr=False)  # path and query, unchanged; each may contain a token
    scheme: str = "https"  # http is possible for the platform's own upload store

    @property
    def origin(self) -> str:
        """Returns the origin with the port, for example `https://files.example.com:443`."""
        return f"{self.scheme}://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class LocalFile:
    """Dump on the machine of `pgimport run`. No pod can read it."""

    path: str  # absolute, or STANDARD_INPUT


URL = TypeVar("URL", bound=SourceURL | FileURL)


@dataclass(frozen=True, slots=True)
class PinnedURL(Generic[URL]):
    """Source URL with the checked address to connect to. The host name is used for SNI and the certificate."""

    url: URL
    address: str


FILE_ADVICE = "Write the dump's URL as https://host/path, with special characters percent-encoded."
_NAME_ADVICE = (
    "Check the spelling of the host name. The machine or pod that runs the import must be able to resolve it: names of"
    " a private network often cannot be resolved elsewhere."
)


def parse_source(text: str) -> SourceURL | FileURL | Failure:
    """Parses the URL of a live source or of a dump file."""
    if looks_like_path(text):
        return Failure(
            Reason.SOURCE_URL_INVALID,
            "the source is a path, but a pod cannot read files of another machine",
            "Upload the dump with the HTTP API, give the https:// URL of an object store, or use `pgimport run`.",
        )
    is_file = text.strip().lower().startswith(("https:", "http:"))
    return parse_file_url(text) if is_file else parse_source_url(text)


def looks_like_path(text: str) -> bool:
    """True for a path, and false for a URL and for libpq's keywords such as `host=localhost`. Pure."""
    text = text.strip()
    if text == STANDARD_INPUT or text.lower().startswith("file:"):
        return True
    if "://" in text or _KEYWORDS.match(text):
        return False
    return text.startswith(("/", "./", "../", "~")) or text.lower().endswith(_DUMP_ENDINGS)


def parse_source_url(text: str) -> SourceURL | Failure:
    """Parses a postgresql:// URL."""
    return _parse_or_fail(_parse, text)


def parse_file_url(text: str) -> FileURL | Failure:
    """Parses an https:// URL of a dump file."""
    return _parse_or_fail(_parse_file, text)


def parse_upload_url(text: str, origin: str) -> FileURL | Failure:
    """Parses the URL of an upload. It must lead to the store; http is allowed, because the store is the platform's."""
    url = _parse_or_fail(lambda trimmed: _parse_file(trimmed, ("http", "https")), text)
    if isinstance(url, FileURL) and url.origin != origin:
        message = "the upload's URL does not lead to the upload store"
        return Failure(Reason.SOURCE_URL_INVALID, message, "Create the import again with the key of an upload.")
    return url


def parse_origin(endpoint: str) -> str:
    """Returns the origin, with its port, of the store URL that the platform's admin configured. Raises ValueError."""
    try:
        return _parse_file(endpoint, ("http", "https")).origin
    except _Invalid as error:
        raise ValueError(str(error)) from None


def _parse_or_fail(parse: Callable[[str], ParsedURL], text: str) -> ParsedURL | Failure:
    try:
        return parse(text.strip())
    except _Invalid as error:
        advice = error.advice or (FILE_ADVICE if text.strip().lower().startswith(("https:", "http:")) else "")
        return Failure(Reason.SOURCE_URL_INVALID, f"the source URL is not usable: {error}", advice)


class _Invalid(Exception):
    """Says what is wrong with a URL. The message contains no secret. The advice replaces the hint of the reason."""

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.advice = advice


def _split(text: str, schemes: tuple[str, ...]) -> SplitResult:
    if not text:
        raise _Invalid("it is empty")
    if len(text) > MAX_URL_LENGTH:
        raise _Invalid(
            f"it has {len(text)} characters, and at most {MAX_URL_LENGTH} are possible",
            "Give the URL alone: check whether other text was pasted or read with it.",
        )
    if _CONTROL.search(text) or " " in text or "\\" in text:
        if _KEYWORDS.match(text):
            raise _Invalid("it has the form of libpq's keywords (host=… dbname=…), but must be a URL")
        raise _Invalid("it holds a space, a backslash or a control character; percent-encode it")
    try:
        parts = urlsplit(text)
    except ValueError:
        raise _Invalid("its host is malformed") from None
    if parts.scheme not in schemes or "://" not in text:
        raise _describe_other_scheme(text, schemes)
    return parts


def _describe_other_scheme(text: str, schemes: tuple[str, ...]) -> _Invalid:
    rule = f"it must begin with {' or '.join(f'{scheme}://' for scheme in schemes)}"
    for pattern, description, advice in _OTHER_SCHEMES:
        if re.match(pattern, text.lower()):
            return _Invalid(f"{rule}. {description[0].upper()}{description[1:]}", advice)
    return _Invalid(rule)


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
    if "@" not in text:
        raise _Invalid("it names no user: write the user and the password, as user:password@, in front of the host")
    # There must be one @ before the host. Otherwise a part below could belong to a password that was not encoded.
    if text.count("@") != 1 or "@" not in parts.netloc:
        raise _Invalid(
            "it must have exactly one @, between password and host; percent-encode special characters"
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
        user=_decode(user, "user"),
        password=_decode(password, "password") if password else None,
        dbname=_parse_dbname(parts.path),
        **_parse_parameters(parts.query),  # type: ignore[arg-type]
    )


def _decode(text: str, part: str) -> str:
    if not text:
        raise _Invalid(f"it names no {part}")
    if _BAD_ESCAPE.search(text):
        raise _Invalid(f"its {part} holds a % that begins no percent-encoded character (% itself is %25)")
    try:
        value = unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise _Invalid(f"its {part} is not UTF-8") from None
    if _CONTROL.search(value):
        raise _Invalid(f"its {part} holds a control character")
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
    return _decode(path[1:], "database")


def _parse_parameters(query: str) -> dict[str, object]:
    values: dict[str, object] = {}
    names: set[str] = set()
    for item in query.split("&") if query else []:
        name, equals, raw = item.partition("=")
        if not equals or not _PARAMETER.fullmatch(name):
            raise _Invalid("its parameters are not of the form name=value&name=value")
        if name in names:
            raise _Invalid(f"it gives {name} twice")
        names.add(name)
        value = _decode(raw, f"parameter {name}")
        if name not in _PARAMETERS:
            allowed = ", ".join(_PARAMETERS)
            raise _Invalid(
                f"parameter {name} is not allowed (allowed: {allowed})", f"Leave {name} out of the source URL."
            )
        values.update(_PARAMETERS[name](value))
    if values.get("system_roots") and values.get("sslmode") != SSLMode.VERIFY_FULL:
        raise _Invalid("sslrootcert=system needs sslmode=verify-full")
    return values


def _parse_sslmode(value: str) -> dict[str, object]:
    if value not in set(SSLMode):
        raise _Invalid(f"sslmode must be one of {', '.join(SSLMode)}")
    return {"sslmode": SSLMode(value)}


def _parse_connect_timeout(value: str) -> dict[str, object]:
    if not re.fullmatch(r"[0-9]{1,4}", value, re.ASCII) or int(value) == 0:
        raise _Invalid("connect_timeout must be a number of seconds, 1 or more")
    return {"connect_timeout": min(int(value), MAX_CONNECT_TIMEOUT)}


def _parse_application_name(value: str) -> dict[str, object]:
    if not _APPLICATION_NAME.fullmatch(value):
        raise _Invalid("application_name must be 1 to 63 printable ASCII characters")
    return {"application_name": value}


def _parse_channel_binding(value: str) -> dict[str, object]:
    if value not in ("disable", "prefer", "require"):
        raise _Invalid("channel_binding must be disable, prefer or require")
    return {"channel_binding": value}


def _parse_options(value: str) -> dict[str, object]:
    match = _ENDPOINT.fullmatch(value)
    if match is None:
        raise _Invalid(
            "options may only be endpoint=<name>",
            "Leave options out of the source URL: the import sets the settings that it needs.",
        )
    return {"endpoint": match[1]}


def _parse_sslrootcert(value: str) -> dict[str, object]:
    if value != "system":
        raise _Invalid(
            "sslrootcert may only be system; a CA of your own comes from spec.source.caSecretRef",
            "Leave sslrootcert out of the source URL, and set spec.source.caSecretRef to the CA.",
        )
    return {"system_roots": True}


_PARAMETERS: dict[str, Callable[[str], dict[str, object]]] = {
    "sslmode": _parse_sslmode,
    "connect_timeout": _parse_connect_timeout,
    "application_name": _parse_application_name,
    "channel_binding": _parse_channel_binding,
    "options": _parse_options,
    "sslrootcert": _parse_sslrootcert,
}


def resolve_source(url: URL, resolve: Resolve, sources: AllowedSources) -> PinnedURL[URL] | Failure:
    """Resolves the host once, checks all its addresses and pins one of them."""
    try:
        addresses = resolve(url.host, url.port)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "no answer"
        message = f"the source's host name {url.host} cannot be resolved: {reason}"
        return Failure(Reason.SOURCE_UNREACHABLE, message, _NAME_ADVICE)
    address = decide_address(url.host, addresses, sources)
    return address if isinstance(address, Failure) else PinnedURL(url, address)
