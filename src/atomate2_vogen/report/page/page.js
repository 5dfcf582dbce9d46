/* The page of one candidate. */
function address(page) {
  return "#c=" + encodeURIComponent(page.id);
}

function factsTable(facts, at) {
  return element("table", { class: "facts" }, element("tbody", {}, facts.map(([name, value]) =>
    element("tr", {}, element("th", { scope: "row" }, name),
      element("td", {}, at && name === "same as" && at.has(value) ? element("a", { href: "#c=" + encodeURIComponent(value) }, value) : value)))));
}

function halves(facts) {
  const middle = Math.ceil(facts.length / 2);
  return [facts.slice(0, middle), facts.slice(middle)];
}

function download(name, kind, make) {
  return element("button", { type: "button", onclick: async () => {
    const content = await make();
    const url = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type: kind }));
    element("a", { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  } });
}

function makePage(place, page, data, previous, next, at) {
  const base = page.id.replace(/[^A-Za-z0-9._-]+/g, "_").slice(0, 80) || "crystal";
  const badge = (text, kind) => (text ? element("span", { class: "badge " + kind }, text) : null);
  const big = (value, label) => element("div", {}, element("b", {}, value), element("span", {}, label));
  const files = Object.entries(page.cif).map(([name, text]) => {
    const button = download(`${base}${name === "relaxed" ? "" : "_" + name}.cif`, "chemical/x-cif", () => text);
    button.append(`CIF, ${name === "relaxed" ? "relaxed" : "as generated"}`);
    button.dataset.cif = name;
    return button;
  });
  const holder = element("div", { class: "viewer" });
  const cells = Object.entries(page.crystals).map(([name, crystal]) => [
    `cell ${name === "relaxed" ? "relaxed" : "as generated"}: a, b, c (Å); α, β, γ (°); volume (Å³)`,
    crystal.cell.edges.map((v) => decimals(v, 3)).join(", ") + "; " + crystal.cell.angles.map((v) => decimals(v, 2)).join(", ") + "; " + decimals(crystal.cell.volume, 2)]);
  place.replaceChildren(
    element("div", { class: "bar" }, element("a", { href: "#candidates" }, "← All candidates"), element("span", { class: "spring" }),
      previous ? element("a", { href: address(previous), rel: "prev" }, "‹ previous") : null, next ? element("a", { href: address(next), rel: "next" }, "next ›") : null),
    element("section", {},
      element("div", { class: "title" }, element("h2", { tabindex: "-1" }, subscripts(page.formula)), element("span", {}, page.name),
        badge(page.paper, page.paper), badge(page.field, "plain"), page.reason ? badge(page.state, page.state) : null,
        page.unique === true ? badge("unique", "plain") : null, page.novel === true ? badge("novel", "plain") : null),
      page.reason ? element("p", { class: "reason" }, "Not ranked: " + page.reason) : null,
      element("div", { class: "columns" },
        element("div", {}, holder, element("div", { class: "downloads" }, files), element("h3", {}, "Novelty"), factsTable(page.novelty, at)),
        element("div", {},
          element("div", { class: "big" }, big(decimals(page.above, 3), "eV/atom above hull"), big(decimals(page.formation, 3), "eV/atom of formation"), big(page.group || "–", `space group, ${page.natoms} atoms`)),
          element("h3", {}, "Energies"), factsTable(page.energies), element("h3", {}, "Crystal"), factsTable(cells.concat(page.geometry))))),
    ...page.sections.map((section) => element("section", {}, element("h2", {}, section.title),
      element("div", { class: "columns" },
        section.picture ? element("img", { class: "picture", src: section.picture, alt: section.alt }) : null,
        element("div", {}, factsTable(section.facts), section.remarks.length ? element("ul", { class: "reasons" }, section.remarks.map((text) => element("li", {}, text))) : null)))),
    element("section", {}, element("h2", {}, "Where it comes from"), element("div", { class: "columns" }, halves(page.provenance).map((facts) => factsTable(facts)))));
  if (!Object.keys(page.crystals).length) {
    holder.append(element("p", { class: "note" }, "No crystal is at hand."));
    return null;
  }
  const viewer = new Viewer(holder, page, data.palette, base);
  place.querySelector(".downloads").append(viewer.picture);
  return viewer;
}
