"""What users see: the `status` of the three kinds. We wrote it, so it is read leniently."""

from enum import StrEnum

from pydantic import BaseModel, Field

from pgimport.model.base_models import LenientModel
from pgimport.model.reasons import RetryClassification
from pgimport.model.result import PreflightReport, Verification
from pgimport.model.scalar_types import Time


class ConditionStatus(StrEnum):
    """Kubernetes' own words."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(LenientModel):
    """As metav1.Condition; `Ready`, `Reconciling` and `Stalled` follow kstatus."""

    type: str = Field(description="Ready, Reconciling, Stalled or Succeeded.")
    status: ConditionStatus = Field(description="True, False or Unknown.")
    reason: str = Field(description="A CamelCase code.")
    message: str = Field(default="", description="One sentence for a person.")
    last_transition_time: Time = Field(description="When status last changed.")
    observed_generation: int | None = Field(default=None, description="metadata.generation it speaks of.")


class ImportState(StrEnum):
    """pending → running → completed | failed | cancelled; the last three are absorbing."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        return self in (ImportState.COMPLETED, ImportState.FAILED, ImportState.CANCELLED)


class ImportPhase(StrEnum):
    """Where a running import is."""

    PREFLIGHT = "preflight"
    SCHEMA = "schema"
    DATA = "data"
    INDEXES = "indexes"
    ANALYZE = "analyze"
    VERIFY = "verify"
    SWAP = "swap"


class Progress(LenientModel):
    """How far a running import is; the worker prints one as a JSON line at a time."""

    phase: ImportPhase = Field(description="preflight, schema, data, indexes, analyze, verify or swap.")
    percent: int = Field(default=0, description="0 to 100, of the whole import.")
    tables_done: int | None = Field(default=None, description="Tables copied.")
    tables_total: int | None = Field(default=None, description="Tables to copy.")
    bytes_done: int | None = Field(default=None, description="Bytes copied, as the source stores them.")
    bytes_total: int | None = Field(default=None, description="Bytes to copy, as the source stores them.")
    bytes_per_second: int | None = Field(default=None, description="Rate of this phase.")
    eta_seconds: int | None = Field(default=None, description="Estimate for this phase.")
    at: Time | None = Field(default=None, description="When the operator saw it: the clock of spec.stallTimeout.")
    said_at: Time | None = Field(default=None, description="When the worker said so, by the clock of its node.")


class Attempt(LenientModel):
    """One pod of the import's Job that has ended or works."""

    number: int = Field(description="1, 2, …; 0 for one that a disruption ended and that does not count.")
    pod: str = Field(description="Name of the pod.")
    pod_uid: str = Field(description="Its uid; shadow database and role are named from it.")
    started_at: Time | None = Field(default=None, description="When the pod started.")
    ended_at: Time | None = Field(default=None, description="When its last container ended.")
    exit_code: int | None = Field(default=None, description="Of the container that ended it.")
    reason: str | None = Field(default=None, description="Why it ended.")
    error: str | None = Field(default=None, description="The first real error, with its object and SQLSTATE.")
    hint: str | None = Field(default=None, description="What to do about it.")
    last_stdout: str | None = Field(default=None, description="Its last words, without secrets.")
    last_stderr: str | None = Field(default=None, description="What the PostgreSQL clients said last, without secrets.")
    retry_classification: RetryClassification | None = Field(default=None, description="transient, resource, …")
    cleaned_up: bool | None = Field(default=None, description="Its shadow database and role are gone.")


class Shadow(LenientModel):
    """The attempt whose database is about to become the target, or has become it."""

    pod_uid: str = Field(description="Uid of the attempt's pod.")
    database: str = Field(description="Name of the shadow database.")
    role: str = Field(description="Role that owns its content.")
    oid: int | None = Field(default=None, description="Written just before the swap: the target with this OID is new.")
    verified: bool = Field(default=False, description="The worker's verification passed.")


