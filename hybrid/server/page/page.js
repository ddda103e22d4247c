// The search page: asks once for the candidates, and fuses them again whenever a control moves.

import { at, call, Refused, setKey } from "./api.js";
import { branchRanking, certain, fuse, ranking } from "./fuse.js";
import { boardView, element, explanationView, hitView } from "./view.js";

const SHOWN = 10;
const WAIT = 180;
const part = (id) => document.getElementById(id);
const state = { indexes: [], index: null, spec: null, found: null, final: null, chosen: null, asking: null, reranking: null, timer: 0 };

// --- asking ---------------------------------------------------------------------------------------

async function begin() {
  const { indexes } = await guarded(() => call("/v1/indexes"));
  state.indexes = indexes;
  part("index").replaceChildren(...indexes.map((index) => element("option", { value: index.name }, index.name)));
  const asked = new URLSearchParams(location.hash.slice(1));
  if (indexes.some((index) => index.name === asked.get("index"))) part("index").value = asked.get("index");
  part("query").value = asked.get("q") || "";
  part("where").value = asked.get("where") || "";
  part("more").open = Boolean(asked.get("where"));
  choose(part("index").value);
  part("query").focus();
}

function choose(name) {
  state.index = state.indexes.find((index) => index.name === name);
  state.found = state.final = null;
  part("found").hidden = true;
  const { documents, fields } = state.index;
  part("about").textContent = `${documents.toLocaleString("en")} documents`;
  part("fields").textContent = fields.length ? `(${fields.slice(0, 12).join(", ")})` : "";
  state.spec = ownSpec();
  controls();
  ask();
}

function ownSpec() {
  const { pipeline, branches } = state.index;
  const fusion = pipeline.fusion;
  if (fusion.type === "rrf") return { type: "rrf", k: fusion.k, ...(fusion.weights && { weights: { ...fusion.weights } }) };
  if (fusion.weights) return { type: "weighted", weights: { ...fusion.weights } };
  if (fusion.alpha !== undefined && both()) return { type: "weighted", alpha: fusion.alpha };
  return { type: "weighted", weights: Object.fromEntries(branches.map(({ name }) => [name, 1])) };
}

const both = () => new Set(state.index.branches.map(({ kind }) => kind)).size > 1;

function filter() {
  const text = part("where").value.trim();
  part("where-error").textContent = "";
  if (!text) return null;
  try {
    return JSON.parse(text);
  } catch (error) {
    part("where-error").textContent = `This is not JSON: ${error.message}`;
    return undefined;
  }
}

async function ask() {
  state.asking?.abort();
  const query = part("query").value.trim();
  const where = filter();
  busy(Boolean(query) && where !== undefined);
  if (!query || where === undefined) return;
  const asking = (state.asking = new AbortController());
  const hash = new URLSearchParams({ index: state.index.name, q: query, ...(where && { where: JSON.stringify(where) }) });
  history.replaceState(null, "", `#${hash}`);
  const began = performance.now();
  try {
    const found = await guarded(() => call(at(state.index.name, "candidates"), { query, where, depth: 100 }, asking.signal));
    if (asking !== state.asking) return;
    Object.assign(state, { found, final: null, chosen: null, seconds: (performance.now() - began) / 1000, where });
    part("error").textContent = "";
    part("found").hidden = false;
    show();
    await rerank();
  } catch (error) {
    if (error.name === "AbortError") return;
    part("error").textContent = error.message;
  } finally {
    if (asking === state.asking) busy(false);
  }
}

// Whether what is shown is about to be replaced.
function busy(yes) {
  part("found").setAttribute("aria-busy", String(yes));
}

// What the rerank stages make of the fused list, only a search can say.
async function rerank() {
  state.reranking?.abort();
  const unsure = state.found && !isCertain();
  if (!state.found || !(state.index.stages.length || unsure)) return;
  const reranking = (state.reranking = new AbortController());
  const spec = structuredClone(state.spec);
  try {
    const body = { query: state.found.query, where: state.where, k: SHOWN, fusion: table(spec) };
    const result = await guarded(() => call(at(state.index.name, "search"), body, reranking.signal));
    if (reranking !== state.reranking) return;
    state.final = { spec: JSON.stringify(spec), result };
    show();
  } catch (error) {
    if (error.name !== "AbortError") part("error").textContent = error.message;
  }
}

// The fusion as a recipe has it.
function table(spec) {
  const fusion = state.index.pipeline.fusion;
  return spec.type === "weighted" && fusion.normalizer ? { ...spec, normalizer: fusion.normalizer } : spec;
}

async function guarded(work) {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Refused) || error.status !== 401) throw error;
    part("door").showModal();
    await new Promise((resolve) => part("door").addEventListener("close", resolve, { once: true }));
    setKey(part("key").value);
    part("key").value = "";
    return guarded(work);
  }
}

