"""Defines the `status` of imports and previews. The operator writes it, so it is parsed leniently."""

from collections.abc import Sequence
from enum import StrEnum

from pydantic import BaseModel, Field

from pgimport.model.base_models import LenientModel
from pgimport.model.reasons import RetryClassification
from pgimport.model.result import PreflightReport, SkippedObject, Verification
from pgimport.model.scalar_types import Time
from pgimport.model.webhooks import WebhookDelivery

DELIVERIES_DESCRIPTION = (
    "The deliveries of events to the Project's webhooks: those that are pending, and the last 10 that have ended."
)
FULLY_IMPORTED = "FullyImported"  # type of the condition that is False if the target refused an object


class ConditionStatus(StrEnum):
    """Values of a condition's status in Kubernetes."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(LenientModel):
    """Describes one aspect of the object, like metav1.Condition; Ready, Reconciling and Stalled follow kstatus."""

    type: str = Field(
        description="The type of the condition. The description of the field conditions lists the types of this kind."
    )
    status: ConditionStatus = Field(description="The status of the condition: True, False or Unknown.")
    reason: str = Field(description="A code in CamelCase that says why the condition has this status.")
    message: str = Field(default="", description="A text that explains the reason to a person.")
    last_transition_time: Time = Field(description="The time at which the condition's status last changed.")
    observed_generation: int | None = Field(
        default=None, description="The metadata.generation for which the condition was set."
    )


def find_condition(conditions: Sequence[Condition], kind: str) -> Condition | None:
    """Returns the condition of this type, or None before the operator has set it."""
    return next((condition for condition in conditions if condition.type == kind), None)


class ImportState(StrEnum):
    """States of an import: pending → running → completed | failed | cancelled. The last three never change."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        return self in TERMINAL_STATES


TERMINAL_STATES = (ImportState.COMPLETED, ImportState.FAILED, ImportState.CANCELLED)


class ImportPhase(StrEnum):
    """Phases of a running import, in their order."""

    PREFLIGHT = "preflight"
    SCHEMA = "schema"
    DATA = "data"
    INDEXES = "indexes"
    ANALYZE = "analyze"
    VERIFY = "verify"
    SWAP = "swap"


class Progress(LenientModel):
    """Shows how far a running import is. The worker prints its progress as JSON lines."""

    phase: ImportPhase = Field(
        description="The current phase: preflight, schema, data, indexes, analyze, verify or swap."
    )
    percent: int = Field(default=0, description="The completed part of the whole import, from 0 to 100.")
    tables_done: int | None = Field(default=None, description="The number of tables that are copied so far.")
    tables_total: int | None = Field(default=None, description="The number of tables that the import copies.")
    bytes_done: int | None = Field(
        default=None, description="The number of bytes copied so far, measured as the source stores them."
    )
    bytes_total: int | None = Field(
        default=None, description="The number of bytes that the import copies, measured as the source stores them."
    )
    bytes_per_second: int | None = Field(default=None, description="The average rate of the current phase.")
    eta_seconds: int | None = Field(
        default=None, description="The estimated number of seconds until the current phase ends."
    )
    waiting_for: str | None = Field(
        default=None, description="What the import waits for, for example a table that another session has locked."
    )
    source_held_seconds: int | None = Field(
        default=None,
        description="The number of seconds for which the current attempt has held the source's snapshot and locks. The"
        " number stays after the release. It is absent for a dump file.",
    )
    source_held_for: str | None = Field(
        default=None,
        description="The reason why the source is held after its last row was read. It is absent otherwise.",
    )
    at: Time | None = Field(
        default=None,
        description="The time at which the operator read this progress. The period of spec.stallTimeout starts here.",
    )
    said_at: Time | None = Field(
        default=None, description="The time at which the worker reported this progress, by the clock of its node."
    )


class Attempt(LenientModel):
    """Describes one pod of the import's Job."""

    number: int = Field(
        description="The number of the attempt, from 1. It is 0 if a disruption or a queue ended the pod, because that"
        " does not count."
    )
    pod: str = Field(description="The name of the attempt's pod.")
    pod_uid: str = Field(
        description="The UID of the pod. The names of the shadow database and its role are derived from it."
    )
    started_at: Time | None = Field(default=None, description="The time at which the pod started.")
    ended_at: Time | None = Field(default=None, description="The time at which the pod's last container ended.")
    exit_code: int | None = Field(default=None, description="The exit code of the container that ended the attempt.")
    reason: str | None = Field(default=None, description="The reason why the attempt ended, in CamelCase.")
    error: str | None = Field(
        default=None, description="The first error that ended the attempt, with its object and SQLSTATE."
    )
    hint: str | None = Field(default=None, description="A hint that says what to do about the error.")
    last_stdout: str | None = Field(
        default=None, description="The last output that the worker wrote to stdout, without secrets."
    )
    last_stderr: str | None = Field(
        default=None, description="The last output that pg_dump or pg_restore wrote to stderr, without secrets."
    )
    retry_classification: RetryClassification | None = Field(
        default=None,
        description="The kind of failure: transient and resource are retried, permanent and cancelled are not.",
    )
    cleaned_up: bool | None = Field(
        default=None, description="The value is true after the attempt's shadow database and role were dropped."
    )


