"""Rerankers: second-stage scoring of the best candidates."""

from hybrid.rerankers.registry import load, register
from hybrid.rerankers.stage import MMR, STAGES, MaxSim, Neighbours, Parents, Rerank, Scoring, Stage

__all__ = [
    "MMR",
    "STAGES",
    "MaxSim",
    "Neighbours",
    "Parents",
    "Rerank",
    "Scoring",
    "Stage",
    "load",
    "register",
]
