"""Defines the arguments of all commands.

Imports neither pydantic nor a command's module: `pgimport --help` answers at once.
"""

import argparse
import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from pgimport import __version__
from pgimport.cli.cluster_arguments import CLUSTER_COMMANDS, CLUSTER_OPTIONS, add_cluster_commands, add_global_options
from pgimport.model.api_caller import ApiScope
from pgimport.model.import_choices import Engine, LocaleProvider, OnObjectError, Provider, Verify

Arguments = argparse.Namespace

DEFAULT_NAMESPACE = "pgimport-system"
MAX_JOBS = 32

RUN_DESCRIPTION = """\
Copy one PostgreSQL database to another server, without a cluster.

The command reads the source, copies it into a new database on the target server, and verifies the copy. Then the copy
takes the target's name in one transaction. If a step fails before that, the target is unchanged and the copy is
dropped."""

RUN_EPILOG = """\
URLs contain passwords, and every user of this machine can read the arguments of a process. Set PGIMPORT_SOURCE_URL and
PGIMPORT_TARGET_URL in the environment, or use --source-file and --target-file (- reads standard input).

examples:
  export PGIMPORT_SOURCE_URL='postgresql://reader:…@db.example.com:5432/shop'
  export PGIMPORT_TARGET_URL='postgresql://admin:…@localhost:5432/shop_copy?sslmode=prefer'
  pgimport run --plan         check the source, print the plan, change nothing
  pgimport run                import into a new or empty database
  pgimport run --recreate     replace the database shop_copy
  pgimport run --golden       import into a database to copy from, to which nobody can log in
  pgimport run --from-golden shop --target postgresql://admin@localhost/pr_7
  pgimport run --source ./shop.dump
  ssh db.example.com pg_dump -Fc shop | pgimport run --source -

The target's user is the admin: a role with CREATEDB and CREATEROLE. It does not need superuser. Another role, --owner,
owns the imported objects. The command creates it with a new password and prints the password once.
The command finds pg_dump and pg_restore in /usr/lib/postgresql/<major>/bin, or below the folder PGIMPORT_CLIENTS.

exit codes:
  0         the target has the import
  64 to 86  the import will fail in the same way again
  10 to 16  try again
  40 to 44  the import needs more memory, scratch space or disk; the hint says which
  130, 143  interrupted
  1         another failure
  2         wrong usage"""

_DURATION = re.compile(r"([1-9][0-9]{0,4})([hd])")
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1)}


