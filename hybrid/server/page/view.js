// Elements for what was found. Texts are set as text, never as markup.

export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("aria-") || name.startsWith("data-") || name === "role") made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children);
  return made;
}

export const figure = (number, digits = 4) => (number === null ? "–" : number.toFixed(digits));

// The pieces of a text, the words that begin like one of these marked.
export function marked(text, words) {
  if (!words.length) return [text];
  const stems = words.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|");
  const pattern = new RegExp(`(?<![\\p{L}\\p{N}_])(?:${stems})[\\p{L}\\p{N}_]*`, "giu");
  const pieces = [];
  let last = 0;
  for (const found of text.matchAll(pattern)) {
    pieces.push(text.slice(last, found.index), element("mark", {}, found[0]));
    last = found.index + found[0].length;
  }
  pieces.push(text.slice(last));
  return pieces;
}

// One hit: {id, title, snippet, metadata, score, places: [[name, rank]], moved}.
export function hitView(hit, number, words, explain) {
  const title = element("button", { type: "button", className: "title", "aria-expanded": "false" }, hit.title || hit.id);
  const why = element("div", { className: "why", hidden: true });
  const toggle = () => {
    const open = why.hidden;
    why.hidden = !open;
    title.setAttribute("aria-expanded", String(open));
    if (open && !why.childElementCount) explain(hit.id, why);
  };
  title.addEventListener("click", toggle);
  const places = hit.places.map(([name, rank]) => element("span", { className: "place" }, `${name} ${rank || "–"}`));
  const head = element("div", { className: "head" }, title, movement(hit.moved), element("span", { className: "score" }, figure(hit.score)));
  const foot = element("p", { className: "foot" }, element("code", {}, hit.id), ...places, ...facts(hit.metadata));
  return element("li", { value: number, "data-id": hit.id }, head, element("p", { className: "snippet" }, ...marked(hit.snippet, words)), foot, why);
}

function movement(moved) {
  if (!moved) return "";
  const text = moved > 0 ? `▲${moved}` : `▼${-moved}`;
  const said = moved > 0 ? `reranking moved it up by ${moved}` : `reranking moved it down by ${-moved}`;
  return element("span", { className: moved > 0 ? "up" : "down", role: "img", "aria-label": said, title: said }, text);
}

function facts(metadata) {
  const simple = Object.entries(metadata).filter(([, value]) => typeof value !== "object");
  return simple.slice(0, 4).map(([name, value]) => element("span", { className: "fact" }, `${name} ${String(value).slice(0, 60)}`));
}

export function explanationView(record) {
  const parts = [element("p", {}, `Rank ${record.rank ?? "–"}; fused ${figure(record.fused)}, rank ${record.fused_rank ?? "–"}, by ${record.fusion}.`)];
  const names = ["branch", "raw", "normalized", "rank", "weight", "adds", "rank without"];
  const head = element("tr", {}, ...names.map((name) => element("th", { scope: "col" }, name)));
  const rows = record.branches.map((part) => {
    const cells = [figure(part.raw), figure(part.normalized), part.rank ?? "–", figure(part.weight, 3), figure(part.contribution), part.rank_without ?? "–"];
    return element("tr", {}, element("th", { scope: "row" }, part.name), ...cells.map((cell) => element("td", {}, String(cell))));
  });
  const table = element("table", {}, element("caption", {}, "What each branch says"), element("thead", {}, head), element("tbody", {}, ...rows));
  parts.push(element("div", { className: "wide", role: "region", "aria-label": "What each branch says", tabIndex: 0 }, table));
  for (const part of record.branches) if (part.terms.length) parts.push(terms(`Terms of ${part.name}`, part.terms));
  for (const stage of record.stages) {
    const before = stage.source ? `neighbour of ${stage.source}` : `rank ${stage.rank_before ?? "–"}`;
    const score = stage.score === null ? "" : `, score ${figure(stage.score)}`;
    parts.push(element("p", {}, `${stage.name}: ${before} → ${stage.rank_after === null ? "left out" : `rank ${stage.rank_after}`}${score}`));
    if (stage.terms.length) parts.push(terms("Tokens that met", stage.terms));
  }
  for (const [name, said] of Object.entries(record.notes)) parts.push(element("p", { className: "error" }, `${name}: ${said.join("; ")}`));
  return parts;
}

function terms(title, list) {
  const most = Math.max(...list.map((term) => Math.abs(term.score)), 1e-9);
  const rows = list.slice(0, 32).map((term) => {
    const bar = element("span", { className: "bar", "aria-hidden": "true" });
    bar.style.width = `${(100 * Math.abs(term.score)) / most}%`;
    return element("li", {}, element("span", { className: "term" }, term.term), element("span", { className: "track" }, bar), element("span", { className: "adds" }, figure(term.score, 3)));
  });
  return element("div", { className: "terms" }, element("h3", {}, title), element("ul", {}, ...rows));
}

const SVG = "http://www.w3.org/2000/svg";

// Rankings side by side: columns [{name, ids}], with lines that follow each document.
export function boardView(board, columns, titleOf, chosen, choose) {
  const lists = columns.map(({ name, ids }) => {
    const rows = ids.map((id, n) => {
      const row = element("button", { type: "button", "data-id": id, title: titleOf(id) }, element("b", {}, String(n + 1)), " ", titleOf(id));
      row.classList.toggle("chosen", id === chosen);
      row.addEventListener("click", () => choose(id));
      return element("li", {}, row);
    });
    return element("div", { className: "column", "data-name": name }, element("h3", {}, name), element("ol", {}, ...rows));
  });
  const lines = document.createElementNS(SVG, "svg");
  lines.setAttribute("aria-hidden", "true");
  board.replaceChildren(lines, ...lists);
  lines.setAttribute("width", board.scrollWidth);
  lines.setAttribute("height", board.scrollHeight);
  const frame = board.getBoundingClientRect();
  for (let n = 0; n + 1 < lists.length; n++) {
    for (const left of lists[n].querySelectorAll("button")) {
      const right = [...lists[n + 1].querySelectorAll("button")].find((row) => row.dataset.id === left.dataset.id);
      if (right) lines.append(line(left.getBoundingClientRect(), right.getBoundingClientRect(), frame, board, left.dataset.id === chosen));
    }
  }
}

function line(from, to, frame, board, chosen) {
  const x = (value) => value - frame.left + board.scrollLeft;
  const y = (box) => box.top + box.height / 2 - frame.top + board.scrollTop;
  const [a, b] = [x(from.right), x(to.left)];
  const middle = (a + b) / 2;
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", `M${a},${y(from)} C${middle},${y(from)} ${middle},${y(to)} ${b},${y(to)}`);
  if (chosen) path.classList.add("chosen");
  return path;
}
