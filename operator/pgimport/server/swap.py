"""The swap: a filled shadow becomes the target, its role the owner, in one transaction; or nothing has changed.

read → close (imp NOLOGIN, both databases shut) → end sessions → one transaction → open
                                                  └ held by somebody: open the old one at once, try again
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import psycopg
from psycopg import errors as postgres
from psycopg import sql

from pgimport.model.errors import PgimportError
from pgimport.model.names import AttemptNames, replaced_names
from pgimport.model.reasons import Failure, Reason
from pgimport.server.carry_over import (
    CarryOver,
    read_carry_over,
    read_memberships,
    read_stored_settings,
    reset_statement,
    write_carry_over,
)
from pgimport.server.connection import (
    Access,
    Connect,
    Connection,
    connect,
    ensure_synchronous_commit,
    lock_database_name,
    scram_verifier,
    session,
)
from pgimport.server.drop import (
    allow_connections,
    disallow_connections,
    drop_database,
    drop_role,
    end_sessions,
    read_prepared_transactions,
)
from pgimport.server.replacement_check import require_replaceable
from pgimport.server.shared_objects import SharedObjects, read_shared_objects

# Between two looks while somebody holds a database who may not be ended; the target is open meanwhile.
RETRY_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapPlan:
    """What becomes what. Target and owner need not exist yet."""

    target: str
    owner: str
    owner_password: str | None = field(repr=False)  # None: the new owner cannot log in with a password
    names: AttemptNames
    patience_seconds: float

    @property
    def replaced(self) -> AttemptNames:
        return replaced_names(self.names.database)


def swap(
    access: Access,
    plan: SwapPlan,
    *,
    connect: Connect = connect,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> Failure | None:
    """None: done, now or by an earlier call. A Failure: the target is as it was, and open.

    Raises Conflict where the owner has more to lose than the target.
    """
    with session(access, connect=connect) as connection:
        lock_database_name(connection, plan.target)
        ensure_synchronous_commit(connection)
        found = _read(connection, plan)
        if plan.names.database not in found.databases:
            return _finish(connection, plan, found)
        require_replaceable(connection, access, plan.target, plan.owner)
        deadline = clock() + plan.patience_seconds
        while True:
            failure = _try(connection, access, plan, connect)
            if failure is None:
                return None
            left = deadline - clock()
            if left <= 0 or read_prepared_transactions(connection, [plan.target, plan.names.database]):
                return failure
            pause(min(RETRY_SECONDS, left))


def finish_swap(access: Access, plan: SwapPlan, *, connect: Connect = connect) -> Failure | None:
    """After a crash: a swap that was carried out is complete; may be repeated."""
    with session(access, connect=connect) as connection:
        lock_database_name(connection, plan.target)
        return _finish(connection, plan, _read(connection, plan))


def open_target(access: Access, target: str, *, connect: Connect = connect) -> None:
    """After a crash: a target that a swap had shut lets its sessions in again; nothing there is fine."""
    with session(access, connect=connect) as connection:
        lock_database_name(connection, target)
        _open_target(connection, target)


def drop_replaced(access: Access, names: AttemptNames, *, connect: Connect = connect) -> None:
    """What this attempt's swap replaced: the old database, then the old role; nothing there is fine."""
    replaced = replaced_names(names.database)
    with session(access, connect=connect) as connection:
        drop_database(connection, access, replaced.database, connect)
        drop_role(connection, access, replaced.role, connect)


def _read(connection: Connection, plan: SwapPlan) -> SharedObjects:
    return read_shared_objects(
        connection,
        databases=[plan.target, plan.names.database, plan.replaced.database],
        roles=[plan.owner, plan.names.role, plan.replaced.role],
    )


def _finish(connection: Connection, plan: SwapPlan, found: SharedObjects) -> Failure | None:
    if plan.names.database in found.databases:
        return Failure(Reason.TARGET_BUSY, f"the swap into database {plan.target} has not happened yet")
    swapped = plan.replaced.database in found.databases or plan.replaced.role in found.roles
    if plan.target not in found.databases or not swapped:
        return Failure(
            Reason.TARGET_LOST, f"the copy {plan.names.database} for database {plan.target} is not on the server"
        )
    if not found.databases[plan.target].open:
        allow_connections(connection, plan.target)
    return None


