"""Says what to do about a failure, in the words of the command line. Pure.

The messages and hints in `model` mention fields of Kubernetes resources. A user of the command line has options
instead.
"""

import re

from pgimport.model.reasons import Failure, Reason

# Hints for a user without a cluster.
_HINTS = {
    Reason.TARGET_NOT_EMPTY: "Use --recreate to replace the database.",
    Reason.EXTENSION_NOT_ALLOWED: (
        "Allow the extension with --allow-extension, or skip it and what needs it with --exclude-extension."
    ),
    Reason.CLIENT_TOO_OLD: "Install current PostgreSQL clients, or set PGIMPORT_CLIENTS to their folder.",
    Reason.SERVER_UNREACHABLE: "Check host and port in the target URL, and the health of the server.",
    Reason.SERVER_AUTH_FAILED: "Check the user and password in the target URL.",
    Reason.INVALID_SPEC: "Read `pgimport run --help`.",
    Reason.NOT_SUPPORTED: "Leave the option out: it does not apply to this source.",
    Reason.FILTER_INVALID: "Correct the pattern. It has the syntax of pg_dump.",
    Reason.SCRATCH_FULL: "Set TMPDIR to a folder with more space.",
    Reason.WORKER_OUT_OF_MEMORY: "Set --jobs to a lower number.",
    Reason.WORKER_FAILED: "Run the command with --json, and report the traceback in its output.",
    Reason.VERIFICATION_FAILED: (
        "Import again. The target was not changed. With --json, the result lists each difference."
    ),
    Reason.SOURCE_ADDRESS_FORBIDDEN: "Write the public host name or address of the source server into the source URL.",
    Reason.SOURCE_TOO_LARGE: "Import less with --exclude-table, --exclude-schema or --exclude-table-data.",
    Reason.DUMP_NOT_FOUND: "Check that the path or URL still leads to the dump file.",
    Reason.ORDER_UNREADABLE: "Install pgimport again: its command line and its worker have different versions.",
}
# Longer names come first.
_OPTIONS = {
    "the Project does not allow extensions": "--allow-extension does not name extensions",
    "spec.filter.includeSchemas": "--include-schema",
    "spec.filter.excludeSchemas": "--exclude-schema",
    "spec.filter.excludeTableData": "--exclude-table-data",
    "spec.filter.excludeTables": "--exclude-table",
    "spec.filter.excludeExtensions": "--exclude-extension",
    "filter.includeSchemas": "--include-schema",
    "filter.excludeSchemas": "--exclude-schema",
    "filter.excludeTableData": "--exclude-table-data",
    "filter.excludeTables": "--exclude-table",
    "filter.excludeExtensions": "--exclude-extension",
    "spec.filter": "--exclude-table or --exclude-schema",
    "spec.source.caSecretRef": "--ca",
    "spec.source.sha256": "--sha256",
    "spec.target.locale": "--locale",
    "spec.server.templates": "--template",
    "spec.resources.limits.memory": "the machine's memory",
    "spec.scratch.size": "the space in TMPDIR",
    "spec.onObjectError": "--on-object-error",
    "spec.postImport": "--post-import",
    "spec.engine": "--engine",
    "spec.verify": "--verify",
    "spec.jobs": "--jobs",
}
_FIELD = re.compile("|".join(rf"\b{re.escape(name)}\b" for name in _OPTIONS))


def name_options(text: str) -> str:
    """Replaces names of fields by the options that set them."""
    return _FIELD.sub(lambda match: _OPTIONS[match[0]], text)


def find_hint(failure: Failure) -> str:
    """Returns what to do next: the failure's own advice, else the command line's hint, else the reason's hint."""
    return name_options(failure.advice or _HINTS.get(failure.reason, failure.hint))
