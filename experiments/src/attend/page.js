"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const make = (name, attributes = {}, ...children) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  };
  const draw = (name, attributes = {}, text = "") => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.textContent = text;
    return element;
  };

  // ── numbers ──

  const { codes } = data;
  const reasons = new Map(codes.hidden);
  const firstHidden = Math.min(...reasons.keys());
  const isHidden = (code) => code >= firstHidden;

  // Decimal digits and power of ten of a positive weight.
  const decimal = (code) => {
    const [steps, first, start, digits] = code < codes.first_fine
      ? [codes.coarse_steps, codes.least, 1, 2] : [codes.fine_steps, codes.fine, codes.first_fine, 4];
    const at = code - start;
    return { digits, mantissa: at % steps + steps / 9, power: Math.floor(at / steps) + first };
  };
  const number = (code) => {
    if (code === 0) return "0";
    const { digits, mantissa, power } = decimal(code);
    const text = String(mantissa);
    if (power === 0) return `${text[0]}.${text.slice(1)}`;
    if (power >= -4) return `0.${"0".repeat(-power - 1)}${text}`;
    return `${text[0]}.${text.slice(1, digits)}e${power}`;
  };
  const value = (code) => {
    if (code === 0) return 0;
    const { digits, mantissa, power } = decimal(code);
    return mantissa * 10 ** (power - digits + 1);
  };
  const inWords = (code) => {
    if (isHidden(code)) return reasons.get(code);
    return code === 0 ? "weight 0, an exact zero" : `weight ${number(code)}`;
  };
  const inCell = (code) => (isHidden(code) ? "hidden" : number(code));

  // ── data ──

  const views = data.views.map((view) => {
    const bytes = Uint8Array.from(atob(view.cells), (c) => c.charCodeAt(0));
    const cells = Uint16Array.from({ length: bytes.length / 2 }, (_, i) => bytes[2 * i] | bytes[2 * i + 1] << 8);
    const queries = data.sequences[view.queries], keys = data.sequences[view.keys];
    const reads = view.reads === null ? null : data.sequences[view.reads];
    const [nQueries, nKeys] = [queries.pieces.length, keys.pieces.length];
    const size = nQueries * nKeys;
    const headCells = (layer, head) => cells.subarray((layer * view.n_heads + head) * size, (layer * view.n_heads + head + 1) * size);
    const found = new Set(cells.filter(isHidden));
    return { ...view, queries, keys, reads, nQueries, nKeys, headCells, reasons: [...reasons.keys()].filter((r) => found.has(r)) };
  });

  // Keys with a positive weight and keys that may have one, of each query.
  const supports = (view, cells) => Array.from({ length: view.nQueries }, (_, query) => {
    const row = cells.subarray(query * view.nKeys, (query + 1) * view.nKeys);
    let positive = 0, legal = 0;
    for (const code of row) if (!isHidden(code)) { legal += 1; positive += code > 0; }
    return { positive, legal };
  });
  // Text whose direction leaves that of the sentence alone.
  const apart = (text) => `\u2068${text}\u2069`;
  const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
  const wordOf = (sequence, place) => sequence.words.find(([, start, end]) => start <= place && place < end);
  const named = (sequence, place) => {
    const word = wordOf(sequence, place);
    const piece = sequence.pieces[place];
    const within = word && plain(word[0]) !== plain(piece) ? ` in “${apart(word[0])}”` : "";
    return `“${apart(piece)}”${within} (${place + 1})`;
  };
  const alphaOf = (view, layer, head) => (view.alpha.length ? view.alpha[layer][head].toFixed(3) : null);

  // ── colours ──

  let colours = null;
  const theme = () => {
    const style = getComputedStyle(document.documentElement);
    const rgb = (name) => {
      const hex = style.getPropertyValue(name).trim().slice(1);
      return [0, 2, 4].map((i) => parseInt(hex.slice(i, i + 2), 16));
    };
    const [low, middle, high] = ["--low", "--middle", "--high"].map(rgb);
    const [zero, hidden] = ["--zero", "--hidden"].map(rgb);
    colours = new Uint8Array(3 * 65536);
    for (let code = 0; code < 65536; code += 1) {
      let colour = zero;
      if (isHidden(code)) colour = hidden;
      else if (code > 0 && code <= codes.one) {
        // Equal steps of colour are equal steps of the square root.
        const t = 2 * Math.sqrt(value(code));
        const [from, to, part] = t < 1 ? [low, middle, t] : [middle, high, t - 1];
        colour = from.map((c, i) => Math.round(c + (to[i] - c) * part));
      }
      colours.set(colour, 3 * code);
    }
    return { hatch: style.getPropertyValue("--hatch").trim() };
  };
  let { hatch } = theme();
  const css = (code) => `rgb(${colours[3 * code]} ${colours[3 * code + 1]} ${colours[3 * code + 2]})`;

  const thumbnail = (canvas, view, cells) => {
    canvas.width = view.nKeys;
    canvas.height = view.nQueries;
    const context = canvas.getContext("2d");
    const image = context.createImageData(view.nKeys, view.nQueries);
    cells.forEach((code, i) => {
      image.data.set(colours.subarray(3 * code, 3 * code + 3), 4 * i);
      image.data[4 * i + 3] = 255;
    });
    context.putImageData(image, 0, 0);
  };

  // ── state ──

  const state = { view: 0, open: null, query: 0, key: 0 };
  const view = () => views[state.view];
  const openCells = () => view().headCells(state.open.layer, state.open.head);
  const sayAloud = (text) => { byId("live").textContent = text; };

  // ── all heads ──

  const describe = (view, layer, head) => {
    const support = supports(view, view.headCells(layer, head));
    const sum = (of) => support.reduce((total, row) => total + row[of], 0);
    const [positive, legal] = [sum("positive"), sum("legal")];
    const density = legal ? `${(100 * positive / legal).toFixed(positive === legal ? 0 : 1)} %` : "–";
    const alpha = alphaOf(view, layer, head);
    const mean = (positive / view.nQueries).toFixed(1);
    return {
      short: [alpha && `α ${alpha}`, `${density} > 0`].filter(Boolean),
      long: `Layer ${layer + 1}, head ${head + 1}: ${alpha ? `α ${alpha}, ` : ""}${positive} of ${legal} weights above zero (${density}), mean support ${mean} keys`,
    };
  };
  const showGrid = () => {
    const current = view(), grid = byId("grid");
    grid.style.gridTemplateColumns = `max-content repeat(${current.n_heads}, minmax(44px, 150px))`;
    const ratio = Math.min(3, Math.max(0.5, current.nKeys / current.nQueries));
    const elements = [];
    for (let layer = 0; layer < current.n_layers; layer += 1) {
      elements.push(make("span", { class: "layer" }, `Layer ${layer + 1}`));
      for (let head = 0; head < current.n_heads; head += 1) {
        const { short, long } = describe(current, layer, head);
        const canvas = make("canvas", { "aria-hidden": "true", style: `aspect-ratio: ${ratio}` });
        thumbnail(canvas, current, current.headCells(layer, head));
        const button = make("button", { type: "button", "aria-label": long, title: long, "data-layer": layer, "data-head": head }, canvas);
        button.append(...short.map((line) => make("small", { "aria-hidden": "true" }, line)));
        button.addEventListener("click", () => enlarge(layer, head));
        elements.push(button);
      }
    }
    grid.replaceChildren(...elements);
  };
  const headButton = (layer, head) => byId("grid").querySelector(`[data-layer="${layer}"][data-head="${head}"]`);
  const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  byId("grid").addEventListener("keydown", (event) => {
    const button = event.target.closest("button"), step = ARROWS[event.key];
    if (!button || !step) return;
    event.preventDefault();
    const to = headButton(Number(button.dataset.layer) + step[0], Number(button.dataset.head) + step[1]);
    if (to) to.focus();
  });

  // ── one head ──

  const enlarge = (layer, head) => {
    const current = view();
    state.open = { layer, head };
    state.query = Math.min(state.query, current.nQueries - 1);
    state.key = Math.min(state.key, current.nKeys - 1);
    byId("overview").hidden = true;
    byId("enlarged").hidden = false;
    const { short, long } = describe(current, layer, head);
    byId("about").textContent = short.join(" · ");
    byId("name").textContent = long.split(":")[0];
    byId("matrix").setAttribute("aria-label", `${long}. ${current.nQueries} queries, ${current.nKeys} keys`);
    layOut();
    fillTable();
    byId("matrix").focus({ preventScroll: true });
    read(true);
  };
  const back = () => {
    const { layer, head } = state.open;
    state.open = null;
    byId("enlarged").hidden = true;
    byId("overview").hidden = false;
    showGrid();
    headButton(layer, head).focus();
    sayAloud("All heads");
  };
  const other = (by) => {
    const current = view();
    const at = state.open.layer * current.n_heads + state.open.head + by;
    if (at < 0 || at >= current.n_layers * current.n_heads) return;
    enlarge(Math.floor(at / current.n_heads), at % current.n_heads);
  };

  const ruler = document.createElement("canvas").getContext("2d");
  const widest = (texts) => {
    ruler.font = getComputedStyle(document.body).font.replace(/^.*?(\d+px)/, "12px");
    return Math.ceil(Math.max(0, ...texts.map((text) => ruler.measureText(text).width)));
  };
  const cut = (text, most = 26) => {
    const letters = [...text];
    return letters.length > most ? `${letters.slice(0, most - 1).join("")}…` : text;
  };
  // Words that their pieces do not spell: of several pieces, or unknown; case and accents aside.
  const joined = (sequence) => sequence.words.filter(([word, start, end]) => end - start > 1 || (end > start && plain(word) !== plain(sequence.pieces[start])));

  let layout = null;
  const layOut = () => {
    const current = view();
    const { nQueries, nKeys } = current;
    const measure = (sequence) => {
      const words = joined(sequence);
      return { words, pieces: widest(sequence.pieces.map((p) => cut(p))) + 8, outer: words.length ? widest(words.map(([w]) => cut(w))) + 16 : 0 };
    };
    const rows = measure(current.queries), columns = measure(current.keys);
    const least = nKeys > 120 ? 5 : 12;
    let [left, top] = [rows.pieces + rows.outer, columns.pieces + columns.outer];
    const right = 62;
    const room = byId("scroll").clientWidth - 8 - left - right;
    const cell = Math.max(least, Math.min(36, Math.floor(room / nKeys)));
    const labelled = cell >= 12;
    if (!labelled) [left, top] = [8, 8];
    const [width, height] = [nKeys * cell, nQueries * cell];
    layout = { left, top, cell, rowText: [], columnText: [] };
    const matrix = byId("matrix"), canvas = byId("cells"), svg = byId("labels");
    Object.assign(matrix.style, { width: `${left + width + right}px`, height: `${top + height + 4}px` });
    Object.assign(canvas.style, { left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px` });
    const scale = Math.min(window.devicePixelRatio || 1, 8192 / Math.max(width, height));
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    const context = canvas.getContext("2d");
    context.scale(scale, scale);
    const cells = openCells();
    const gap = cell >= 12 ? 1 : 0;
    cells.forEach((code, i) => {
      const [x, y] = [i % nKeys * cell, Math.floor(i / nKeys) * cell];
      context.fillStyle = css(code);
      context.fillRect(x, y, cell - gap, cell - gap);
      if (isHidden(code) && gap) {
        context.strokeStyle = hatch;
        context.beginPath();
        context.moveTo(x, y + cell - gap);
        context.lineTo(x + cell - gap, y);
        context.stroke();
      }
    });

    svg.setAttribute("width", left + width + right);
    svg.setAttribute("height", top + height + 4);
    svg.replaceChildren();
    const middle = (i) => i * cell + (cell - gap) / 2;
    const add = (name, attributes, text) => svg.appendChild(draw(name, attributes, text));
    if (labelled) {
      current.queries.pieces.forEach((piece, i) => layout.rowText.push(add("text", { x: left - 6, y: top + middle(i), "text-anchor": "end" }, cut(piece))));
      current.keys.pieces.forEach((piece, i) => layout.columnText.push(add("text", { transform: `translate(${left + middle(i)} ${top - 6}) rotate(-90)` }, cut(piece))));
      for (const [word, start, end] of rows.words) {
        const [x, from, to] = [left - rows.pieces - 2, top + start * cell + 2, top + end * cell - 3];
        add("path", { d: `M${x} ${from}h-4V${to}h4` });
        add("text", { class: "word", x: x - 8, y: (from + to) / 2, "text-anchor": "end" }, cut(word));
      }
      for (const [word, start, end] of columns.words) {
        const [y, from, to] = [top - columns.pieces - 2, left + start * cell + 2, left + end * cell - 3];
        add("path", { d: `M${from} ${y}v-4H${to}v4` });
        add("text", { class: "word", transform: `translate(${(from + to) / 2} ${y - 8}) rotate(-90)` }, cut(word));
      }
      supports(current, cells).forEach(({ positive, legal }, i) => add("text", { class: "support", x: left + width + 7, y: top + middle(i) }, `${positive}/${legal}`));
      add("text", { class: "support", x: left + width + 7, y: top - 9 }, "support");
    }
    for (const start of current.queries.starts) add("path", { class: "start", d: `M${left} ${top + start * cell - 0.5}h${width}` });
    for (const start of current.keys.starts) add("path", { class: "start", d: `M${left + start * cell - 0.5} ${top}v${height}` });
    layout.cursor = add("rect", { class: "cursor", width: cell + 1, height: cell + 1 });
  };

  const sentence = (query, key) => {
    const current = view(), cells = openCells();
    const { positive, legal } = supports(current, cells)[query];
    const reads = current.reads ? `, after reading “${apart(current.reads.pieces[query])}”` : "";
    const asked = current.reads ? "writing" : "query";
    return `${asked} ${named(current.queries, query)}${reads} → key ${named(current.keys, key)}: ${inWords(cells[query * current.nKeys + key])}. Support of the row: ${positive} of ${legal} keys.`;
  };
  const read = (aloud) => {
    const { query, key } = state, { left, top, cell, cursor, rowText, columnText } = layout;
    cursor.setAttribute("x", left + key * cell - 1);
    cursor.setAttribute("y", top + query * cell - 1);
    rowText.forEach((text, i) => text.classList.toggle("on", i === query));
    columnText.forEach((text, i) => text.classList.toggle("on", i === key));
    const text = sentence(query, key);
    byId("reading").textContent = text;
    if (aloud) sayAloud(`${byId("name").textContent}, ${text}`);
  };
  const point = (event) => {
    const box = byId("cells").getBoundingClientRect(), current = view();
    const key = Math.floor((event.clientX - box.left) / layout.cell), query = Math.floor((event.clientY - box.top) / layout.cell);
    if (key < 0 || query < 0 || key >= current.nKeys || query >= current.nQueries) return;
    Object.assign(state, { query, key });
    read(false);
  };
  byId("matrix").addEventListener("pointermove", point);
  byId("matrix").addEventListener("pointerdown", point);
  byId("matrix").addEventListener("keydown", (event) => {
    const current = view(), step = ARROWS[event.key];
    const within = (at, n) => Math.min(n - 1, Math.max(0, at));
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (step) {
      state.query = within(state.query + step[0], current.nQueries);
      state.key = within(state.key + step[1], current.nKeys);
      read(true);
    } else if (event.key === "Home" || event.key === "End") {
      state.key = event.key === "Home" ? 0 : current.nKeys - 1;
      read(true);
    } else if (event.key === "PageUp" || event.key === "PageDown") {
      other(event.key === "PageUp" ? -1 : 1);
    } else return;
    event.preventDefault();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && state.open) back();
  });
  byId("back").addEventListener("click", back);
  byId("previous").addEventListener("click", () => other(-1));
  byId("next").addEventListener("click", () => other(1));

  // ── the same as a table ──

  const fillTable = () => {
    if (!byId("as-table").open) return byId("table").replaceChildren();
    const current = view(), cells = openCells();
    const table = make("table", {}, make("caption", { class: "unseen" }, byId("matrix").getAttribute("aria-label")));
    const first = make("tr", {}, make("th", { scope: "col" }, "query \\ key"));
    current.keys.pieces.forEach((piece) => first.append(make("th", { scope: "col" }, piece)));
    first.append(make("th", { scope: "col" }, "support"));
    table.append(make("thead", {}, first));
    const body = make("tbody");
    supports(current, cells).forEach(({ positive, legal }, query) => {
      const row = make("tr", {}, make("th", { scope: "row" }, current.queries.pieces[query]));
      for (let key = 0; key < current.nKeys; key += 1) {
        const code = cells[query * current.nKeys + key];
        row.append(make("td", isHidden(code) ? { class: "hidden" } : code ? {} : { class: "zero" }, inCell(code)));
      }
      row.append(make("td", {}, `${positive} of ${legal}`));
      body.append(row);
    });
    table.append(body);
    byId("table").replaceChildren(table);
  };
  byId("as-table").addEventListener("toggle", () => state.open && fillTable());

  // ── tabs ──

  const choose = (index) => {
    state.view = index;
    const current = view();
    [...byId("tabs").children].forEach((tab, i) => {
      tab.setAttribute("aria-selected", String(i === index));
      tab.tabIndex = i === index ? 0 : -1;
    });
    byId("panel").setAttribute("aria-labelledby", `tab-${index}`);
    byId("caption").textContent = `${current.title}: rows are queries (${current.queries.name}), columns are keys (${current.keys.name}).`;
    byId("legend-hidden").hidden = current.reasons.length === 0;
    byId("reasons").textContent = current.reasons.map((code) => reasons.get(code)).join("; ");
    if (state.open && state.open.layer < current.n_layers && state.open.head < current.n_heads) {
      enlarge(state.open.layer, state.open.head);
    } else {
      state.open = null;
      byId("enlarged").hidden = true;
      byId("overview").hidden = false;
      showGrid();
    }
  };
  views.forEach((current, i) => {
    const tab = make("button", { type: "button", role: "tab", id: `tab-${i}`, "aria-controls": "panel" }, current.label);
    tab.addEventListener("click", () => { choose(i); tab.focus(); });
    byId("tabs").append(tab);
  });
  byId("tabs").addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const to = (state.view + step + views.length) % views.length;
    choose(to);
    byId(`tab-${to}`).focus();
  });

  for (const weight of [0.01, 0.1, 0.25, 0.5, 1]) {
    byId("ramp").append(make("b", { style: `left: ${100 * Math.sqrt(weight)}%` }, String(weight)));
  }
  const again = () => (state.open ? (layOut(), read(false)) : showGrid());
  window.addEventListener("resize", () => state.open && again());
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { ({ hatch } = theme()); again(); });
  choose(0);
})();
