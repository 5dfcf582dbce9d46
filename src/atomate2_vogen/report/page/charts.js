"use strict";
/* Charts: what markers tell, and zoom. The charts themselves are drawn without a script. */

function element(tag, properties, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties || {})) {
    if (name === "class") made.className = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  // text stays text: nothing here is ever read as markup
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

function subscripts(formula) {
  return formula.replace(/[0-9]/g, (digit) => String.fromCharCode(0x2080 + Number(digit)));
}

function decimals(value, digits) {
  if (value === null || value === undefined) return "–";
  const text = value.toFixed(digits);
  return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", "−");
}

const tip = document.getElementById("tip");

function showTip(target) {
  const text = target.getAttribute("aria-label");
  if (!text) return;
  tip.textContent = text;
  tip.hidden = false;
  const box = target.getBoundingClientRect(), size = tip.getBoundingClientRect();
  const left = Math.min(Math.max(6, box.left + box.width / 2 - size.width / 2), innerWidth - size.width - 6);
  const above = box.top - size.height - 8;
  tip.style.left = left + "px";
  tip.style.top = (above > 6 ? above : box.bottom + 8) + "px";
}

function watchPoints(root, onPoint) {
  const point = (event) => event.target.closest && event.target.closest(".point");
  for (const kind of ["pointerover", "focusin"]) {
    root.addEventListener(kind, (event) => {
      const target = point(event);
      if (target) { showTip(target); onPoint(target.dataset.i); }
    });
  }
  for (const kind of ["pointerout", "focusout"]) {
    root.addEventListener(kind, (event) => {
      if (point(event)) { tip.hidden = true; onPoint(undefined); }
    });
  }
}

function niceTicks(low, high, count) {
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough - 1e-12);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9)), ticks = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++) ticks.push([k * step, decimals(k * step, digits)]);
  return ticks;
}

