"""Rerankers: second-stage scoring of the best candidates."""

from hybrid.rerankers.registry import load, register
from hybrid.rerankers.stage import STAGES, MaxSim, Rerank, Stage

__all__ = ["STAGES", "MaxSim", "Rerank", "Stage", "load", "register"]