class Shadow(LenientModel):
    """Names the attempt whose shadow database becomes, or has become, the target."""

    pod_uid: str = Field(description="The UID of the attempt's pod.")
    database: str = Field(description="The name of the shadow database on the target server.")
    role: str = Field(description="The role that owns the content of the shadow database.")
    oid: int | None = Field(
        default=None,
        description="The OID of the shadow database, written before the swap. The swap is done if the target has it.",
    )
    verified: bool = Field(default=False, description="The value is true after the worker verified the copy.")
    verified_at: Time | None = Field(
        default=None,
        description="The time at which the operator learned that the copy is verified. The 30 minutes for the swap"
        " start here.",
    )


class ReportReference(LenientModel):
    """Names the ConfigMaps with the whole report of an attempt."""

    pod_uid: str = Field(description="The UID of the attempt's pod.")
    config_maps: list[str] = Field(
        default=[],
        description="The names of the ConfigMaps in the import's namespace, in order. The key report.jsonl holds one"
        " JSON object per line. The ConfigMaps are deleted together with the import.",
    )
    message: str | None = Field(
        default=None, description="The reason why the report is missing or incomplete. It is absent if it is complete."
    )


class JobFields(BaseModel):
    """Fields of an import's status that the HTTP API shows as a job, under the same names in snake case.

    A field that is added here becomes part of the resource's status and of the API's job.
    """

    state: ImportState | None = Field(
        default=None, description="The state of the import: pending, running, completed, failed or cancelled."
    )
    type: str | None = Field(default=None, description="The type of the job, which is always project.import.")
    id: str | None = Field(default=None, description="The ID of the job in the HTTP API, in the form <project>.<name>.")
    attempts: int | None = Field(
        default=None,
        description="The number of attempts that started so far. Attempts that a disruption or a queue ended do not"
        " count.",
    )
    max_attempts: int | None = Field(default=None, description="The value of spec.maxAttempts when the import started.")
    retry_classification: RetryClassification | None = Field(
        default=None, description="The kind of the last failure: transient, resource, permanent or cancelled."
    )
    claimed_at: Time | None = Field(
        default=None, description="The time at which the operator first observed the current pod."
    )
    claimed_by: str | None = Field(
        default=None, description="The name of the current pod, or of the last pod if none runs."
    )
    cluster_id: str | None = Field(default=None, description="The value of spec.server.clusterID of the Project.")
    organization_id: str | None = Field(default=None, description="The value of spec.organizationID of the Project.")
    project_id: str | None = Field(default=None, description="The name of the import's Project.")
    preview_database_id: str | None = Field(
        default=None, description="The ID of the target in the HTTP API, in the form <project>.<preview>."
    )
    locked_resource: str | None = Field(
        default=None, description="The resource that the import has locked, in the form preview/<project>/<name>."
    )
    created_at: Time | None = Field(default=None, description="The time at which the PostgresImport was created.")
    started_at: Time | None = Field(
        default=None,
        description="The time at which the operator began to create the Job, or at which a queue admitted it. The"
        " period of spec.timeout starts here.",
    )
    completed_at: Time | None = Field(
        default=None, description="The time at which the import was completed, failed or was cancelled."
    )
    data_as_of: Time | None = Field(
        default=None,
        description="The time of the source's snapshot that the verified copy contains, by the source's clock. It is"
        " absent if the source is a dump file, which does not contain it.",
    )
    updated_at: Time | None = Field(default=None, description="The time at which this status last changed.")
    skipped: int | None = Field(
        default=None, description="The number of objects that the import skipped. The report lists all of them."
    )
    refused: int | None = Field(
        default=None,
        description="The number of skipped objects that the target refused, or that need a refused object.",
    )
    error: str | None = Field(
        default=None,
        description="The first error that ended the last attempt or the import, with its object and a hint.",
    )
    last_exit_code: int | None = Field(default=None, description="The exit code of the last container that ended.")
    last_stdout: str | None = Field(
        default=None, description="The last output that the worker wrote to stdout, without secrets."
    )
    last_stderr: str | None = Field(
        default=None, description="The last output that pg_dump or pg_restore wrote to stderr, without secrets."
    )


