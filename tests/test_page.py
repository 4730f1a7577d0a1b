"""The page of a comparison in a real browser: all plots are there, rows are the JSON's, nothing comes from outside."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import browser
import pytest
from reports import build_of

from flow.comparison import Failure, Run, compare, write
from flow.comparison.columns import COLUMNS
from flow.comparison.compare import RunRow
from flow.report import check

PHONE_PX, DESK_PX = 360, 1280


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Five builds with hostile names, one of them measured with other flags, and one that is missing."""
    figures = {2: (0.83, 1_620, 49_000), 3: (0.858, 3_180, 48_000), 4: (0.868, 6_337, 47_000), 6: (0.874, 13_001, 490)}
    runs = [Run(f"net-{bits}", check(build_of(bits, *rest))) for bits, rest in figures.items()]
    odd = build_of(8, 0.875, 26_044, 46_000, resources__flags="synth_xilinx -abc9 https://example.org/flags")
    runs.append(Run("<script>alert(1)</script>", check(odd)))
    place = tmp_path_factory.mktemp("page")
    write(compare(runs, [Failure(run="net-7", reason="ended by signal 9")]), place)
    return place


@pytest.fixture(scope="module")
def page(folder) -> Path:
    return folder / "comparison.html"


@pytest.fixture(scope="module")
def shown(page) -> browser.Shown:
    return browser.show(page)


def test_the_browser_has_nothing_to_complain_about(shown):
    assert shown.console == []
    assert shown.dom.rstrip().endswith("</html>")


def test_nothing_is_fetched(shown):
    assert shown.requests == []


def test_a_page_that_complains_and_fetches_would_be_noticed(tmp_path):
    """The two tests before this one are not blind."""
    bad = tmp_path / "bad.html"
    bad.write_text('<!DOCTYPE html><img src="http://outside.invalid/x.png"><script>undefined_function()</script>')
    shown = browser.show(bad)
    assert shown.requests == ["http://outside.invalid/x.png"]
    assert any("undefined_function is not defined" in line for line in shown.console)


class _References(HTMLParser):
    """Collects tags, and every attribute or style that could make a browser fetch something."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name.split(":")[-1] in
                           ("src", "href", "srcset", "data", "action", "poster", "background")]  # fmt: skip


def test_nothing_refers_to_another_place(page):
    text = page.read_text()
    found = _References()
    found.feed(text)
    assert found.addresses == ["data:,"], "the empty icon, so that none is asked for"
    assert "script" not in found.tags and "iframe" not in found.tags
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    assert "url(" not in style and "@import" not in style and "//" not in style
    assert "default-src &#39;none&#39;" in text or "default-src 'none'" in text


def test_the_rows_are_the_json_s(page, folder, tmp_path):
    plain = json.loads((folder / "comparison.json").read_text())
    script = """return [...doc.querySelectorAll("#runs tbody tr")].map((row) => [row.dataset.run,
        ...[...row.querySelectorAll("td")].map((cell) => [cell.dataset.key, cell.firstChild.textContent.trim()])]);"""
    shown = browser.measure(page, script, DESK_PX, tmp_path)
    assert [row[0] for row in shown] == [row["run"] for row in plain["runs"]]
    for cells, row in zip(shown, plain["runs"]):
        assert cells[1:] == [[column.key, column.show(RunRow(**row))] for column in COLUMNS]
    assert shown[0][4] == ["interval_cycles", "1,620"]
    failed = browser.measure(page, 'return doc.getElementById("failures").innerText', DESK_PX, tmp_path)
    assert "net-7: ended by signal 9" in failed


def test_all_plots_are_there_and_to_be_seen(page, tmp_path):
    script = """
    for (const input of doc.querySelectorAll(".tabs input")) input.checked = true;
    const seen = (element) => { const box = element.getBoundingClientRect(); return box.width > 2 && box.height > 2; };
    const out = {scatters: {}, bars: {}};
    for (const plot of doc.querySelectorAll("svg.scatter"))
      out.scatters[plot.closest("figure").id] = [seen(plot), [...plot.querySelectorAll("circle")].filter(seen).length];
    for (const input of doc.querySelectorAll(".tabs input")) {
      input.checked = true;
      const table = doc.getElementById(input.id.replace("tab-", "bars-"));
      out.bars[table.id] = [seen(table), [...table.querySelectorAll("svg.bar")].filter(seen).length];
    }
    const folding = doc.getElementById("bars-folding");
    out.bars[folding.id] = [seen(folding), [...folding.querySelectorAll("svg.bar")].filter(seen).length];
    out.meters = [...doc.querySelectorAll("#runs svg.meter")].filter(seen).length;
    return out;"""
    found = browser.measure(page, script, DESK_PX, tmp_path)
    kinds = ("lut", "interval_cycles", "bit_operations")
    assert found["scatters"] == {f"accuracy-{kind}": [True, 5] for kind in kinds}
    layers = {"bars-lut": 3, "bars-ff": 3, "bars-bram36": 3, "bars-folding": 3}
    assert found["bars"] == {table: [True, 5 * rows] for table, rows in layers.items()}
    assert found["meters"] == 4 * 5


@pytest.mark.parametrize("width_px", [PHONE_PX, 768, DESK_PX])
def test_it_is_readable_at_every_width(page, tmp_path, width_px):
    script = """
    const size = (e) => parseFloat(win.getComputedStyle(e).fontSize);
    const drawn = [...doc.querySelectorAll("svg.scatter text")].map((t) => t.getBoundingClientRect().height);
    return {wide: doc.documentElement.scrollWidth, body: size(doc.body), least: Math.min(...drawn),
            table: size(doc.querySelector(".bars td"))};"""
    found = browser.measure(page, script, width_px, tmp_path)
    assert found["wide"] <= width_px, "the page itself is not to be pushed sideways"
    assert found["body"] >= 14 and found["table"] >= 12
    assert found["least"] >= 11, "letters of the plots"


def test_it_is_dark_where_the_user_wants_it_dark(page, tmp_path):
    script = """
    const shade = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).reduce((a, b) => a + Number(b), 0) / 3;
    const of = (selector, key) => shade(win.getComputedStyle(doc.querySelector(selector))[key]);
    return {page: of("body", "backgroundColor"), ink: of("body", "color"),
            card: of("section", "backgroundColor"), label: of(".scatter .point text", "fill")};"""
    light = browser.measure(page, script, DESK_PX, tmp_path, "--blink-settings=preferredColorScheme=1")
    dark = browser.measure(page, script, DESK_PX, tmp_path, "--blink-settings=preferredColorScheme=0")
    for paper, ink in (("page", "ink"), ("card", "label")):
        assert light[paper] - light[ink] > 150
        assert dark[ink] - dark[paper] > 150


def test_without_a_browser_a_developer_s_tests_are_skipped_and_ci_s_fail(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no browser on PATH: one of chromium"):
        browser.program()
    monkeypatch.setenv("CI", "1")
    with pytest.raises(pytest.fail.Exception, match="no browser on PATH: one of chromium"):
        browser.program()
