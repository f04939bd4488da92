"""Plays a few of the cells of `make chaos`: of each kind, from the first write or phase to the last."""

from collections.abc import Iterator

import pytest
from tests.chaos import write_faults
from tests.chaos.cell_plan import PlannedCell, plan_others, plan_phase_faults, plan_stale_views, plan_write_faults
from tests.chaos.chaos_environment import ChaosEnvironment, open_chaos_environment
from tests.e2e.postgres_pods import Source
from tests.support import kubectl

pytestmark = [pytest.mark.cluster, pytest.mark.exclusive]


@pytest.fixture(scope="module")
def environment(source: Source, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChaosEnvironment]:
    if (kubectl.cluster_folder() / "provider").read_text().strip() != "bare":
        pytest.skip("only the bare cluster runs its node as processes of this host, and lets pods reach this host")
    with open_chaos_environment(source, tmp_path_factory.mktemp("chaos")) as opened:
        yield opened


def _choose(plan: list[PlannedCell], count: int) -> list[PlannedCell]:
    """Choose cells at even steps, from the first to the last."""
    return [plan[index * (len(plan) - 1) // (count - 1)] for index in range(count)]


def test_imports_survive_a_dozen_faults(environment: ChaosEnvironment) -> None:
    writes = write_faults.record_writes(environment)
    plans = (
        (plan_phase_faults(), 5),
        (plan_write_faults(writes), 4),
        (plan_stale_views(writes), 2),
        (plan_others(), 2),
    )
    chosen = [planned for plan, count in plans for planned in _choose(list(plan), count)]
    environment.tenant.make_kept_previews(*(f"crash-{number}" for number in range(len(chosen))))
    cells = [planned.play(environment, f"crash-{number}") for number, planned in enumerate(chosen)]
    assert not [f"{cell.fault}: {cell.where}: {cell.problem}" for cell in cells if not cell.kept]
