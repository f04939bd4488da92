"""`pgimport`: words in, one command's exit code out; each command is imported only when it is called."""

import argparse
import os
from importlib import import_module

from pgimport.cli.keys_arguments import add_keys_arguments
from pgimport.model.spec import Engine, Provider, Verify

RUN_DESCRIPTION = """\
Copy one PostgreSQL database into another server, without a cluster.

The source is read, copied into a database beside the target, verified, and only then takes the target's name,
in one transaction. Whatever goes wrong before that leaves the target as it was and nothing else behind."""

RUN_EPILOG = """\
URLs hold passwords, and the arguments of a process can be read by everyone on the machine: give them by
PGIMPORT_SOURCE_URL and PGIMPORT_TARGET_URL in the environment, or in files (a - reads standard input).

examples:
  export PGIMPORT_SOURCE_URL='postgresql://reader:…@db.example.com:5432/shop'
  export PGIMPORT_TARGET_URL='postgresql://admin:…@localhost:5432/shop_copy?sslmode=prefer'
  pgimport run --plan         look at the source, say what would be done, change nothing
  pgimport run                import into a new or an empty database
  pgimport run --recreate     replace the database shop_copy as a whole

The target's user is the admin: a role with CREATEDB and CREATEROLE, no superuser needed. The imported objects
belong to another role, --owner, which is made anew with a password that is printed once.
pg_dump and pg_restore are found in /usr/lib/postgresql/<major>/bin, or below the folder PGIMPORT_CLIENTS.

exit codes: 0 done; 64-85 it will fail the same way again; 10-13, 40 and 41 try again (see the hint);
130 or 143 interrupted; 1 anything else; 2 wrong usage"""


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pgimport", description="Bring a PostgreSQL database into another server.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_run(commands.add_parser(
        "run", help="import one database, without a cluster", description=RUN_DESCRIPTION, epilog=RUN_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ))  # fmt: skip
    one = commands.add_parser("apply", help="apply one Project from a file (the chart's hook)")
    one.add_argument("file")
    add_keys_arguments(commands)
    commands.add_parser("release", help="stop the operator and take its finalizers away (the chart's hook)")
    return parser


def _add_run(parser: argparse.ArgumentParser) -> None:
    places = parser.add_argument_group("from where, to where")
    source = places.add_mutually_exclusive_group()
    source.add_argument(
        "--source", metavar="URL", help="database to copy, or https:// URL of a dump (or PGIMPORT_SOURCE_URL)"
    )
    source.add_argument("--source-file", metavar="FILE", help="file that holds the source's URL")
    target = places.add_mutually_exclusive_group()
    target.add_argument("--target", metavar="URL", help="database to make or replace (or PGIMPORT_TARGET_URL)")
    target.add_argument("--target-file", metavar="FILE", help="file that holds the target's URL")
    how = parser.add_argument_group("what to do")
    how.add_argument("--owner", metavar="NAME", help="role that owns the copy (default: the database's name + _owner)")
    how.add_argument("--owner-password-file", metavar="FILE", help="its password (default: a new one, printed once)")
    how.add_argument("--recreate", action="store_true", help="replace a target that holds objects, as a whole")
    how.add_argument("--dry-run", action="store_true", help="check, say what would be done, change nothing")
    how.add_argument("--plan", action="store_true", help="the same, and table by table how the rows would travel")
    how.add_argument("--engine", choices=[one.value for one in Engine], default=Engine.AUTO.value,
                     help="how the rows travel (default: auto)")  # fmt: skip
    how.add_argument("--jobs", type=_jobs, default=4, metavar="N", help="parallel streams, 1 to 32 (default: 4)")
    how.add_argument("--verify", choices=[one.value for one in Verify], default=Verify.COUNTS.value,
                     help="what is compared before the copy takes its name (default: counts)")  # fmt: skip
    how.add_argument("--allow-extension", action="append", default=[], metavar="NAME",
                     help="an extension that may come too, beside the usual ones; may be repeated")  # fmt: skip
    how.add_argument("--ca", metavar="FILE", help="a CA for verify-full, verify-ca and https:// (PEM)")
    how.add_argument("--sha256", metavar="HEX", help="checksum of a dump file")
    how.add_argument("--post-import", metavar="FILE", help="SQL for the finished copy, before it takes its name")
    how.add_argument("--provider", choices=[one.value for one in Provider], default=Provider.AUTO.value,
                     help="whose own schemas and extensions stay behind (default: auto)")  # fmt: skip
    part = parser.add_argument_group("what part of it (patterns as pg_dump reads them; may be repeated)")
    for name, meaning in (
        ("include-schema", "only these schemas"),
        ("exclude-schema", "not these schemas"),
        ("exclude-table", "not these tables"),
        ("exclude-table-data", "these without their rows"),
    ):
        part.add_argument(f"--{name}", action="append", default=[], metavar="PATTERN", help=meaning)
    how.add_argument("--json", action="store_true", help="progress and result as JSON lines on standard output")


def _jobs(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 32:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 32")
    return int(text)


def main(argv: list[str] | None = None) -> int:
    """The command's exit code."""
    arguments = build_parser().parse_args(argv)
    if arguments.command == "run":
        return int(import_module("pgimport.cli.run_command").main(arguments, os.environ))
    if arguments.command == "apply":
        return int(import_module("pgimport.cli.apply_command").apply(arguments.file))
    if arguments.command == "keys":
        return int(import_module("pgimport.cli.keys_command").keys(arguments))
    release = import_module("pgimport.cli.release_command").release
    return int(release(os.environ["PGIMPORT_NAMESPACE"], os.environ["PGIMPORT_DEPLOYMENT"]))
