"""The shadow of an attempt, which is the database that the attempt writes to: created with its role, and dropped."""

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from psycopg import errors as postgres
from psycopg import sql

from pgimport.model.database_settings import MAX_COMMENT
from pgimport.model.errors import Conflict, Refused
from pgimport.model.import_spec import TargetLocale
from pgimport.model.names import AttemptNames
from pgimport.model.owner_comment import (
    OwnerComment,
    ShadowRecord,
    format_owner_comment,
    parse_owner_comment,
    parse_shadow_record,
)
from pgimport.model.reasons import Failure, Reason
from pgimport.model.result import SourceInfo
from pgimport.server.connection import (
    Connect,
    Connection,
    connect,
    ensure_synchronous_commit,
    execute_together,
    read_query,
    session,
)
from pgimport.server.database_locale import (
    WantedDatabase,
    build_wanted_database,
    create_database,
    describe_fallback,
)
from pgimport.server.database_settings import try_settings
from pgimport.server.drop import close_access, drop_database
from pgimport.server.extensions import CreatedExtensions, create_extensions
from pgimport.server.roles import create_role, drop_role
from pgimport.server.server_access import Access
from pgimport.server.shared_objects import SharedObjects, read_shared_objects
from pgimport.server.template_warnings import describe_unusable_templates


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowPlan:
    """The shadow database and the role of one attempt.

    A worker has read `source`, so it is not trusted: only allowed extensions and settings come from it.
    """

    names: AttemptNames
    password: str = field(repr=False)
    source: SourceInfo
    mark: OwnerComment
    allowed_extensions: Collection[str] = ()
    templates: Sequence[str] = ()  # databases from which the shadow may be created
    locale: TargetLocale | None = None  # instead of the source's
    notes: Sequence[str] = ()  # about the source, for the user
    # Whether to revoke CONNECT from PUBLIC on all databases that the admin owns. False if the admin is a person's role.
    close_other_databases: bool = True

    @property
    def wanted(self) -> WantedDatabase:
        return build_wanted_database(self.source, self.locale, self.templates)


def prepare_shadow(access: Access, plan: ShadowPlan, *, connect: Connect = connect) -> ShadowRecord:
    """Creates an empty database like the source and its role, then opens the gate.

    Returns notes for the user. The worker reads the same notes in the comment of its role. May be repeated after a
    crash at any point. Changes nothing once the gate is open.

    Raises Refused if the server cannot hold a copy of this source, or if a database or role of this name is not the
    attempt's. Raises Conflict if `drop_attempt` ended this attempt.
    """
    names = plan.names
    with session(access, connect=connect) as connection:
        existing = read_shared_objects(connection, databases=[names.database], roles=[names.role])
        _refuse_foreign_objects(existing, plan)
        role, database = existing.roles.get(names.role), existing.databases.get(names.database)
        if role is not None and role.accepts_sessions:
            return parse_shadow_record(role.comment)
        if database is not None and database.invalid:
            drop_database(connection, access, names.database, connect)
            database = None
        if database is not None and not database.accepts_sessions:
            raise Conflict(f"the attempt that uses database {names.database} was ended: it must not start again")
        if role is None:
            create_role(connection, names.role, plan.password, plan.mark)
        if database is None:
            create_database(connection, access, names.database, plan.wanted, connect=connect)
        _restrict(connection, plan)
        with session(access, names.database, connect) as shadow_connection:
            created = _prepare_content(shadow_connection, plan)
        record = _build_record(connection, plan, created)
        if plan.close_other_databases:
            _close_other_databases(connection)
        _open_gate(connection, plan, record)
        return record


def _refuse_foreign_objects(existing: SharedObjects, plan: ShadowPlan) -> None:
    """Raises Refused (NameTaken) unless the role has the attempt's mark. The role is created first and dropped last."""
    role, database = existing.roles.get(plan.names.role), existing.databases.get(plan.names.database)
    if role is not None and role.mark != plan.mark:
        raise _name_taken(f"role {role.name}")
    if role is None and database is not None:
        raise _name_taken(f"database {database.name}")


