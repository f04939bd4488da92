"""Changes every field of the four specs to the values that its schema suggests (after Acto, SOSP '23).

The API server must refuse an invalid value and name the field. It must accept a valid one, and the object must settle
in a state whose condition explains it. Nothing may be half done, and the operator's log may hold no traceback.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from tests.chaos.cell_result import CellResult
from tests.chaos.fields.accepted_changes import (
    Trial,
    build_import_stories,
    build_living_import_stories,
    build_living_preview_stories,
    build_living_project_stories,
    build_living_schedule_stories,
    build_preview_stories,
    build_schedule_stories,
    create_living_imports,
    run_project_trials,
)
from tests.chaos.fields.field_environment import FieldEnvironment, open_field_environment
from tests.chaos.fields.operator_log import OperatorErrors, read_errors
from tests.chaos.fields.refused_changes import create_complete_import, run_refusal_trials
from tests.chaos.fields.sample_values import FIELDS_WITHOUT_JOB_EFFECT
from tests.e2e.postgres_pods import Source

FAULT = "field changed"
THREADS = 18
MAX_PROBLEM_LENGTH = 1000  # characters
LOG = "the operator's log: no traceback, no error"


def play_field_changes(source: Source) -> list[CellResult]:
    """Try all changes; return a result for each, for each field that has no effect, and for the operator's log."""
    with open_field_environment(source) as environment:
        started_at = time.time()
        trials = _run_trials(environment)
        errors = read_errors(started_at)
    results = [_build_trial_result(trial, errors) for trial in trials]
    return [*results, *_find_fields_without_effect(trials), _check_log(errors)]


def _run_trials(environment: FieldEnvironment) -> list[Trial]:
    create_complete_import(environment)
    living_imports = create_living_imports(environment)
    stories = [
        *build_living_project_stories(environment),
        *build_living_preview_stories(environment),
        *build_living_schedule_stories(environment),
        *build_living_import_stories(environment, living_imports),
        *build_import_stories(environment),
        *build_preview_stories(environment),
        *build_schedule_stories(environment),
    ]
    with ThreadPoolExecutor(max_workers=THREADS) as pool:
        trials = [trial for story_trials in pool.map(lambda story: story(), stories) for trial in story_trials]
    return [*trials, *run_project_trials(environment), *run_refusal_trials(environment, environment.projects.get())]


def count_changes(results: Iterable[CellResult]) -> dict[str, int]:
    """Return the number of changes of each kind that were tried."""
    return dict(Counter(result.where.split()[0] for result in results if result.where != LOG))


def summarise(results: Iterable[CellResult]) -> list[CellResult]:
    """Combine the results of each field into one. It holds the first problem."""
    results_of_fields: dict[str, list[CellResult]] = defaultdict(list)
    for result in results:
        results_of_fields[result.where.partition(": ")[0]].append(result)
    return [_combine(field, field_results) for field, field_results in results_of_fields.items()]


def _combine(field: str, results: Sequence[CellResult]) -> CellResult:
    problems = [f"{result.where}: {result.problem}" for result in results if not result.kept]
    states = Counter(result.state for result in results if result.state)
    state = ", ".join(f"{count} {name}" for name, count in states.most_common())
    return _build_result(field, problems[0] if problems else "", sum(result.seconds for result in results), state)


def _build_trial_result(trial: Trial, errors: OperatorErrors) -> CellResult:
    problem = trial.verdict.problem or errors.find(trial.name, trial.started_at, trial.ended_at)
    return _build_result(trial.title, problem, trial.ended_at - trial.started_at, trial.verdict.state)


def _build_result(where: str, problem: str, seconds: float = 0.0, state: str = "") -> CellResult:
    return CellResult(
        fault=FAULT,
        where=where,
        kept=problem == "",
        seconds=seconds,
        state=state,
        problem=problem[:MAX_PROBLEM_LENGTH],
    )


def _find_fields_without_effect(trials: Sequence[Trial]) -> Iterator[CellResult]:
    """Check each field of an import: if all its values lead to the same Job and the same end, it has no effect."""
    effects_of_fields: dict[str, set[str]] = defaultdict(set)
    (unchanged,) = (trial.effect for trial in trials if trial.effect and trial.node is None)
    for trial in trials:
        if trial.effect and trial.node is not None:
            effects_of_fields[trial.node.title] |= {trial.effect, unchanged}
    for field, effects in effects_of_fields.items():
        if field not in FIELDS_WITHOUT_JOB_EFFECT:
            problem = "" if len(effects) > 1 else "none of its values makes a difference"
            yield _build_result(f"{field}: does something", problem)


def _check_log(errors: OperatorErrors) -> CellResult:
    if errors.lines:
        return _build_result(LOG, f"{len(errors.lines)} lines: {'; '.join(line.text for line in errors.lines[:5])}")
    return _build_result(LOG, f"{errors.restarts} restarts" if errors.restarts else "")