class JobFields(BaseModel):
    """Fields of an import's status that the HTTP API shows as a job, under the same names in snake case.

    A field added here is part of the resource's status and of the API's job at once.
    """

    state: ImportState | None = Field(default=None, description="pending, running, completed, failed, cancelled.")
    type: str | None = Field(default=None, description="project.import")
    id: str | None = Field(default=None, description="<project>.<name>, the id of the HTTP API.")
    attempts: int | None = Field(default=None, description="Attempts that count, begun so far.")
    max_attempts: int | None = Field(default=None, description="Of the spec.")
    retry_classification: RetryClassification | None = Field(
        default=None, description="Of the last failure: transient, resource, permanent or cancelled."
    )
    claimed_at: Time | None = Field(default=None, description="When the current pod was first seen.")
    claimed_by: str | None = Field(default=None, description="The current, else the last pod.")
    cluster_id: str | None = Field(default=None, description="Of the Project's server.")
    organization_id: str | None = Field(default=None, description="Of the Project.")
    project_id: str | None = Field(default=None, description="Name of the Project.")
    preview_database_id: str | None = Field(default=None, description="<project>.<preview> of the target.")
    locked_resource: str | None = Field(default=None, description="preview/<project>/<name> while it is held.")
    created_at: Time | None = Field(default=None, description="Of the object.")
    started_at: Time | None = Field(default=None, description="When the Job was asked for; the timeout's clock.")
    completed_at: Time | None = Field(default=None, description="When a terminal state was reached.")
    updated_at: Time | None = Field(default=None, description="Of the last change of this status.")
    error: str | None = Field(default=None, description="The first real error, with its object and a hint.")
    last_exit_code: int | None = Field(default=None, description="Of the last container that ended.")
    last_stdout: str | None = Field(default=None, description="Its last words, without secrets.")
    last_stderr: str | None = Field(default=None, description="What the PostgreSQL clients said last, without secrets.")


class ImportStatus(JobFields, LenientModel):
    """The whole status of an import."""

    attempt_history: list[Attempt] = Field(default=[], description="The last 20 attempts, oldest first.")
    preflight: PreflightReport | None = Field(default=None, description="The last attempt's report.")
    progress: Progress | None = Field(default=None, description="How far it is.")
    verification: Verification | None = Field(default=None, description="What was compared.")
    shadow: Shadow | None = Field(default=None, description="The attempt that is being swapped in, or was.")
    job: str | None = Field(default=None, description="Name of the Job.")
    cleaned_up: bool | None = Field(default=None, description="Nothing of this import is left behind.")
    upload_deleted: bool | None = Field(default=None, description="The uploaded file is gone.")
    observed_generation: int | None = Field(default=None, description="metadata.generation this speaks of.")
    conditions: list[Condition] = Field(default=[], description="Ready, Reconciling, Stalled, Succeeded.")

    @property
    def terminal(self) -> bool:
        return self.state is not None and self.state.terminal


class PreviewState(StrEnum):
    """pending → ready → expired | deleting; failed where it cannot be made."""

    PENDING = "pending"
    READY = "ready"
    FAILED = "failed"
    EXPIRED = "expired"
    DELETING = "deleting"


class PreviewStatus(LenientModel):
    """All that a preview shows."""

    state: PreviewState | None = Field(default=None, description="pending, ready, failed, expired or deleting.")
    database: str | None = Field(default=None, description="Name of the database on the server.")
    role: str | None = Field(default=None, description="Its owner role.")
    connection_secret: str | None = Field(
        default=None, description="Secret with host, port, dbname, user, password and uri."
    )
    active_import: str | None = Field(default=None, description="Uid of the import that holds it.")
    active_import_name: str | None = Field(default=None, description="Its name.")
    clone_import: str | None = Field(
        default=None, description="Name of the import that brings the copy of the primary database."
    )
    clones: int | None = Field(default=None, description="Copies that were begun so far.")
    expires_at: Time | None = Field(default=None, description="When the database will be dropped.")
    reset_at: Time | None = Field(default=None, description="The spec.resetAt that was last carried out.")
    updated_at: Time | None = Field(default=None, description="Of the last change of this status.")
    observed_generation: int | None = Field(default=None, description="metadata.generation this speaks of.")
    conditions: list[Condition] = Field(default=[], description="Ready, Reconciling, Stalled.")


class ProjectStatus(LenientModel):
    """All that a project shows."""

    ready: bool | None = Field(default=None, description="Its server can be reached and its admin is fit.")
    target_version: str | None = Field(default=None, description="Version of its server.")
    updated_at: Time | None = Field(default=None, description="Of the last change of this status.")
    observed_generation: int | None = Field(default=None, description="metadata.generation this speaks of.")
    conditions: list[Condition] = Field(default=[], description="Ready, Reconciling, Stalled.")
