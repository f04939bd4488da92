"""Runs the steps of one import without a cluster: preflight, shadow, import, swap and clean-up.

The worker is started first. It imports its modules while this process reads the target server.
"""

import json
import signal
import traceback
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pgimport.cli.console import Console
from pgimport.cli.hints import name_options
from pgimport.cli.local_source import open_local_source
from pgimport.cli.messages import print_error
from pgimport.cli.run_options import Options
from pgimport.cli.run_output import print_plan, print_result
from pgimport.cli.worker_process import AttemptFolder, WorkerProcess, open_attempt_folder, run_worker, start_worker
from pgimport.model.errors import PgimportError, Refused, ServerUnavailable
from pgimport.model.names import AttemptNames, attempt_names, attempt_password, replaced_names
from pgimport.model.observations import ObservedServer
from pgimport.model.order import Order, OrderTarget
from pgimport.model.owner_comment import ImportedContent, OwnerComment
from pgimport.model.project_spec import AllowedSources, SSLMode
from pgimport.model.reasons import Failure, Reason
from pgimport.model.result import SourceInfo, WorkerResult
from pgimport.model.source_addresses import METADATA_SERVICES

if TYPE_CHECKING:
    from pgimport.server.kept_connection import KeptConnection

# The user may reach every address that this machine reaches, so no address is refused.
ALL_ADDRESSES = AllowedSources(allowed_cidrs=["0.0.0.0/0", "::/0", *map(str, METADATA_SERVICES)])
BUSY_TIMEOUT = 60.0  # seconds that the swap waits for sessions that the admin may not end
IMPORT_NAME = "command-line"


class ImportFailed(Exception):
    """Carries an expected, final failure to the command, which prints it."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def ignore_signals() -> None:
    """Ignores SIGINT and SIGTERM, so that the command finishes the swap or the clean-up."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    """Values and connections that the steps of one import share."""

    options: Options
    console: Console
    worker: WorkerProcess
    folder: AttemptFolder
    comment: OwnerComment
    connect: "KeptConnection"

    @property
    def names(self) -> AttemptNames:
        return attempt_names(self.folder.pod_uid)


def run_locally(options: Options, console: Console) -> None:
    """Runs all steps and prints the result. Raises ImportFailed, PgimportError, and what a signal handler raises."""
    pod_uid = str(uuid.uuid4())
    with (
        open_local_source(options.source) as source_file,
        open_attempt_folder(options.source_text, pod_uid, options.ca, options.post_import, source_file) as folder,
        start_worker("preflight" if options.dry_run else "run", folder) as worker,
    ):
        # Only now: this loads psycopg, and the worker loads its own modules at the same time.
        from pgimport.server.kept_connection import KeptConnection

        comment = OwnerComment(project_uid=IMPORT_NAME, import_uid=pod_uid, pod_uid=pod_uid)
        with KeptConnection(options.access) as connect:
            attempt = _Attempt(
                options=options, console=console, worker=worker, folder=folder, comment=comment, connect=connect
            )
            result = _run_steps(attempt)
        if result is not None:
            print_result(console, options, result)  # before the clean-up: the password is shown nowhere else
            _drop_replaced(options, attempt.names)


def _run_steps(attempt: _Attempt) -> WorkerResult | None:
    """Runs all steps. Returns the result of an import; a dry run prints its own and returns None."""
    from pgimport.server.replacement_check import check_replaceable
    from pgimport.server.server_state import read_server_properties

    options, console, worker = attempt.options, attempt.console, attempt.worker
    server = read_server_properties(options.access, options.extensions, options.templates, connect=attempt.connect)
    for warning in server.warnings:
        console.print_step(f"warning: {name_options(warning)}")
    check_replaceable(options.access, options.database, options.owner, connect=attempt.connect)
    order = _build_order(options, server, attempt.folder.pod_uid)
    console.print_step(f"checking {options.source_title}")
    worker.send_order(order)
    objects = _read_target_objects(attempt)  # while the worker checks the source
    preflight = worker.follow_preflight(console.print_worker_line)
    console.print_checks(preflight.preflight)
    source = _get_source(preflight)
    _require_no_objects(options, objects)
    if options.dry_run:
        steps = _read_plan(attempt.folder, order) if options.plan else []
        print_plan(console, options, server, preflight.preflight, steps)
        return None
    return _import_and_swap(attempt, source)


def _import_and_swap(attempt: _Attempt, source: SourceInfo) -> WorkerResult:
    """Copies into a shadow and gives it the target's name. On failure, drops the shadow."""
    options = attempt.options
    try:
        result = _import(attempt, source)
        _require_no_objects(options, _read_target_objects(attempt))
        ignore_signals()  # The copy is complete. From here on the command finishes.
        attempt.console.print_step(f"replacing {options.database} with the copy")
        _swap(attempt, ImportedContent(data_as_of=result.data_as_of) if options.golden else None)
    except BaseException as error:
        ignore_signals()
        attempt.worker.stop()
        # Closes a connection that a signal interrupted during its login. Its backend would block DROP DATABASE until
        # authentication_timeout (seen: 60 s).
        traceback.clear_frames(error.__traceback__)
        _drop_attempt(options, attempt.names)
        raise
    return result