// --- showing --------------------------------------------------------------------------------------

function isCertain() {
  const { columns, depth } = state.found;
  const scores = fuse(columns, state.spec);
  const order = ranking(columns, scores);
  return certain(columns, state.spec, depth, scores, order, Math.min(SHOWN, order.length));
}

// The fused list now, and the final one where it belongs to these weights.
function lists() {
  const { columns, candidates } = state.found;
  const scores = fuse(columns, state.spec);
  const order = ranking(columns, scores);
  const fused = order.map((n) => ({ ...candidates[n], n, score: scores[n] }));
  const final = state.final && state.final.spec === JSON.stringify(state.spec) ? state.final.result : null;
  return { fused, final, columns };
}

function show() {
  const { fused, final, columns } = lists();
  const reranked = final && state.index.stages.length > 0;
  const places = new Map(fused.map((hit, n) => [hit.id, n + 1]));
  const known = new Map(fused.map((hit) => [hit.id, hit]));
  const top = final ? final.hits.map((hit) => fromServer(hit, known)) : fused.slice(0, SHOWN);
  const open = new Set([...document.querySelectorAll('#hits [aria-expanded="true"]')].map((title) => title.closest("li").dataset.id));
  const focused = document.activeElement?.closest("#hits li")?.dataset.id;
  const hits = top.map((hit, n) => {
    const ranks = hit.n === undefined ? [] : columns.map((column) => [column.name, column.ranks[hit.n]]);
    const moved = reranked && places.has(hit.id) ? places.get(hit.id) - (n + 1) : 0;
    return hitView({ ...hit, places: ranks, moved }, n + 1, state.found.words, explain);
  });
  part("hits").replaceChildren(...hits);
  for (const item of hits) {
    const title = item.querySelector(".title");
    if (open.has(item.dataset.id)) title.click();
    if (focused === item.dataset.id) title.focus();
    item.addEventListener("pointerenter", () => follow(item.dataset.id));
    title.addEventListener("focus", () => follow(item.dataset.id));
  }
  part("summary").textContent = top.length ? "" : "Nothing was found.";
  status(final, reranked);
  times(final);
  board(fused, reranked ? final : null, columns);
}

function fromServer(hit, known) {
  const text = hit.passages.length ? hit.passages[0].text : hit.text;
  return { snippet: text.slice(0, 320), ...known.get(hit.id), id: hit.id, title: hit.title, metadata: hit.metadata, score: hit.score };
}

function status(final, reranked) {
  const said = [];
  if (isCertain()) said.push("Proven: no other document of the index belongs among these.");
  else said.push(final ? "The server searched deeper for these." : "Beyond the candidates something may be better; the server is asked.");
  if (state.index.stages.length) said.push(reranked ? `Reranked by ${state.index.stages.join(", ")}.` : "Shown before reranking.");
  if (final?.degraded.length) said.push(`Missing: ${final.degraded.join(", ")}.`);
  part("certain").textContent = said.join(" ");
}

function times(final) {
  const rows = [["candidates", state.found.seconds], ["with the way", state.seconds], ...Object.entries(final?.timings ?? {})];
  const items = rows.flatMap(([name, seconds]) => [element("dt", {}, name), element("dd", {}, `${(seconds * 1e3).toFixed(1)} ms`)]);
  part("times").replaceChildren(...items);
}

function board(fused, final, columns) {
  const { candidates } = state.found;
  const ways = columns.map((column) => ({ name: column.name, ids: branchRanking(column).slice(0, SHOWN).map((n) => candidates[n].id) }));
  ways.push({ name: "fused", ids: fused.slice(0, SHOWN).map((hit) => hit.id) });
  if (final) ways.push({ name: "reranked", ids: final.hits.map((hit) => hit.id) });
  const titles = new Map([...candidates, ...(final?.hits ?? [])].map((each) => [each.id, each.title || each.id]));
  boardView(part("board"), ways, (id) => titles.get(id) ?? id, state.chosen, (id) => {
    follow(id);
    document.querySelector(`#hits li[data-id="${CSS.escape(id)}"]`)?.scrollIntoView({ block: "nearest" });
  });
}

function follow(id) {
  if (state.chosen === id) return;
  state.chosen = id;
  const { fused, final, columns } = lists();
  board(fused, state.index.stages.length ? final : null, columns);
}

async function explain(id, place) {
  place.textContent = "…";
  try {
    const body = { query: state.found.query, id, k: SHOWN, where: state.where, fusion: table(state.spec) };
    const record = await guarded(() => call(at(state.index.name, "explain"), body));
    place.replaceChildren(...explanationView(record));
  } catch (error) {
    place.textContent = error.message;
  }
}

