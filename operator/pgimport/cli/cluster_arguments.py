"""Defines the arguments of the commands that work with a cluster. Imports none of their modules."""

import argparse
import re
from typing import Any

from pgimport.model.import_choices import Engine, OnObjectError, Verify

Parser = argparse.ArgumentParser

CLUSTER_COMMANDS = ("import", "preview", "schedule", "project", "doctor", "version", "completion")
CLUSTER_OPTIONS = ("namespace", "context", "kubeconfig")
_DURATION = re.compile(r"([0-9]{1,9}[smh])+")
LONGEST_WAIT = 10 * 365 * 24 * 3600  # seconds; clocks and kubectl count no more than some centuries
_SECONDS = {"s": 1, "m": 60, "h": 3600}
IMPORT_STATES = ("pending", "running", "completed", "failed", "cancelled")

GLOBAL_EPILOG = """\
exit codes:
  0         all imports have completed
  1         another failure, or the time is over
  2         wrong usage
  10 to 86  an import failed; the number is that of its reason
  130       interrupted"""


def parse_timeout(text: str) -> float:
    """Returns the seconds of a duration such as `90s` or `1h30m`, at most LONGEST_WAIT."""
    if not _DURATION.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration. Write it like 90s, 10m or 1h30m")
    seconds = sum(int(count) * _SECONDS[unit] for count, unit in re.findall(r"([0-9]+)([smh])", text))
    return float(min(seconds, LONGEST_WAIT))


def add_cluster_commands(commands: Any) -> None:
    """Adds `import`, `preview`, `schedule`, `project`, `doctor`, `version` and `completion`."""
    _add_import(commands.add_parser("import", help="create, watch and control imports"))
    _add_preview(commands.add_parser("preview", help="create, reset, extend and use preview databases"))
    _add_schedule(commands.add_parser("schedule", help="list, run and suspend schedules of imports"))
    _add_project(commands.add_parser("project", help="list Projects"))
    doctor = commands.add_parser("doctor", help="check the installation, your rights and the Projects' servers")
    add_global_options(doctor)
    version = commands.add_parser("version", help="print the versions of pgimport here and in the cluster")
    add_global_options(version)
    version.add_argument("--client", action="store_true", help="print only the version of this program")
    version.add_argument("-o", "--output", choices=["json"], help="print JSON")
    completion = commands.add_parser("completion", help="print a script that completes commands in a shell")
    completion.add_argument("shell", choices=["bash", "zsh", "fish"])


def add_global_options(parser: Parser) -> None:
    """Adds kubectl's options. They may stand before or after the verb, so their default is that they are absent."""
    options = parser.add_argument_group("cluster")
    options.add_argument(
        "-n", "--namespace", metavar="NAME", default=argparse.SUPPRESS, help="namespace (default: that of the context)"
    )
    options.add_argument("--context", metavar="NAME", default=argparse.SUPPRESS, help="context of the kubeconfig")
    options.add_argument("--kubeconfig", metavar="FILE", default=argparse.SUPPRESS, help="kubeconfig to use")


def _add_verbs(parser: Parser) -> Any:
    add_global_options(parser)
    return parser.add_subparsers(dest="verb", required=True, metavar="VERB")


