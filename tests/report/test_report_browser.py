"""The report in a real browser without a network: it opens, sorts, filters, turns and prints."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
import reported
from headless import CHROMIUM, Page
from PIL import Image
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure

from atomate2_vogen.report import write_report

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")

READY = "document.documentElement?.dataset.ready"
SHOWN = "[...document.querySelectorAll('#table tbody tr')].filter((r) => !r.hidden)"
NAMES = f"{SHOWN}.map((r) => r.cells[0].textContent)"


@pytest.fixture(scope="module")
def browser():
    with Page() as page:
        yield page


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_report(tmp_path_factory.mktemp("report") / "r.html", reported.whole()).path


@pytest.fixture
def page(browser, path):
    browser.errors.clear()
    browser.requests.clear()
    browser.resize(1280, 900)
    browser.open("/dev/null", "document.readyState === 'complete'")
    browser.requests.clear()
    browser.open(path, READY)
    yield browser
    assert browser.errors == []
    assert {r for r in browser.requests if not r.startswith(("data:", "blob:"))} == {path.as_uri()}


def column(number):
    return f"{SHOWN}.map((r) => r.cells[{number}].textContent)"


def values(page, number):
    return [float(t.replace("−", "-")) for t in page.evaluate(column(number)) if t != "–"]


def test_headings_sort_and_unknown_comes_last(page):
    energies = values(page, 3)
    assert energies == sorted(energies)
    page.click("#table th[data-key=above] button")
    assert values(page, 3) == sorted(energies, reverse=True)
    assert page.evaluate(column(3))[-3:] == ["–"] * 3
    assert page.evaluate("document.querySelector('[aria-sort]').dataset.key") == "above"
    page.click("#table th[data-key=formula] button")
    assert page.evaluate(column(1)) == ["V₂O₃"] * 2 + ["VO₂"] * 7
    # the keyboard does the same
    page.evaluate("document.querySelector('#table th[data-key=rmsd] button').focus()")
    page.key("Enter", text="\r")
    lengths = values(page, 11)
    assert lengths == sorted(lengths)
    assert len(lengths) > 1


def test_filters_hide_rows_and_dim_markers(page):
    def choose(identifier, value):
        page.evaluate(
            f"(() => {{ const e = document.getElementById({identifier!r});"
            f"if (e.type === 'checkbox') e.checked = {json.dumps(value)};"
            f"else e.value = {json.dumps(value)};"
            "e.dispatchEvent(new Event('input', {bubbles: true})); })()"
        )

    def counted():
        return len(page.evaluate(NAMES)), page.evaluate(
            "document.getElementById('count').textContent"
        )

    choose("f-formula", "V2O3")
    assert counted() == (2, "2 of 9 candidates")
    bright = "document.querySelectorAll('#chart-hull .point[data-i]:not(.dim)').length"
    assert page.evaluate(bright) == 2
    choose("f-formula", "")
    choose("f-high", "0.2")
    choose("f-low", "0")
    assert sorted(values(page, 3)) == [0.02, 0.12]
    choose("f-unique", value=True)
    assert counted()[0] == 1
    page.click("#filters button[type=reset]")
    page.wait(f"{SHOWN}.length === 9")
    choose("f-class", "collapsed")
    assert counted()[0] == 1
    choose("f-class", "")
    choose("f-text", "RUTILE.cif")
    assert page.evaluate(NAMES) == ["mine/rutile.cif"]
    choose("f-text", "")
    choose("f-more", value=True)
    assert counted()[0] == 2


def test_a_marker_tells_and_leads_to_its_page(page):
    first = reported.whole().candidates[1]
    marker = f"#chart-above a[href='#c={first.candidate_id}'] path"
    page.click(marker)
    page.wait("!document.getElementById('page').hidden")
    assert page.evaluate("location.hash") == f"#c={first.candidate_id}"
    text = page.evaluate("document.getElementById('page').innerText")
    for told in ("VO₂", first.candidate_id, "0.020", "P4_2/mnm (136)", "rutile, known", "abc123",
                 "Electrons: half-metal", "Phonons: stable", "holds nothing sideways"):  # fmt: skip
        assert told in text, told
    page.wait(
        "[...document.querySelectorAll('#page img')].every((i) => i.complete && i.naturalWidth)"
    )
    assert page.evaluate("document.querySelectorAll('#page img').length") == 2
    page.evaluate("history.back()")
    page.wait("document.getElementById('page').hidden")
    page.click("#chart-above a.point")
    page.wait("!document.getElementById('page').hidden")
    page.click("#page [rel=next]")
    page.wait("document.title.includes('VO₂')")


def test_pointing_shows_a_tip(page):
    x, y = page.evaluate(
        "(() => { const r = document.querySelector('#chart-above a.point path')"
        ".getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()"
    )
    page.mouse("mouseMoved", x, y)
    page.wait("!document.getElementById('tip').hidden")
    assert "eV/atom above hull" in page.evaluate("document.getElementById('tip').textContent")
    assert page.evaluate("document.querySelectorAll('tr.hot').length") == 1
    page.mouse("mouseMoved", 5, 5)
    page.wait("document.getElementById('tip').hidden")


def test_the_hull_zooms_and_comes_back(page):
    where = "document.querySelector('#chart-hull a.point path').getAttribute('transform')"
    ticks = "[...document.querySelectorAll('#chart-hull .axes text')].map((t) => t.textContent)"
    before, marks = page.evaluate(where), page.evaluate(ticks)
    page.click("#figures .zoom button")
    assert page.evaluate(where) != before
    page.click("#figures .zoom button:last-child")
    assert page.evaluate(where) == before
    assert sorted(page.evaluate(ticks)) == sorted(marks)
    left, top, width, height = page.evaluate(
        "(() => { const r = document.querySelector('#chart-hull .frame').getBoundingClientRect();"
        "return [r.x, r.y, r.width, r.height]; })()"
    )
    page.drag((left + 0.5 * width, top + 0.5 * height), (left + 0.8 * width, top + 0.9 * height))
    assert page.evaluate(where) != before
    drawn = page.evaluate(
        "[...document.querySelectorAll('#chart-hull a.point')]"
        ".filter((p) => p.style.visibility !== 'hidden').length"
    )
    assert drawn == 5  # all but the one above zero


def ink(page):
    """Share of the canvas that is not white, and all of it."""
    address = page.evaluate("document.querySelector('canvas').toDataURL()")
    raw = base64.b64decode(address.partition(",")[2])
    pixels = np.asarray(Image.open(io.BytesIO(raw)).convert("L"))
    return float((pixels < 250).mean()), raw


def test_the_crystal_turns_and_can_be_taken_along(page, tmp_path):
    first = reported.whole().candidates[1]
    page.evaluate(f"location.hash = '#c={first.candidate_id}'")
    page.wait("document.querySelector('canvas')")
    share, before = ink(page)
    assert 0.1 < share < 0.9
    x, y = page.evaluate(
        "(() => { const r = document.querySelector('canvas').getBoundingClientRect();"
        "return [r.x + r.width / 2, r.y + r.height / 2]; })()"
    )
    page.drag((x, y), (x + 60, y + 20))
    turned = ink(page)[1]
    assert turned != before
    page.evaluate("document.querySelector('canvas').focus()")
    page.key("ArrowLeft")
    assert ink(page)[1] != turned
    filled = ink(page)[1]
    page.click(".viewer label:nth-of-type(1)")  # no polyhedra
    bare = ink(page)[1]
    assert bare != filled
    page.click(".viewer button[aria-pressed=false]")
    assert ink(page)[1] != bare
    page.send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    page.click("[data-cif=relaxed]")
    target = tmp_path / f"{first.candidate_id}.cif"
    for _ in range(200):
        page.evaluate("new Promise((done) => setTimeout(done, 20))")
        if target.exists():
            break
    assert StructureMatcher().fit(Structure.from_file(target), first.structure)


def test_the_viewer_knows_the_octahedra_of_rutile(page):
    crystal = "JSON.parse(document.getElementById('data').textContent)"
    found = page.evaluate(
        f"(() => {{ const d = {crystal}, m = buildCrystal(d.pages[1].crystals.relaxed, d.palette, 1);"
        "return { atoms: m.atoms.filter((a) => a.shown).map((a) => a.symbol),"
        "faces: m.faces.map((f) => f.corners.length), bonds: m.bonds.map(([p, q]) =>"
        "Math.hypot(...m.atoms[p].at.map((v, k) => v - m.atoms[q].at[k]))) }; })()"
    )
    assert found["atoms"].count("V") == 9  # eight corners and the middle
    assert found["faces"] == [3] * 8 * 9
    assert len(found["bonds"]) == 6 * 9
    expected = sorted(n.nn_distance for n in reported.rutile().get_neighbors(
        reported.rutile()[0], 2.3))  # fmt: skip
    assert np.unique(np.round(found["bonds"], 3)) == pytest.approx(
        np.unique(np.round(expected, 3)), abs=2e-3
    )


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_nothing_sticks_out_at_any_width(page, width):
    page.resize(width, 800, mobile=width < 500)
    for fragment in ("", f"#c={reported.whole().candidates[1].candidate_id}"):
        page.evaluate(f"location.hash = {fragment!r}")
        page.wait(f"document.getElementById('page').hidden === {json.dumps(not fragment)}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_paper_shows_tables_and_no_controls(page, tmp_path):
    page.send("Emulation.setEmulatedMedia", media="print")
    hidden = (
        "[...document.querySelectorAll('.filters, .zoom, .jump')]"
        ".every((e) => getComputedStyle(e).display === 'none')"
    )
    assert page.evaluate(hidden)
    assert page.evaluate("getComputedStyle(document.getElementById('table')).display") == "table"
    page.send("Emulation.setEmulatedMedia", media="")
    page.pdf(tmp_path / "r.pdf")
    assert (tmp_path / "r.pdf").read_bytes()[:5] == b"%PDF-"


def test_hostile_text_does_not_run(browser, tmp_path):
    path = write_report(tmp_path / "evil.html", reported.hostile(), title=reported.EVIL).path
    browser.errors.clear()
    browser.open(path, READY)
    for number in (0, 6):
        browser.evaluate(f"location.hash = document.querySelectorAll('#table a')[{number}].hash")
        browser.wait("!document.getElementById('page').hidden")
        assert reported.EVIL in browser.evaluate("document.getElementById('page').textContent")
    assert browser.evaluate("window.pwned") is None
    assert browser.evaluate("document.querySelectorAll('script').length") == 2
    # even markup that got in could not run: only the package's script may
    browser.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=pwned=1>')")
    browser.evaluate("new Promise((done) => setTimeout(done, 100))")
    assert browser.evaluate("window.pwned") is None
    assert any("Content Security Policy" in error for error in browser.errors)