class ImportStatus(JobFields, LenientModel):
    """Shows the state, progress and result of an import."""

    attempt_history: list[Attempt] = Field(
        default=[],
        description="The last 20 attempts of the import, and the last 5 that a queue preempted, oldest first.",
    )
    preflight: PreflightReport | None = Field(default=None, description="The preflight report of the last attempt.")
    progress: Progress | None = Field(
        default=None, description="The progress of the current attempt, or of the last attempt if none runs."
    )
    verification: Verification | None = Field(
        default=None, description="The result of comparing the copy with its source."
    )
    skipped_objects: list[SkippedObject] = Field(
        default=[],
        description="The first skipped objects: tables with rows, then what the target refused, then what no import"
        " copies. The report lists all of them.",
    )
    report_ref: ReportReference | None = Field(
        default=None, description="The ConfigMaps with the whole report of the last attempt that ended."
    )
    shadow: Shadow | None = Field(
        default=None, description="The attempt whose shadow database becomes, or has become, the target."
    )
    pending_since: Time | None = Field(
        default=None,
        description="The time since which the import waits for what it needs. It is absent while the import is"
        " suspended, queued or running. The period of spec.pendingTimeout starts here.",
    )
    job: str | None = Field(default=None, description="The name of the import's Job.")
    cleaned_up: bool | None = Field(
        default=None, description="The value is true after everything temporary of this import was deleted."
    )
    upload_signed_at: Time | None = Field(
        default=None,
        description="The time at which the operator last signed the URL from which the pod reads the upload.",
    )
    upload_deleted: bool | None = Field(
        default=None, description="The value is true after the uploaded dump file was deleted."
    )
    webhook_deliveries: list[WebhookDelivery] = Field(default=[], description=DELIVERIES_DESCRIPTION)
    observed_generation: int | None = Field(
        default=None, description="The metadata.generation for which the operator wrote this status."
    )
    conditions: list[Condition] = Field(
        default=[],
        description="The conditions of the import: Ready, Reconciling, Stalled, Succeeded, Finished, FullyImported and"
        " CleanedUp.",
    )

    @property
    def terminal(self) -> bool:
        return self.state is not None and self.state.terminal

    @property
    def queued(self) -> bool:
        """Says whether the import waits with a Job that a queue has not admitted, or that has no slot yet."""
        waits = self.state in (None, ImportState.PENDING)
        return waits and self.job is not None and self.started_at is None


class PreviewState(StrEnum):
    """States of a preview: pending → ready → expired | deleting, or failed if it cannot be created."""

    PENDING = "pending"
    READY = "ready"
    FAILED = "failed"
    EXPIRED = "expired"
    DELETING = "deleting"


class PreviewStatus(LenientModel):
    """Shows the state of a preview database and how to connect to it."""

    state: PreviewState | None = Field(
        default=None, description="The state of the preview: pending, ready, failed, expired or deleting."
    )
    database: str | None = Field(default=None, description="The name of the database on the target server.")
    role: str | None = Field(default=None, description="The role that owns the database.")
    connection_secret: str | None = Field(
        default=None, description="The name of the Secret that holds host, port, dbname, user, password and uri."
    )
    active_import: str | None = Field(default=None, description="The UID of the import that has claimed the preview.")
    active_import_name: str | None = Field(
        default=None, description="The name of the import that has claimed the preview."
    )
    clone_import: str | None = Field(
        default=None,
        description="The name of the import that copies the primary database into the preview, if it has a URL.",
    )
    clones: int | None = Field(
        default=None, description="The number of copies of another database that started so far."
    )
    data_as_of: Time | None = Field(
        default=None,
        description="The time of the snapshot of the source that the last completed import copied, by the source's"
        " clock. A copy of another preview has the value of that preview. It is absent if nothing was imported, or if"
        " a dump file was imported.",
    )
    expires_at: Time | None = Field(default=None, description="The time at which the operator drops the database.")
    renewed_at: Time | None = Field(
        default=None, description="The value of spec.renewedAt from which the operator counts the ttl."
    )
    reset_at: Time | None = Field(
        default=None, description="The value of spec.resetAt that the operator carried out last."
    )
    database_lost_at: Time | None = Field(
        default=None,
        description="The time at which the operator found that the database, and thus its content, no longer existed on"
        " the server. A completed import, a reset or an expiry removes this field.",
    )
    webhook_deliveries: list[WebhookDelivery] = Field(default=[], description=DELIVERIES_DESCRIPTION)
    updated_at: Time | None = Field(default=None, description="The time at which this status last changed.")
    observed_generation: int | None = Field(
        default=None, description="The metadata.generation for which the operator wrote this status."
    )
    conditions: list[Condition] = Field(
        default=[], description="The conditions of the preview: Ready, Reconciling and Stalled."
    )
