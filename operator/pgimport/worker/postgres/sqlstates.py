"""Classifies every SQLSTATE of PostgreSQL's documentation, appendix A, for both ends of a copy. Pure.

`CLASSES` classifies the first two characters, `CODES` the exceptions. No other module decides by SQLSTATE whether a
failure is permanent.
"""

from enum import Enum, auto

from pgimport.model.reasons import Reason


class Cause(Enum):
    """What a SQLSTATE says about a failed statement."""

    STATEMENT = auto()  # the statement, its data or the server's state: it would fail again
    CONNECTION = auto()  # the connection was lost, or the server accepts none
    LOGIN = auto()
    DATABASE = auto()  # the database does not exist (any more)
    PRIVILEGE = auto()
    CHANGED = auto()  # another session changed what the statement reads
    CONFLICT = auto()  # a deadlock or a serialization failure
    LOCKED = auto()
    CANCELLED = auto()
    RESOURCES = auto()  # memory or another limit of the server
    DISK = auto()


CLASSES: dict[str, Cause] = {
    "00": Cause.STATEMENT,  # successful completion
    "01": Cause.STATEMENT,  # warning
    "02": Cause.STATEMENT,  # no data
    "03": Cause.STATEMENT,  # SQL statement not yet complete
    "08": Cause.CONNECTION,
    "09": Cause.STATEMENT,  # triggered action exception
    "0A": Cause.STATEMENT,  # feature not supported
    "0B": Cause.STATEMENT,  # invalid transaction initiation
    "0F": Cause.STATEMENT,  # locator exception
    "0L": Cause.STATEMENT,  # invalid grantor
    "0P": Cause.STATEMENT,  # invalid role specification
    "0Z": Cause.STATEMENT,  # diagnostics exception
    "10": Cause.STATEMENT,  # XQuery error
    "20": Cause.STATEMENT,  # case not found
    "21": Cause.STATEMENT,  # cardinality violation
    "22": Cause.STATEMENT,  # data exception
    "23": Cause.STATEMENT,  # integrity constraint violation
    "24": Cause.STATEMENT,  # invalid cursor state
    "25": Cause.STATEMENT,  # invalid transaction state
    "26": Cause.STATEMENT,  # invalid SQL statement name
    "27": Cause.STATEMENT,  # triggered data change violation
    "28": Cause.LOGIN,
    "2B": Cause.STATEMENT,  # dependent privilege descriptors still exist
    "2D": Cause.STATEMENT,  # invalid transaction termination
    "2F": Cause.STATEMENT,  # SQL routine exception
    "34": Cause.STATEMENT,  # invalid cursor name
    "38": Cause.STATEMENT,  # external routine exception
    "39": Cause.STATEMENT,  # external routine invocation exception
    "3B": Cause.STATEMENT,  # savepoint exception
    "3D": Cause.DATABASE,
    "3F": Cause.STATEMENT,  # invalid schema name
    "40": Cause.CONFLICT,
    "42": Cause.STATEMENT,  # syntax error or access rule violation
    "44": Cause.STATEMENT,  # WITH CHECK OPTION violation
    "53": Cause.RESOURCES,
    "54": Cause.STATEMENT,  # program limit exceeded
    "55": Cause.STATEMENT,  # object not in prerequisite state
    "57": Cause.CONNECTION,
    "58": Cause.STATEMENT,  # system error
    "72": Cause.CHANGED,  # snapshot too old
    "F0": Cause.STATEMENT,  # configuration file error
    "HV": Cause.STATEMENT,  # foreign data wrapper error
    "P0": Cause.STATEMENT,  # PL/pgSQL error
    "XX": Cause.STATEMENT,  # internal error
}

CODES: dict[str, Cause] = {
    "25P03": Cause.CONNECTION,  # idle_in_transaction_session_timeout ended the session
    "25P04": Cause.CONNECTION,  # transaction_timeout ended the session
    "40002": Cause.STATEMENT,  # transaction integrity constraint violation
    "42501": Cause.PRIVILEGE,
    "53100": Cause.DISK,
    "53300": Cause.CONNECTION,  # too many connections
    "55006": Cause.LOCKED,  # object in use
    "55P03": Cause.LOCKED,
    "57000": Cause.CANCELLED,
    "57014": Cause.CANCELLED,
    "57P04": Cause.DATABASE,  # database dropped
}

