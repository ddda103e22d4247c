// Fusion in the browser: the same sums, in the same order and precision, as the server's.
//
// A specification is {type: "weighted", alpha} or {type: "weighted", weights: {name: w}} or
// {type: "rrf", k, weights?}. Columns are those of the server's answer, candidates in order of their ids.

export function weightsFor(columns, spec) {
  if (spec.weights) {
    const weights = columns.map((column) => spec.weights[column.name]);
    return weights.some((weight) => weight > 0) ? weights : columns.map(() => 1 / columns.length);
  }
  if (spec.type === "rrf") return columns.map(() => 1);
  const dense = columns.filter((column) => column.kind === "dense").length;
  const sparse = columns.length - dense;
  if (!dense || !sparse) return columns.map(() => 1 / columns.length);
  return columns.map((column) => (column.kind === "dense" ? spec.alpha / dense : (1 - spec.alpha) / sparse));
}

function normalizedBy(spec, column, n) {
  if (spec.type !== "rrf") return column.normalized[n];
  return column.ranks[n] > 0 ? 1 / (spec.k + column.ranks[n]) : 0;
}

// Sums are made in float64 in the branches' order and rounded to float32 once.
export function fuse(columns, spec) {
  const weights = weightsFor(columns, spec);
  const scores = new Float32Array(columns[0].raw.length);
  for (let n = 0; n < scores.length; n++) {
    let sum = weights[0] * normalizedBy(spec, columns[0], n);
    for (let c = 1; c < columns.length; c++) sum += weights[c] * normalizedBy(spec, columns[c], n);
    scores[n] = sum;
  }
  return scores;
}

// The candidates a search would list, best first; equal scores by id, which is their order already.
export function ranking(columns, scores) {
  const order = [...scores.keys()];
  return order.sort((a, b) => scores[b] - scores[a] || a - b);
}

// The best score that a document outside the candidates could have; -Infinity if there is none.
export function bound(columns, spec, depth) {
  if (columns.every((column) => column.exhausted)) return -Infinity;
  if (columns.some((column) => column.exhausted && column.kind === "dense")) return -Infinity;
  const weights = weightsFor(columns, spec);
  const best = (column) => {
    if (spec.type !== "rrf") return column.bound_normalized;
    return column.exhausted ? 0 : 1 / (spec.k + depth + 1);
  };
  let sum = weights[0] * best(columns[0]);
  for (let c = 1; c < columns.length; c++) sum += weights[c] * best(columns[c]);
  return Math.fround(sum);
}

// Whether the first k are proven to be those of the whole collection.
export function certain(columns, spec, depth, scores, order, k) {
  const limit = bound(columns, spec, depth);
  if (limit === -Infinity) return true;
  return order.length >= k && scores[order[k - 1]] > limit;
}

// The numbers of the candidates that one branch ranks, best first.
export function branchRanking(column) {
  const ranked = [...column.ranks.keys()].filter((n) => column.ranks[n] > 0);
  return ranked.sort((a, b) => column.ranks[a] - column.ranks[b]);
}
