"""What the installation decides: images and intervals that a decision or a Job needs, filled from settings."""

from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Frozen for the life of the process."""

    operator_namespace: str
    worker_images: dict[str, str] = field(default_factory=dict)  # major of the target server → image
    image_pull_policy: str = "IfNotPresent"
    image_pull_secrets: tuple[str, ...] = ()
    uploads: bool = False  # there is a store for them
    upload_retention: timedelta = timedelta(hours=24)  # after its import has ended

    # A look every 5 s shows progress; a write costs an event, so never more often.
    progress_interval: timedelta = timedelta(seconds=5)
    # What waits for something that we also watch is looked at again anyway: events may be lost.
    waiting_interval: timedelta = timedelta(seconds=15)
    # A server that is away is asked again after this.
    retry_interval: timedelta = timedelta(seconds=10)
    # Sessions that hold a database up at the swap get this long in all before TargetBusy.
    swap_patience: timedelta = timedelta(seconds=60)
    # Disruptions do not count as attempts; so many of them end the import.
    max_disruptions: int = 10
    # A terminal import's Job stays for its logs; spec.ttlSecondsAfterFinished overrides it.
    job_ttl_seconds: int = 86_400
