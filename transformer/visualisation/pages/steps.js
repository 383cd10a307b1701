// One head as a row of matrix products. `data` has the matrices by name (base64 of float32) and the
// steps: which matrices stand in each, and how an entry of the result is explained.
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};

const matrices = Object.fromEntries(Object.entries(data.matrices).map(([name, m]) => {
  const bytes = Uint8Array.from(atob(m.values), (character) => character.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  const values = Float32Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(4 * i, true));
  const finite = values.filter(Number.isFinite).map(Math.abs);
  return [name, { ...m, name, values, largest: finite.reduce((a, b) => Math.max(a, b), 1e-12) }];
}));
const entry = (name, i, j) => matrices[name].values[i * matrices[name].columns + j];
const number = (x, digits = 2) => // no minus before what is rounded to zero
  Number.isNaN(x) ? "NaN" : Math.abs(x) === Infinity ? (x < 0 ? "−∞" : "∞") : (Number(x.toFixed(digits)) || 0).toFixed(digits).replace("-", "−");
const rgb = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// Entries are large enough to be read where there are few, and dots of colour where many.
const CELL = (matrix) => matrix.columns <= 8 && matrix.rows <= 16 ? [52, 28]
  : matrix.columns <= 32 && matrix.rows <= 32 ? [10, 14] : [6, 6];

class Grid {
  constructor(matrix, onPoint) {
    this.matrix = matrix;
    [this.width, this.height] = CELL(matrix);
    this.labelled = matrix.labels && this.height >= 14;
    this.left = this.labelled ? 10 + 7 * Math.min(10, Math.max(...matrix.labels.map((l) => l.length))) : 0;
    this.canvas = make("canvas");
    this.element = make("figure", { className: "matrix" },
      make("div", {}, this.canvas),
      make("figcaption", {}, `${matrix.title}  ${matrix.rows} × ${matrix.columns}`));
    if (onPoint) this.listen(onPoint);
    this.mark = {};
    this.draw();
  }

  listen(onPoint) {
    const { rows, columns } = this.matrix;
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "application");
    this.canvas.setAttribute("aria-label", `${this.matrix.title}, ${rows} by ${columns}: arrow keys move`);
    let at = [0, 0];
    const go = (i, j) => {
      at = [Math.min(rows - 1, Math.max(0, i)), Math.min(columns - 1, Math.max(0, j))];
      onPoint(...at);
    };
    this.canvas.onpointermove = this.canvas.onpointerdown = (event) =>
      go(Math.floor(event.offsetY / this.height), Math.floor((event.offsetX - this.left) / this.width));
    this.canvas.onfocus = () => { if (this.canvas.matches(":focus-visible")) go(...at); };
    this.canvas.onkeydown = (event) => {
      const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      if (!step) return;
      event.preventDefault();
      go(at[0] + step[0], at[1] + step[1]);
    };
  }

  // mark: {row}, {column}, both for one entry, or nothing
  draw(mark = this.mark) {
    this.mark = mark;
    const { matrix, width, height, canvas, left } = this;
    const dense = Math.max(1, window.devicePixelRatio || 1);
    canvas.width = dense * (left + matrix.columns * width);
    canvas.height = dense * matrix.rows * height;
    canvas.style.width = `${left + matrix.columns * width}px`;
    canvas.style.height = `${matrix.rows * height}px`;
    const context = canvas.getContext("2d");
    context.scale(dense, dense);
    context.textBaseline = "middle";
    const [plus, minus, ink, soft, line] = ["--weight", "--minus", "--ink", "--soft", "--line"].map(rgb);
    const gap = width > 10 ? 1 : 0;
    for (let i = 0; i < matrix.rows; i++) {
      const y = i * height;
      if (this.labelled) {
        context.font = "12px ui-monospace, monospace";
        context.textAlign = "right";
        context.fillStyle = soft;
        context.fillText(matrix.labels[i].slice(0, 10), left - 5, y + height / 2);
      }
      for (let j = 0; j < matrix.columns; j++) {
        const value = matrix.values[i * matrix.columns + j];
        const x = left + j * width;
        context.fillStyle = value === -Infinity || Number.isNaN(value) ? line
          : `rgba(${value < 0 ? minus : plus}, ${0.75 * Math.min(1, Math.abs(value) / matrix.largest)})`;
        context.fillRect(x, y, width - gap, height - gap);
        if (width >= 40) {
          context.font = "12px system-ui, sans-serif";
          context.textAlign = "center";
          context.fillStyle = ink;
          context.fillText(number(value), x + width / 2, y + height / 2);
        }
      }
    }
    context.strokeStyle = rgb("--focus");
    context.lineWidth = 2;
    const { row, column } = mark;
    if (row !== undefined || column !== undefined)
      context.strokeRect(
        left + (column === undefined ? 0 : column * width) + 1,
        (row === undefined ? 0 : row * height) + 1,
        (column === undefined ? matrix.columns * width : width) - 2,
        (row === undefined ? matrix.rows * height : height) - 2);
    this.reveal(row, column);
  }

  // A large matrix is scrolled to what is marked, no further than it must be.
  reveal(row, column) {
    const box = this.canvas.parentElement;
    const nearest = (from, now, shown, size) => Math.min(from, Math.max(now, from + size - shown));
    if (row !== undefined)
      box.scrollTop = nearest(row * this.height, box.scrollTop, box.clientHeight, this.height);
    if (column !== undefined)
      box.scrollLeft = nearest(this.left + column * this.width, box.scrollLeft, box.clientWidth, this.width);
  }
}

