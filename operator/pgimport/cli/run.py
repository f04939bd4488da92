"""`pgimport run`: one import without a cluster, by the same steps: preflight, shadow, import, swap, clean-up."""

import argparse
import json
import signal
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pgimport.cli.child import Workplace, open_workplace, run_worker, start_worker
from pgimport.cli.screen import Screen
from pgimport.cli.wish import Wish, read_wish
from pgimport.model.errors import PgimportError, ServerAway
from pgimport.model.facts import ServerFacts
from pgimport.model.mark import Mark
from pgimport.model.names import AttemptNames, attempt_names, attempt_password
from pgimport.model.order import Order, OrderTarget
from pgimport.model.reasons import Failure, Reason
from pgimport.model.result import SourceFacts, Verification, WorkerResult
from pgimport.model.spec import Sources, SSLMode
from pgimport.server.facts import read_server_facts
from pgimport.server.replaceable import check_replaceable
from pgimport.server.shadow import ShadowPlan, drop_attempt, prepare_shadow
from pgimport.server.swap import SwapPlan, drop_replaced, swap
from pgimport.server.visitor import read_objects_of_others

# A user may reach from this machine what this machine reaches: nobody else's network is at stake.
EVERYWHERE = Sources(allowed_cidrs=["0.0.0.0/0", "::/0"])
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
    screen = Screen(sys.stdout, sys.stderr, as_json=arguments.json)
    wish = read_wish(arguments, environment)
    if isinstance(wish, Failure):
        return screen.fail(wish)
    for warning in wish.warnings:
        print(f"pgimport: warning: {warning}", file=sys.stderr)
    try:
        with _interruptible():
            return _run(wish, screen)
    except (_Ended, ServerAway) as ended:
        return screen.fail(ended.failure)
    except PgimportError as error:
        print(f"pgimport: {error}", file=sys.stderr)
        return EXIT_FAILED
    except _Interrupted as interrupted:
        screen.fail(Failure(Reason.CANCELLED, "interrupted; the target is as it was"))
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


def _run(wish: Wish, screen: Screen) -> int:
    pod_uid = str(uuid.uuid4())
    names = attempt_names(pod_uid)
    mark = Mark(project_uid="command-line", import_uid=pod_uid, pod_uid=pod_uid)
    server = read_server_facts(wish.access, wish.extensions)
    check_replaceable(wish.access, wish.database, wish.owner)
    with open_workplace(wish.source_text, pod_uid, wish.ca, wish.post_import) as place:
        order = _build_order(wish, server, pod_uid)
        screen.say(f"looking at {wish.source_title}")
        looked = run_worker("preflight", place, order, screen.listen)
        screen.report(looked.preflight)
        source = _source_of(looked)
        _refuse_full_target(wish, mark)
        if wish.dry_run:
            steps = _read_plan(place, order) if wish.plan else []
            return _show_plan(wish, names, server, looked, screen, steps)
        try:
            done = _import(wish, screen, place, order, source, mark)
            _refuse_full_target(wish, mark)
            _ignore_signals()  # from here on it is finished, not given up
            screen.say("swapping")
            _swap(wish, names)
        except BaseException:
            _ignore_signals()
            _clean_up(wish, names)
            raise
        drop_replaced(wish.access, names)
    return _show_result(wish, done, screen)


def _clean_up(wish: Wish, names: AttemptNames) -> None:
    """Where even this fails, the user is told what to drop; what led here is told all the same."""
    try:
        drop_attempt(wish.access, names)
    except PgimportError as error:
        print(
            f"pgimport: warning: database {names.database} and role {names.role} may be left on {wish.access.place}:"
            f" {error}",
            file=sys.stderr,
        )


def _build_order(wish: Wish, server: ServerFacts, pod_uid: str) -> Order:
    return Order(
        import_uid=pod_uid,
        import_name="command-line",
        namespace="",
        target=OrderTarget(
            host=wish.access.host,
            port=wish.access.port,
            sslmode=SSLMode(wish.access.sslmode),
            server_version=server.version,
            server_version_num=server.version_num,
            creatable_extensions=sorted(server.creatable_extensions),
        ),
        sources=EVERYWHERE,
        allowed_extensions=wish.extensions,
        engine=wish.engine,
        jobs=wish.jobs,
        verify=wish.verify,
        sha256=wish.sha256,
        provider=wish.provider,
        filter=wish.filter,
    )


