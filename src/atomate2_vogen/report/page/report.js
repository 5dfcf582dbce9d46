/* The whole: data, table, charts, and which of overview and pages is shown. */
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const table = new CandidateTable(data.pages);
  const at = new Map(data.pages.map((page, index) => [page.id, index]));
  const overview = document.getElementById("overview"), place = document.getElementById("page");
  const title = document.title;
  let scrolled = 0, viewer = null;
  for (const figure of document.querySelectorAll("[data-zoomable]")) new Zoom(figure);
  watchPoints(overview, (index) => table.pointAt(index));

  function wanted() {
    if (!location.hash.startsWith("#c=")) return undefined;
    try { return at.get(decodeURIComponent(location.hash.slice(3))); } catch { return undefined; }
  }
  function route() {
    const index = wanted();
    tip.hidden = true;
    if (viewer) { viewer.stop(); viewer = null; }
    if (index === undefined) {
      const back = overview.hidden;
      overview.hidden = false; place.hidden = true;
      place.replaceChildren();
      document.title = title;
      const target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
      if (target && overview.contains(target)) target.scrollIntoView();
      else if (back) scrollTo({ top: scrolled, behavior: "instant" });
      return;
    }
    if (!overview.hidden) scrolled = scrollY;
    overview.hidden = true; place.hidden = false;
    const shown = table.shown.includes(index) ? table.shown : table.order;
    const where = shown.indexOf(index), page = data.pages[index];
    viewer = makePage(place, page, data, data.pages[shown[where - 1]], data.pages[shown[where + 1]], at);
    document.title = `${subscripts(page.formula)} ${page.name}`;
    scrollTo({ top: 0, behavior: "instant" });
    const heading = place.querySelector("h2");
    heading.focus({ preventScroll: true });
  }
  addEventListener("hashchange", route);
  route();
  document.documentElement.dataset.ready = "yes";
})();
