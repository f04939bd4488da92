"""Defines the settings of an installation that decisions and manifests need, such as images and intervals."""

from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Settings of this operator process."""

    operator_namespace: str
    worker_images: dict[str, str] = field(default_factory=dict)  # major of the target server → image
    image_pull_policy: str = "IfNotPresent"
    image_pull_secrets: tuple[str, ...] = ()
    set_user: bool = True  # import pods set their user; if not, the platform chooses one
    release_name: str = "pgimport"  # prefix of the objects that the operator creates in the namespaces of Projects
    network_policy: bool = False  # the operator creates the NetworkPolicy of import pods
    denied_networks: tuple[str, ...] = ()  # more networks, in CIDR notation, that import pods must not reach
    uploads: bool = False  # the installation has an upload store
    upload_retention: timedelta = timedelta(hours=24)  # time from the end of the import to the file's deletion

    # While an import is queued, the signed URL of its upload is replaced when it is this old.
    upload_url_age: timedelta = timedelta(minutes=15)

    # Progress is written at most this often, because each write causes an event.
    progress_interval: timedelta = timedelta(seconds=5)
    # A waiting object is reconciled again after this time: watch events can be lost, and Secrets are not watched.
    waiting_interval: timedelta = timedelta(seconds=15)
    # An import whose Secret or ConfigMap is missing is reconciled again after this time at first, then more rarely.
    shortest_waiting_interval: timedelta = timedelta(seconds=1)
    # An import that has waited for long is reconciled again after this time at most.
    longest_waiting_interval: timedelta = timedelta(minutes=2)
    # An unavailable server is tried again after this time.
    retry_interval: timedelta = timedelta(seconds=10)
    # The swap waits this long for sessions in the target before it reports TargetBusy.
    swap_patience: timedelta = timedelta(seconds=60)
    # A verified copy that cannot be swapped in for this time fails with TargetBusy.
    swap_limit: timedelta = timedelta(minutes=30)
    # A preview or Project that cannot be created, reset or dropped for this time is stalled, and still tried again.
    preview_patience: timedelta = timedelta(minutes=5)
    # What a server or Kubernetes refused is tried again after this time: its admin may have cured the cause.
    refused_interval: timedelta = timedelta(seconds=60)
    # Disruptions do not count as attempts. This many of them end the import.
    max_disruptions: int = 10
    # The Job of an ended import is kept this long for its logs. spec.ttlSecondsAfterFinished overrides it.
    job_ttl_seconds: int = 86_400
