"""The file: valid, whole, escaped, and fetching nothing."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from importlib.resources import files

import pytest
import reported

from atomate2_vogen.errors import CountsError, OutputFolderError
from atomate2_vogen.report import render_report, write_report

VOID = {"meta", "link", "br", "input", "img", "hr"}
ADDRESSES = {"src", "href", "action", "data", "poster", "srcset", "xlink:href", "formaction"}
CONTRAST = 4.5
"""WCAG 2 AA for text."""


class Reader(HTMLParser):
    """Elements with their attributes and text; complains of what is not closed."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.stack = [], []
        self.feed(text)
        self.close()
        assert self.stack == []

    def handle_starttag(self, tag, attributes):
        names = [name for name, _ in attributes]
        assert len(names) == len(set(names)), f"{tag} has an attribute twice"
        element = {"tag": tag, "text": "", **dict(attributes)}
        self.elements.append(element)
        if tag not in VOID:
            self.stack.append(element)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.stack[-1]["tag"] == tag, f"{self.stack[-1]['tag']} closed by {tag}"
        self.stack.pop()

    def handle_data(self, data):
        for element in self.stack:
            element["text"] += data

    def all(self, tag, **wanted):
        names = {name.rstrip("_").replace("_", "-"): value for name, value in wanted.items()}
        return [
            e for e in self.elements
            if e["tag"] == tag and all(e.get(k) == v for k, v in names.items())
        ]  # fmt: skip


@pytest.fixture(scope="module")
def text():
    return render_report(reported.whole())


@pytest.fixture(scope="module")
def page(text):
    return Reader(text)


def test_the_document_is_well_formed(text, page):
    assert text.startswith("<!DOCTYPE html>\n<html lang=")
    identifiers = [e["id"] for e in page.elements if "id" in e]
    assert len(identifiers) == len(set(identifiers))
    (title,) = page.all("title")
    assert title["text"] == "V–O crystals by CHGNet-0.3.0"
    targets = {e["href"][1:] for e in page.all("a") if not e["href"].startswith("#c=")}
    assert targets <= set(identifiers)
    for table in page.all("table", class_="list"):
        assert "candidate" in table["text"]
    assert len(page.all("h1")) == 1
    labelled = page.all("input") + page.all("select")
    assert len(labelled) == len(page.all("label"))


def test_nothing_is_fetched(page, text):
    for element in page.elements:
        for name in ADDRESSES & set(element):
            if element["tag"] != "path":  # whose d is no address
                assert element[name].startswith(("#", "data:")), (element["tag"], element[name])
    (policy,) = page.all("meta", http_equiv="Content-Security-Policy")
    assert policy["content"].startswith("default-src 'none'; script-src 'sha256-")
    script = next(e for e in page.all("script") if "type" not in e)["text"]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in policy["content"]
    (style,) = page.all("style")
    for code in (script, style["text"]):
        assert not re.search(
            r"https?:|//[\w.]+\.\w|@import|\bfetch\(|XMLHttp|WebSocket|\burl\(", code
        )
    # the pictures of bands name the namespaces of SVG, and nothing else bears an address
    assert not re.findall(r"(?:src|href|url|import|fetch)\W{1,3}https?:", text)


def test_the_table_says_what_the_documents_say(page):
    whole = reported.whole()
    rows = []
    for element in page.elements:
        if element["tag"] == "tr":
            rows.append([] if "data-i" in element else None)
        elif element["tag"] in {"td", "th"} and rows and rows[-1] is not None:
            rows[-1].append(element["text"])
    rows = [row for row in rows if row is not None]
    assert len(rows) == len(whole.candidates)
    for row, document in zip(rows, whole.candidates, strict=True):
        assert row[0] in {document.candidate_id, "mine/rutile.cif"}
        if document.paper_class is not None:
            assert row[3] == f"{document.energy_above_hull:.3f}".replace("-", "−")
            assert document.paper_class.value in row
        else:
            assert document.state.value in row
    headings = [e["text"] for e in page.all("th") if "data-key" in e]
    assert sum("eV/atom" in heading for heading in headings) == 3
    reasons = " ".join(e["text"] for e in page.all("ul", class_="reasons"))
    assert "failed: the judge gave up" in reasons
    assert "collapsed: O (site 3)" in reasons


