"""Reads the options of `pgimport run` from arguments, environment variables and files."""

import argparse
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pgimport.cli.local_source import find_local_file
from pgimport.model.import_choices import Engine, OnObjectError, Provider, Verify
from pgimport.model.import_spec import Filter, TargetLocale
from pgimport.model.names import NAME_LIMIT, owner_role_name
from pgimport.model.project_spec import DEFAULT_ALLOWED_EXTENSIONS, SSLMode
from pgimport.model.reasons import Failure, Reason
from pgimport.model.source_url import STANDARD_INPUT, FileURL, LocalFile, SourceURL, parse_source, parse_source_url
from pgimport.server.server_access import Access

ENV_SOURCE_URL = "PGIMPORT_SOURCE_URL"
ENV_TARGET_URL = "PGIMPORT_TARGET_URL"
PASSWORD_BYTES = 24

# The reason to report if the text of a URL cannot be read.
_URL_REASONS = {"source": Reason.SOURCE_URL_INVALID, "target": Reason.TARGET_URL_INVALID}


# Options that apply to an import, and not to a copy of a golden database.
_ONLY_IMPORT = (
    *("source", "source_file", "dry_run", "plan", "allow_extension", "template", "locale", "ca", "sha256"),
    *("post_import", "include_schema", "exclude_schema", "exclude_table", "exclude_table_data", "exclude_extension"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyOptions:
    """The options of one `pgimport run --from-golden`."""

    golden: str  # the database to copy
    access: Access
    database: str
    owner: str
    owner_password: str = field(repr=False)
    password_is_new: bool
    recreate: bool
    warnings: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of one `pgimport run`."""

    source_text: str = field(repr=False)  # the worker parses this text itself
    source: SourceURL | FileURL | LocalFile
    access: Access
    database: str
    owner: str
    owner_password: str | None = field(repr=False)  # None: the target is golden
    password_is_new: bool
    recreate: bool
    golden: bool  # nobody can log in to the target
    dry_run: bool
    plan: bool  # implies dry_run
    json: bool
    engine: Engine
    jobs: int
    verify: Verify
    on_object_error: OnObjectError
    extensions: list[str]
    templates: list[str]
    locale: TargetLocale | None
    ca: bytes | None
    post_import: bytes | None = field(repr=False)
    sha256: str | None
    provider: Provider
    filter: Filter | None
    warnings: list[str]

    @property
    def source_title(self) -> str:
        """`shop on db.example.com:5432`, `the dump file at files.example.com:443`, or `the dump /srv/shop.dump`."""
        if isinstance(self.source, LocalFile):
            name = "on standard input" if self.source.path == STANDARD_INPUT else self.source.path
            return f"the dump {name}"
        address = f"{self.source.host}:{self.source.port}"
        if isinstance(self.source, FileURL):
            return f"the dump file at {address}"
        return f"{self.source.dbname} on {address}"


def read_copy_options(arguments: argparse.Namespace, environment: Mapping[str, str]) -> CopyOptions | Failure:
    """Reads the options of a copy, as `read_options` does."""
    if not arguments.from_golden:
        return Failure(Reason.INVALID_SPEC, "--from-golden names no database")
    if ignored := [name for name in _ONLY_IMPORT if getattr(arguments, name)]:
        option = ignored[0].replace("_", "-")
        return Failure(
            Reason.INVALID_SPEC, f"--{option} does not apply to --from-golden, which copies a whole database"
        )
    text = _read_url("target", arguments.target, arguments.target_file, environment.get(ENV_TARGET_URL))
    if isinstance(text, Failure):
        return text
    target = _parse_target_url(text, arguments.owner)
    if isinstance(target, Failure):
        return target
    password = _read_owner_password(arguments.owner_password_file)
    if isinstance(password, Failure):
        return password
    return CopyOptions(
        golden=arguments.from_golden,
        access=_build_access(target, text),
        database=target.dbname,
        owner=arguments.owner or owner_role_name(target.dbname),
        owner_password=password or secrets.token_urlsafe(PASSWORD_BYTES),
        password_is_new=password is None,
        recreate=arguments.recreate,
        warnings=_warn_of_password("target", arguments.target, target),
    )


def read_options(arguments: argparse.Namespace, environment: Mapping[str, str]) -> Options | Failure:
    """Reads all files and checks all values. Opens no connection. No message contains a password."""
    if arguments.golden and arguments.owner_password_file:
        message = "--owner-password-file does not apply to --golden: nobody can log in to a golden database"
        return Failure(Reason.INVALID_SPEC, message)
    source_text = _read_url("source", arguments.source, arguments.source_file, environment.get(ENV_SOURCE_URL))
    if isinstance(source_text, Failure):
        return source_text
    target_text = _read_url("target", arguments.target, arguments.target_file, environment.get(ENV_TARGET_URL))
    if isinstance(target_text, Failure):
        return target_text
    source = find_local_file(source_text) or parse_source(source_text)
    if isinstance(source, Failure):
        return source
    target = _parse_target_url(target_text, arguments.owner)
    if isinstance(target, Failure):
        return target
    password = _read_owner_password(arguments.owner_password_file)
    if isinstance(password, Failure):
        return password
    ca = _read_bytes("ca", arguments.ca)
    if isinstance(ca, Failure):
        return ca
    post_import = _read_bytes("post-import", arguments.post_import)
    if isinstance(post_import, Failure):
        return post_import
    filter_ = _build_filter(arguments)
    if isinstance(filter_, Failure):
        return filter_
    return Options(
        source_text=source_text,
        source=source,
        access=_build_access(target, target_text),
        database=target.dbname,
        owner=arguments.owner or owner_role_name(target.dbname),
        owner_password=None if arguments.golden else password or secrets.token_urlsafe(PASSWORD_BYTES),
        password_is_new=password is None and not arguments.golden,
        recreate=arguments.recreate,
        golden=arguments.golden,
        dry_run=arguments.dry_run or arguments.plan,
        plan=arguments.plan,
        json=arguments.json,
        engine=Engine(arguments.engine),
        jobs=arguments.jobs,
        verify=Verify(arguments.verify),
        on_object_error=OnObjectError(arguments.on_object_error),
        extensions=list(dict.fromkeys([*DEFAULT_ALLOWED_EXTENSIONS, *arguments.allow_extension])),
        templates=arguments.template,
        locale=TargetLocale(**arguments.locale) if arguments.locale else None,
        ca=ca,
        post_import=post_import,
        sha256=arguments.sha256,
        provider=Provider(arguments.provider),
        filter=filter_,
        warnings=[
            *_warn_of_password("source", arguments.source, source),
            *_warn_of_password("target", arguments.target, target),
        ],
    )


def _read_url(name: str, argument: str | None, file: str | None, variable: str | None) -> str | Failure:
    """Reads the text of a URL. The argument and the file take precedence over the environment variable.

    So does an empty argument: a script whose variable is not set must not use another database.
    """
    if file is not None:
        try:
            return (sys.stdin.read() if file == "-" else Path(file).read_text()).strip()
        except (OSError, UnicodeDecodeError) as error:
            return Failure(_URL_REASONS[name], f"--{name}-file {file} cannot be read: {_describe(error)}")
    if text := variable if argument is None else argument:
        return text.strip()
    return Failure(
        _URL_REASONS[name],
        f"the {name} URL is missing: set PGIMPORT_{name.upper()}_URL, or use --{name} or --{name}-file",
    )


def _parse_target_url(text: str, owner: str | None) -> SourceURL | Failure:
    """Parses the target's URL, which has the same parts as a source's URL.

    Refuses names that PostgreSQL would cut: two long names of branches can have the same beginning.
    """
    target = parse_source_url(text)
    if isinstance(target, Failure):
        return Failure(Reason.TARGET_URL_INVALID, target.message.replace("source", "target", 1))
    for kind, name in (("database", target.dbname), ("role", owner or "")):
        if (size := len(name.encode())) > NAME_LIMIT:
            message = f"the name of {kind} {name} has {size} bytes; PostgreSQL allows {NAME_LIMIT}"
            return Failure(Reason.TARGET_URL_INVALID if kind == "database" else Reason.INVALID_SPEC, message)
    return target


def _build_access(target: SourceURL, text: str) -> Access:
    # Many targets on a laptop have no TLS. Without sslmode in the URL, libpq's own default applies.
    sslmode = target.sslmode if "sslmode=" in text else SSLMode.PREFER
    return Access(
        host=target.host, port=target.port, user=target.user, password=target.password or "", sslmode=sslmode.value
    )


def _read_bytes(name: str, file: str | None) -> bytes | Failure | None:
    try:
        return None if file is None else Path(file).read_bytes()
    except OSError as error:
        return Failure(Reason.INVALID_SPEC, f"--{name} {file} cannot be read: {_describe(error)}")


def _read_owner_password(file: str | None) -> str | Failure | None:
    if file is None:
        return None
    try:
        password = Path(file).read_text().rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        return Failure(Reason.INVALID_SPEC, f"--owner-password-file {file} cannot be read: {_describe(error)}")
    return password or Failure(Reason.INVALID_SPEC, f"--owner-password-file {file} is empty")


def _describe(error: OSError | UnicodeDecodeError) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else "it is not UTF-8 text"


def _build_filter(arguments: argparse.Namespace) -> Filter | Failure | None:
    patterns = {
        "include_schemas": arguments.include_schema,
        "exclude_schemas": arguments.exclude_schema,
        "exclude_tables": arguments.exclude_table,
        "exclude_table_data": arguments.exclude_table_data,
        "exclude_extensions": arguments.exclude_extension,
    }
    try:
        return Filter(**patterns) if any(patterns.values()) else None
    except ValueError as error:
        return Failure(Reason.FILTER_INVALID, f"a pattern is not valid: {error}")


def _warn_of_password(name: str, argument: str | None, url: SourceURL | FileURL | LocalFile) -> list[str]:
    if argument and isinstance(url, SourceURL) and url.password:
        variable = f"PGIMPORT_{name.upper()}_URL"
        return [f"every user of this machine can read the password in --{name}; use {variable} or --{name}-file"]
    return []