def _try(connection: Connection, access: Access, plan: SwapPlan, connect: Connect) -> Failure | None:
    """Once. The target is open again, old or new, however this ends."""
    both = [plan.target, plan.names.database]
    if prepared := read_prepared_transactions(connection, both):
        gids = ", ".join(f"{one.gid} of {one.owner}" for one in prepared[:3])
        return _busy(plan, f"a prepared transaction ({gids})")
    verifier = scram_verifier(connection, plan.owner, plan.owner_password) if plan.owner_password else None
    carry_over = read_carry_over(connection, plan.target, plan.owner)
    try:
        disallow_connections(connection, databases=both, roles=[plan.names.role])
        remaining = end_sessions(connection, databases=both, roles=[plan.owner, plan.names.role])
        holders = sorted({str(one) for one in remaining if one.database in both})
        if not holders:
            with connection.transaction():
                _rename(connection, plan, carry_over, verifier)
            return None
    except (postgres.ObjectInUse, postgres.LockNotAvailable) as error:
        # 5 s have passed in RENAME. What held it is not seen by us: a session that began at the last moment.
        holders = [error.diag.message_detail or error.diag.message_primary or "a session"]
    except BaseException:
        _open_again(connection, access, plan, connect)
        raise
    _open_target(connection, plan.target)
    return _busy(plan, f"sessions of {', '.join(holders)}")


def _busy(plan: SwapPlan, what: str) -> Failure:
    return Failure(Reason.TARGET_BUSY, f"database {plan.target} could not be swapped: it is held by {what}")


def _open_target(connection: Connection, target: str) -> None:
    """The shadow stays shut: nobody has anything to do in it, and a shut one is never taken for an empty one."""
    found = read_shared_objects(connection, databases=[target]).databases.get(target)
    if found is not None and not found.open:
        allow_connections(connection, target)


def _open_again(connection: Connection, access: Access, plan: SwapPlan, connect: Connect) -> None:
    """As far as it goes: where even this fails, the next call of `swap` opens it."""
    with suppress(psycopg.Error, PgimportError):
        if not connection.closed:
            _open_target(connection, plan.target)
            return
        with session(access, connect=connect) as another:
            _open_target(another, plan.target)


def _rename(connection: Connection, plan: SwapPlan, carry_over: CarryOver, verifier: str | None) -> None:
    """The one transaction. The replaced ones get the attempt's mark, so that a sweep knows them as leftovers."""
    mark = read_shared_objects(connection, databases=[plan.names.database]).databases[plan.names.database].comment
    old, new = plan.replaced, plan.names
    if carry_over.database is not None:
        _run(connection, "ALTER DATABASE {} RENAME TO {}", plan.target, old.database)
        connection.execute(
            sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(old.database), sql.Literal(mark))
        )
    _run(connection, "ALTER DATABASE {} RENAME TO {}", new.database, plan.target)
    if carry_over.role is not None:
        _run(connection, "ALTER ROLE {} RENAME TO {}", plan.owner, old.role)
        _run(connection, "ALTER ROLE {} NOLOGIN", old.role)
        connection.execute(sql.SQL("COMMENT ON ROLE {} IS {}").format(sql.Identifier(old.role), sql.Literal(mark)))
    _forget_what_it_did(connection, new.role)
    _run(connection, "ALTER ROLE {} RENAME TO {}", new.role, plan.owner)
    connection.execute(
        sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(plan.owner), sql.Literal(verifier))
    )
    write_carry_over(connection, carry_over, plan.target, plan.owner)


def _forget_what_it_did(connection: Connection, role: str) -> None:
    """The attempt's role ran foreign code: its settings anywhere and the members it let in go."""
    _run(connection, "ALTER ROLE {} RESET ALL", role)
    for settings in read_stored_settings(connection, None, role):
        if settings.database is not None:
            connection.execute(reset_statement(settings))
    for one in read_memberships(connection, role):
        _run(connection, "REVOKE {} FROM {}", one.role, one.member)


_STATEMENTS = {
    text: sql.SQL(text)
    for text in (
        "ALTER DATABASE {} RENAME TO {}",
        "ALTER ROLE {} RENAME TO {}",
        "ALTER ROLE {} NOLOGIN",
        "ALTER ROLE {} RESET ALL",
        "REVOKE {} FROM {}",
    )
}


def _run(connection: Connection, statement: str, *names: str) -> None:
    identifiers: Sequence[sql.Identifier] = [sql.Identifier(name) for name in names]
    connection.execute(_STATEMENTS[statement].format(*identifiers))