def test_the_data_are_the_pages(page):
    (data,) = page.all("script", id="data")
    pages = json.loads(data["text"])["pages"]
    assert [p["id"] for p in pages] == [d.candidate_id for d in reported.whole().candidates]


def test_the_run_and_the_limits_are_told(page):
    whole, told = reported.whole(), {e["id"]: e["text"] for e in page.elements if "id" in e}
    for text in ("vogen discover", "VO2: 8", "seed", "abc123", whole.hull_id, "CHGNet-0.3.0",
                 "12.3", "0.4", "99 attempts", "python", "3.11.7", "2026-01-02T03:04:05"):  # fmt: skip
        assert text in told["run"], text
    assert "machine-learned potential" in told["limits"]
    assert "not a discovery" in told["limits"]
    assert "1 phases of these formulas" in told["limits"]
    numbers = " ".join(told["numbers"].split())
    near = whole.metrics.overall.stable["0.1"].of_delivered
    low, high = (round(100 * end) for end in (near.low, near.high))
    assert f"{near.count} of 9, 22.2 % ({low} to {high})" in numbers


def test_hostile_text_stays_text():
    text = render_report(reported.hostile(), title=reported.EVIL)
    page = Reader(text)
    assert page.all("title")[0]["text"] == reported.EVIL
    assert len(page.all("script")) == 2
    assert not page.all("img")
    assert not [name for e in page.elements for name in e if name.startswith("on")]
    assert "<script>window.pwned" not in text
    assert "</script><script>" not in text
    pages = json.loads(page.all("script", id="data")[0]["text"])["pages"]
    assert pages[0]["id"].startswith(reported.EVIL_ID)


def test_the_same_documents_give_the_same_file(text):
    again = render_report(reported.whole())
    written = re.compile(r"Written \d{4}-\d\d-\d\d \d\d:\d\d UTC")
    assert written.sub("", again) == written.sub("", text)


def test_top_leaves_out_rows_and_says_so():
    text = render_report(reported.whole(), top=1, title="Short")
    page = Reader(text)
    assert len([e for e in page.all("tr") if "data-i" in e]) == 5
    (count,) = page.all("p", id="count")
    assert count["text"] == (
        "5 candidates: the 1 lowest of each formula and those not ranked; 4 more count in the "
        "numbers and figures"
    )
    for bad in (0, True, 1.5):
        with pytest.raises(CountsError):
            render_report(reported.whole(), top=bad)


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    done = write_report(tmp_path / "new" / "r.html", reported.whole())
    assert done.n_bytes == done.path.stat().st_size
    assert (done.n_candidates, done.n_listed) == (9, 9)
    assert [path.name for path in done.path.parent.iterdir()] == ["r.html"]
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputFolderError, match="cannot be written"):
        write_report(tmp_path / "folder", reported.whole())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "new"]


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first, second):
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def schemes():
    """Colours by name: light, dark, paper."""
    style = (files("atomate2_vogen.report") / "page" / "report.css").read_text()
    light, dark, paper = (
        {k: v if len(v) == 7 else "#" + "".join(2 * c for c in v[1:])
         for k, v in re.findall(r"--([\w-]+):\s*(#[0-9a-f]+)", block)}
        for block in re.findall(r":root \{([^}]*)\}", style)
    )  # fmt: skip
    return {"light": light, "dark": light | dark, "paper": light | paper}


@pytest.mark.parametrize("name", ["light", "dark", "paper"])
def test_text_has_contrast_and_classes_differ_in_grey(name):
    colours = schemes()[name]
    for ink in ("ink", "soft", "link"):
        for ground in ("paper", "page"):
            assert contrast(colours[ink], colours[ground]) >= CONTRAST, (ink, ground)
    assert contrast(colours["head-ink"], colours["head"]) >= CONTRAST or name == "paper"
    # by shape too, but brightness alone tells the two that are most often confused
    assert contrast(colours["blue"], colours["orange"]) > 1.3