def _build_order(options: Options, server: ObservedServer, pod_uid: str) -> Order:
    return Order(
        import_uid=pod_uid,
        import_name=IMPORT_NAME,
        namespace="",
        target=OrderTarget(
            host=options.access.host,
            port=options.access.port,
            sslmode=SSLMode(options.access.sslmode),
            server_version=server.version,
            server_version_num=server.version_num,
            creatable_extensions=sorted(server.creatable_extensions),
            available_extensions=sorted(server.available_extensions),
            default_locale=server.default_locale,
        ),
        sources=ALL_ADDRESSES,
        allowed_extensions=options.extensions,
        engine=options.engine,
        jobs=options.jobs,
        verify=options.verify,
        on_object_error=options.on_object_error,
        sha256=options.sha256,
        provider=options.provider,
        filter=options.filter,
        target_locale=options.locale,
    )


def _get_source(result: WorkerResult) -> SourceInfo:
    """Returns what the preflight read about the source. Raises ImportFailed if a check failed."""
    source = result.preflight.source if result.preflight else None
    if result.failure is not None or not result.ok or source is None:
        raise ImportFailed(_get_failure(result))
    return source


def _get_failure(result: WorkerResult) -> Failure:
    if result.failure is not None:
        return result.failure.to_failure()
    return Failure(Reason.WORKER_FAILED, f"the worker's {result.step} failed without a reason")


def _read_target_objects(attempt: _Attempt) -> list[str]:
    """Returns the objects that users created in the target.

    Returns none with --recreate, because the import may then replace them.
    """
    from pgimport.server.temporary_role import read_user_objects_as_temporary_role

    options = attempt.options
    if options.recreate:
        return []
    return read_user_objects_as_temporary_role(
        options.access, options.database, attempt.comment, connect=attempt.connect
    )


def _require_no_objects(options: Options, objects: list[str]) -> None:
    """Raises ImportFailed if the target has objects that the import may not replace."""
    if objects:
        message = f"database {options.database} has objects of its own: {', '.join(objects)}"
        raise ImportFailed(Failure(Reason.TARGET_NOT_EMPTY, message))


def _read_plan(folder: AttemptFolder, order: Order) -> list[str]:
    """Returns one line for each step by which the worker would copy the rows."""
    steps: list[str] = []
    result = run_worker("plan", folder, order, lambda line: steps.extend(json.loads(line).get("plan", [])))
    if not result.ok:
        raise ImportFailed(_get_failure(result))
    return steps


def _import(attempt: _Attempt, source: SourceInfo) -> WorkerResult:
    """Creates the shadow, lets the worker fill it and returns the worker's result."""
    from pgimport.server.shadow import ShadowPlan, prepare_shadow

    options, console, worker = attempt.options, attempt.console, attempt.worker
    plan = ShadowPlan(
        names=attempt.names,
        password=attempt_password(attempt.folder.seed, attempt.folder.pod_uid),
        source=source,
        mark=attempt.comment,
        allowed_extensions=options.extensions,
        templates=options.templates,
        locale=options.locale,
        close_other_databases=False,  # The admin's other databases belong to the user: they stay open.
    )
    console.print_step(f"copying into {attempt.names.database}")
    try:
        # The worker waits until its role may log in. It reports the notes.
        prepare_shadow(options.access, plan, connect=attempt.connect)
    except Refused as refused:
        raise ImportFailed(refused.failure) from refused
    result = worker.follow(console.print_worker_line)
    if not result.ok or result.failure is not None:
        raise ImportFailed(_get_failure(result))
    return result


def _swap(attempt: _Attempt, content: ImportedContent | None) -> None:
    """Gives the target's name to the copy, in one transaction."""
    from pgimport.server.swap import SwapPlan, swap

    options = attempt.options
    plan = SwapPlan(
        target=options.database,
        owner=options.owner,
        owner_password=options.owner_password,
        names=attempt.names,
        busy_timeout_seconds=BUSY_TIMEOUT,
        may_log_in=not options.golden,
        content=content,
    )
    try:
        failure = swap(options.access, plan, connect=attempt.connect)
    except ServerUnavailable:
        # The server may have committed before the connection was lost. A second call detects that.
        failure = swap(options.access, plan)
    if failure is not None:
        raise ImportFailed(failure)


def _drop_attempt(options: Options, names: AttemptNames) -> None:
    """Drops the copy. If that fails, prints what to drop by hand; the caller still reports the import's failure."""
    from pgimport.server.shadow import drop_attempt

    try:
        drop_attempt(options.access, names)
    except PgimportError as error:
        print_error(
            f"pgimport: warning: database {names.database} and role {names.role}"
            f" may still exist on {options.access.address}: {error}"
        )


def _drop_replaced(options: Options, names: AttemptNames) -> None:
    """Drops the old database and its owner. The import is completed, so a failure is only a warning."""
    from pgimport.server.swap import drop_replaced

    replaced = replaced_names(names.database)
    try:
        disabled_role = drop_replaced(options.access, names)
    except PgimportError as error:
        print_error(
            f"pgimport: warning: the import is completed, but the old database {replaced.database} and role"
            f" {replaced.role} may still exist on {options.access.address}: {error}"
        )
        return
    if disabled_role is not None:
        print_error(
            f"pgimport: warning: the import is completed, but the old owner cannot be dropped yet: another database has"
            f" rights for it. It cannot log in. Its name is now {disabled_role}"
        )
