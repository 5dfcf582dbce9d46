/* The table: sorting by its headings, filtering, and markers dimmed with the rows. */
class CandidateTable {
  constructor(pages) {
    this.pages = pages;
    this.table = document.getElementById("table");
    this.body = this.table.tBodies[0];
    this.rows = [...this.body.rows];
    this.key = "above"; this.sign = 1;
    this.order = pages.map((_, index) => index);
    this.shown = this.order.slice();
    this.fill("f-formula", pages.map((p) => p.formula), subscripts);
    this.fill("f-class", pages.map((p) => p.paper || p.state).concat(pages.map((p) => p.field).filter(Boolean)));
    for (const cell of this.table.tHead.rows[0].cells) {
      const button = element("button", { type: "button", onclick: () => this.sort(cell.dataset.key) });
      button.append(...cell.childNodes);
      cell.append(button);
    }
    const form = document.getElementById("filters");
    form.addEventListener("input", () => this.filter());
    form.addEventListener("reset", () => setTimeout(() => this.filter()));
    form.addEventListener("submit", (event) => event.preventDefault());
    this.told = document.getElementById("count").textContent;
    this.points = new Map();
    for (const point of document.querySelectorAll(".point[data-i]")) {
      const index = Number(point.dataset.i);
      this.points.set(index, [...(this.points.get(index) || []), point]);
    }
    for (const kind of ["pointerover", "pointerout"]) {
      this.body.addEventListener(kind, (event) => {
        const row = event.target.closest("tr");
        if (row) this.mark(Number(row.dataset.i), kind === "pointerover");
      });
    }
  }
  fill(id, values, show) {
    const select = document.getElementById(id);
    for (const value of [...new Set(values)].sort()) select.append(element("option", { value }, show ? show(value) : value));
  }
  mark(index, on) {
    for (const point of this.points.get(index) || []) point.classList.toggle("hot", on);
  }
  pointAt(index) {
    for (const row of this.rows) row.classList.toggle("hot", row.dataset.i === index);
  }
  value(page, key) {
    if (key === "more") return page.sections.length ? page.sections.map((s) => s.verdict).join(" ") : null;
    const value = page[key];
    return typeof value === "boolean" ? Number(!value) : value;
  }
  sort(key) {
    this.sign = key === this.key ? -this.sign : 1;
    this.key = key;
    const value = (index) => this.value(this.pages[index], key);
    this.order.sort((first, second) => {
      const a = value(first), b = value(second);
      const missing = (v) => v === null || v === undefined;
      // what is unknown comes last whichever way round
      if (missing(a) || missing(b)) return missing(a) - missing(b) || first - second;
      const difference = typeof a === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
      return this.sign * difference || first - second;
    });
    for (const cell of this.table.tHead.rows[0].cells) {
      if (cell.dataset.key === key) cell.setAttribute("aria-sort", this.sign > 0 ? "ascending" : "descending");
      else cell.removeAttribute("aria-sort");
    }
    this.body.append(...this.order.map((index) => this.rows[index]));
    this.filter();
  }
  filter() {
    const get = (id) => document.getElementById(id);
    const words = get("f-text").value.toLowerCase().split(/\s+/).filter(Boolean);
    const formula = get("f-formula").value, kind = get("f-class").value;
    const limit = (id) => (get(id).value === "" ? null : Number(get(id).value));
    const low = limit("f-low"), high = limit("f-high");
    // compared as printed, unless the limit itself has more decimals
    const near = (value, bound) => (Number(bound.toFixed(3)) === bound ? Number(value.toFixed(3)) : value);
    const fits = (page) => {
      const text = [page.name, page.id, page.formula, page.group, page.state, page.reason].join(" ").toLowerCase();
      return words.every((word) => text.includes(word))
        && (!formula || page.formula === formula)
        && (!kind || [page.paper, page.field, page.state].includes(kind))
        && (low === null || (page.above !== null && near(page.above, low) >= low))
        && (high === null || (page.above !== null && near(page.above, high) <= high))
        && (!get("f-unique").checked || page.unique === true)
        && (!get("f-novel").checked || page.novel === true)
        && (!get("f-confirmed").checked || page.confirmed)
        && (!get("f-more").checked || page.sections.length > 0);
    };
    this.shown = this.order.filter((index) => fits(this.pages[index]));
    const shown = new Set(this.shown);
    this.rows.forEach((row, index) => { row.hidden = !shown.has(index); });
    for (const [index, points] of this.points) for (const point of points) point.classList.toggle("dim", !shown.has(index));
    const all = this.pages.length;
    get("count").textContent = shown.size === all ? this.told : `${shown.size} of ${all} candidates`;
  }
}
