"""Fusion: pure functions over columns of scores."""

from hybrid.fusion.columns import Column, Fused, Fusion, Summary
from hybrid.fusion.comb import CombMAX, CombMNZ, CombSUM
from hybrid.fusion.normalizers import DBSF, L2, NORMALIZERS, TM2C2, MinMax, Normalizer, Raw, ZScore
from hybrid.fusion.rrf import RRF
from hybrid.fusion.weighted import DEFAULT_ALPHA, Weighted

FUSIONS: dict[str, type[RRF | Weighted | CombSUM | CombMNZ | CombMAX]] = {
    "rrf": RRF,
    "weighted": Weighted,
    "combsum": CombSUM,
    "combmnz": CombMNZ,
    "combmax": CombMAX,
}

__all__ = [
    "DBSF",
    "DEFAULT_ALPHA",
    "FUSIONS",
    "L2",
    "NORMALIZERS",
    "RRF",
    "TM2C2",
    "Column",
    "CombMAX",
    "CombMNZ",
    "CombSUM",
    "Fused",
    "Fusion",
    "MinMax",
    "Normalizer",
    "Raw",
    "Summary",
    "Weighted",
    "ZScore",
]
