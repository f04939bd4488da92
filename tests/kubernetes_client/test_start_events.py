"""Tests of events that tell why no container of an import starts."""

import pytest
from tests.support.kubernetes import Kubernetes

from pgimport.kubernetes_client import api_paths
from pgimport.kubernetes_client.api_client import KubernetesClient
from pgimport.kubernetes_client.start_events import read_start_warning

REFUSED = ("Warning", "FailedCreate", "00:01Z")
UNSCHEDULED = ("Warning", "FailedScheduling", "00:03.250000Z")
UNMOUNTED = ("Warning", "FailedMount", "00:06Z")
NO_SECRET = ("Warning", "FailedToRetrieveImagePullSecret", "00:05Z")
PULLING, UNPULLED = ("Normal", "Pulling", "00:05Z"), ("Warning", "Failed", "00:07Z")


@pytest.mark.parametrize(
    ("events", "warning"),
    [
        pytest.param([REFUSED, UNSCHEDULED, UNMOUNTED], "FailedMount", id="the newest one"),
        pytest.param([REFUSED, ("Normal", "SuccessfulCreate", "00:02Z")], None, id="the Job has its pod"),
        pytest.param([UNSCHEDULED, ("Normal", "Scheduled", "00:05.125000Z")], None, id="the pod has its node"),
        pytest.param([UNMOUNTED, ("Normal", "Pulling", "00:09Z")], None, id="the pod has its volumes"),
        pytest.param([("Warning", "Failed", "00:06Z"), ("Normal", "Pulling", "00:09Z")], "Failed", id="pulled again"),
        pytest.param(
            [("Warning", "Failed", "00:06Z"), ("Normal", "Pulled", "00:09Z")], None, id="the pod has its image"
        ),
        pytest.param([("Normal", "Scheduled", "00:05.1Z"), UNMOUNTED], "FailedMount", id="an obstacle after another"),
        pytest.param([UNSCHEDULED, ("Normal", "SuccessfulCreate", "00:04Z")], "FailedScheduling", id="the new pod's"),
        pytest.param([UNSCHEDULED, ("Normal", "NotTriggerScaleUp", "00:09Z")], "FailedScheduling", id="no progress"),
        pytest.param([NO_SECRET, PULLING], None, id="an image that may need no Secret is pulled"),
        pytest.param([(*NO_SECRET[:2], "00:08Z"), PULLING, UNPULLED], NO_SECRET[1], id="an image that needs a Secret"),
        pytest.param([("Warning", "DNSConfigForming", "00:05Z"), PULLING], None, id="no obstacle"),
        pytest.param(
            [UNSCHEDULED, ("Warning", "PolicyViolation", "00:09Z")], "FailedScheduling", id="a policy that only reports"
        ),
        pytest.param([], None, id="no event"),
    ],
)
def test_the_newest_warning_is_read_until_its_obstacle_is_gone(
    cluster: KubernetesClient, name: str, events: list[tuple[str, str, str]], warning: str | None
) -> None:
    for number, (kind, reason, at) in enumerate(events):
        event = {
            "metadata": {"name": f"{name}-{number}"},
            "type": kind,
            "reason": reason,
            "message": "in the words of Kubernetes",
            "involvedObject": {"name": name},
            ("eventTime" if "." in at else "lastTimestamp"): f"2026-01-01T12:{at}",
        }
        cluster.create(api_paths.core("shop", "events"), event)
    expected = None if warning is None else f"{warning}: in the words of Kubernetes"
    assert read_start_warning(cluster, "shop", (name,)) == expected
    assert read_start_warning(cluster, "shop", ("another",)) is None


def test_events_that_cannot_be_read_are_no_warning(kubernetes: Kubernetes, cluster: KubernetesClient) -> None:
    for status in (403, 500):
        kubernetes.refuse("GET", "/namespaces/shop/events", status)
        assert read_start_warning(cluster, "shop", ("job",)) is None
