"""The context of one import: its order, its files, its helpers and its target."""

from dataclasses import dataclass, field
from pathlib import Path

from pgimport.model.order import Order
from pgimport.worker.environment import WorkerEnvironment
from pgimport.worker.postgres.clients import ClientProcesses, ClientPrograms
from pgimport.worker.postgres.endpoints import Endpoint
from pgimport.worker.postgres.interruption import Interruption
from pgimport.worker.postgres.shadow import ShadowSessions
from pgimport.worker.postgres.shadow_state import ShadowState
from pgimport.worker.postgres.target_watch import TargetWatch
from pgimport.worker.report.progress_meter import ProgressMeter
from pgimport.worker.report.reporter import Reporter


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRun:
    """What all steps of an import share. Functions that need only two or three of these take them as parameters."""

    order: Order
    environment: WorkerEnvironment
    clients: ClientPrograms
    processes: ClientProcesses
    reporter: Reporter
    meter: ProgressMeter
    shadow_sessions: ShadowSessions
    interruption: Interruption
    target_watch: TargetWatch
    shadow_state: ShadowState = field(default_factory=ShadowState)  # known after the gate

    @property
    def shadow(self) -> Endpoint:
        """The endpoint of the shadow, for sessions and client programs that an engine starts itself."""
        return self.shadow_sessions.endpoint

    @property
    def archive_folder(self) -> Path:
        """The folder in the scratch volume for pg_dump's directory archive or the unpacked files of a tar."""
        return self.environment.scratch / "dump"

    @property
    def jobs(self) -> int:
        """The number of parallel streams, at least one."""
        return max(self.order.jobs, 1)

    @property
    def target_major(self) -> int:
        return self.order.target.server_version_num // 10000