def _name_taken(name: str) -> Refused:
    return Refused(Failure(Reason.NAME_TAKEN, f"{name} exists and was not created for this attempt"))


def _restrict(connection: Connection, plan: ShadowPlan) -> None:
    database, role = sql.Identifier(plan.names.database), sql.Identifier(plan.names.role)
    comment = (plan.source.comment or "")[:MAX_COMMENT] or None
    if parse_owner_comment(comment) is not None:  # the source is a preview of an older release
        comment = None
    statements = [
        sql.SQL("COMMENT ON DATABASE {} IS {}").format(database, sql.Literal(comment)),
        sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database),
        sql.SQL("GRANT CONNECT, CREATE, TEMPORARY ON DATABASE {} TO {}").format(database, role),
    ]
    execute_together(connection, statements)


def _prepare_content(connection: Connection, plan: ShadowPlan) -> CreatedExtensions:
    """Checks what the template brought, and creates the extensions. Raises Refused."""
    foreign = [name for (name,) in connection.execute(read_query("user_objects"), {"limit": 3}).fetchall()]
    if plan.templates and foreign:
        message = (
            f"a database of the Project's spec.server.templates contains {', '.join(foreign)}. A template may contain"
            " only extensions. Create the template again, without these objects"
        )
        raise Refused(Failure(Reason.TEMPLATE_NOT_FIT, message))
    created = create_extensions(connection, plan.source.extensions, plan.allowed_extensions, plan.names.role)
    connection.execute(sql.SQL("ALTER SCHEMA public OWNER TO {}").format(sql.Identifier(plan.names.role)))
    return created


def _build_record(connection: Connection, plan: ShadowPlan, created: CreatedExtensions) -> ShadowRecord:
    settings, setting_notes = try_settings(connection, plan.names.database, plan.source.settings)
    locale_notes = describe_fallback(connection, plan.names.database, plan.wanted)
    template_notes = describe_unusable_templates(connection, plan.templates)
    return ShadowRecord(
        notes=[*plan.notes, *created.notes, *template_notes, *locale_notes, *setting_notes],
        refused_extensions=created.refused,
        settings=settings,
    )


def _open_gate(connection: Connection, plan: ShadowPlan, record: ShadowRecord) -> None:
    """Lets the role log in, which is the last step. Its comment tells the worker what the operator did."""
    role = sql.Identifier(plan.names.role)
    if ensure_synchronous_commit(connection):
        connection.execute(sql.SQL("ALTER ROLE {} SET synchronous_commit = local").format(role))
    comment = sql.SQL("COMMENT ON ROLE {} IS {}").format(role, sql.Literal(format_owner_comment(plan.mark, record)))
    execute_together(connection, [comment, sql.SQL("ALTER ROLE {} LOGIN").format(role)])


def _close_other_databases(connection: Connection) -> None:
    for (name,) in connection.execute(read_query("databases_open_to_public")).fetchall():
        # Another attempt may change or drop the same database at the same moment.
        with suppress(postgres.InternalError_, postgres.InvalidCatalogName):
            connection.execute(sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name)))


def _end_access(connection: Connection, access: Access, names: AttemptNames, connect: Connect) -> None:
    """Disallows connections of the attempt and ends its sessions, so that its worker cannot write any more."""
    close_access(connection, access, [names.database], [names.role], connect)


def end_attempt(access: Access, names: AttemptNames, *, connect: Connect = connect) -> None:
    """Ends the attempt's access at once, so that its database and role can be dropped later."""
    with session(access, connect=connect) as connection:
        _end_access(connection, access, names, connect)


def drop_attempt(access: Access, names: AttemptNames, *, connect: Connect = connect) -> None:
    """Ends the attempt's access, then drops its database and its role; does nothing if they do not exist."""
    with session(access, connect=connect) as connection:
        _end_access(connection, access, names, connect)
        drop_database(connection, access, names.database, connect)
        drop_role(connection, access, names.role, connect)
