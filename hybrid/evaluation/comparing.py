"""Compare runs on the same queries: differences, how sure they are, and where they come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hybrid.errors import InputError
from hybrid.evaluation.measures import Evaluation
from hybrid.evaluation.resampling import (
    Interval,
    bootstrap_interval,
    effect_size,
    holm,
    randomisation_test,
    t_test,
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One run against another in one measure.

    ``difference``: mean of ``name`` minus mean of ``baseline``, with its 95% bootstrap ``interval``.
    ``p_randomisation`` and ``p_t``: two-sided p values of the paired tests; ``p_holm``: the
    randomisation test's, corrected for all comparisons made together. ``effect``: Cohen's d of the
    paired differences. ``wins``, ``losses``, ``ties``: on how many queries ``name`` is better,
    worse, the same.
    """

    name: str
    baseline: str
    measure: str
    difference: float
    interval: Interval
    p_randomisation: float
    p_t: float
    p_holm: float
    effect: float
    wins: int
    losses: int
    ties: int

    @property
    def significant(self) -> bool:
        """Whether the corrected p value is below 0.05."""
        return self.p_holm < 0.05


@dataclass(frozen=True, slots=True)
class QueryDifference:
    """How far two runs are apart on one query."""

    query: str
    ours: float
    baseline: float

    @property
    def difference(self) -> float:
        """Ours minus the baseline's."""
        return self.ours - self.baseline


def compare(
    evaluations: Sequence[Evaluation], measures: Sequence[str] | None = None, baseline: str | None = None
) -> list[Comparison]:
    """Compare runs in every measure: all with the ``baseline``, or each with each that stands before it.

    Holm's correction goes over all the comparisons of one measure.

    Raises:
        InputError: there are fewer than two runs, two have one name, they were not measured on the
            same queries, or there is no such baseline or measure.
    """
    by_name = {evaluation.name: evaluation for evaluation in evaluations}
    _check(evaluations, by_name, baseline)
    if baseline is not None:
        pairs = [(name, baseline) for name in by_name if name != baseline]
    else:
        names = list(by_name)
        pairs = [(name, before) for n, name in enumerate(names) for before in names[:n]]
    found: list[Comparison] = []
    for measure in measures or list(evaluations[0].values):
        made = [_pair(by_name[name], by_name[other], measure) for name, other in pairs]
        corrected = holm([comparison.p_randomisation for comparison in made])
        found += [replace(comparison, p_holm=p) for comparison, p in zip(made, corrected, strict=True)]
    return found


def query_differences(ours: Evaluation, baseline: Evaluation, measure: str) -> list[QueryDifference]:
    """Return every query's difference, the greatest win first and the greatest loss last."""
    _check([ours, baseline], {ours.name: ours, baseline.name: baseline}, None)
    rows = [
        QueryDifference(query, float(a), float(b))
        for query, a, b in zip(ours.queries, ours.values[measure], baseline.values[measure], strict=True)
    ]
    return sorted(rows, key=lambda row: (-row.difference, row.query))


def _pair(ours: Evaluation, baseline: Evaluation, measure: str) -> Comparison:
    for evaluation in (ours, baseline):
        if measure not in evaluation.values:
            known = ", ".join(evaluation.values)
            raise InputError(f"{evaluation.name!r} was not measured in {measure!r}; it was in {known}")
    differences = ours.values[measure] - baseline.values[measure]
    p = randomisation_test(differences)
    wins, losses = int((differences > 0).sum()), int((differences < 0).sum())
    return Comparison(
        name=ours.name,
        baseline=baseline.name,
        measure=measure,
        difference=float(differences.mean()),
        interval=bootstrap_interval(differences),
        p_randomisation=p,
        p_t=t_test(differences),
        p_holm=p,
        effect=effect_size(differences),
        wins=wins,
        losses=losses,
        ties=len(differences) - wins - losses,
    )


def _check(evaluations: Sequence[Evaluation], by_name: dict[str, Evaluation], baseline: str | None) -> None:
    if len(evaluations) < 2:
        raise InputError(f"{len(evaluations)} run is given; a comparison needs two at least")
    if len(by_name) < len(evaluations):
        names = ", ".join(repr(evaluation.name) for evaluation in evaluations)
        raise InputError(f"two runs have the same name ({names}); give each its own")
    if baseline is not None and baseline not in by_name:
        raise InputError(f"the baseline is {baseline!r}; the runs are {', '.join(map(repr, by_name))}")
    first = evaluations[0]
    for other in evaluations[1:]:
        if other.queries != first.queries:
            raise InputError(
                f"{first.name!r} and {other.name!r} were measured on other queries; use the same "
                "qrels for both"
            )
