// Every head's pattern of a text. Hover, tap or step with the arrow keys from token to token;
// choose a head from the grid. `data` comes with the page: for each set of patterns its labels
// and, in base64, n_layers x n_heads x queries x keys weights as 16-bit parts of 65535.
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};

const sets = data.sets.map((set) => ({ ...set, weights: decode(set.weights) }));
const state = { set: 0, layer: 0, head: 0, side: "query", token: null, pinned: false };

function decode(base64) {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return Uint16Array.from({ length: bytes.length / 2 }, (_, i) => view.getUint16(2 * i, true));
}

const set = () => sets[state.set];
function weight(query, key, layer = state.layer, head = state.head) {
  const { heads, queries, keys, weights } = set();
  const row = (layer * heads + head) * queries.length + query;
  return weights[row * keys.length + key] / 65535;
}

const colour = (part) =>
  `rgba(${getComputedStyle(document.documentElement).getPropertyValue("--weight")}, ${part})`;

// One canvas pixel for each weight; the style sheet scales it.
function draw(canvas, layer, head) {
  const { queries, keys } = set();
  const rgb = getComputedStyle(document.documentElement)
    .getPropertyValue("--weight").split(",").map(Number);
  canvas.width = keys.length;
  canvas.height = queries.length;
  const context = canvas.getContext("2d");
  const image = context.createImageData(keys.length, queries.length);
  for (let query = 0; query < queries.length; query++)
    for (let key = 0; key < keys.length; key++)
      image.data.set([...rgb, 255 * Math.sqrt(weight(query, key, layer, head))],
        4 * (query * keys.length + key));
  context.putImageData(image, 0, 0);
}

// The grid of heads is a radio group: one stop for the tab key, arrows move inside.
function buildHeads() {
  const { layers, heads } = set();
  const grid = $("heads");
  grid.replaceChildren(make("span"));
  grid.style.gridTemplateColumns = `2rem repeat(${heads}, minmax(20px, 3.5rem))`;
  for (let head = 0; head < heads; head++)
    grid.append(make("span", { className: "name", textContent: head }));
  for (let layer = 0; layer < layers; layer++) {
    grid.append(make("span", { className: "name", textContent: layer }));
    for (let head = 0; head < heads; head++) {
      const canvas = make("canvas");
      const button = make("button", { type: "button", id: `head-${layer}-${head}` }, canvas);
      button.setAttribute("role", "radio");
      button.setAttribute("aria-label", `layer ${layer}, head ${head}`);
      button.onclick = () => chooseHead(layer, head);
      grid.append(button);
      draw(canvas, layer, head);
    }
  }
}

function chooseHead(layer, head) {
  Object.assign(state, { layer, head });
  for (const button of $("heads").querySelectorAll("button")) {
    const chosen = button.id === `head-${layer}-${head}`;
    button.setAttribute("aria-checked", chosen);
    button.tabIndex = chosen ? 0 : -1;
  }
  draw($("map"), layer, head);
  show();
}

$("heads").onkeydown = (event) => {
  const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  if (!(event.key in step)) return;
  event.preventDefault();
  const [down, right] = step[event.key];
  const { layers, heads } = set();
  chooseHead((state.layer + down + layers) % layers, (state.head + right + heads) % heads);
  $(`head-${state.layer}-${state.head}`).focus();
};

// Queries and keys are two lines of tokens where they differ, and one where they are the same.
function buildTokens() {
  const { queries, keys, same } = set();
  const line = (labels, side) => {
    const tokens = labels.map((label, i) => {
      const token = make("span", { className: "token mono", textContent: label });
      Object.assign(token.dataset, { side, i });
      token.tabIndex = -1;
      token.setAttribute("role", "option");
      return token;
    });
    const box = make("div", { className: "tokens", id: side });
    box.setAttribute("role", "listbox");
    box.setAttribute("aria-label", same ? "tokens" : side === "query" ? "queries" : "keys");
    box.append(...tokens);
    return same ? [box]
      : [make("div", { className: "soft", textContent: side === "query" ? "queries" : "keys" }), box];
  };
  $("text").replaceChildren(...line(queries, "query"), ...(same ? [] : line(keys, "key")));
  for (const box of $("text").querySelectorAll(".tokens")) box.firstElementChild.tabIndex = 0;
}

const tokensOf = (side) => {
  const box = $(set().same ? "query" : side);
  return [...box.children];
};

