"""What the user asked of `pgimport run`: arguments, environment and files in, `Options` or a `Failure` out."""

import argparse
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pgimport.model.names import owner_role_name
from pgimport.model.reasons import Failure, Reason
from pgimport.model.source_url import FileURL, SourceURL, parse_source, parse_source_url
from pgimport.model.spec import DEFAULT_ALLOWED_EXTENSIONS, Engine, Filter, Provider, SSLMode, Verify
from pgimport.server.connection import Access

ENV_SOURCE_URL = "PGIMPORT_SOURCE_URL"
ENV_TARGET_URL = "PGIMPORT_TARGET_URL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """One import, as it was asked for."""

    source_text: str = field(repr=False)  # the worker parses it again, by itself
    source: SourceURL | FileURL
    access: Access
    database: str
    owner: str
    owner_password: str = field(repr=False)
    password_is_new: bool
    recreate: bool
    dry_run: bool
    plan: bool  # as well
    json: bool
    engine: Engine
    jobs: int
    verify: Verify
    extensions: list[str]
    ca: bytes | None
    post_import: bytes | None = field(repr=False)
    sha256: str | None
    provider: Provider
    filter: Filter | None
    warnings: list[str]

    @property
    def source_title(self) -> str:
        """For people."""
        place = f"{self.source.host}:{self.source.port}"
        return f"{self.source.dbname} on {place}" if isinstance(self.source, SourceURL) else f"the dump file at {place}"


def read_options(arguments: argparse.Namespace, environment: Mapping[str, str]) -> Options | Failure:
    """Nothing is connected to yet. No message holds a password."""
    source_text = _read_url("source", arguments.source, arguments.source_file, environment.get(ENV_SOURCE_URL))
    if isinstance(source_text, Failure):
        return source_text
    target_text = _read_url("target", arguments.target, arguments.target_file, environment.get(ENV_TARGET_URL))
    if isinstance(target_text, Failure):
        return target_text
    source, target = parse_source(source_text), parse_source_url(target_text)
    if isinstance(source, Failure):
        return source
    if isinstance(target, Failure):
        return Failure(target.reason, target.message.replace("source", "target"))
    password = _read_owner_password(arguments.owner_password_file)
    if isinstance(password, Failure):
        return password
    ca, script = (
        _read_bytes(name, file) for name, file in (("ca", arguments.ca), ("post-import", arguments.post_import))
    )
    if isinstance(ca, Failure):
        return ca
    if isinstance(script, Failure):
        return script
    filter_ = _build_filter(arguments)
    if isinstance(filter_, Failure):
        return filter_
    # A target without TLS is as common on a laptop as one with it: where nothing is said, libpq's own default.
    sslmode = target.sslmode if "sslmode=" in target_text else SSLMode.PREFER
    return Options(
        source_text=source_text,
        source=source,
        access=Access(
            host=target.host,
            port=target.port,
            user=target.user,
            password=target.password or "",
            sslmode=sslmode.value,
        ),
        database=target.dbname,
        owner=arguments.owner or owner_role_name(target.dbname),
        owner_password=password or secrets.token_urlsafe(24),
        password_is_new=password is None,
        recreate=arguments.recreate,
        dry_run=arguments.dry_run or arguments.plan,
        plan=arguments.plan,
        json=arguments.json,
        engine=Engine(arguments.engine),
        jobs=arguments.jobs,
        verify=Verify(arguments.verify),
        extensions=list(dict.fromkeys([*DEFAULT_ALLOWED_EXTENSIONS, *arguments.allow_extension])),
        ca=ca,
        post_import=script,
        sha256=arguments.sha256,
        provider=Provider(arguments.provider),
        filter=filter_,
        warnings=[
            f"the password in --{name} can be seen by everyone on this machine; use {variable} or --{name}-file"
            for name, text, parsed, variable in (
                ("source", arguments.source, source, ENV_SOURCE_URL),
                ("target", arguments.target, target, ENV_TARGET_URL),
            )
            if text and isinstance(parsed, SourceURL) and parsed.password
        ],
    )


def _read_url(what: str, argument: str | None, file: str | None, variable: str | None) -> str | Failure:
    """The argument or file wins over the environment."""
    if file is not None:
        try:
            return (sys.stdin.read() if file == "-" else Path(file).read_text()).strip()
        except (OSError, UnicodeDecodeError) as error:
            return _unusable(f"--{what}-file {file} cannot be read: {getattr(error, 'strerror', None) or 'no text'}")
    if text := argument or variable:
        return text.strip()
    return _unusable(f"no {what} was given: use --{what}, --{what}-file or PGIMPORT_{what.upper()}_URL")


def _read_bytes(name: str, file: str | None) -> bytes | Failure | None:
    try:
        return None if file is None else Path(file).read_bytes()
    except OSError as error:
        return Failure(Reason.INVALID_SPEC, f"--{name} {file} cannot be read: {error.strerror}")


def _build_filter(arguments: argparse.Namespace) -> Filter | Failure | None:
    given = {
        "include_schemas": arguments.include_schema, "exclude_schemas": arguments.exclude_schema,
        "exclude_tables": arguments.exclude_table, "exclude_table_data": arguments.exclude_table_data,
    }  # fmt: skip
    try:
        return Filter(**given) if any(given.values()) else None
    except ValueError as error:
        return Failure(Reason.FILTER_INVALID, f"the patterns are not usable: {error}")


def _read_owner_password(file: str | None) -> str | Failure | None:
    if file is None:
        return None
    try:
        password = Path(file).read_text().rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "no text"
        return Failure(Reason.INVALID_SPEC, f"--owner-password-file {file} cannot be read: {why}")
    return password or Failure(Reason.INVALID_SPEC, f"--owner-password-file {file} is empty")


def _unusable(message: str) -> Failure:
    return Failure(Reason.SOURCE_URL_INVALID, message)
