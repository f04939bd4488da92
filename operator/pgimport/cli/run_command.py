"""`pgimport run`: runs one import without a cluster, with the steps of an import in a cluster.

The steps are preflight, shadow, import, swap and clean-up.
"""

import argparse
import json
import signal
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pgimport.cli.console import Console
from pgimport.cli.options import Options, read_options
from pgimport.cli.run_output import print_plan, print_result
from pgimport.cli.worker_process import AttemptFolder, open_attempt_folder, run_worker, start_worker
from pgimport.model.errors import PgimportError, ServerUnavailable
from pgimport.model.names import AttemptNames, attempt_names, attempt_password
from pgimport.model.observations import ObservedServer
from pgimport.model.order import Order, OrderTarget
from pgimport.model.owner_comment import OwnerComment
from pgimport.model.reasons import Failure, Reason
from pgimport.model.result import SourceInfo, Verification, WorkerResult
from pgimport.model.spec import AllowedSources, SSLMode
from pgimport.server.replacement_check import check_replaceable
from pgimport.server.server_state import read_server_properties
from pgimport.server.shadow import ShadowPlan, drop_attempt, prepare_shadow
from pgimport.server.swap import SwapPlan, drop_replaced, swap
from pgimport.server.temporary_role import read_user_objects_as_temporary_role

# The user may reach every address that this machine reaches, so no address is refused.
ALL_ADDRESSES = AllowedSources(allowed_cidrs=["0.0.0.0/0", "::/0"])
BUSY_TIMEOUT = 60.0  # seconds until the sessions that the admin may not end have left the target
IMPORT_NAME = "command-line"
EXIT_FAILED = 1


class _ImportFailed(Exception):
    """Carries an expected, final failure to `main`, which prints it."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class _Interrupted(BaseException):
    """SIGINT or SIGTERM arrived. Unwinds like KeyboardInterrupt."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.signal_number = signal_number


