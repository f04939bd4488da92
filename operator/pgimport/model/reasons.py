"""Defines the reasons of states and failures, each with its retry classification, exit code and hint.

Conditions, exit codes, metrics and the command line use the same reasons. The ranges of the worker's exit codes:

- 64 to 113: permanent. They fail the Job at once (`podFailurePolicy`).
- 10 to 39: transient. The Job starts another attempt.
- 40 to 49: the attempt needs more of a resource. The Job starts another attempt, and the hint says what to raise.

Any other exit code comes from the kernel or from Kubernetes.
"""

from dataclasses import dataclass
from enum import StrEnum


class RetryClassification(StrEnum):
    """Says whether another attempt can succeed after a failure."""

    TRANSIENT = "transient"
    RESOURCE = "resource"
    PERMANENT = "permanent"
    CANCELLED = "cancelled"


class Reason(StrEnum):
    """Code of a state or failure, in CamelCase as Kubernetes requires for the reason of a condition."""

    # States without a failure.
    ACCEPTED = "Accepted"
    SUSPENDED = "Suspended"
    QUEUED = "Queued"
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
    NOTHING_REFUSED = "NothingRefused"
    OBJECTS_REFUSED = "ObjectsRefused"
    READY = "Ready"
    PENDING = "Pending"
    EXPIRED = "Expired"
    DELETING = "Deleting"
    DATABASE_GONE = "DatabaseGone"
    CONNECTION_REPLACED = "ConnectionReplaced"
    PRIMARY_MISSING = "PrimaryMissing"
    CLONING = "Cloning"
    NO_DATA = "NoData"
    SOURCE_PREVIEW_NOT_FOUND = "SourcePreviewNotFound"
    SOURCE_PREVIEW_NOT_READY = "SourcePreviewNotReady"
    WAITING_FOR_REFRESH = "WaitingForRefresh"
    SCHEDULED = "Scheduled"
    DELIVERED = "Delivered"

    # Ended by the user.
    CANCELLED = "Cancelled"

    # Permanent failures: another attempt would fail in the same way.
    INVALID_SPEC = "InvalidSpec"
    NOT_SUPPORTED = "NotSupported"
    PROJECT_MISMATCH = "ProjectMismatch"
    NAMESPACE_TAKEN = "NamespaceTaken"
    NAME_TAKEN = "NameTaken"
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
    TEMPLATE_NOT_FIT = "TemplateNotFit"
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
    SERVER_REFUSED = "ServerRefused"
    TARGET_NOT_EMPTY = "TargetNotEmpty"
    TARGET_GONE = "TargetGone"
    TARGET_NOT_REPLACEABLE = "TargetNotReplaceable"
    CLIENT_TOO_OLD = "ClientTooOld"
    ORDER_UNREADABLE = "OrderUnreadable"

    # Transient failures: another attempt can succeed.
    SOURCE_UNREACHABLE = "SourceUnreachable"
    SOURCE_CHANGED = "SourceChanged"
    SOURCE_LOCKED = "SourceLocked"
    SOURCE_CANCELLED = "SourceCancelled"
    SERVER_UNREACHABLE = "ServerUnreachable"
    SERVER_AUTH_FAILED = "ServerAuthFailed"
    SERVER_NOT_FIT = "ServerNotFit"
    JOB_REFUSED = "JobRefused"
    TARGET_BUSY = "TargetBusy"
    ROLE_IN_USE = "RoleInUse"
    WEBHOOK_FAILED = "WebhookFailed"
    TARGET_LOST = "TargetLost"
    TARGET_CONFLICT = "TargetConflict"
    WORKER_FAILED = "WorkerFailed"
    DISRUPTED = "Disrupted"
    PREEMPTED = "Preempted"
    POD_GONE = "PodGone"
    RESULT_LOST = "ResultLost"
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    PENDING_TIMEOUT = "PendingTimeout"
    START_TIMEOUT = "StartTimeout"
    STALLED = "Stalled"
    REPEATED_ERROR = "RepeatedError"

    # Failures for lack of a resource.
    WORKER_OUT_OF_MEMORY = "WorkerOutOfMemory"
    SCRATCH_FULL = "ScratchFull"
    TARGET_FULL = "TargetFull"
    SOURCE_OUT_OF_RESOURCES = "SourceOutOfResources"
    TARGET_OUT_OF_RESOURCES = "TargetOutOfResources"