def build_parser(program: str = "pgimport") -> argparse.ArgumentParser:
    """Builds the parser of `pgimport`; `command` is the name of the chosen command."""
    parser = argparse.ArgumentParser(
        prog=program, description="Copy PostgreSQL databases: into previews of a cluster, or to another server."
    )
    parser.set_defaults(program=program)
    parser.add_argument("--version", action="version", version=f"pgimport {__version__}")
    add_global_options(parser)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    add_cluster_commands(commands)
    run = commands.add_parser(
        "run",
        help="import one database, without a cluster",
        description=RUN_DESCRIPTION,
        epilog=RUN_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_run_arguments(run)
    _add_keys_arguments(commands.add_parser("keys", help="create, list and revoke API keys of the HTTP API"))
    apply = commands.add_parser("apply", help="apply one Project from a file (a hook of the chart)")
    apply.add_argument("file", metavar="FILE", help="the Project as YAML")
    commands.add_parser("release", help="stop the operator and remove its finalizers (a hook of the chart)")
    return parser


def parse_arguments(parser: argparse.ArgumentParser, words: Sequence[str]) -> Arguments:
    """Parses the words of the command line. What stands after `--` belongs to psql: argparse would read it as ours."""
    own = [*words]
    if "psql" in own and "preview" in own[: own.index("psql")] and "--" in own:
        own = own[: own.index("--")]
    arguments = parser.parse_args(own)
    if (option := find_ignored_option(arguments)) is not None:
        parser.error(f"{option} does not apply to `{arguments.command}`")
    if len(own) < len(words):
        arguments.psql_arguments = list(words[len(own) + 1 :])
    return arguments


def find_ignored_option(arguments: Arguments) -> str | None:
    """Returns an option for a cluster that stands before a command that would ignore it."""
    used = CLUSTER_OPTIONS if arguments.command in CLUSTER_COMMANDS else ("namespace",)[: arguments.command == "keys"]
    return next((f"--{name}" for name in CLUSTER_OPTIONS if name in arguments and name not in used), None)


def _add_run_arguments(parser: argparse.ArgumentParser) -> None:
    databases = parser.add_argument_group("source and target")
    source = databases.add_mutually_exclusive_group()
    source.add_argument(
        "--source",
        metavar="URL",
        help="database to copy, https:// URL or path of a dump, or - for a dump on standard input (or"
        " PGIMPORT_SOURCE_URL)",
    )
    source.add_argument("--source-file", metavar="FILE", help="file with the source's URL")
    target = databases.add_mutually_exclusive_group()
    target.add_argument("--target", metavar="URL", help="database to create or replace (or PGIMPORT_TARGET_URL)")
    target.add_argument("--target-file", metavar="FILE", help="file with the target's URL")

    options = parser.add_argument_group("options")
    options.add_argument(
        "--owner", metavar="NAME", help="role that owns the copy (default: the target database's name + _owner)"
    )
    options.add_argument(
        "--owner-password-file", metavar="FILE", help="file with the owner's password (default: a new password)"
    )
    options.add_argument("--recreate", action="store_true", help="replace the target database if it has objects")
    golden = options.add_mutually_exclusive_group()
    golden.add_argument("--golden", action="store_true", help="nobody can log in to the target; make copies of it")
    golden.add_argument(
        "--from-golden",
        metavar="DATABASE",
        help="copy this golden database of the target's server into the target, without a source",
    )
    options.add_argument("--dry-run", action="store_true", help="run the checks, print the plan, change nothing")
    options.add_argument("--plan", action="store_true", help="like --dry-run; also print how each table is copied")
    _add_choice(options, "--engine", Engine, Engine.AUTO, "how rows are copied")
    options.add_argument(
        "--jobs", type=_parse_jobs, default=4, metavar="N", help=f"parallel streams, 1 to {MAX_JOBS} (default: 4)"
    )
    _add_choice(options, "--verify", Verify, Verify.COUNTS, "how the copy is compared with the source")
    _add_choice(
        options,
        "--on-object-error",
        OnObjectError,
        OnObjectError.SKIP,
        "what happens when the target refuses an object: list and skip it, or fail",
    )
    options.add_argument(
        "--allow-extension",
        action="append",
        default=[],
        metavar="NAME",
        help="extension that may be created, in addition to the default list; repeatable",
    )
    options.add_argument(
        "--template",
        action="append",
        default=[],
        metavar="NAME",
        help="database of the target server to create the copy from, if its encoding and locale fit; repeatable",
    )
    options.add_argument(
        "--locale",
        type=_parse_locale,
        metavar="LOCALE",
        help="locale of the copy instead of the source's: de_DE.UTF-8, icu:de-DE or builtin:C.UTF-8",
    )
    options.add_argument("--ca", metavar="FILE", help="CA certificate (PEM) for verify-full, verify-ca and https://")
    options.add_argument("--sha256", metavar="HEX", help="checksum of the dump file")
    options.add_argument(
        "--post-import", metavar="FILE", help="SQL that runs in the copy before it takes the target's name"
    )
    _add_choice(options, "--provider", Provider, Provider.AUTO, "provider whose own schemas and extensions are skipped")
    options.add_argument("--json", action="store_true", help="print progress and result as JSON lines")

    filters = parser.add_argument_group("filters (patterns of pg_dump; repeatable)")
    for name, meaning in (
        ("include-schema", "copy only these schemas"),
        ("exclude-schema", "skip these schemas"),
        ("exclude-table", "skip these tables"),
        ("exclude-table-data", "copy these tables without rows"),
        ("exclude-extension", "skip these extensions and all objects that need them"),
    ):
        filters.add_argument(f"--{name}", action="append", default=[], metavar="PATTERN", help=meaning)


def _add_keys_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-n",
        "--namespace",
        metavar="NAME",
        default=argparse.SUPPRESS,
        help=f"the operator's namespace (default: PGIMPORT_NAMESPACE, else {DEFAULT_NAMESPACE})",
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    create = verbs.add_parser("create", help="create a key and print it once")
    create.add_argument("--organization", required=True, metavar="ID", help="organizationID of the Projects")
    create.add_argument("--project", metavar="NAME", help="limit the key to this Project")
    create.add_argument(
        "--scope",
        action="append",
        choices=[scope.value for scope in ApiScope],
        default=[],
        help="what the key allows; repeatable (default: all scopes)",
    )
    create.add_argument("--name", default="", help="name by which people recognise the key")
    create.add_argument(
        "--expires", type=_parse_duration, metavar="DURATION", help="lifetime, for example 12h or 30d (default: none)"
    )
    create.add_argument("--secret", metavar="NAME", help="write the key to this new Secret instead of printing it")
    list_ = verbs.add_parser("list", help="list all keys without their secret part")
    list_.add_argument("--json", action="store_true", help="print JSON")
    revoke = verbs.add_parser("revoke", help="revoke a key; the API refuses it within seconds")
    revoke.add_argument("id", metavar="ID", help="id of the key in `pgimport keys list`")


def _add_choice(
    group: Any, flag: str, choices: type[Engine | OnObjectError | Provider | Verify], default: str, meaning: str
) -> None:
    values = [choice.value for choice in choices]
    group.add_argument(flag, choices=values, default=str(default), help=f"{meaning} (default: {default})")


def _parse_jobs(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MAX_JOBS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {MAX_JOBS}")
    return int(text)


def _parse_locale(text: str) -> dict[str, str]:
    """Returns fields of TargetLocale: `icu:de-DE` has provider and locale, `de_DE.UTF-8` is a locale of libc."""
    prefix, separator, name = text.partition(":")
    if not separator and text:
        return {"provider": LocaleProvider.LIBC, "lc_collate": text, "lc_ctype": text}
    if name and prefix == LocaleProvider.ICU:
        return {"provider": LocaleProvider.ICU, "icu_locale": name}
    if name and prefix == LocaleProvider.BUILTIN:
        return {"provider": LocaleProvider.BUILTIN, "builtin_locale": name}
    raise argparse.ArgumentTypeError(
        f"{text!r} is not a locale. Write it like de_DE.UTF-8, icu:de-DE or builtin:C.UTF-8"
    )


def _parse_duration(text: str) -> timedelta:
    match = _DURATION.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration. Write it like 12h or 30d")
    return int(match[1]) * _UNITS[match[2]]