def main(arguments: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Runs the import and returns the exit code. After a failure the target is unchanged and the copy is dropped."""
    console = Console(sys.stdout, sys.stderr, as_json=arguments.json)
    options = read_options(arguments, environment)
    if isinstance(options, Failure):
        return console.fail(options)
    for warning in options.warnings:
        print(f"pgimport: warning: {warning}", file=sys.stderr)
    try:
        with _interruptible():
            _run(options, console)
    except (_ImportFailed, ServerUnavailable) as error:
        return console.fail(error.failure)
    except PgimportError as error:
        print(f"pgimport: {error}", file=sys.stderr)
        return EXIT_FAILED
    except _Interrupted as interrupted:
        console.fail(Failure(Reason.CANCELLED, "interrupted; the target is unchanged"))
        return 128 + interrupted.signal_number
    return 0


@contextmanager
def _interruptible() -> Iterator[None]:
    """Lets the first signal raise _Interrupted. Later signals do not disturb the clean-up."""

    def interrupt(number: int, _frame: object) -> None:
        _ignore_signals()
        raise _Interrupted(number)

    handlers = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _ignore_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _run(options: Options, console: Console) -> None:
    """Runs all steps and prints the result. Raises _ImportFailed, PgimportError, _Interrupted."""
    pod_uid = str(uuid.uuid4())
    names = attempt_names(pod_uid)
    comment = OwnerComment(project_uid=IMPORT_NAME, import_uid=pod_uid, pod_uid=pod_uid)
    server = read_server_properties(options.access, options.extensions)
    check_replaceable(options.access, options.database, options.owner)
    with open_attempt_folder(options.source_text, pod_uid, options.ca, options.post_import) as folder:
        order = _build_order(options, server, pod_uid)
        console.say(f"checking {options.source_title}")
        preflight = run_worker("preflight", folder, order, console.print_worker_line)
        console.print_checks(preflight.preflight)
        source = _get_source(preflight)
        _require_empty_target(options, comment)
        if options.dry_run:
            steps = _read_plan(folder, order) if options.plan else []
            print_plan(console, options, server, preflight.preflight, steps)
            return
        try:
            verification = _import(options, console, folder, order, source, comment)
            _require_empty_target(options, comment)
            _ignore_signals()  # The copy is complete. From here on the command finishes.
            console.say(f"replacing {options.database} with the copy")
            _swap(options, names)
        except BaseException:
            _ignore_signals()
            _drop_attempt(options, names)
            raise
        drop_replaced(options.access, names)
    print_result(console, options, verification)


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
        ),
        sources=ALL_ADDRESSES,
        allowed_extensions=options.extensions,
        engine=options.engine,
        jobs=options.jobs,
        verify=options.verify,
        sha256=options.sha256,
        provider=options.provider,
        filter=options.filter,
    )


def _get_source(result: WorkerResult) -> SourceInfo:
    """Returns what the preflight read about the source. Raises _ImportFailed if a check failed."""
    source = result.preflight.source if result.preflight else None
    if result.failure is not None or not result.ok or source is None:
        raise _ImportFailed(_get_failure(result))
    return source


def _get_failure(result: WorkerResult) -> Failure:
    if result.failure is not None:
        return result.failure.to_failure()
    return Failure(Reason.WORKER_FAILED, f"the worker's {result.step} failed without a reason")


def _require_empty_target(options: Options, comment: OwnerComment) -> None:
    """Raises _ImportFailed if the target has objects of a user. With --recreate they may be replaced."""
    if options.recreate:
        return
    objects = read_user_objects_as_temporary_role(options.access, options.database, comment)
    if objects:
        message = f"database {options.database} has objects of its own: {', '.join(objects)}"
        raise _ImportFailed(Failure(Reason.TARGET_NOT_EMPTY, message))


def _read_plan(folder: AttemptFolder, order: Order) -> list[str]:
    """Returns one line for each step by which the worker would copy the rows."""
    steps: list[str] = []
    result = run_worker("plan", folder, order, lambda line: steps.extend(json.loads(line).get("plan", [])))
    if not result.ok:
        raise _ImportFailed(_get_failure(result))
    return steps


def _import(
    options: Options, console: Console, folder: AttemptFolder, order: Order, source: SourceInfo, comment: OwnerComment
) -> Verification | None:
    """Creates the shadow, fills it and returns what the worker verified."""
    names = attempt_names(folder.pod_uid)
    plan = ShadowPlan(
        names=names,
        password=attempt_password(folder.seed, folder.pod_uid),
        source=source,
        mark=comment,
        close_other_databases=False,  # The admin's other databases belong to the user: they stay open.
    )
    console.say(f"copying into {names.database}")
    with start_worker("import", folder, order) as worker:  # The worker waits until its role may log in.
        for note in prepare_shadow(options.access, plan):
            console.say(f"  note: {note}")
        result = worker.follow(console.print_worker_line)
    if not result.ok or result.failure is not None:
        raise _ImportFailed(_get_failure(result))
    return result.verification


def _swap(options: Options, names: AttemptNames) -> None:
    """Gives the target's name to the copy, in one transaction."""
    plan = SwapPlan(
        target=options.database,
        owner=options.owner,
        owner_password=options.owner_password,
        names=names,
        busy_timeout_seconds=BUSY_TIMEOUT,
    )
    try:
        failure = swap(options.access, plan)
    except ServerUnavailable:
        failure = swap(options.access, plan)  # The lost connection may have committed: a second swap finds that out.
    if failure is not None:
        raise _ImportFailed(failure)


def _drop_attempt(options: Options, names: AttemptNames) -> None:
    """Drops the copy. If that fails too, prints what to drop by hand; the first failure is reported as well."""
    try:
        drop_attempt(options.access, names)
    except PgimportError as error:
        print(
            f"pgimport: warning: database {names.database} and role {names.role}"
            f" may still exist on {options.access.address}: {error}",
            file=sys.stderr,
        )