@dataclass(frozen=True, slots=True)
class Meaning:
    """Retry classification, exit code and hint of a failure's reason.

    The exit code is None if no worker gives the reason. The hint tells the user what to do next, in full sentences.
    """

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
    Reason.INVALID_SPEC: Meaning(_PERMANENT, None, "Correct the field and create the object again under a new name."),
    Reason.NOT_SUPPORTED: Meaning(
        _PERMANENT, None, "Remove the field: this version or installation does not support it."
    ),
    Reason.PROJECT_MISMATCH: Meaning(
        _PERMANENT,
        None,
        "Create the object in the namespace of the Project, or set spec.project to the Project of this namespace.",
    ),
    Reason.NAMESPACE_TAKEN: Meaning(
        _PERMANENT, None, "Create the Project again with a namespace that no other Project uses."
    ),
    Reason.NAME_TAKEN: Meaning(
        _PERMANENT,
        None,
        "Use another name. If nobody needs the object that the message names, its owner can rename it. The operator"
        " uses only objects that it has created.",
    ),
    Reason.LIMIT_REACHED: Meaning(
        _PERMANENT,
        None,
        "Delete a PreviewDatabase that you no longer need, or ask the platform's admin to raise the Project's limit.",
    ),
    Reason.SOURCE_URL_INVALID: Meaning(
        _PERMANENT, 64, "Write the source URL as postgresql://user:password@host:5432/database?sslmode=require."
    ),
    Reason.SOURCE_ADDRESS_FORBIDDEN: Meaning(
        _PERMANENT,
        65,
        "Use the public address of the source server, or ask the platform's admin to add the address to allowedCIDRs of"
        " the Project's sources.",
    ),
    Reason.SOURCE_AUTH_FAILED: Meaning(_PERMANENT, 66, "Check the user and password in the source URL."),
    Reason.SOURCE_DATABASE_NOT_FOUND: Meaning(_PERMANENT, 67, "Check the database name in the source URL."),
    Reason.SOURCE_TLS_FAILED: Meaning(
        _PERMANENT, 68, "Check sslmode in the source URL and the certificate of the source server."
    ),
    Reason.SOURCE_PERMISSION_DENIED: Meaning(
        _PERMANENT,
        69,
        "Give the source user the right that the error names, or exclude the object and what uses it with spec.filter.",
    ),
    Reason.SOURCE_TOO_LARGE: Meaning(
        _PERMANENT,
        70,
        "Import less with spec.filter, or ask the platform's admin to raise the Project's storageLimitBytes.",
    ),
    Reason.SOURCE_NEWER_THAN_TARGET: Meaning(
        _PERMANENT, 71, "Use a target server whose major version is not older than the source's."
    ),
    Reason.SOURCE_VERSION_UNSUPPORTED: Meaning(
        _PERMANENT, 72, "Upgrade the source server to a supported major version."
    ),
    Reason.EXTENSION_NOT_ALLOWED: Meaning(
        _PERMANENT,
        73,
        "Ask the platform's admin to add the extension to the Project's allowedExtensions, or to install it in a"
        " database of the Project's spec.server.templates. To import without the extension and the objects that need"
        " it, name it in spec.filter.excludeExtensions.",
    ),
    Reason.TEMPLATE_NOT_FIT: Meaning(
        _PERMANENT, None, "Ask the platform's admin to correct the databases of the Project's spec.server.templates."
    ),
    Reason.DUMP_CORRUPT: Meaning(
        _PERMANENT,
        74,
        "Compare size and checksum with the original file. Transfer it again if they differ, or else create it again.",
    ),
    Reason.DUMP_FAILED: Meaning(
        _PERMANENT, 75, "Correct what the error names at the source, or exclude the object with spec.filter."
    ),
    Reason.RESTORE_FAILED: Meaning(
        _PERMANENT, 76, "Correct what the error names at the source, or exclude the object with spec.filter."
    ),
    Reason.VERIFICATION_FAILED: Meaning(
        _PERMANENT, 77, "Read status.verification for the differences. The target was not changed."
    ),
    Reason.CLIENT_TOO_OLD: Meaning(_PERMANENT, 78, "Rebuild the worker image with current PostgreSQL clients."),
    Reason.ORDER_UNREADABLE: Meaning(_PERMANENT, 79, "Run operator and worker images of the same release."),
    Reason.DUMP_UNSUPPORTED: Meaning(
        _PERMANENT,
        80,
        "Import a file that pg_dump wrote from a server whose major version is not newer than the target's.",
    ),
    Reason.DUMP_NOT_FOUND: Meaning(
        _PERMANENT, 81, "Check that the URL still leads to the dump file, or upload the file again."
    ),
    Reason.FILTER_INVALID: Meaning(_PERMANENT, 82, "Correct spec.filter. Its patterns have the syntax of pg_dump."),
    Reason.POST_IMPORT_FAILED: Meaning(
        _PERMANENT, 83, "Correct the SQL of spec.postImport. The target was not changed."
    ),
    Reason.SOURCE_POOLED: Meaning(_PERMANENT, 84, "Use the URL of the database server instead of the pooler's."),
    Reason.TARGET_URL_INVALID: Meaning(
        _PERMANENT, 85, "Write the target URL as postgresql://user:password@host:5432/database."
    ),
    Reason.SERVER_REFUSED: Meaning(
        _PERMANENT,
        86,
        "Read the target server's error. Ask the server's admin to cure its cause, or use another target server.",
    ),
    Reason.TARGET_NOT_EMPTY: Meaning(
        _PERMANENT, None, "Set recreate: true in a new import to replace all content of the target."
    ),
    Reason.TARGET_GONE: Meaning(
        _PERMANENT, None, "Create the PreviewDatabase again, and create the import under a new name."
    ),
    Reason.TARGET_NOT_REPLACEABLE: Meaning(
        _PERMANENT, None, "Cure at the target server what the message names, or choose another target or owner."
    ),
    Reason.SOURCE_UNREACHABLE: Meaning(
        _TRANSIENT,
        10,
        "Check that the server runs and listens on this address, and check host, port and firewall. If a serverless"
        " source is still starting, import again.",
    ),
    Reason.SOURCE_CHANGED: Meaning(
        _TRANSIENT, 11, "Import again when no migration or rewrite of tables runs at the source."
    ),
    Reason.SOURCE_LOCKED: Meaning(
        _TRANSIENT, 14, "End the transaction at the source that holds the lock, or import again when it has ended."
    ),
    Reason.SOURCE_CANCELLED: Meaning(
        _TRANSIENT, 15, "Import again. Find out who cancels the statements of pgimport at the source."
    ),
    Reason.TARGET_CONFLICT: Meaning(
        _TRANSIENT, 16, "Import again. Find out which other session uses the database of the attempt."
    ),
    Reason.TARGET_LOST: Meaning(_TRANSIENT, 12, "Check the health of the target server."),
    Reason.WORKER_FAILED: Meaning(_TRANSIENT, 13, "Read the traceback in the log of the import's pod."),
    Reason.SERVER_UNREACHABLE: Meaning(
        _TRANSIENT, None, "Check the Project's spec.server and the health of the target server."
    ),
    Reason.SERVER_AUTH_FAILED: Meaning(
        _TRANSIENT, None, "Check the user and password in the Secret that the Project's adminSecretRef names."
    ),
    Reason.SERVER_NOT_FIT: Meaning(
        _TRANSIENT, None, "Use an admin with CREATEDB and CREATEROLE, and PostgreSQL 15 or newer."
    ),
    Reason.PROJECT_NOT_FOUND: Meaning(_TRANSIENT, None, "Create the Project, or set spec.project to an existing one."),
    Reason.TARGET_NOT_READY: Meaning(_TRANSIENT, None, "Read the conditions of the PreviewDatabase."),
    Reason.SOURCE_PREVIEW_NOT_READY: Meaning(
        _TRANSIENT, None, "Read the conditions of the PreviewDatabase that is to be copied."
    ),
    Reason.WAITING_FOR_REFRESH: Meaning(_TRANSIENT, None, "Wait until the import into the copied preview has ended."),
    Reason.ROLE_IN_USE: Meaning(
        _TRANSIENT,
        None,
        "Revoke what the role may in the databases that the message names, and run REASSIGN OWNED BY for it there.",
    ),
    Reason.WEBHOOK_FAILED: Meaning(
        _TRANSIENT, None, "Check the receiver that the message names, and the webhook in the Project's spec.webhooks."
    ),
    Reason.JOB_REFUSED: Meaning(
        _TRANSIENT,
        None,
        "Ask the platform's admin to allow what the message names, for example with a larger ResourceQuota.",
    ),
    Reason.TARGET_BUSY: Meaning(_TRANSIENT, None, "End the sessions and prepared transactions in the target database."),
    Reason.DISRUPTED: Meaning(
        _TRANSIENT, None, "Find out why the cluster evicts the import's pod: read the events of its nodes."
    ),
    Reason.PREEMPTED: Meaning(
        _TRANSIENT, None, "Wait until the queue admits the import again, or give it a higher priority in Kueue."
    ),
    Reason.POD_GONE: Meaning(
        _TRANSIENT, None, "Find out who deleted the import's pod: read its events and the audit log."
    ),
    Reason.RESULT_LOST: Meaning(
        _TRANSIENT, None, "Create a new import. Do not delete the Job or its pod before the import has ended."
    ),
    Reason.DEADLINE_EXCEEDED: Meaning(_TRANSIENT, None, "Raise spec.timeout, or import less with spec.filter."),
    Reason.PENDING_TIMEOUT: Meaning(
        _TRANSIENT,
        None,
        "Provide what the import waited for, and create the import under a new name. To wait longer, raise"
        " spec.pendingTimeout.",
    ),
    Reason.START_TIMEOUT: Meaning(_TRANSIENT, None, "Read the events of the import's pod."),
    Reason.STALLED: Meaning(
        _TRANSIENT, None, "Look for locks at the source and the target, or raise spec.stallTimeout."
    ),
    Reason.REPEATED_ERROR: Meaning(_TRANSIENT, None, "Cure what the message names, or read the operator's log."),
    Reason.WORKER_OUT_OF_MEMORY: Meaning(_RESOURCE, 40, "Raise spec.resources.limits.memory, or lower spec.jobs."),
    Reason.SCRATCH_FULL: Meaning(_RESOURCE, 41, "Raise spec.scratch.size, or import less with spec.filter."),
    Reason.TARGET_FULL: Meaning(
        _RESOURCE,
        42,
        "Enlarge the disk of the target server. It must hold the old and the new database until the swap.",
    ),
    Reason.SOURCE_OUT_OF_RESOURCES: Meaning(
        _RESOURCE, 43, "Give the source server more of what the error names, or import less with spec.filter."
    ),
    Reason.TARGET_OUT_OF_RESOURCES: Meaning(
        _RESOURCE, 44, "Give the target server more of what the error names, or lower spec.jobs."
    ),
}