SOURCE_REASONS: dict[Cause, Reason] = {
    Cause.STATEMENT: Reason.DUMP_FAILED,
    Cause.CONNECTION: Reason.SOURCE_UNREACHABLE,
    Cause.LOGIN: Reason.SOURCE_AUTH_FAILED,
    Cause.DATABASE: Reason.SOURCE_DATABASE_NOT_FOUND,
    Cause.PRIVILEGE: Reason.SOURCE_PERMISSION_DENIED,
    Cause.CHANGED: Reason.SOURCE_CHANGED,
    Cause.CONFLICT: Reason.SOURCE_CHANGED,  # a standby's replay removed rows that the snapshot needs
    Cause.LOCKED: Reason.SOURCE_LOCKED,
    Cause.CANCELLED: Reason.SOURCE_CANCELLED,
    Cause.RESOURCES: Reason.SOURCE_OUT_OF_RESOURCES,
    Cause.DISK: Reason.SOURCE_OUT_OF_RESOURCES,
}
# The operator creates role and database of an attempt. If a login is refused, they were dropped or the server changed.
TARGET_REASONS: dict[Cause, Reason] = {
    Cause.STATEMENT: Reason.RESTORE_FAILED,
    Cause.CONNECTION: Reason.TARGET_LOST,
    Cause.LOGIN: Reason.TARGET_LOST,
    Cause.DATABASE: Reason.TARGET_LOST,
    Cause.PRIVILEGE: Reason.RESTORE_FAILED,
    Cause.CHANGED: Reason.TARGET_CONFLICT,
    Cause.CONFLICT: Reason.TARGET_CONFLICT,
    Cause.LOCKED: Reason.TARGET_CONFLICT,
    Cause.CANCELLED: Reason.TARGET_CONFLICT,
    Cause.RESOURCES: Reason.TARGET_OUT_OF_RESOURCES,
    Cause.DISK: Reason.TARGET_FULL,
}
# SET TRANSACTION SNAPSHOT for a snapshot that has ended: 42704 before PostgreSQL 16, later 22023; 55000 in between.
SNAPSHOT_SQLSTATES = ("22023", "42704", "55000")
# The import locks every table that its snapshot shows. A table that is missing then was dropped in between.
SOURCE_CODES = {"42P01": Reason.SOURCE_CHANGED}

# A database with ALLOW_CONNECTIONS false.
CONNECT_CODES = {"55000": Reason.SOURCE_DATABASE_NOT_FOUND}


def find_cause(sqlstate: str | None) -> Cause:
    """Returns the cause of a SQLSTATE. Without one, the connection was lost.

    An unknown class counts as an error of the statement.
    """
    if sqlstate is None:
        return Cause.CONNECTION
    return CODES.get(sqlstate) or CLASSES.get(sqlstate[:2], Cause.STATEMENT)


def find_connect_reason(sqlstate: str | None) -> Reason:
    """Returns the reason of a refused connection to the source.

    Poolers and proxies send SQLSTATEs of any class while a server starts, so an unknown SQLSTATE counts as
    temporary.
    """
    if sqlstate in CONNECT_CODES:
        return CONNECT_CODES[sqlstate]
    cause = find_cause(sqlstate)
    return Reason.SOURCE_UNREACHABLE if cause is Cause.STATEMENT else SOURCE_REASONS[cause]


def find_source_reason(sqlstate: str | None) -> Reason:
    """Returns the reason of a statement that failed at the source."""
    return SOURCE_CODES.get(sqlstate or "") or SOURCE_REASONS[find_cause(sqlstate)]


def find_target_reason(sqlstate: str | None) -> Reason:
    """Returns the reason of a statement that failed in the shadow."""
    return TARGET_REASONS[find_cause(sqlstate)]
