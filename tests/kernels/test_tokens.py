"""Token vectors on their way out of an index."""

from __future__ import annotations

import numpy as np

from hybrid.kernels.tokens import widen_halves


def test_every_finite_half_is_decoded_exactly():
    bits = np.arange(1 << 16, dtype=np.uint16)
    bits = bits[np.isfinite(bits.view(np.float16))]
    out = np.empty(len(bits), np.float32)
    widen_halves(bits, out)
    assert out.tobytes() == bits.view(np.float16).astype(np.float32).tobytes()
