"""Every field changed (Acto, SOSP '23): each property of the three specs gets the values that its schema suggests.

An invalid one must be refused by the API server in a sentence that names the field. A valid one must be accepted, and
the object must come to rest in a state that says what the operator made of it: never half, never with a traceback.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from tests.chaos.cell_result import Cell
from tests.chaos.fields.accepted_changes import (
    Trial,
    being_stories,
    import_stories,
    make_beings,
    preview_life_stories,
    preview_stories,
    project_life_stories,
    project_trials,
)
from tests.chaos.fields.field_environment import Stage, open_fields
from tests.chaos.fields.operator_log import Troubles, read_troubles
from tests.chaos.fields.refused_changes import make_whole, refusal_trials
from tests.chaos.fields.sample_values import WORKS_ELSEWHERE
from tests.e2e.postgres_pods import Source

FAULT = "field changed"
AT_ONCE = 18
SAID_LIMIT = 1000
LOG = "the operator's log: no traceback, no error"


def play_fields(source: Source) -> list[Cell]:
    """All changes; a cell each."""
    with open_fields(source) as stage:
        begun = time.time()
        trials = _play(stage)
        troubles = read_troubles(begun)
    cells = [_to_cell(trial, troubles) for trial in trials]
    return [*cells, *_find_idle(trials), _judge_log(troubles)]


def _play(stage: Stage) -> list[Trial]:
    make_whole(stage)
    beings = make_beings(stage)
    stories = [
        *project_life_stories(stage),
        *preview_life_stories(stage),
        *being_stories(stage, beings),
        *import_stories(stage),
        *preview_stories(stage),
    ]
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        trials = [trial for told in pool.map(lambda story: story(), stories) for trial in told]
    return [*trials, *project_trials(stage), *refusal_trials(stage, stage.projects.get())]


def count_points(cells: Iterable[Cell]) -> dict[str, int]:
    """Kind → changes that were tried."""
    return dict(Counter(cell.place.split()[0] for cell in cells if cell.place != LOG))


def sum_up(cells: Iterable[Cell]) -> list[Cell]:
    """One cell a property, for a report that people read; what was said is of the first change that broke a promise."""
    found: dict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        found[cell.place.partition(": ")[0]].append(cell)
    return [_sum_up(place, tried) for place, tried in found.items()]


def _sum_up(place: str, tried: Sequence[Cell]) -> Cell:
    broken = [f"{cell.place}: {cell.said}" for cell in tried if not cell.kept]
    ends = Counter(cell.state for cell in tried if cell.state)
    state = ", ".join(f"{count} {end}" for end, count in ends.most_common())
    return _cell(place, broken[0] if broken else "", sum(cell.seconds for cell in tried), state)


def _to_cell(trial: Trial, troubles: Troubles) -> Cell:
    said = trial.verdict.said or troubles.of(trial.name, trial.begun, trial.ended)
    return _cell(trial.place, said, trial.ended - trial.begun, trial.verdict.state)


def _cell(place: str, said: str, seconds: float = 0.0, state: str = "") -> Cell:
    return Cell(fault=FAULT, place=place, kept=said == "", seconds=seconds, state=state, said=said[:SAID_LIMIT])


def _find_idle(trials: Sequence[Trial]) -> Iterator[Cell]:
    """A field of an import whose values all lead to the same Job, and to the same end, does nothing."""
    effects: dict[str, set[str]] = defaultdict(set)
    (unchanged,) = (trial.effect for trial in trials if trial.effect and trial.of is None)
    for trial in trials:
        if trial.effect and trial.of is not None:
            effects[trial.of.place] |= {trial.effect, unchanged}
    for place, found in effects.items():
        if place not in WORKS_ELSEWHERE:
            said = "" if len(found) > 1 else "none of its values makes a difference"
            yield _cell(f"{place}: does something", said)


def _judge_log(troubles: Troubles) -> Cell:
    said = "; ".join(one.text for one in troubles.found[:5])
    said = f"{len(troubles.found)} lines: {said}" if said else ""
    said = said or (f"{troubles.restarts} restarts" if troubles.restarts else "")
    return _cell(LOG, said)
