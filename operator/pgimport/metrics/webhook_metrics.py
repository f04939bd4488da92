"""Counts the requests to receivers of webhooks."""

from prometheus_client import CollectorRegistry, Counter


class WebhookMetrics:
    """A counter by Project and result; safe to share between threads."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "pgimport_webhook_requests",
            "Number of attempts to send an event to a webhook of a Project, by result: delivered or failed.",
            ("project", "result"),
            registry=registry,
        )

    def record(self, project: str, *, delivered: bool) -> None:
        self._requests.labels(project, "delivered" if delivered else "failed").inc()