def _source_of(result: WorkerResult) -> SourceFacts:
    source = result.preflight.source if result.preflight else None
    if result.failure is not None or not result.ok or source is None:
        raise _Ended(_failure_of(result))
    return source


def _failure_of(result: WorkerResult) -> Failure:
    if result.failure is not None:
        return result.failure.to_failure()
    return Failure(Reason.WORKER_FAILED, f"the {result.step} ended without saying why")


def _refuse_full_target(wish: Wish, mark: Mark) -> None:
    if wish.recreate:
        return
    if found := read_objects_of_others(wish.access, wish.database, mark):
        raise _Ended(
            Failure(
                Reason.TARGET_NOT_EMPTY,
                f"database {wish.database} holds objects of its own: {', '.join(found)}",
            )
        )


def _import(
    wish: Wish, screen: Screen, place: Workplace, order: Order, source: SourceFacts, mark: Mark
) -> Verification | None:
    names = attempt_names(place.pod_uid)
    plan = ShadowPlan(
        names=names,
        password=attempt_password(place.seed, place.pod_uid),
        source=source,
        mark=mark,
        close_others=False,  # the admin's other databases are the user's, not ours
    )
    screen.say(f"copying into {names.database}")
    with start_worker("import", place, order) as worker:  # it waits at its gate, as in a pod
        for note in prepare_shadow(wish.access, plan):
            screen.say(f"  note: {note}")
        result = worker.follow(screen.listen)
    if not result.ok or result.failure is not None:
        raise _Ended(_failure_of(result))
    return result.verification


def _swap(wish: Wish, names: AttemptNames) -> None:
    plan = SwapPlan(
        target=wish.database,
        owner=wish.owner,
        owner_password=wish.owner_password,
        names=names,
        patience_seconds=SWAP_PATIENCE,
    )
    try:
        failure = swap(wish.access, plan)
    except ServerAway:
        failure = swap(wish.access, plan)  # a connection that was lost at the end: it may have been carried out
    if failure is not None:
        raise _Ended(failure)


def _read_plan(place: Workplace, order: Order) -> list[str]:
    """How the rows would travel, as the worker plans it."""
    planned: list[str] = []

    def listen(line: str) -> None:
        planned.extend(json.loads(line).get("plan", []))

    result = run_worker("plan", place, order, listen)
    if not result.ok:
        raise _Ended(_failure_of(result))
    return planned


def _show_plan(
    wish: Wish, names: AttemptNames, server: ServerFacts, looked: WorkerResult, screen: Screen, steps: list[str]
) -> int:
    place = wish.access.place
    screen.result(
        [
            f"would copy {wish.source_title}",
            f"  into a database like {names.database} on {place} (PostgreSQL {server.version})",
            f"  with {wish.jobs} streams, engine {wish.engine.value}, verify: {wish.verify.value}",
            *(f"    {step}" for step in steps),
            f"  then {'replace' if wish.recreate else 'fill'} {wish.database}, owned by {wish.owner}"
            + (" with a new password" if wish.password_is_new else ""),
            "nothing was changed",
        ],
        plan=True,
        database=wish.database,
        owner=wish.owner,
        preflight=looked.preflight.to_json() if looked.preflight else None,
        **({"steps": steps} if steps else {}),
    )
    return 0


def _show_result(wish: Wish, done: Verification | None, screen: Screen) -> int:
    lines = [f"{wish.database} on {wish.access.place} holds the import; its owner is {wish.owner}"]
    if done is not None and done.verified:
        lines.append(f"verified ({done.mode}): {done.tables} tables, {done.rows} rows, {done.sequences} sequences")
    if done is not None:
        lines += [f"  note: {note}" for note in done.notes]
    if wish.password_is_new:
        lines.append(f"password of {wish.owner}, shown only now: {wish.owner_password}")
    screen.result(
        lines,
        database=wish.database,
        owner=wish.owner,
        **({"ownerPassword": wish.owner_password} if wish.password_is_new else {}),
        verification=done.to_json() if done else None,
    )
    return 0
