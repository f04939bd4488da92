"""Tests of the objects that the measure of many imports creates, and of its figures."""

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from tests.bench.scale.many_imports import ImportFactory, build_ended_status, is_current
from tests.bench.scale.operator_scale import QUICK, Figures, build_measures
from tests.bench.scale.operator_usage import ProcessUsage, read_usage
from tests.support.kubernetes import run_kubernetes
from tests.support.samples import NOW, a_policy

from pgimport.decide.imports import decide_import
from pgimport.decide.observed_objects import ObservedImport
from pgimport.handlers.event_handlers import is_settled
from pgimport.kubernetes_client import api_paths, custom_resources
from pgimport.kubernetes_client.api_client import KubernetesClient
from pgimport.kubernetes_client.jobs import read_job
from pgimport.kubernetes_client.pods import list_pods
from pgimport.model.names import IMPORTS, PREVIEWS


@pytest.fixture(scope="module")
def cluster() -> Iterator[KubernetesClient]:
    with run_kubernetes() as kubernetes:
        yield kubernetes.connect()


def test_an_ended_import_is_settled_and_has_a_status_of_the_usual_size(cluster: KubernetesClient) -> None:
    (name,) = ImportFactory(cluster, "shop").create_ended(1)
    body = cluster.get(api_paths.resource(IMPORTS, "shop", name))
    assert is_settled(body)
    status = build_ended_status()
    assert (len(status.attempt_history), len(status.skipped_objects)) == (3, 20)
    assert status.preflight is not None
    assert len(status.preflight.checks) == 12
    assert 12_000 < len(json.dumps(body)) < 20_000


def test_a_running_import_has_its_preview_its_job_and_its_pod(cluster: KubernetesClient) -> None:
    (name,) = ImportFactory(cluster, "shop").create_running(1)
    item = custom_resources.read_import(cluster, "shop", name)
    preview = custom_resources.read_preview(cluster, "shop", name)
    assert item is not None
    assert preview is not None
    assert preview.status.active_import == item.meta.uid
    assert is_settled(cluster.get(api_paths.resource(PREVIEWS, "shop", name)))
    job = read_job(cluster, "shop", str(item.status.job), item.meta.uid)
    assert job is not None
    assert job.ours
    pods = list_pods(cluster, "shop", item.meta.uid)
    assert [pod.job_uid for pod in pods] == [job.uid]
    observed = ObservedImport(object=item, observed_since=NOW, preview=preview, job=job, pods=tuple(pods))
    decision = decide_import(observed, datetime.now(UTC), a_policy())
    assert (decision.status, decision.actions) == (item.status, ()), "the first look has nothing to write"


def test_a_status_that_is_made_old_keeps_all_else(cluster: KubernetesClient) -> None:
    factory = ImportFactory(cluster, "shop")
    factory.create_import("old", "none", "none")
    before = build_ended_status().model_copy(update={"updated_at": NOW})
    path = api_paths.resource(IMPORTS, "shop", "old")
    cluster.patch(f"{path}/status", {"status": before.to_json()})
    factory.make_old(["old"])
    item = custom_resources.read_import(cluster, "shop", "old")
    assert item is not None
    assert item.status.updated_at is not None
    assert datetime.now(UTC) - item.status.updated_at < timedelta(hours=2)
    assert item.status.model_copy(update={"updated_at": NOW}) == before


def test_an_import_is_current_when_its_newest_generation_was_observed(cluster: KubernetesClient) -> None:
    factory = ImportFactory(cluster, "shop")
    factory.create_waiting(["waiting"])
    path = api_paths.resource(IMPORTS, "shop", "waiting")
    generation = cluster.get(path)["metadata"]["generation"]
    assert not is_current(cluster.get(path))

    def observe() -> None:
        for number in (generation - 1, generation):
            cluster.patch(f"{path}/status", {"status": {"observedGeneration": number}})

    factory.wait_until_current(["waiting"], observe, seconds=30)
    assert is_current(cluster.get(path))
    assert not factory.has_job("waiting")


def test_the_usage_of_this_process_is_read() -> None:
    before = read_usage(os.getpid())
    sum(range(5_000_000))
    after = read_usage(os.getpid())
    assert 10 < after.resident_mib <= after.peak_mib
    assert after.cpu_seconds > before.cpu_seconds


def test_the_longest_time_to_a_job_counts() -> None:
    usage = ProcessUsage(resident_mib=100.0, peak_mib=131.4, cpu_seconds=9.0)
    figures = Figures(
        start_seconds=3.21,
        idle_cores=0.0432,
        scraped_cores=0.0482,
        scraped_mib=-0.3,
        job_seconds=[0.5, 2.5],
        usage=usage,
    )
    values = {measure.name: (measure.value, measure.holds) for measure in build_measures(figures, QUICK)}
    assert values == {
        "operator_memory_mib": (131, True),
        "operator_idle_cores": (0.043, True),
        "operator_scraped_cores": (0.005, True),
        "operator_scraped_mib": (0.0, True),
        "operator_start_seconds": (3.21, True),
        "new_import_to_job_seconds": (2.5, False),
    }
