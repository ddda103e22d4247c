"""Fitting a codec: principal components, k-means, the steps of residuals."""

from __future__ import annotations

import numpy as np

from hybrid.errors import EncoderError
from hybrid.index.multivector.codec import Codec, nearest
from hybrid.index.multivector.form import MOST_CLUSTERS, TokenForm
from hybrid.types import Doubles, Floats

TRAINING = 1 << 24
"""How many numbers of the first token vectors a codec is fitted on (64 MiB of float32)."""

_SEED = 20_220_731
_ROUNDS = 6
_STEPS_ON = 1 << 14
"""How many vectors the steps of residuals are fitted on."""

_STEP_ROUNDS = 10


def fit(vectors: Floats, form: TokenForm) -> Codec:
    """Return the codec of a form, fitted on token vectors: float32, shape (n, d), n at least 1.

    Only the first `TRAINING` numbers are looked at, so that it depends on the first documents alone.

    Raises:
        EncoderError: the vectors have fewer numbers than the form projects to.
    """
    dimension = vectors.shape[1]
    sample = vectors[: max(1, TRAINING // dimension)]
    wanted = form.project or dimension
    if wanted > dimension:
        raise EncoderError(
            f"token vectors of {dimension} numbers cannot be projected to {wanted}; "
            "give project a smaller number"
        )
    projection, share = np.empty((0, dimension), np.float32), 1.0
    if form.project is not None:
        projection, share = principal(sample, wanted)
    empty = np.empty((wanted, 0), np.float32)
    centroids = np.empty((0, wanted), np.float16)
    codec = Codec(projection, centroids, empty, empty, np.array([share]))
    if not (form.bits or form.clustered):
        return codec
    near = codec.shortened(sample)
    centroids = cluster(near, form.clusters or clusters_for(len(near))).astype(np.float16)
    cutoffs, levels = empty, empty
    if form.bits:
        centres = centroids.astype(np.float32)
        some = near[np.sort(np.random.default_rng(_SEED).permutation(len(near))[:_STEPS_ON])]
        cutoffs, levels = steps(some - centres[nearest(some, centres)], form.bits)
    return Codec(projection, centroids, cutoffs, levels, np.array([share]))


def principal(vectors: Floats, wanted: int) -> tuple[Floats, float]:
    """Return the directions that keep most of the vectors' squared lengths, and the share that they keep.

    The rows are orthonormal, float32, shape (wanted, d), by falling share. Nothing is centred, so inner
    products of projected vectors are those of the vectors themselves, but for what is left out.
    """
    moment = np.zeros((vectors.shape[1], vectors.shape[1]))
    for a in range(0, len(vectors), 1 << 14):
        wide = vectors[a : a + (1 << 14)].astype(np.float64)
        moment += wide.T @ wide
    values, directions = np.linalg.eigh(moment)
    rows = directions.T[::-1][:wanted]
    signs = np.sign(rows[np.arange(len(rows)), np.abs(rows).argmax(axis=1)])  # either would do: fixed
    kept, all = float(values[::-1][:wanted].sum()), float(values.sum())
    return np.ascontiguousarray(rows * signs[:, None], np.float32), kept / all if all > 0 else 1.0


def clusters_for(count: int) -> int:
    """Return into how many clusters so many vectors go: about 16·√n, a power of 2 (Santhanam et al. 2022)."""
    wanted = 1 << max(0, int(np.log2(16 * count**0.5)))
    return int(min(wanted, MOST_CLUSTERS, max(1, count // 4)))


def cluster(vectors: Floats, wanted: int) -> Floats:
    """Return centroids by k-means (Lloyd), begun at vectors drawn with a fixed seed: float32, (K, d)."""
    from hybrid.kernels.tokens import means

    drawn = np.random.default_rng(_SEED).permutation(len(vectors))[:wanted]
    centres = np.ascontiguousarray(vectors[np.sort(drawn)])
    for _ in range(_ROUNDS):
        means(vectors, nearest(vectors, centres), centres)
    return centres


def steps(rest: Floats, bits: int) -> tuple[Floats, Floats]:
    """Return cutoffs and levels of residuals' numbers, for each dimension by itself (Lloyd and Max).

    Begun at quantiles, as ColBERTv2 (Santhanam et al. 2022) has them: a level is the mean of what falls on
    it, a cutoff lies in the middle of two levels.
    """
    count = 1 << bits
    levels: Doubles = np.quantile(rest.astype(np.float64), (np.arange(count) + 0.5) / count, axis=0).T.copy()
    for _ in range(_STEP_ROUNDS):
        cutoffs = (levels[:, 1:] + levels[:, :-1]) / 2
        for j, column in enumerate(rest.T):
            step = np.searchsorted(cutoffs[j], column)
            found = np.bincount(step, minlength=count)
            sums = np.bincount(step, column, minlength=count)
            levels[j] = np.where(found > 0, sums / np.maximum(found, 1), levels[j])
        levels.sort(axis=1)
    kept = levels.astype(np.float32)
    return (kept[:, 1:] + kept[:, :-1]) / np.float32(2), kept
