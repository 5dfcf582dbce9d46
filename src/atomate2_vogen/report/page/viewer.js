/* A crystal on a canvas: atoms, bonds, coordination polyhedra, cell; turned by mouse, finger or keys. */
const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const minus = (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
const size = (a) => Math.hypot(...a);
const unit = (a) => a.map((v) => v / (size(a) || 1));

/* Atoms of one cell with those on its faces, and every anion bonded to a metal atom among them. */
function buildCrystal(crystal, palette, repeat) {
  const [a, b, c] = crystal.lattice, near = 0.02;
  const position = (f) => [0, 1, 2].map((k) => f[0] * a[k] + f[1] * b[k] + f[2] * c[k]);
  const atoms = [], seen = new Map();
  const add = (site, shift) => {
    const key = site + "|" + shift.join();
    if (seen.has(key)) return seen.get(key);
    const at = position(crystal.frac[site].map((v, k) => v + shift[k]));
    seen.set(key, atoms.length);
    atoms.push({ at, site, symbol: crystal.species[site], ...palette.elements[crystal.species[site]] });
    return atoms.length - 1;
  };
  const cells = [];
  for (let i = 0; i < repeat; i++) for (let j = 0; j < repeat; j++) for (let k = 0; k < repeat; k++) cells.push([i, j, k]);
  const metals = [];
  crystal.frac.forEach((f, site) => {
    const options = f.map((v) => {
      const values = Array.from({ length: repeat }, (_, n) => n);
      if (v < near) values.push(repeat);
      if (v > 1 - near) values.unshift(-1);
      return values;
    });
    for (const i of options[0]) for (const j of options[1]) for (const k of options[2]) {
      const index = add(site, [i, j, k]);
      if (!atoms[index].anion) metals.push(index);
    }
  });
  // how many cells away a bond can end
  const volume = Math.abs(dot(a, cross(b, c)));
  const reach = [cross(b, c), cross(c, a), cross(a, b)].map((n) => Math.ceil(palette.bond * size(n) / volume));
  const bonds = [], shells = [];
  for (const metal of metals) {
    const home = atoms[metal].at, shell = [];
    crystal.species.forEach((symbol, site) => {
      if (!palette.elements[symbol].anion) return;
      for (let i = -reach[0] - 1; i <= repeat + reach[0]; i++) for (let j = -reach[1] - 1; j <= repeat + reach[1]; j++) for (let k = -reach[2] - 1; k <= repeat + reach[2]; k++) {
        const f = crystal.frac[site], at = position([f[0] + i, f[1] + j, f[2] + k]);
        if (size(minus(at, home)) > palette.bond) continue;
        const anion = add(site, [i, j, k]);
        bonds.push([metal, anion]);
        shell.push(anion);
      }
    });
    shells.push([metal, shell]);
  }
  // an anion that only metal atoms of other cells hold is there as an image that is held
  const held = new Set(bonds.map(([, anion]) => anion)), sites = new Set([...held].map((index) => atoms[index].site));
  atoms.forEach((atom, index) => { atom.shown = !atom.anion || held.has(index) || !sites.has(atom.site); });
  const faces = shells.flatMap(([metal, shell]) => hullFaces(shell.map((n) => atoms[n].at)).map((corners) => ({ corners: corners.map((n) => atoms[shell[n]].at), colour: atoms[metal].colour })));
  const edges = [];
  for (let axis = 0; axis < 3; axis++) for (const u of [0, 1]) for (const v of [0, 1]) {
    const from = [0, 0, 0], to = [0, 0, 0], others = [0, 1, 2].filter((n) => n !== axis);
    from[others[0]] = to[others[0]] = u; from[others[1]] = to[others[1]] = v; to[axis] = 1;
    edges.push([position(from), position(to)]);
  }
  const everything = [...atoms.filter((atom) => atom.shown).map((atom) => atom.at), ...edges.flatMap(([p, q]) => [p, q])];
  const centre = [0, 1, 2].map((k) => (Math.min(...everything.map((p) => p[k])) + Math.max(...everything.map((p) => p[k]))) / 2);
  const radius = Math.max(...atoms.map((atom) => size(minus(atom.at, centre)) + 0.5), ...edges.flatMap(([p, q]) => [size(minus(p, centre)), size(minus(q, centre))]));
  return { atoms, bonds, faces, edges, centre, radius, axes: [a, b, c] };
}

/* Faces of the convex hull of a few points, each as corners in turn; none for flat or small shells. */
function hullFaces(points) {
  const n = points.length, found = new Map();
  if (n < 4) return [];
  for (let i = 0; i < n; i++) for (let j = i + 1; j < n; j++) for (let k = j + 1; k < n; k++) {
    const normal = cross(minus(points[j], points[i]), minus(points[k], points[i]));
    if (size(normal) < 1e-3) continue;
    const direction = unit(normal), heights = points.map((p) => dot(direction, minus(p, points[i])));
    const low = Math.min(...heights), high = Math.max(...heights);
    if (low < -0.05 && high > 0.05) continue;
    const corners = heights.map((h, index) => [Math.abs(h), index]).filter(([h]) => h <= 0.05).map(([, index]) => index);
    if (corners.length === n) return []; // all in one plane
    const key = corners.join();
    if (found.has(key)) continue;
    const middle = [0, 1, 2].map((axis) => corners.reduce((sum, index) => sum + points[index][axis], 0) / corners.length);
    const u = unit(minus(points[corners[0]], middle)), v = cross(direction, u);
    const angle = (index) => { const d = minus(points[index], middle); return Math.atan2(dot(d, v), dot(d, u)); };
    found.set(key, corners.sort((p, q) => angle(p) - angle(q)));
  }
  return [...found.values()];
}

class Viewer {
  constructor(place, page, palette, base) {
    this.crystals = page.crystals; this.palette = palette;
    this.kind = page.crystals.relaxed ? "relaxed" : "generated";
    this.flags = { polyhedra: true, bonds: true, cell: true, symbols: false, "2×2×2": page.natoms <= 8 };
    this.zoom = 1;
    const symbols = [...new Set(page.crystals[this.kind].species)];
    this.canvas = element("canvas", { tabindex: "0", role: "img",
      "aria-label": `Crystal of ${subscripts(page.formula)}. Drag or use the arrow keys to turn it, plus and minus to zoom.` });
    const choice = Object.keys(page.crystals).length > 1 ? ["relaxed", "generated"].map((kind) => element("button", { type: "button", "aria-pressed": String(kind === this.kind),
      onclick: (event) => { this.kind = kind; for (const b of event.target.parentNode.querySelectorAll("[aria-pressed]")) b.setAttribute("aria-pressed", String(b === event.target)); this.rebuild(); } },
    kind === "relaxed" ? "relaxed" : "as generated")) : [];
    const along = ["a", "b", "c"].map((name, axis) => element("button", { type: "button", title: `Look along ${name}`, onclick: () => { this.look(axis); this.draw(); } }, name));
    const flags = Object.keys(this.flags).map((name) => element("label", {}, element("input", { type: "checkbox", ...(this.flags[name] ? { checked: true } : {}),
      onchange: (event) => { this.flags[name] = event.target.checked; this.rebuild(); } }), " " + name));
    const picture = download(base + ".png", "image/png", () => new Promise((done) => this.canvas.toBlob(done)));
    picture.append("Picture (PNG)");
    const zooms = [["−", 1 / 1.25, "Smaller"], ["+", 1.25, "Larger"]].map(([text, factor, label]) => element("button", { type: "button", "aria-label": label, title: label, onclick: () => { this.zoom *= factor; this.draw(); } }, text));
    const swatch = (symbol) => {
      const dotted = element("span", { class: "swatch" });
      dotted.style.background = `rgb(${palette.elements[symbol].colour})`;
      return element("span", {}, dotted, symbol);
    };
    const ends = Object.keys(palette.elements).join("–");
    this.picture = picture;
    place.append(this.canvas,
      element("div", { class: "controls" }, choice, element("span", {}, "along"), along, zooms),
      element("div", { class: "controls" }, flags),
      element("p", { class: "note key" }, "Large: metal. ", symbols.sort((x, y) => palette.elements[x].anion - palette.elements[y].anion).map(swatch).flatMap((s, i) => (i ? ["  ", s] : [s])), `; lines and polyhedra: ${ends} up to ${decimals(palette.bond, 2)} Å`));
    this.listen();
    this.rebuild(true);
    this.watch = new ResizeObserver(() => { this.fit(); this.draw(); });
    this.watch.observe(this.canvas);
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.redraw = () => { this.fit(); this.draw(); };
    this.scheme.addEventListener("change", this.redraw);
    addEventListener("beforeprint", this.redraw);
  }
  stop() {
    this.watch.disconnect();
    this.scheme.removeEventListener("change", this.redraw);
    removeEventListener("beforeprint", this.redraw);
  }
  rebuild(first) {
    this.model = buildCrystal(this.crystals[this.kind], this.palette, this.flags["2×2×2"] ? 2 : 1);
    if (first) { this.look(1); this.turn(-0.32, 0.38); }
    this.fit();
    this.draw();
  }
  look(axis) {
    // from the end of the axis, the next one to the right
    const back = unit(this.model.axes[axis]), next = this.model.axes[(axis + 2) % 3];
    const up = unit(minus(next, back.map((v) => v * dot(next, back))));
    this.rows = [cross(up, back), up, back];
    this.fit();
  }
  fit() {
    // as large as it can be from here; turned, it may reach a little beyond the frame
    const { atoms, edges, centre, radius } = this.model;
    const points = [...atoms.filter((atom) => atom.shown).map((atom) => atom.at), ...edges.flat()].map((at) => minus(at, centre));
    const reach = (row) => Math.max(...points.map((p) => Math.abs(dot(this.rows[row], p)))) + 1;
    const width = this.canvas.clientWidth || 1, height = this.canvas.clientHeight || 1;
    const sphere = Math.min(width, height) / 2 / radius;
    this.scale = Math.min(0.92 * Math.min(width / 2 / reach(0), height / 2 / reach(1)), 1.7 * sphere);
  }
  turn(x, y) {
    const rotate = (row1, row2, angle) => {
      const c = Math.cos(angle), s = Math.sin(angle);
      return [row1.map((v, k) => c * v + s * row2[k]), row2.map((v, k) => c * v - s * row1[k])];
    };
    let [right, up, back] = this.rows;
    [right, back] = rotate(right, back, x);
    [up, back] = rotate(up, back, -y);
    this.rows = [right, up, back];
  }
  listen() {
    const canvas = this.canvas, fingers = new Map();
    canvas.addEventListener("pointerdown", (event) => { fingers.set(event.pointerId, event); canvas.setPointerCapture(event.pointerId); });
    canvas.addEventListener("pointermove", (event) => {
      const last = fingers.get(event.pointerId);
      if (!last) return;
      const others = [...fingers.values()].filter((f) => f.pointerId !== event.pointerId);
      if (others.length) {
        const span = (f) => Math.hypot(f.clientX - others[0].clientX, f.clientY - others[0].clientY);
        this.zoom *= span(event) / (span(last) || 1);
      } else this.turn((last.clientX - event.clientX) * 0.01, (last.clientY - event.clientY) * 0.01);
      fingers.set(event.pointerId, event);
      this.draw();
    });
    for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, (event) => fingers.delete(event.pointerId));
    canvas.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && document.activeElement !== canvas) return; // the page scrolls
      event.preventDefault();
      this.zoom *= Math.exp(-event.deltaY * 0.0015);
      this.draw();
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => {
      const turns = { ArrowLeft: [0.12, 0], ArrowRight: [-0.12, 0], ArrowUp: [0, 0.12], ArrowDown: [0, -0.12] };
      if (turns[event.key]) this.turn(...turns[event.key]);
      else if (event.key === "+" || event.key === "=") this.zoom *= 1.15;
      else if (event.key === "-") this.zoom /= 1.15;
      else return;
      event.preventDefault();
      this.draw();
    });
  }
  draw() {
    const canvas = this.canvas, sharp = Math.max(2, devicePixelRatio || 1);
    const width = canvas.clientWidth, height = canvas.clientHeight;
    if (!width || !height) return;
    this.zoom = Math.min(Math.max(this.zoom, 0.3), 8);
    canvas.width = width * sharp; canvas.height = height * sharp;
    const context = canvas.getContext("2d");
    context.scale(sharp, sharp);
    const style = getComputedStyle(document.documentElement), paper = style.getPropertyValue("--paper"), ink = style.getPropertyValue("--ink"), soft = style.getPropertyValue("--soft");
    context.fillStyle = paper;
    context.fillRect(0, 0, width, height);
    const { atoms, bonds, faces, edges, centre, radius } = this.model;
    const scale = this.scale * this.zoom, far = 6 * radius;
    const project = (at) => {
      const d = minus(at, centre), depth = dot(this.rows[2], d), near = far / (far - depth);
      return { x: width / 2 + dot(this.rows[0], d) * scale * near, y: height / 2 - dot(this.rows[1], d) * scale * near, depth, scale: scale * near };
    };
    const things = [], placed = atoms.map((atom) => project(atom.at)), share = this.flags.polyhedra ? 0.24 : 0.32;
    const rgb = (colour, factor = 1, alpha = 1) => `rgba(${colour.map((v) => Math.round(Math.min(255, v * factor))).join()},${alpha})`;
    const outline = `color-mix(in srgb, ${ink} 75%, transparent)`;
    const drawn = (radiusOf) => 0.22 + share * radiusOf;
    atoms.forEach((atom, index) => {
      if (!atom.shown) return;
      const p = placed[index], r = drawn(atom.radius) * p.scale;
      things.push([p.depth, () => {
        const shade = context.createRadialGradient(p.x - r * 0.35, p.y - r * 0.4, r * 0.1, p.x, p.y, r);
        shade.addColorStop(0, rgb(atom.colour.map((v) => v + (255 - v) * 0.65)));
        shade.addColorStop(0.5, rgb(atom.colour)); shade.addColorStop(1, rgb(atom.colour, 0.62));
        context.beginPath(); context.arc(p.x, p.y, r, 0, 2 * Math.PI);
        context.fillStyle = shade; context.fill();
        context.lineWidth = 0.9; context.strokeStyle = outline; context.stroke();
        if (this.flags.symbols && r > 5) {
          context.font = `700 ${Math.max(9, r * 0.95)}px system-ui, sans-serif`; context.textAlign = "center"; context.textBaseline = "middle";
          context.lineWidth = 3; context.strokeStyle = "#fff"; context.strokeText(atom.symbol, p.x, p.y); context.fillStyle = "#000"; context.fillText(atom.symbol, p.x, p.y);
        }
      }]);
    });
    if (this.flags.bonds) for (const [from, to] of bonds) {
      const middle = project(atoms[from].at.map((v, k) => (v + atoms[to].at[k]) / 2));
      for (const end of [from, to]) {
        const p = placed[end], wide = 0.17 * p.scale;
        things.push([(p.depth + middle.depth) / 2 - 0.15, () => {
          context.lineCap = "round";
          for (const [w, colour] of [[wide + 1.4, outline], [wide, rgb(atoms[end].colour, 0.9)]]) {
            context.beginPath(); context.moveTo(p.x, p.y); context.lineTo(middle.x, middle.y);
            context.lineWidth = w; context.strokeStyle = colour; context.stroke();
          }
        }]);
      }
    }
    if (this.flags.polyhedra) for (const { corners, colour } of faces) {
      const flat = corners.map(project), depth = flat.reduce((sum, p) => sum + p.depth, 0) / flat.length;
      const normal = unit(cross(minus(corners[1], corners[0]), minus(corners[2], corners[0])));
      const light = 0.55 + 0.45 * Math.abs(dot(normal, unit([0, 1, 2].map((k) => this.rows[2][k] + 0.5 * this.rows[1][k] - 0.4 * this.rows[0][k]))));
      things.push([depth, () => {
        context.beginPath(); flat.forEach((p, index) => (index ? context.lineTo(p.x, p.y) : context.moveTo(p.x, p.y))); context.closePath();
        context.fillStyle = rgb([86, 140, 190], light * 1.1, 0.3); context.fill();
        context.lineWidth = 0.8; context.strokeStyle = rgb([30, 70, 110], 1, 0.55); context.stroke();
      }]);
    }
    if (this.flags.cell) for (const [from, to] of edges) {
      const parts = 10, point = (t) => project(from.map((v, k) => v + (to[k] - v) * t));
      for (let n = 0; n < parts; n++) {
        const p = point(n / parts), q = point((n + 1) / parts);
        things.push([(p.depth + q.depth) / 2, () => {
          context.lineCap = "butt"; context.beginPath(); context.moveTo(p.x, p.y); context.lineTo(q.x, q.y);
          context.lineWidth = 1.2; context.strokeStyle = ink; context.stroke();
        }]);
      }
    }
    things.sort((first, second) => first[0] - second[0]);
    for (const [, paint] of things) paint();
    this.drawAxes(context, width, height, ink, paper, soft);
  }
  drawAxes(context, width, height, ink, paper) {
    const at = [40, height - 40], length = 26;
    context.font = "600 13px system-ui, sans-serif"; context.textAlign = "center"; context.textBaseline = "middle";
    this.model.axes.map((axis, index) => [dot(this.rows[2], unit(axis)), axis, "abc"[index]]).sort((p, q) => p[0] - q[0]).forEach(([, axis, name]) => {
      const direction = unit(axis), x = at[0] + dot(this.rows[0], direction) * length, y = at[1] - dot(this.rows[1], direction) * length;
      context.beginPath(); context.moveTo(...at); context.lineTo(x, y); context.lineWidth = 2; context.strokeStyle = ink; context.stroke();
      const tx = at[0] + dot(this.rows[0], direction) * (length + 9), ty = at[1] - dot(this.rows[1], direction) * (length + 9);
      context.lineWidth = 4; context.strokeStyle = paper; context.strokeText(name, tx, ty); context.fillStyle = ink; context.fillText(name, tx, ty);
    });
  }
}