// --- controls -------------------------------------------------------------------------------------

function controls() {
  part("method").value = state.spec.type;
  const { branches } = state.index;
  const sliders = [];
  if (state.spec.type === "rrf") sliders.push(slider("k", "k", state.spec.k, 1, 200, 1, (k) => (state.spec.k = k)));
  else if (both()) sliders.push(slider("alpha", "meaning against words (alpha)", state.spec.alpha ?? "", 0, 1, 0.01, setAlpha));
  const weights = state.spec.weights;
  const shared = (branch) => (weights ? weights[branch.name] : share(branch));
  for (const branch of branches) {
    sliders.push(slider(`weight-${branch.name}`, `weight of ${branch.name}`, shared(branch), 0, 1, 0.01, (weight) => setWeight(branch.name, weight)));
  }
  part("sliders").replaceChildren(...sliders.flat());
}

function share(branch) {
  if (state.spec.type === "rrf") return 1;
  const same = state.index.branches.filter(({ kind }) => kind === branch.kind).length;
  return (branch.kind === "dense" ? state.spec.alpha : 1 - state.spec.alpha) / same;
}

function setAlpha(alpha) {
  state.spec = { type: "weighted", alpha };
  for (const branch of state.index.branches) place(`weight-${branch.name}`, share(branch));
}

function setWeight(name, weight) {
  const { branches } = state.index;
  const weights = state.spec.weights ?? Object.fromEntries(branches.map((branch) => [branch.name, share(branch)]));
  const changed = { ...weights, [name]: weight };
  if (!Object.values(changed).some((each) => each > 0)) changed[name] = 0.01;
  state.spec = state.spec.type === "rrf" ? { type: "rrf", k: state.spec.k, weights: changed } : { type: "weighted", weights: changed };
  place(`weight-${name}`, changed[name]);
}

function place(id, value) {
  part(id).value = value;
  part(`${id}-value`).textContent = shown(value);
}

const shown = (value) => (value === "" ? "–" : String(Math.round(value * 100) / 100));

function slider(id, label, value, min, max, step, set) {
  const input = element("input", { id, type: "range", min, max, step: "any", value: value === "" ? min : value });
  input.step = step;
  const output = element("output", { id: `${id}-value`, htmlFor: id }, shown(value));
  input.addEventListener("input", () => {
    set(Number(input.value));
    output.textContent = shown(Number(input.value));
    if (state.found) show();
  });
  input.addEventListener("change", rerank);
  return [element("label", { htmlFor: id }, label), input, output];
}

part("method").addEventListener("change", () => {
  const type = part("method").value;
  const own = ownSpec();
  if (type === own.type) state.spec = own;
  else if (type === "rrf") state.spec = { type: "rrf", k: 60 };
  else state.spec = both() ? { type: "weighted", alpha: 0.5 } : { type: "weighted", weights: Object.fromEntries(state.index.branches.map(({ name }) => [name, 1])) };
  moved();
});
part("reset").addEventListener("click", () => {
  state.spec = ownSpec();
  moved();
});

function moved() {
  controls();
  if (state.found) show();
  rerank();
}

part("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  clearTimeout(state.timer);
  ask();
});
for (const id of ["query", "where"]) {
  part(id).addEventListener("input", () => {
    clearTimeout(state.timer);
    busy(true);
    state.timer = setTimeout(ask, WAIT);
  });
}
part("index").addEventListener("change", () => choose(part("index").value));
part("theme").addEventListener("click", () => {
  const dark = getComputedStyle(document.documentElement).colorScheme.trim() === "dark";
  document.documentElement.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("hybrid-theme", document.documentElement.dataset.theme);
});
addEventListener("resize", () => {
  if (!state.found) return;
  const { fused, final, columns } = lists();
  board(fused, state.index.stages.length ? final : null, columns);
});

addEventListener("keydown", (event) => {
  const typing = event.target.matches("input, select, textarea");
  if (event.key === "/" && !typing) {
    event.preventDefault();
    part("query").select();
  } else if (event.key === "Escape" && event.target.closest("#hits, #board")) {
    part("query").focus();
  } else if (["ArrowDown", "ArrowUp"].includes(event.key) && (event.target === part("query") || event.target.closest("#hits"))) {
    const titles = [...document.querySelectorAll("#hits .title")];
    const now = titles.indexOf(document.activeElement);
    const next = now + (event.key === "ArrowDown" ? 1 : -1);
    event.preventDefault();
    if (next < 0) part("query").focus();
    else titles[Math.min(next, titles.length - 1)]?.focus();
  }
});

const theme = localStorage.getItem("hybrid-theme");
if (theme) document.documentElement.dataset.theme = theme;
begin().catch((error) => (part("error").textContent = error.message));