EXIT_OK = 0
EXIT_TERMINATED = (
    143  # 128 + SIGTERM: something outside ended the worker, so the exit code says nothing about the import
)

PERMANENT_EXIT_CODES: tuple[int, ...] = tuple(
    sorted(
        meaning.exit_code
        for meaning in MEANINGS.values()
        if meaning.exit_code is not None and meaning.classification is RetryClassification.PERMANENT
    )
)
_BY_EXIT_CODE = {meaning.exit_code: reason for reason, meaning in MEANINGS.items() if meaning.exit_code}


def find_reason_by_exit_code(code: int) -> Reason:
    """Returns the reason for an exit code of the worker. Code 137 means that the kernel or the kubelet killed it."""
    if code == 137:
        return Reason.WORKER_OUT_OF_MEMORY
    return _BY_EXIT_CODE.get(code, Reason.WORKER_FAILED)


@dataclass(frozen=True, slots=True)
class Failure:
    """Expected failure that ends an attempt. The message says what happened to which object, without a secret."""

    reason: Reason
    message: str
    advice: str = ""  # what to do next, if the hint of the reason is too general

    @property
    def classification(self) -> RetryClassification:
        return MEANINGS[self.reason].classification

    @property
    def hint(self) -> str:
        return self.advice or MEANINGS[self.reason].hint

    @property
    def exit_code(self) -> int:
        """Exit code of the worker for this failure: 13 (unexpected) for a reason that no worker should give."""
        return MEANINGS[self.reason].exit_code or 13

    def format_with_hint(self) -> str:
        """Returns one line with the message and the hint."""
        return f"{self.message} (hint: {self.hint})" if self.hint else self.message
