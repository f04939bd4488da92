"""Why things are as they are: one code each, with what it means for a retry and what a person can do.

`Reason` is the only vocabulary of condition reasons, exit codes, metrics and the command line. Exit codes
64–113 never heal and fail the Job at once (`podFailurePolicy`); 10–39 are tried again as they are; 40–49 are
tried again too, and the hint says what to raise. Everything else that ends a container is not ours.
"""

from dataclasses import dataclass
from enum import StrEnum


class RetryClassification(StrEnum):
    """Whether a failure of this kind is worth another attempt."""

    TRANSIENT = "transient"
    RESOURCE = "resource"
    PERMANENT = "permanent"
    CANCELLED = "cancelled"


class Reason(StrEnum):
    """CamelCase codes, as Kubernetes conditions want them."""

    # Waiting and working: nothing is wrong.
    ACCEPTED = "Accepted"
    SUSPENDED = "Suspended"
    PROJECT_NOT_FOUND = "ProjectNotFound"
    PROJECT_NOT_READY = "ProjectNotReady"
    SOURCE_SECRET_MISSING = "SourceSecretMissing"  # noqa: S105 (a reason, not a secret)
    CONFIG_MAP_MISSING = "ConfigMapMissing"
    TARGET_NOT_FOUND = "TargetNotFound"
    TARGET_NOT_READY = "TargetNotReady"
    WAITING_FOR_TARGET = "WaitingForTarget"
    WAITING_FOR_SLOT = "WaitingForSlot"
    STARTING = "Starting"
    RUNNING = "Running"
    RETRYING = "Retrying"
    COMPLETED = "Completed"
    READY = "Ready"
    PENDING = "Pending"
    EXPIRED = "Expired"
    DELETING = "Deleting"
    PRIMARY_MISSING = "PrimaryMissing"
    CLONING = "Cloning"

    # The user's wish.
    CANCELLED = "Cancelled"

    # Will fail the same way again.
    INVALID_SPEC = "InvalidSpec"
    NOT_SUPPORTED = "NotSupported"
    PROJECT_MISMATCH = "ProjectMismatch"
    NAMESPACE_TAKEN = "NamespaceTaken"
    LIMIT_REACHED = "LimitReached"
    SOURCE_URL_INVALID = "SourceURLInvalid"
    SOURCE_ADDRESS_FORBIDDEN = "SourceAddressForbidden"
    SOURCE_AUTH_FAILED = "SourceAuthFailed"
    SOURCE_DATABASE_NOT_FOUND = "SourceDatabaseNotFound"
    SOURCE_TLS_FAILED = "SourceTLSFailed"
    SOURCE_PERMISSION_DENIED = "SourcePermissionDenied"
    SOURCE_POOLED = "SourcePooled"
    SOURCE_TOO_LARGE = "SourceTooLarge"
    SOURCE_NEWER_THAN_TARGET = "SourceNewerThanTarget"
    SOURCE_VERSION_UNSUPPORTED = "SourceVersionUnsupported"
    EXTENSION_NOT_ALLOWED = "ExtensionNotAllowed"
    DUMP_CORRUPT = "DumpCorrupt"
    DUMP_UNSUPPORTED = "DumpUnsupported"
    DUMP_NOT_FOUND = "DumpNotFound"
    FILTER_INVALID = "FilterInvalid"
    POST_IMPORT_FAILED = "PostImportFailed"
    DUMP_FAILED = "DumpFailed"
    RESTORE_FAILED = "RestoreFailed"
    VERIFICATION_FAILED = "VerificationFailed"
    CLONE_FAILED = "CloneFailed"
    TARGET_URL_INVALID = "TargetURLInvalid"
    TARGET_NOT_EMPTY = "TargetNotEmpty"
    TARGET_GONE = "TargetGone"
    CLIENT_TOO_OLD = "ClientTooOld"
    ORDER_UNREADABLE = "OrderUnreadable"

    # May go better next time.
    SOURCE_UNREACHABLE = "SourceUnreachable"
    SOURCE_CHANGED = "SourceChanged"
    SERVER_UNREACHABLE = "ServerUnreachable"
    SERVER_AUTH_FAILED = "ServerAuthFailed"
    SERVER_NOT_FIT = "ServerNotFit"
    TARGET_BUSY = "TargetBusy"
    TARGET_LOST = "TargetLost"
    WORKER_FAILED = "WorkerFailed"
    DISRUPTED = "Disrupted"
    POD_GONE = "PodGone"
    RESULT_LOST = "ResultLost"
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    START_TIMEOUT = "StartTimeout"
    STALLED = "Stalled"

    # Needs more of something.
    WORKER_OUT_OF_MEMORY = "WorkerOutOfMemory"
    SCRATCH_FULL = "ScratchFull"
    TARGET_FULL = "TargetFull"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a failure's reason means: for the retry, for the container's exit code, for a person."""

    classification: RetryClassification
    exit_code: int | None = None
    hint: str = ""


_PERMANENT, _TRANSIENT, _RESOURCE = (
    RetryClassification.PERMANENT,
    RetryClassification.TRANSIENT,
    RetryClassification.RESOURCE,
)

MEANINGS: dict[Reason, Meaning] = {
    Reason.CANCELLED: Meaning(RetryClassification.CANCELLED),
    Reason.INVALID_SPEC: Meaning(_PERMANENT, None, "correct the field and apply the import under a new name"),
    Reason.NOT_SUPPORTED: Meaning(_PERMANENT, None, "leave the field out; it is not served by this version"),
    Reason.PROJECT_MISMATCH: Meaning(
        _PERMANENT,
        None,
        "create it in the namespace that the Project names, or name the Project of this namespace",
    ),
    Reason.NAMESPACE_TAKEN: Meaning(_PERMANENT, None, "give the Project a namespace of its own"),
    Reason.LIMIT_REACHED: Meaning(_PERMANENT, None, "delete one, or ask for a higher limit in the Project"),
    Reason.SOURCE_URL_INVALID: Meaning(
        _PERMANENT, 64, "write it as postgresql://user:password@host:5432/database?sslmode=require"
    ),
    Reason.SOURCE_ADDRESS_FORBIDDEN: Meaning(
        _PERMANENT, 65, "ask the platform's admin to name it in the Project's spec.sources"
    ),
    Reason.SOURCE_AUTH_FAILED: Meaning(_PERMANENT, 66, "check user and password in the source URL's Secret"),
    Reason.SOURCE_DATABASE_NOT_FOUND: Meaning(_PERMANENT, 67, "check the database name in the source URL"),
    Reason.SOURCE_TLS_FAILED: Meaning(_PERMANENT, 68, "check sslmode and the server's certificate"),
    Reason.SOURCE_PERMISSION_DENIED: Meaning(_PERMANENT, 69, "grant the source's user what the error names"),
    Reason.SOURCE_TOO_LARGE: Meaning(
        _PERMANENT, 70, "import a smaller database, or raise the Project's storageLimitBytes"
    ),
    Reason.SOURCE_NEWER_THAN_TARGET: Meaning(
        _PERMANENT, 71, "use a target server of the source's major version or newer"
    ),
    Reason.SOURCE_VERSION_UNSUPPORTED: Meaning(_PERMANENT, 72, "upgrade the source to a supported major version"),
    Reason.EXTENSION_NOT_ALLOWED: Meaning(
        _PERMANENT, 73, "drop the extension at the source, or ask for it in the Project's allowedExtensions"
    ),
    Reason.DUMP_CORRUPT: Meaning(_PERMANENT, 74, "make the dump again and check its size and checksum"),
    Reason.DUMP_FAILED: Meaning(_PERMANENT, 75, "see the error; lastStderr holds what pg_dump said"),
    Reason.RESTORE_FAILED: Meaning(_PERMANENT, 76, "see the error; lastStderr holds what pg_restore said"),
    Reason.VERIFICATION_FAILED: Meaning(
        _PERMANENT, 77, "the target was left as it was; see status.verification for what differs"
    ),
    Reason.CLIENT_TOO_OLD: Meaning(_PERMANENT, 78, "rebuild the worker image with current PostgreSQL clients"),
    Reason.ORDER_UNREADABLE: Meaning(_PERMANENT, 79, "run operator and worker images of the same release"),
    Reason.DUMP_UNSUPPORTED: Meaning(
        _PERMANENT, 80, "make a dump of this one database with pg_dump, of a major that is not newer than the target"
    ),
    Reason.DUMP_NOT_FOUND: Meaning(
        _PERMANENT, 81, "check that the URL still leads to the dump file, or upload it again"
    ),
    Reason.FILTER_INVALID: Meaning(_PERMANENT, 82, "correct spec.filter; patterns are those of pg_dump"),
    Reason.POST_IMPORT_FAILED: Meaning(
        _PERMANENT, 83, "correct the SQL of spec.postImport; the target was left as it was"
    ),
    Reason.SOURCE_POOLED: Meaning(
        _PERMANENT, 84, "put the URL of the database itself, not a pooler's, into the Secret"
    ),
    Reason.TARGET_URL_INVALID: Meaning(
        _PERMANENT, 85, "Write the target URL as postgresql://user:password@host:5432/database."
    ),
    Reason.TARGET_NOT_EMPTY: Meaning(
        _PERMANENT, None, "set recreate: true in a new import to replace the target as a whole"
    ),
    Reason.TARGET_GONE: Meaning(_PERMANENT, None, "create the PreviewDatabase again and import under a new name"),
    Reason.SOURCE_UNREACHABLE: Meaning(
        _TRANSIENT, 10, "check host, port and firewall; a serverless source may need time to wake"
    ),
    Reason.SOURCE_CHANGED: Meaning(_TRANSIENT, 11, "a table was rewritten while it was read; import at a calmer time"),
    Reason.TARGET_LOST: Meaning(_TRANSIENT, 12, "the target server went away during the copy; check its health"),
    Reason.WORKER_FAILED: Meaning(_TRANSIENT, 13, "an unexpected error in the worker; its log has the traceback"),
    Reason.SERVER_UNREACHABLE: Meaning(_TRANSIENT, None, "check the Project's spec.server and the server's health"),
    Reason.SERVER_AUTH_FAILED: Meaning(_TRANSIENT, None, "check the Secret that adminSecretRef names"),
    Reason.SERVER_NOT_FIT: Meaning(_TRANSIENT, None, "the admin needs CREATEDB and CREATEROLE, the server 15 or newer"),
    Reason.PROJECT_NOT_FOUND: Meaning(_TRANSIENT, None, "create the Project, or name one that exists"),
    Reason.TARGET_NOT_READY: Meaning(_TRANSIENT, None, "see the PreviewDatabase's conditions"),
    Reason.TARGET_BUSY: Meaning(_TRANSIENT, None, "end the sessions or prepared transactions in the target"),
    Reason.DISRUPTED: Meaning(_TRANSIENT, None, "the cluster kept evicting the import's pod"),
    Reason.POD_GONE: Meaning(_TRANSIENT, None, "the import's pod was deleted before it ended"),
    Reason.RESULT_LOST: Meaning(
        _TRANSIENT, None, "the Job or its pod was deleted before its result was read; import again"
    ),
    Reason.DEADLINE_EXCEEDED: Meaning(_TRANSIENT, None, "raise spec.timeout, or import less"),
    Reason.START_TIMEOUT: Meaning(_TRANSIENT, None, "see the pod's events for what keeps it from starting"),
    Reason.STALLED: Meaning(_TRANSIENT, None, "no progress for spec.stallTimeout; look for locks at the source"),
    Reason.WORKER_OUT_OF_MEMORY: Meaning(_RESOURCE, 40, "raise spec.resources.limits.memory, or lower spec.jobs"),
    Reason.SCRATCH_FULL: Meaning(_RESOURCE, 41, "raise spec.scratch.size"),
    Reason.TARGET_FULL: Meaning(
        _RESOURCE, 42, "give the target server a larger disk; old and new database lie on it until the swap"
    ),
}

EXIT_OK = 0
EXIT_TERMINATED = 143  # 128 + SIGTERM: ended from outside, says nothing about the import

PERMANENT_EXIT_CODES: tuple[int, ...] = tuple(
    sorted(
        meaning.exit_code
        for meaning in MEANINGS.values()
        if meaning.exit_code is not None and meaning.classification is RetryClassification.PERMANENT
    )
)
_BY_EXIT_CODE = {meaning.exit_code: reason for reason, meaning in MEANINGS.items() if meaning.exit_code}


def find_reason_by_exit_code(code: int) -> Reason:
    """The reason a worker meant by its exit code; 137 is the kernel's or the kubelet's kill."""
    if code == 137:
        return Reason.WORKER_OUT_OF_MEMORY
    return _BY_EXIT_CODE.get(code, Reason.WORKER_FAILED)


@dataclass(frozen=True, slots=True)
class Failure:
    """An expected and final (for this attempt) outcome: what happened to which object, and what to do."""

    reason: Reason
    message: str

    @property
    def classification(self) -> RetryClassification:
        return MEANINGS[self.reason].classification

    @property
    def hint(self) -> str:
        return MEANINGS[self.reason].hint

    @property
    def exit_code(self) -> int:
        """The worker's exit code for it; 13 (unexpected) for a reason that no worker should give."""
        return MEANINGS[self.reason].exit_code or 13

    def format_with_hint(self) -> str:
        """One line: the error, then the hint."""
        return f"{self.message} (hint: {self.hint})" if self.hint else self.message
