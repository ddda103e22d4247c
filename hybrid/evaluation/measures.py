"""Measures of a run against judgements, computed by ir-measures (trec_eval's code, where it has them)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hybrid.errors import InputError, MissingDependencyError
from hybrid.evaluation.resampling import Interval, bootstrap_interval
from hybrid.evaluation.runs import Run
from hybrid.types import Doubles

Qrels = Mapping[str, Mapping[str, int]]
"""Query id -> document id -> grade; a grade of 1 or more is relevant."""

EXAMPLES = "nDCG@10, R@100, P@5, AP, RR, RR@10, Success@5, Judged@10"


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """A run's measures, query by query.

    ``queries``: the judged queries, in the order of the judgements. ``values``: by measure, float64
    (queries,). ``missing``: judged queries that the run lacks; they count 0. ``unjudged``: how many of
    the run's queries have no judgements; they are left out.
    """

    name: str
    queries: tuple[str, ...]
    values: Mapping[str, Doubles]
    missing: tuple[str, ...]
    unjudged: int

    def mean(self, measure: str) -> float:
        """Return the mean over the judged queries."""
        return float(self.values[measure].mean())

    def interval(self, measure: str, level: float = 0.95) -> Interval:
        """Return a bootstrap interval of the mean: what other queries of the kind could have given."""
        return bootstrap_interval(self.values[measure], level=level)


def parse_measures(names: Sequence[str]) -> dict[str, Any]:
    """Return ir-measures' measures by their spelling.

    Raises:
        InputError: a name is not a measure, or lacks the cutoff it needs.
        MissingDependencyError: ir-measures is not installed.
    """
    try:
        import ir_measures
    except ImportError as error:
        raise MissingDependencyError("ir-measures", "eval") from error
    if isinstance(names, str):
        raise InputError(f"measures is {names!r}; give a list: [{names!r}]")
    parsed: dict[str, Any] = {}
    for name in names:
        try:
            measure = ir_measures.parse_measure(name)
            providers = ir_measures.DefaultPipeline.providers
            supported = any(provider.is_available() and provider.supports(measure) for provider in providers)
        except (ValueError, NameError, TypeError, AssertionError) as error:
            raise InputError(f"{name!r} is not a measure ({error}); examples are {EXAMPLES}") from error
        if not supported:
            raise InputError(f"the measure {name!r} cannot be computed here; examples are {EXAMPLES}")
        parsed[str(measure)] = measure
    if not parsed:
        raise InputError(f"no measure is given; examples are {EXAMPLES}")
    return parsed


def evaluate(run: Run, qrels: Qrels, measures: Sequence[str] = ("nDCG@10",)) -> Evaluation:
    """Measure a run on every judged query.

    Equal scores stand in order of their document ids (trec_eval would take the reverse), and a score
    counts with all its digits (trec_eval rounds to float32). So the result is that of trec_eval for a
    run whose scores are replaced by their places.

    Raises:
        InputError: an id is not a string, there are no judgements, or no query of the run is judged.
    """
    parsed = parse_measures(measures)
    _check(run, qrels)
    import ir_measures

    places = {
        query: {document: float(-place) for place, document in enumerate(found)}
        for query, found in run.results.items()
        if found and query in qrels
    }
    judged = {query: dict(grades) for query, grades in qrels.items()}
    position = {query: n for n, query in enumerate(judged)}
    values = {name: np.zeros(len(judged)) for name in parsed}
    for metric in ir_measures.iter_calc(list(parsed.values()), judged, places):
        values[str(metric.measure)][position[metric.query_id]] = metric.value
    missing = tuple(query for query in judged if query not in places)
    unjudged = sum(query not in qrels for query in run.results)
    return Evaluation(run.name, tuple(judged), values, missing, unjudged)


def judged_warning(evaluations: Sequence[Evaluation], measure: str = "Judged@10") -> str | None:
    """Return what to beware of where the judgements know one run's results far better than another's.

    Documents without a judgement count as irrelevant, which is unfair to systems that were not there
    when the documents to be judged were chosen (Buckley and Voorhees 2004). None if the judged rates
    differ by no more than 0.05.
    """
    rates = sorted((one.mean(measure), one.name) for one in evaluations)
    (low, worst), (high, best) = rates[0], rates[-1]
    if high - low <= 0.05:
        return None
    return (
        f"the judgements know {high:.0%} of {best}'s best results and {low:.0%} of {worst}'s ({measure}); "
        f"what they do not know counts as irrelevant, so {worst} may be better than it looks"
    )


def _check(run: Run, qrels: Qrels) -> None:
    """Raise where run and judgements cannot belong together."""
    if not qrels:
        raise InputError("there are no judgements: the qrels are empty")
    for query, grades in qrels.items():
        for what, value in (("query", query), *(("document", document) for document in grades)):
            if not isinstance(value, str):
                raise InputError(
                    f"the {what} id {value!r} of the qrels is of type {type(value).__name__}; ids are strings"
                )
    if not any(query in qrels for query in run.results):
        theirs, judged = next(iter(run.results), None), next(iter(qrels))
        raise InputError(
            f"no query of the run {run.name!r} is judged: its ids look like {theirs!r}, those of the "
            f"qrels like {judged!r}; give the qrels of these queries"
        )
