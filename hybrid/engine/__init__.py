"""The engine: create, open, change, search and explain an index."""

from hybrid.engine.cloning import clone
from hybrid.engine.completing import Completed, complete, complete_stages
from hybrid.engine.explanation import BranchPart, Explanation, StagePart
from hybrid.engine.index import HybridIndex
from hybrid.engine.limits import Limits
from hybrid.engine.moving import restore
from hybrid.engine.opening import create, open
from hybrid.engine.repairing import Repair, repair
from hybrid.engine.result import Hit, PassageHit, Result
from hybrid.engine.retrieve import Retrieved
from hybrid.engine.stats import Stats
from hybrid.engine.syncing import SyncReport
from hybrid.engine.together import Ask, search_together
from hybrid.engine.verifying import verify
from hybrid.engine.watching import open_or_create, sync, watch
from hybrid.index.checking import Finding, Verification

__all__ = [
    "Ask",
    "BranchPart",
    "Completed",
    "Explanation",
    "Finding",
    "Hit",
    "Limits",
    "PassageHit",
    "Repair",
    "HybridIndex",
    "Result",
    "Retrieved",
    "StagePart",
    "Stats",
    "Verification",
    "SyncReport",
    "clone",
    "complete",
    "complete_stages",
    "create",
    "open",
    "restore",
    "repair",
    "verify",
    "open_or_create",
    "sync",
    "watch",
    "search_together",
]
