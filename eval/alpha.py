"""Choose the default alpha on judgements that no reported figure uses.

    python eval/alpha.py --set FOLDER --qrels train.tsv [-o eval/results/alpha.json]

Searches the training queries with every alpha and normaliser and prints nDCG@10. The figures that
the README reports come from test queries (see quality.py).
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from provenance import provenance

import hybrid

HERE = Path(__file__).resolve().parent
ALPHAS = [round(0.05 * n, 2) for n in range(21)]
NORMALIZERS = ("tm2c2", "minmax")


def main() -> None:
    """Parse, sweep, write and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--set", type=Path, required=True, help="a BEIR folder")
    parser.add_argument(
        "--qrels", default="train.tsv", help="the judgements' file in qrels/ (default train.tsv)"
    )
    parser.add_argument("-o", "--output", type=Path, default=HERE / "results" / "alpha.json")
    options = parser.parse_args()
    record = provenance()
    qrels = hybrid.read_qrels(options.set / "qrels" / options.qrels)
    queries = [
        (qid, text) for qid, text in hybrid.read_queries(options.set / "queries.jsonl") if qid in qrels
    ]
    with tempfile.TemporaryDirectory() as folder:
        index = hybrid.create(Path(folder) / "index", hybrid.read(options.set))
        results = sweep(index, queries, qrels)
        index.close()
    record |= {"set": options.set.name, "qrels": options.qrels, "queries": len(queries)}
    options.output.write_text(json.dumps(record | {"nDCG@10": results}, indent=2) + "\n")
    for name, curve in results.items():
        best = max(curve, key=curve.__getitem__)
        print(
            name, "best alpha", best, f"{curve[best]:.4f}", " ".join(f"{a}:{v:.4f}" for a, v in curve.items())
        )


def sweep(
    index: hybrid.HybridIndex, queries: list[tuple[str, str]], qrels: dict[str, dict[str, int]]
) -> dict[str, dict[str, float]]:
    """Return nDCG@10 by normaliser and alpha."""
    import ir_measures

    measure = ir_measures.nDCG @ 10
    texts = [text for _, text in queries]
    curves: dict[str, dict[str, float]] = {}
    for normalizer in NORMALIZERS:
        curves[normalizer] = {}
        for alpha in ALPHAS:
            fusion = hybrid.Weighted(alpha=alpha, normalizer=normalizer)
            results = index.search_many(texts, 10, fusion=fusion)
            run = {qid: {h.id: h.score for h in r} for (qid, _), r in zip(queries, results, strict=True)}
            value = ir_measures.calc_aggregate([measure], qrels, run)[measure]
            curves[normalizer][str(alpha)] = round(value, 4)
    return curves


if __name__ == "__main__":
    main()