class Zoom {
  constructor(figure) {
    this.chart = figure.querySelector(".chart");
    [this.left, this.right, this.top, this.bottom] = this.chart.dataset.frame.split(" ").map(Number);
    this.whole = this.chart.dataset.domain.split(" ").map(Number);
    this.domain = this.whole.slice();
    this.axes = this.chart.querySelector(".axes");
    this.notes = [...this.chart.querySelectorAll(".vertex")];
    const act = (label, text, action) => element("button", { type: "button", "aria-label": label, title: label, onclick: action }, text);
    figure.append(element("div", { class: "zoom" },
      act("Zoom in", "+", () => this.scale(0.6)), act("Zoom out", "−", () => this.scale(1 / 0.6)), act("Show the whole hull", "⟲", () => this.show(this.whole.slice()))));
    this.brush();
  }
  scale(factor) {
    const [x0, x1, y0, y1] = this.domain;
    // the candidates are what is zoomed at, not the middle of the picture
    const shown = [...this.chart.querySelectorAll(".point[data-i]:not(.dim)")].map((p) => [Number(p.dataset.x), Number(p.dataset.y)])
      .filter(([x, y]) => x >= x0 && x <= x1 && y >= y0 && y <= y1);
    const middle = (axis, low, high) => (shown.length ? (Math.min(...shown.map((p) => p[axis])) + Math.max(...shown.map((p) => p[axis]))) / 2 : (low + high) / 2);
    const cx = middle(0, x0, x1), cy = middle(1, y0, y1), w = (x1 - x0) * factor / 2, h = (y1 - y0) * factor / 2;
    if (w > (this.whole[1] - this.whole[0]) / 2 || h > (this.whole[3] - this.whole[2]) / 2) this.show(this.whole.slice());
    else if (w > 0.004) this.show([cx - w, cx + w, cy - h, cy + h]);
  }
  place(x, y) {
    const [x0, x1, y0, y1] = this.domain;
    return [this.left + (x - x0) / (x1 - x0) * (this.right - this.left), this.bottom - (y - y0) / (y1 - y0) * (this.bottom - this.top)];
  }
  show(domain) {
    this.domain = domain;
    for (const point of this.chart.querySelectorAll(".point")) {
      const [x, y] = this.place(Number(point.dataset.x), Number(point.dataset.y));
      point.firstElementChild.setAttribute("transform", `translate(${x.toFixed(1)} ${y.toFixed(1)})`);
      point.style.visibility = x < this.left - 1 || x > this.right + 1 || y < this.top - 1 || y > this.bottom + 1 ? "hidden" : "";
    }
    for (const line of this.chart.querySelectorAll("[data-xy]")) {
      const points = line.dataset.xy.split(" ").map((pair) => this.place(...pair.split(",").map(Number)).map((v) => v.toFixed(1)).join(" "));
      line.setAttribute("d", "M" + points.join("L"));
    }
    const whole = domain.every((v, i) => v === this.whole[i]);
    for (const note of this.notes) note.style.visibility = whole ? "" : "hidden";
    this.axes.replaceChildren();
    const [x0, x1, y0, y1] = domain, put = (tag, attributes, text) => {
      const made = document.createElementNS(this.chart.namespaceURI, tag);
      for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
      if (text) made.textContent = text;
      this.axes.append(made);
    };
    for (const [value, text] of niceTicks(whole ? 0 : x0, whole ? 1 : x1, 5)) {
      const x = this.place(value, y0)[0];
      put("path", { d: `M${x} ${this.bottom}v4`, class: "tick" });
      put("text", { x, y: this.bottom + 17, class: "middle" }, text);
    }
    for (const [value, text] of niceTicks(y0, y1, 5)) {
      const y = this.place(x0, value)[1];
      put("path", { d: `M${this.left} ${y}h-4`, class: "tick" });
      put("text", { x: this.left - 7, y: y + 4, class: "end" }, text);
    }
  }
  brush() {
    let from = null, box = null, moved = false;
    const at = (event) => {
      const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.chart.getScreenCTM().inverse());
      return [Math.min(Math.max(point.x, this.left), this.right), Math.min(Math.max(point.y, this.top), this.bottom)];
    };
    this.chart.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || event.pointerType === "touch") return;
      from = at(event); moved = false;
      event.preventDefault();
    });
    addEventListener("pointermove", (event) => {
      if (!from) return;
      const to = at(event);
      if (!box && Math.hypot(to[0] - from[0], to[1] - from[1]) < 6) return;
      if (!box) {
        box = document.createElementNS(this.chart.namespaceURI, "rect");
        box.setAttribute("class", "brush");
        this.chart.append(box);
        moved = true;
      }
      box.setAttribute("x", Math.min(from[0], to[0])); box.setAttribute("width", Math.abs(to[0] - from[0]));
      box.setAttribute("y", Math.min(from[1], to[1])); box.setAttribute("height", Math.abs(to[1] - from[1]));
    });
    addEventListener("pointerup", (event) => {
      if (from && box) {
        const to = at(event), [x0, x1, y0, y1] = this.domain;
        const x = (v) => x0 + (v - this.left) / (this.right - this.left) * (x1 - x0);
        const y = (v) => y0 + (this.bottom - v) / (this.bottom - this.top) * (y1 - y0);
        const xs = [x(from[0]), x(to[0])].sort((a, b) => a - b), ys = [y(from[1]), y(to[1])].sort((a, b) => a - b);
        if (xs[1] - xs[0] > 1e-3 && ys[1] - ys[0] > 1e-4) this.show([...xs, ...ys]);
        box.remove(); box = null;
      }
      from = null;
    });
    this.chart.addEventListener("click", (event) => { if (moved) { event.preventDefault(); moved = false; } }, true);
    this.chart.addEventListener("dragstart", (event) => event.preventDefault());
    this.chart.addEventListener("dblclick", () => this.show(this.whole.slice()));
  }
}
