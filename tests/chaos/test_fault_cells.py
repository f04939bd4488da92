"""A few of the cells of `make chaos`: troubles of each sort, at writes and in phases from the first to the last."""

from collections.abc import Iterator

import pytest
from tests.chaos import write_faults
from tests.chaos.cell_plan import Planned, plan_crashes, plan_matrix, plan_others, plan_stale
from tests.chaos.chaos_environment import Stage, open_stage
from tests.e2e.postgres_pods import Source
from tests.support import kubectl

pytestmark = [pytest.mark.cluster, pytest.mark.exclusive]


@pytest.fixture(scope="module")
def stage(source: Source, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    if (kubectl.cluster_folder() / "provider").read_text().strip() != "bare":
        pytest.skip("kills the node's own processes and listens where pods reach this host: only bare is like that")
    with open_stage(source, tmp_path_factory.mktemp("chaos")) as found:
        yield found


def _choose(planned: list[Planned], count: int) -> list[Planned]:
    """From the first to the last, at even steps."""
    return [planned[place * (len(planned) - 1) // (count - 1)] for place in range(count)]


def test_imports_survive_a_dozen_troubles(stage: Stage) -> None:
    writes = write_faults.record(stage)
    plans = ((plan_matrix(), 5), (plan_crashes(writes), 4), (plan_stale(writes), 2), (plan_others(), 2))
    chosen = [one for plan, count in plans for one in _choose(list(plan), count)]
    stage.tenant.make_kept_previews(*(f"crash-{number}" for number in range(len(chosen))))
    cells = [one.play(stage, f"crash-{number}") for number, one in enumerate(chosen)]
    assert not [f"{cell.fault}: {cell.place}: {cell.said}" for cell in cells if not cell.kept]