// From a query: how much it looks at each key. From a key: how much each query looks at it.
function show() {
  const { queries, keys, same } = set();
  const { token, side } = state;
  for (const element of $("text").querySelectorAll(".token")) {
    element.style.background = "";
    element.classList.remove("from", "strong");
    element.setAttribute("aria-selected", false);
  }
  const place = $("map-place");
  place.hidden = token === null;
  if (token === null) {
    $("readout").textContent = "Point at a token, or step to it with Tab and the arrow keys.";
    return;
  }
  const other = side === "query" ? "key" : "query";
  const weights = (side === "query" ? keys : queries).map((_, i) =>
    side === "query" ? weight(token, i) : weight(i, token));
  tokensOf(other).forEach((element, i) => {
    element.style.background = colour(weights[i]);
    element.classList.toggle("strong", weights[i] > 0.55);
    element.title = weights[i].toFixed(3);
  });
  const from = tokensOf(side)[token];
  from.classList.add("from");
  from.setAttribute("aria-selected", true);
  const names = side === "query" ? keys : queries;
  const largest = weights.map((w, i) => [w, i]).sort((a, b) => b[0] - a[0]).slice(0, 5)
    .filter(([w]) => w >= 0.001);
  const own = side === "query" ? queries[token] : keys[token];
  $("readout").replaceChildren(
    make("div", {}, `Layer ${state.layer}, head ${state.head}. Token ${token} `,
      make("b", { className: "mono", textContent: own }),
      side === "query" ? " looks at: " : " is looked at by: "),
    make("div", { id: "weights" }, ...largest.flatMap(([w, i], n) => [
      n ? ",  " : "", make("b", { className: "mono", textContent: names[i] }),
      ` (${i}) ${w.toFixed(3)}`])));
  const part = side === "query" ? queries.length : keys.length;
  place.style.cssText = side === "query"
    ? `left:0;width:100%;top:${100 * token / part}%;height:${100 / part}%`
    : `top:0;height:100%;left:${100 * token / part}%;width:${100 / part}%`;
}

function look(token, side) {
  Object.assign(state, { token, side: set().same ? state.side : side });
  show();
}

$("text").onpointerover = (event) => {
  const { i, side } = event.target.dataset;
  if (i !== undefined && !state.pinned) look(Number(i), side);
};
$("text").onclick = (event) => {
  const { i, side } = event.target.dataset;
  if (i === undefined) return;
  state.pinned = !(state.pinned && state.token === Number(i));
  look(Number(i), side);
};
$("text").onfocusin = (event) => {
  const { i, side } = event.target.dataset;
  if (i !== undefined && event.target.matches(":focus-visible")) look(Number(i), side);
};
$("text").onkeydown = (event) => {
  const { i, side } = event.target.dataset;
  const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
  if (i === undefined || step === undefined) return;
  event.preventDefault();
  const tokens = tokensOf(side);
  const next = tokens[(Number(i) + step + tokens.length) % tokens.length];
  event.target.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
  look(Number(next.dataset.i), side);
};

// On the map a place is a query and a key: the one weight is named, and the whole row shows
// unless a token is kept.
$("map-box").onpointermove = (event) => {
  const box = $("map").getBoundingClientRect();
  const { queries, keys } = set();
  const at = (part, n) => Math.min(n - 1, Math.max(0, Math.floor(part * n)));
  const query = at((event.clientY - box.top) / box.height, queries.length);
  const key = at((event.clientX - box.left) / box.width, keys.length);
  if (!state.pinned) {
    state.side = "query";
    sides();
    look(query, "query");
  }
  $("cell").textContent = `${queries[query]} (${query}) → ${keys[key]} (${key}): `
    + weight(query, key).toFixed(3);
};

function sides() {
  for (const side of ["query", "key"])
    $(`side-${side}`).setAttribute("aria-pressed", state.side === side);
  $("sides").hidden = !set().same;
}
for (const side of ["query", "key"])
  $(`side-${side}`).onclick = () => { state.side = side; sides(); show(); };

function chooseSet(number) {
  Object.assign(state, { set: number, token: null, pinned: false, side: "query" });
  $("cell").textContent = "";
  buildHeads();
  buildTokens();
  sides();
  chooseHead(Math.min(state.layer, set().layers - 1), Math.min(state.head, set().heads - 1));
}

$("set").replaceChildren(...sets.map(({ name }, i) => make("option", { value: i, textContent: name })));
$("set").parentElement.hidden = sets.length < 2;
$("set").onchange = () => chooseSet(Number($("set").value));
matchMedia("(prefers-color-scheme: dark)").onchange = () => chooseSet(state.set);
Object.assign(state, { layer: data.layer, head: data.head });
chooseSet(0);
