"""The swap renames a filled shadow to the target, and its role to the owner, in one transaction.

1. Read what the new target takes over from the old one.
2. Disallow connections to both databases, and disable the login of the attempt's role.
3. End the sessions.
4. Rename in one transaction, which also allows connections again. If a database is in use, allow connections to the
   old target at once, and start again.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import psycopg
from psycopg import errors as postgres
from psycopg import sql

from pgimport.model.errors import PgimportError, Refused
from pgimport.model.names import AttemptNames, replaced_names
from pgimport.model.owner_comment import (
    ImportedContent,
    ShadowRecord,
    format_owner_comment,
    parse_owner_comment,
    parse_shadow_record,
)
from pgimport.model.reasons import Failure, Reason
from pgimport.server.carry_over import (
    CarryOver,
    build_reset_statement,
    read_carry_over,
    read_memberships,
    read_stored_settings,
    write_carry_over,
)
from pgimport.server.connection import (
    Connect,
    Connection,
    connect,
    ensure_synchronous_commit,
    scram_verifier,
    session,
)
from pgimport.server.database_locks import lock_database_name
from pgimport.server.database_watch import database_watch
from pgimport.server.drop import drop_database
from pgimport.server.prepared_transactions import (
    read_locking_transactions,
    read_prepared_transactions,
    roll_back_prepared,
)
from pgimport.server.replacement_check import require_replaceable
from pgimport.server.roles import drop_role
from pgimport.server.server_access import Access
from pgimport.server.sessions import allow_connections, end_access
from pgimport.server.shared_objects import SharedObjects, read_shared_objects

# Pause between two attempts to rename a database that is in use. The target accepts connections meanwhile.
RETRY_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapPlan:
    """The names of a swap. Target and owner need not exist."""

    target: str
    owner: str
    owner_password: str | None = field(repr=False)  # None: the new owner has no password
    names: AttemptNames
    busy_timeout_seconds: float  # how long to try again while a database is in use
    may_log_in: bool = True  # whether the new owner may log in: nobody may log in to a golden preview
    # What the new owner's comment says about the data. None: nothing, as the command line leaves no mark.
    content: ImportedContent | None = field(default_factory=ImportedContent)

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
    """Swaps the databases; returns None if this or an earlier call did it.

    Returns a Failure if a database stays in use or the shadow is gone. The target is then unchanged and accepts
    connections. Raises Refused if target or owner may not be replaced, or a name that the swap needs is taken.
    """
    with session(access, connect=connect) as connection:
        lock_database_name(connection, plan.target)
        ensure_synchronous_commit(connection)
        existing = _read_objects(connection, plan)
        if plan.names.database not in existing.databases:
            return _confirm_earlier_swap(connection, plan, existing)
        require_replaceable(connection, access, plan.target, plan.owner)
        _require_free_names(plan, existing)
        deadline = clock() + plan.busy_timeout_seconds
        while True:
            failure = _swap_once(connection, access, plan, connect)
            if failure is None:
                return None
            remaining_seconds = deadline - clock()
            if remaining_seconds <= 0 or read_prepared_transactions(connection, [plan.target, plan.names.database]):
                return failure
            pause(min(RETRY_SECONDS, remaining_seconds))


def open_target(access: Access, target: str, *, connect: Connect = connect) -> None:
    """Allows connections to a target again after an interrupted swap; does nothing if it does not exist."""
    with session(access, connect=connect) as connection:
        lock_database_name(connection, target)
        _open_target(connection, target)


def drop_replaced(access: Access, names: AttemptNames, *, connect: Connect = connect) -> str | None:
    """Drops the database and the role that this attempt's swap replaced; does nothing if they do not exist.

    Returns the new name of a role that could not be dropped yet, see `drop_role`.
    """
    replaced = replaced_names(names.database)
    with session(access, connect=connect) as connection:
        drop_database(connection, access, replaced.database, connect)
        return drop_role(connection, access, replaced.role, connect)


def _read_objects(connection: Connection, plan: SwapPlan) -> SharedObjects:
    return read_shared_objects(
        connection,
        databases=[plan.target, plan.names.database, plan.replaced.database],
        roles=[plan.owner, plan.names.role, plan.replaced.role],
    )


def _confirm_earlier_swap(connection: Connection, plan: SwapPlan, existing: SharedObjects) -> Failure | None:
    swapped = plan.replaced.database in existing.databases or plan.replaced.role in existing.roles
    if plan.target not in existing.databases or not swapped:
        return Failure(
            Reason.TARGET_LOST, f"the copy {plan.names.database} for database {plan.target} is no longer on the server"
        )
    if not existing.databases[plan.target].accepts_sessions:
        allow_connections(connection, plan.target)
    return None


def _require_free_names(plan: SwapPlan, existing: SharedObjects) -> None:
    """Raises Refused (NameTaken) if a name that the replaced objects get exists already."""
    taken = [f"database {name}" for name in existing.databases if name == plan.replaced.database]
    taken += [f"role {name}" for name in existing.roles if name == plan.replaced.role]
    if taken:
        message = f"{' and '.join(taken)} exists, and the swap of database {plan.target} needs this name"
        raise Refused(Failure(Reason.NAME_TAKEN, message))


def _swap_once(connection: Connection, access: Access, plan: SwapPlan, connect: Connect) -> Failure | None:
    """Tries the swap once. The old or the new target accepts connections afterwards, also after an exception."""
    both = [plan.target, plan.names.database]
    if prepared := read_prepared_transactions(connection, both):
        gids = ", ".join(str(transaction) for transaction in prepared[:3])
        return _busy(plan, f"a prepared transaction ({gids})")
    roll_back_prepared(access, read_locking_transactions(connection, both), connect)
    verifier = scram_verifier(connection, plan.owner, plan.owner_password) if plan.owner_password else None
    carry_over = read_carry_over(connection, plan.target, plan.owner)
    try:
        with database_watch(connection, access, plan.target, connect):
            remaining = end_access(connection, databases=both, roles=[plan.names.role], roles_with_login=[plan.owner])
        holders = sorted({str(client) for client in remaining if client.database in both})
        if not holders:
            with database_watch(connection, access, plan.target, connect), connection.transaction():
                _rename(connection, plan, carry_over, verifier)
            return None
    except (postgres.ObjectInUse, postgres.LockNotAvailable) as error:
        # RENAME waited 5 seconds, as DROP DATABASE does, for a session that was just starting and is not listed yet.
        text = error.diag.message_detail or error.diag.message_primary or "it is not listed"
        _open_target(connection, plan.target)
        return _busy(plan, f"another session ({text.rstrip('.')})")
    except BaseException:
        _open_again(connection, access, plan, connect)
        raise
    _open_target(connection, plan.target)
    return _busy(plan, f"sessions of {', '.join(holders)}")


def _busy(plan: SwapPlan, holder: str) -> Failure:
    return Failure(Reason.TARGET_BUSY, f"database {plan.target} cannot be swapped: it is in use by {holder}")


def _open_target(connection: Connection, target: str) -> None:
    """Allows connections to the target only: the shadow of a finished attempt stays closed until it is dropped."""
    database = read_shared_objects(connection, databases=[target]).databases.get(target)
    if database is not None and not database.accepts_sessions:
        allow_connections(connection, target)


def _open_again(connection: Connection, access: Access, plan: SwapPlan, connect: Connect) -> None:
    """Allows connections to the target, over a new connection if the old one was lost.

    If this fails, the next `swap` does it.
    """
    with suppress(psycopg.Error, PgimportError):
        if not connection.closed:
            _open_target(connection, plan.target)
            return
        with session(access, connect=connect) as new_connection:
            _open_target(new_connection, plan.target)


def _rename(connection: Connection, plan: SwapPlan, carry_over: CarryOver, verifier: str | None) -> None:
    """Renames databases and roles; the old ones get the attempt's mark, by which the sweep recognises them."""
    old, new = plan.replaced, plan.names
    shared = read_shared_objects(connection, databases=[new.database], roles=[new.role])
    comment = shared.roles[new.role].comment
    attempt = parse_owner_comment(comment)
    mark = format_owner_comment(attempt) if attempt is not None else None
    if shared.databases[new.database].mark is not None:  # an older release marked the database too
        connection.execute(sql.SQL("COMMENT ON DATABASE {} IS NULL").format(sql.Identifier(new.database)))
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
    _reset_attempt_role(connection, new.role)
    _run(connection, "ALTER ROLE {} RENAME TO {}", new.role, plan.owner)
    login = sql.SQL("LOGIN" if plan.may_log_in else "NOLOGIN")
    connection.execute(
        sql.SQL("ALTER ROLE {} {} PASSWORD {}").format(sql.Identifier(plan.owner), login, sql.Literal(verifier))
    )
    record = ShadowRecord(settings=parse_shadow_record(comment).settings, imported=plan.content)
    write_carry_over(connection, carry_over, plan.target, plan.owner, record)


def _reset_attempt_role(connection: Connection, role: str) -> None:
    """Removes settings and members that statements of the source may have added while they ran as this role."""
    _run(connection, "ALTER ROLE {} RESET ALL", role)
    for settings in read_stored_settings(connection, None, role):
        if settings.database is not None:
            connection.execute(build_reset_statement(settings))
    for membership in read_memberships(connection, role):
        _run(connection, "REVOKE {} FROM {}", membership.role, membership.member)


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
