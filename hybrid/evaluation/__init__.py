"""Evaluation: runs, judgements, measures, and how sure one can be of them."""

from hybrid.evaluation.clozes import Cloze, make_clozes
from hybrid.evaluation.comparing import Comparison, QueryDifference, compare, query_differences
from hybrid.evaluation.diagnosis import BranchDiagnosis, Diagnosis, Disagreement, FusionPoint, diagnose
from hybrid.evaluation.measures import Evaluation, Qrels, evaluate, judged_warning, parse_measures
from hybrid.evaluation.resampling import (
    Interval,
    bootstrap_interval,
    effect_size,
    holm,
    randomisation_test,
    t_test,
)
from hybrid.evaluation.runs import Run, read_run, write_run
from hybrid.evaluation.scores import Scores
from hybrid.evaluation.selection import Selection, select
from hybrid.evaluation.settings import Grid, Setting, settings, variants
from hybrid.evaluation.tuning import FamilyResult, Tuned, tune
from hybrid.evaluation.unjudged import Unjudged, tune_unjudged

__all__ = [
    "BranchDiagnosis",
    "Cloze",
    "Comparison",
    "Diagnosis",
    "Disagreement",
    "Evaluation",
    "FamilyResult",
    "FusionPoint",
    "Grid",
    "Interval",
    "Qrels",
    "QueryDifference",
    "Run",
    "Scores",
    "Selection",
    "Setting",
    "Tuned",
    "Unjudged",
    "bootstrap_interval",
    "compare",
    "diagnose",
    "effect_size",
    "evaluate",
    "holm",
    "judged_warning",
    "make_clozes",
    "parse_measures",
    "query_differences",
    "randomisation_test",
    "read_run",
    "select",
    "settings",
    "t_test",
    "tune",
    "tune_unjudged",
    "variants",
    "write_run",
]
