"""Text to vectors: encoders by name, and the check that an index meets the encoder it was built with."""

from hybrid.encoders.fingerprint import check_probe, differences, probe, remedy, tolerance_of
from hybrid.encoders.model import Model
from hybrid.encoders.pool import Pool
from hybrid.encoders.registry import load, register

__all__ = [
    "load",
    "register",
    "differences",
    "remedy",
    "probe",
    "check_probe",
    "tolerance_of",
    "Model",
    "Pool",
]
