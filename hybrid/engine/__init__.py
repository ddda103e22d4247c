"""The engine: create, open, change, search and explain an index."""

from hybrid.engine.cloning import clone
from hybrid.engine.completing import Completed, complete, complete_stages
from hybrid.engine.explanation import BranchPart, Explanation, StagePart
from hybrid.engine.index import HybridIndex
from hybrid.engine.opening import create, open
from hybrid.engine.result import Hit, PassageHit, Result
from hybrid.engine.retrieve import Retrieved
from hybrid.engine.stats import Stats

__all__ = [
    "BranchPart",
    "Completed",
    "Explanation",
    "Hit",
    "PassageHit",
    "HybridIndex",
    "Result",
    "Retrieved",
    "StagePart",
    "Stats",
    "clone",
    "complete",
    "complete_stages",
    "create",
    "open",
]