def _add_verb(
    verbs: Any,
    name: str,
    meaning: str,
    names: str | None = "?",
    description: str | None = None,
    epilog: str | None = None,
) -> Parser:
    """Adds a verb. `names`: None for no name, "1" for one, "+" for several."""
    verb: Parser = verbs.add_parser(
        name,
        help=meaning,
        description=description or f"{meaning[0].upper()}{meaning[1:]}.",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_global_options(verb)
    if names == "1":
        verb.add_argument("name", metavar="NAME")
    elif names == "+":
        verb.add_argument("names", metavar="NAME", nargs="+")
    return verb


def _add_list(verbs: Any, what: str, *, namespaced: bool = True) -> Parser:
    verb = _add_verb(verbs, "list", f"list {what}", None)
    if namespaced:
        verb.add_argument("-A", "--all-namespaces", action="store_true", help="list those of all namespaces")
    verb.add_argument("-l", "--selector", metavar="LABELS", help="list only those with these labels")
    verb.add_argument("-o", "--output", choices=["json", "yaml", "name", "wide"], help="format of the output")
    return verb


def _add_get(verbs: Any, what: str) -> Parser:
    verb = _add_verb(verbs, "get", f"show {what}", "1")
    verb.add_argument("-o", "--output", choices=["json", "yaml", "name", "wide"], help="format of the output")
    return verb


def _add_waiting(verb: Parser, meaning: str, default: str = "1h") -> None:
    verb.add_argument("--wait", action="store_true", help=meaning)
    _add_timeout(verb, default)


def _add_timeout(verb: Parser, default: str) -> None:
    verb.add_argument(
        "--timeout", metavar="DURATION", type=parse_timeout, default=default, help=f"longest wait (default: {default})"
    )


def _add_yes(verb: Parser) -> None:
    verb.add_argument("-y", "--yes", action="store_true", help="do not ask; needed without a terminal")


def _add_source(verb: Parser, *, required: bool) -> None:
    group = verb.add_argument_group("source (the URL holds a password, so it is no argument)")
    source = group.add_mutually_exclusive_group(required=required)
    source.add_argument("--from-secret", metavar="SECRET[/KEY]", help="existing Secret with the URL (KEY: url)")
    source.add_argument("--from-file", metavar="FILE", help="file that contains the URL; - reads standard input")
    source.add_argument("--from-env", metavar="VARIABLE", help="environment variable that contains the URL")
    source.add_argument(
        "--dump", metavar="FILE", help="dump file on this machine; needs PGIMPORT_API_URL and PGIMPORT_API_KEY"
    )
    group.add_argument(
        "--ca-secret", metavar="SECRET/KEY", help="existing Secret with the CA certificate of the source"
    )


def _add_spec_options(verb: Parser) -> None:
    options = verb.add_argument_group("options of the import")
    options.add_argument("--project", metavar="NAME", help="Project (default: that of the preview or namespace)")
    options.add_argument("--engine", choices=[choice.value for choice in Engine], help="how rows are copied")
    options.add_argument("--verify", choices=[choice.value for choice in Verify], help="what is compared")
    options.add_argument(
        "--on-object-error", choices=[choice.value for choice in OnObjectError], help="if the target refuses an object"
    )
    options.add_argument("--jobs", type=int, metavar="N", help="parallel streams, 1 to 32")
    options.add_argument("--import-timeout", metavar="DURATION", help="time limit of the import, such as 6h")
    options.add_argument("--post-import", metavar="CONFIGMAP/KEY", help="SQL that runs before the swap")
    for name, meaning in (
        ("include-schema", "copy only these schemas"),
        ("exclude-schema", "skip these schemas"),
        ("exclude-table", "skip these tables"),
        ("exclude-table-data", "copy these tables without rows"),
        ("exclude-extension", "skip these extensions and what needs them"),
    ):
        options.add_argument(
            f"--{name}", action="append", default=[], metavar="PATTERN", help=f"{meaning}; repeatable, as in pg_dump"
        )


def _add_import(parser: Parser) -> None:
    verbs = _add_verbs(parser)
    listing = _add_list(verbs, "imports")
    listing.add_argument("--state", choices=IMPORT_STATES, help="list only those in this state")
    listing.add_argument("-w", "--watch", action="store_true", help="print a line for each change")
    get = _add_get(verbs, "an import with its progress, attempts and result")
    get.add_argument("-w", "--watch", action="store_true", help="show the progress until the import has ended")
    _add_verb(verbs, "explain", "say why an import waits or failed, and what to do", "1")
    _add_new_imports(verbs)
    wait = _add_verb(verbs, "wait", "wait until imports have ended", "+", epilog=GLOBAL_EPILOG)
    _add_timeout(wait, "144h")
    for name, meaning in (
        ("cancel", "end imports for good; their targets stay unchanged"),
        ("suspend", "stop imports until you resume them"),
        ("resume", "start suspended imports again"),
    ):
        verb = _add_verb(verbs, name, meaning, "+")
        if name == "cancel":
            _add_waiting(verb, "wait until the imports have ended", "10m")
    logs = _add_verb(verbs, "logs", "print the log of an attempt, or its last lines if its pod is gone", "1")
    logs.add_argument("--attempt", type=int, metavar="N", help="number of the attempt (default: the last one)")
    logs.add_argument("-f", "--follow", action="store_true", help="wait for more lines until the pod has ended")
    report = _add_verb(verbs, "report", "print everything that an import skipped, compared or could not compare", "1")
    report.add_argument("-o", "--output", choices=["json"], help="print the lines of the report as they are")


def _add_new_imports(verbs: Any) -> None:
    """Adds the verbs that create an import."""
    create = _add_verb(verbs, "create", "create an import, and the Secret with its source URL", "1")
    _add_source(create, required=True)
    create.add_argument("--preview", required=True, metavar="NAME", help="preview to import into")
    create.add_argument("--recreate", action="store_true", help="replace all content of the preview")
    create.add_argument("-w", "--watch", action="store_true", help="show the progress until the import has ended")
    _add_waiting(create, "wait until the import has ended", "144h")
    _add_spec_options(create)
    preflight = _add_verb(
        verbs,
        "preflight",
        "show the checks of an import, or check a source",
        None,
        "Show the checks of the import NAME. With a source, check that source: this creates an import with dryRun,"
        "\nwaits for it and deletes it. The exit code is 1 if a check failed.",
    )
    preflight.add_argument("name", metavar="NAME", nargs="?")
    _add_source(preflight, required=False)
    preflight.add_argument("--preview", metavar="NAME", help="preview whose Project is meant")
    _add_spec_options(preflight)
    _add_timeout(preflight, "10m")
    retry = _add_verb(verbs, "retry", "create a new import with the spec of another one", "1")
    retry.add_argument(
        "--name", dest="new_name", metavar="NAME", help="name of the new import (default: NAME-retry, …)"
    )
    retry.add_argument("-w", "--watch", action="store_true", help="show the progress until the import has ended")
    retry.add_argument("--recreate", action="store_true", help="replace all content of the preview")


def _add_preview(parser: Parser) -> None:
    verbs = _add_verbs(parser)
    _add_list(verbs, "previews")
    _add_get(verbs, "a preview")
    create = _add_verb(verbs, "create", "create an empty preview", "1")
    create.add_argument("--golden", action="store_true", help="hold data to copy from; nobody can log in")
    clone = _add_verb(verbs, "clone", "create a preview as a copy", "1")
    clone.add_argument(
        "--from", dest="source", metavar="PREVIEW", help="preview to copy (default: the primary database)"
    )
    clone.add_argument("--disconnect", action="store_true", help="end the sessions of a preview that is not golden")
    for verb in (create, clone):
        verb.add_argument("--project", metavar="NAME", help="Project (default: that of the namespace)")
        verb.add_argument("--ttl", metavar="DURATION", help="lifetime, such as 24h (at most 168h)")
        _add_waiting(verb, "wait until the preview is ready", "10m")
    reset = _add_verb(verbs, "reset", "empty previews, or copy them again", "+")
    _add_yes(reset)
    _add_waiting(reset, "wait until the previews are ready", "10m")
    extend = _add_verb(verbs, "extend", "begin the lifetime of previews again", "+")
    extend.add_argument("--ttl", metavar="DURATION", help="new lifetime, such as 24h (at most 168h)")
    _add_waiting(extend, "wait until the previews are ready", "10m")
    delete = _add_verb(verbs, "delete", "delete previews with their databases", "+")
    _add_yes(delete)
    _add_timeout(delete, "10m")
    psql = _add_verb(
        verbs,
        "psql",
        "open psql in a preview",
        "1",
        epilog="Arguments after -- are psql's: `pgimport preview psql pr-7 -- -c '\\dt'`.",
    )
    psql.set_defaults(psql_arguments=[])
    url = _add_verb(verbs, "url", "print the connection URL of a preview, with its password", "1")
    url.add_argument(
        "--write-env", metavar="FILE", help="write DATABASE_URL to this file instead, readable by you only"
    )


def _add_schedule(parser: Parser) -> None:
    verbs = _add_verbs(parser)
    _add_list(verbs, "schedules")
    _add_get(verbs, "a schedule")
    run = _add_verb(verbs, "run", "create an import with a schedule's spec now", "1")
    run.add_argument("--name", dest="new_name", metavar="NAME", help="name of the import (default: SCHEDULE-manual-…)")
    run.add_argument("-w", "--watch", action="store_true", help="show the progress until the import has ended")
    _add_verb(verbs, "suspend", "create no further imports", "+")
    _add_verb(verbs, "resume", "create imports again", "+")


def _add_project(parser: Parser) -> None:
    verbs = _add_verbs(parser)
    _add_list(verbs, "Projects", namespaced=False)
    _add_get(verbs, "a Project")
