"""`pgimport run`: one import without a cluster, by the same steps: preflight, shadow, import, swap, clean-up."""

import argparse
import json
import signal
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pgimport.cli.console import Console
from pgimport.cli.options import Options, read_options
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
from pgimport.server.server_state import read_server_facts
from pgimport.server.shadow import ShadowPlan, drop_attempt, prepare_shadow
from pgimport.server.swap import SwapPlan, drop_replaced, swap
from pgimport.server.temporary_role import read_user_objects_as_temporary_role

# A user may reach from this machine what this machine reaches: nobody else's network is at stake.
EVERYWHERE = AllowedSources(allowed_cidrs=["0.0.0.0/0", "::/0"])
SWAP_PATIENCE = 60.0  # seconds for sessions that may not be ended to leave the target
EXIT_FAILED = 1


class _Ended(Exception):
    """An expected and final outcome, on its way to the one place that prints it."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class _Interrupted(BaseException):
    """SIGINT or SIGTERM; unwinds like Ctrl-C, and remembers which it was."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def main(arguments: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """The exit code; whatever happens, nothing of ours is left behind but what was asked for."""
    console = Console(sys.stdout, sys.stderr, as_json=arguments.json)
    options = read_options(arguments, environment)
    if isinstance(options, Failure):
        return console.fail(options)
    for warning in options.warnings:
        print(f"pgimport: warning: {warning}", file=sys.stderr)
    try:
        with _interruptible():
            return _run(options, console)
    except (_Ended, ServerUnavailable) as ended:
        return console.fail(ended.failure)
    except PgimportError as error:
        print(f"pgimport: {error}", file=sys.stderr)
        return EXIT_FAILED
    except _Interrupted as interrupted:
        console.fail(Failure(Reason.CANCELLED, "interrupted; the target is as it was"))
        return 128 + interrupted.number


@contextmanager
def _interruptible() -> Iterator[None]:
    """The first signal unwinds; none disturbs the clean-up that it leads to."""

    def interrupt(number: int, _frame: object) -> None:
        _ignore_signals()
        raise _Interrupted(number)

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ignore_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _run(options: Options, console: Console) -> int:
    pod_uid = str(uuid.uuid4())
    names = attempt_names(pod_uid)
    mark = OwnerComment(project_uid="command-line", import_uid=pod_uid, pod_uid=pod_uid)
    server = read_server_facts(options.access, options.extensions)
    check_replaceable(options.access, options.database, options.owner)
    with open_attempt_folder(options.source_text, pod_uid, options.ca, options.post_import) as place:
        order = _build_order(options, server, pod_uid)
        console.say(f"looking at {options.source_title}")
        looked = run_worker("preflight", place, order, console.listen)
        console.report(looked.preflight)
        source = _source_of(looked)
        _refuse_full_target(options, mark)
        if options.dry_run:
            steps = _read_plan(place, order) if options.plan else []
            return _show_plan(options, names, server, looked, console, steps)
        try:
            done = _import(options, console, place, order, source, mark)
            _refuse_full_target(options, mark)
            _ignore_signals()  # from here on it is finished, not given up
            console.say("swapping")
            _swap(options, names)
        except BaseException:
            _ignore_signals()
            _clean_up(options, names)
            raise
        drop_replaced(options.access, names)
    return _show_result(options, done, console)


def _clean_up(options: Options, names: AttemptNames) -> None:
    """Where even this fails, the user is told what to drop; what led here is told all the same."""
    try:
        drop_attempt(options.access, names)
    except PgimportError as error:
        print(
            f"pgimport: warning: database {names.database} and role {names.role}"
            f" may be left on {options.access.address}: {error}",
            file=sys.stderr,
        )


def _build_order(options: Options, server: ObservedServer, pod_uid: str) -> Order:
    return Order(
        import_uid=pod_uid,
        import_name="command-line",
        namespace="",
        target=OrderTarget(
            host=options.access.host,
            port=options.access.port,
            sslmode=SSLMode(options.access.sslmode),
            server_version=server.version,
            server_version_num=server.version_num,
            creatable_extensions=sorted(server.creatable_extensions),
        ),
        sources=EVERYWHERE,
        allowed_extensions=options.extensions,
        engine=options.engine,
        jobs=options.jobs,
        verify=options.verify,
        sha256=options.sha256,
        provider=options.provider,
        filter=options.filter,
    )


def _source_of(result: WorkerResult) -> SourceInfo:
    source = result.preflight.source if result.preflight else None
    if result.failure is not None or not result.ok or source is None:
        raise _Ended(_failure_of(result))
    return source


def _failure_of(result: WorkerResult) -> Failure:
    if result.failure is not None:
        return result.failure.to_failure()
    return Failure(Reason.WORKER_FAILED, f"the {result.step} ended without saying why")


def _refuse_full_target(options: Options, mark: OwnerComment) -> None:
    if options.recreate:
        return
    if found := read_user_objects_as_temporary_role(options.access, options.database, mark):
        raise _Ended(
            Failure(
                Reason.TARGET_NOT_EMPTY,
                f"database {options.database} holds objects of its own: {', '.join(found)}",
            )
        )


def _import(
    options: Options, console: Console, place: AttemptFolder, order: Order, source: SourceInfo, mark: OwnerComment
) -> Verification | None:
    names = attempt_names(place.pod_uid)
    plan = ShadowPlan(
        names=names,
        password=attempt_password(place.seed, place.pod_uid),
        source=source,
        mark=mark,
        close_other_databases=False,  # the admin's other databases are the user's, not ours
    )
    console.say(f"copying into {names.database}")
    with start_worker("import", place, order) as worker:  # it waits at its gate, as in a pod
        for note in prepare_shadow(options.access, plan):
            console.say(f"  note: {note}")
        result = worker.follow(console.listen)
    if not result.ok or result.failure is not None:
        raise _Ended(_failure_of(result))
    return result.verification


def _swap(options: Options, names: AttemptNames) -> None:
    plan = SwapPlan(
        target=options.database,
        owner=options.owner,
        owner_password=options.owner_password,
        names=names,
        busy_timeout_seconds=SWAP_PATIENCE,
    )
    try:
        failure = swap(options.access, plan)
    except ServerUnavailable:
        failure = swap(options.access, plan)  # a connection that was lost at the end: it may have been carried out
    if failure is not None:
        raise _Ended(failure)


def _read_plan(place: AttemptFolder, order: Order) -> list[str]:
    """How the rows would travel, as the worker plans it."""
    planned: list[str] = []

    def listen(line: str) -> None:
        planned.extend(json.loads(line).get("plan", []))

    result = run_worker("plan", place, order, listen)
    if not result.ok:
        raise _Ended(_failure_of(result))
    return planned


def _show_plan(
    options: Options,
    names: AttemptNames,
    server: ObservedServer,
    looked: WorkerResult,
    console: Console,
    steps: list[str],
) -> int:
    place = options.access.address
    console.result(
        [
            f"would copy {options.source_title}",
            f"  into a database like {names.database} on {place} (PostgreSQL {server.version})",
            f"  with {options.jobs} streams, engine {options.engine.value}, verify: {options.verify.value}",
            *(f"    {step}" for step in steps),
            f"  then {'replace' if options.recreate else 'fill'} {options.database}, owned by {options.owner}"
            + (" with a new password" if options.password_is_new else ""),
            "nothing was changed",
        ],
        plan=True,
        database=options.database,
        owner=options.owner,
        preflight=looked.preflight.to_json() if looked.preflight else None,
        **({"steps": steps} if steps else {}),
    )
    return 0


def _show_result(options: Options, done: Verification | None, console: Console) -> int:
    lines = [f"{options.database} on {options.access.address} holds the import; its owner is {options.owner}"]
    if done is not None and done.verified:
        lines.append(f"verified ({done.mode}): {done.tables} tables, {done.rows} rows, {done.sequences} sequences")
    if done is not None:
        lines += [f"  note: {note}" for note in done.notes]
    if options.password_is_new:
        lines.append(f"password of {options.owner}, shown only now: {options.owner_password}")
    console.result(
        lines,
        database=options.database,
        owner=options.owner,
        **({"ownerPassword": options.owner_password} if options.password_is_new else {}),
        verification=done.to_json() if done else None,
    )
    return 0
