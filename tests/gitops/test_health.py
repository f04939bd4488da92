"""Judges every state of every kind with kstatus, with Flux's health checks, and with Argo CD's interpreter."""

import subprocess

import pytest
from tests.decide.simulation import Simulation
from tests.gitops.health_rules import read_health_checks, read_health_script
from tests.gitops.judge_program import Verdict, judge
from tests.gitops.stored_objects import NEW_IMPORT, SAMPLES, Json, Sample, export_import

from pgimport.model.reasons import Reason

# The program is built from Go modules, which takes minutes the first time.
pytestmark = pytest.mark.thorough


def judge_objects(objects: list[Json]) -> list[Verdict]:
    return judge(objects, read_health_checks(), read_health_script())


@pytest.fixture(scope="module")
def verdicts() -> dict[str, Verdict]:
    """The verdicts about all samples by their names."""
    answers = judge_objects([sample.build() for sample in SAMPLES])
    return {sample.name: answer for sample, answer in zip(SAMPLES, answers, strict=True)}


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_every_tool_judges_a_state_alike(sample: Sample, verdicts: dict[str, Verdict]) -> None:
    verdict = verdicts[sample.name]
    assert (verdict.kstatus, verdict.flux, verdict.argo_cd) == (sample.kstatus, sample.flux, sample.argo_cd), verdict
    assert verdict.argo_cd_message


def test_no_tool_ends_its_wait_before_the_import_has_ended() -> None:
    """A whole life with a retry and a pause: each status that the operator writes is in progress, except the last."""
    simulation = Simulation({})
    exported = [NEW_IMPORT]

    def settle() -> None:
        for decision in simulation.settle():
            simulation.status = decision.status
            exported.append(export_import(simulation))

    settle()
    for event in (
        simulation.pod_appears,
        lambda: simulation.attempt_fails(Reason.SOURCE_UNREACHABLE),
        simulation.pod_appears,
        simulation.preflight_passes,
        lambda: simulation.pod_is_disrupted(),
        lambda: simulation.set_option("suspend", True),
        lambda: simulation.set_option("suspend", False),
        simulation.pod_appears,
        simulation.preflight_passes,
        simulation.pod_completes,
    ):
        simulation.time_passes(10)
        event()
        settle()
    ended = ["status" in stored and stored["status"].get("state") == "completed" for stored in exported]
    verdicts = judge_objects(exported)
    assert any(ended)
    assert [verdict.kstatus == "Current" for verdict in verdicts] == ended
    assert [verdict.flux == "Current" for verdict in verdicts] == ended
    assert [verdict.argo_cd == "Healthy" for verdict in verdicts] == ended
    assert not [verdict for verdict in verdicts if "Failed" in (verdict.kstatus, verdict.flux)]


def test_kstatus_needs_the_status_with_which_an_object_is_created() -> None:
    """kstatus judges an object that the operator has not observed yet as current, unless its status has
    `observedGeneration: -1`.
    """
    bare = {key: value for key, value in NEW_IMPORT.items() if key != "status"}
    answers = judge(
        [bare, NEW_IMPORT], "[{apiVersion: capydb.dev/v1alpha1, kind: PostgresImport, current: 'false'}]", "return {}"
    )
    assert [answer.kstatus for answer in answers] == ["Current", "InProgress"]


def test_a_script_has_no_files_and_no_programs() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        judge([NEW_IMPORT], read_health_checks(), "return {status = io.open('/etc/passwd'):read()}")