// What an entry is made of, in words: for a product its terms, the largest first if they are many.
const explain = {
  product({ parts: [left, right], bias, scale, result }, i, j) {
    const n = matrices[left].columns;
    const terms = Array.from({ length: n }, (_, k) => [entry(left, i, k), entry(right, k, j)]);
    const order = [...terms.keys()];
    if (n > 6) order.sort((a, b) => Math.abs(terms[b][0] * terms[b][1]) - Math.abs(terms[a][0] * terms[a][1]));
    const shown = order.slice(0, 6).map((k) => `${number(terms[k][0])}·${number(terms[k][1])}`);
    const more = n > 6 ? ` + ${n - 6} smaller` : "";
    let sum = shown.join(" + ") + more;
    if (bias) sum += ` + bias ${number(entry(bias, 0, j))}`;
    if (scale) sum = `(${sum}) / ${scale.text}`;
    return `${sum} = ${number(entry(result, i, j), 3)}`;
  },
  turned({ parts: [before], result }, i, j) {
    return `position ${i} turns the pair of coordinates that ${j} belongs to: `
      + `${number(entry(before, i, j), 3)} becomes ${number(entry(result, i, j), 3)}`;
  },
  masked({ parts: [before], result }, i, j) {
    return entry(result, i, j) === -Infinity
      ? `query ${i} may not look at key ${j}: its score ${number(entry(before, i, j))} becomes −∞`
      : `query ${i} may look at key ${j}: ${number(entry(result, i, j), 3)} stays`;
  },
  softmax({ parts: [before], result }, i, j) {
    const row = Array.from({ length: matrices[before].columns }, (_, k) => entry(before, i, k));
    const largest = Math.max(...row);
    const total = row.reduce((sum, score) => sum + Math.exp(score - largest), 0);
    return `e^(${number(row[j])} − ${number(largest)}) / (sum of the row, ${number(total)}) = `
      + `${number(entry(result, i, j), 3)}; the row sums to 1`;
  },
};

function build() {
  document.getElementById("title").textContent = data.title;
  const grids = [];
  const steps = data.steps.map((step, s) => {
    const readout = make("div", { className: "readout mono", id: `readout-${s}` },
      "Point at an entry of the result.");
    readout.setAttribute("aria-live", "polite");
    const isProduct = step.kind === "product";
    const parts = step.parts.map((name) => new Grid(matrices[name]));
    const result = new Grid(matrices[step.result], (i, j) => {
      const marks = isProduct ? [{ row: i }, { column: j }]
        : [step.kind === "softmax" ? { row: i } : { row: i, column: j }];
      parts.forEach((grid, k) => grid.draw(marks[k]));
      result.draw({ row: i, column: j });
      readout.textContent = `${matrices[step.result].title}[${i}, ${j}] = ` + explain[step.kind](step, i, j);
    });
    result.canvas.id = `result-${s}`;
    grids.push(...parts, result);
    const after = (text, grid) => make("div", { className: "signed" },
      make("span", { className: "sign", textContent: text }), grid.element);
    return make("section", { className: "step" },
      make("h2", { textContent: `${s + 1}. ${step.title}` }),
      make("div", { className: "soft", textContent: step.says }),
      make("div", { className: "product" },
        ...parts.map((grid, k) => k ? after("×", grid) : grid.element),
        after(isProduct ? "=" : "→", result)),
      readout);
  });
  document.getElementById("steps").replaceChildren(...steps);
  matchMedia("(prefers-color-scheme: dark)").onchange = () => grids.forEach((grid) => grid.draw());
}
build();
