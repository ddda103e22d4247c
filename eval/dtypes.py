"""Measure how far the probes of all-MiniLM-L6-v2 drift by dtype: the ground of `TOLERANCES`.

    python eval/dtypes.py

Prints the largest cosine drift of what must pass (the same model in other batches, with other kernels, in
sentence-transformers), and the smallest of what must not (a prefix, another pooling).
"""

from __future__ import annotations

from typing import Any

import numpy as np

import hybrid
from hybrid.encoders.fingerprint import PROBE_DOCUMENTS, PROBE_QUERY, drift, probe

LONG = "word " * 250


def main() -> None:
    """Measure and print a line for each dtype."""
    for dtype in ("float32", "float16", "bfloat16"):
        encoder = model(dtype)
        base = probe(encoder)
        passing = {
            "alone": in_batches_with(encoder),
            "beside a long text": in_batches_with(encoder, LONG),
            "sentence-transformers": probe(model(dtype, backend="sentence-transformers")),
        }
        encoder.backbone.model.set_attn_implementation("eager")
        passing["other kernels"] = probe(encoder)
        encoder.backbone.model.set_attn_implementation("sdpa")
        failing = {
            "prefix": probe(model(dtype, query_prefix="query: ", document_prefix="query: ")),
            "pooling": probe(model(dtype, pooling="cls")),
        }
        same = ", ".join(f"{name} {drift(base, rows)[0].max():.1e}" for name, rows in passing.items())
        other = ", ".join(f"{name} {drift(base, rows)[0].min():.1e}" for name, rows in failing.items())
        print(f"{dtype}: at most {same}; at least {other}")


def model(dtype: Any, **options: Any) -> Any:
    """Return the model in a dtype, on torch."""
    return hybrid.load_encoder("minilm", **({"backend": "transformers"} | options), dtype=dtype)


def in_batches_with(encoder: Any, *others: str) -> Any:
    """Return the probe vectors, each text encoded with the others and no other probe."""
    return np.concatenate(
        [encoder.encode_documents([text, *others]).vectors[:1] for text in (*PROBE_DOCUMENTS, PROBE_QUERY)]
    )


if __name__ == "__main__":
    main()
