# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of a plan as a browser shows it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.browser.chromium import Page
from tests.browser.conftest import Case

KINDS = ("weights", "kv", "activation", "overhead", "free")
CONTRAST = (Path(__file__).parent / "contrast.js").read_text()
PARTS = """
return [...document.querySelectorAll("svg.bar")].flatMap((bar) => [...bar.querySelectorAll("rect")].map((part) => ({
  first: +bar.dataset.stage, last: +bar.dataset.lastStage, kind: part.dataset.kind,
  gib: part.dataset.gib, scale: +bar.dataset.scaleGib,
  left: part.getBoundingClientRect().left - bar.getBoundingClientRect().left,
  width: part.getBoundingClientRect().width, whole: bar.getBoundingClientRect().width,
})));
"""
GPUS = """
return [...document.querySelectorAll("[data-node]")].map((node) => [
  node.dataset.node,
  [...node.querySelectorAll("[data-gpu]")].map((gpu) => gpu.dataset.stage === "" ? null : +gpu.dataset.stage),
  [...node.querySelectorAll("[data-gpu] text")].map((text) => text.textContent),
]);
"""
WIDE = """
const width = document.documentElement.clientWidth;
return [...document.body.querySelectorAll("*")].filter((element) => {
  const box = element.getBoundingClientRect();
  return box.right > width + 0.5 || box.left < -0.5;
}).map((element) => element.outerHTML.slice(0, 120));
"""
HEADLINES = """
return Object.assign({}, ...[...document.querySelectorAll(".facts > div")].map((fact) => ({...fact.dataset})));
"""
HIDDEN_LINES = """
return [...document.querySelectorAll(".arithmetic li")].filter((line) => !line.checkVisibility()).length;
"""


def camel(key: str) -> str:
    """As a script sees data-max-model-len."""
    return re.sub("_(.)", lambda match: match[1].upper(), key)


def drawn(parts: list[dict[str, Any]]) -> dict[tuple[int, str], float]:
    """GiB by stage and kind; stages that share a bar each have its figures."""
    return {
        (stage, part["kind"]): float(part["gib"])
        for part in parts
        for stage in range(part["first"], part["last"] + 1)
        if part["kind"] != "short"
    }


def test_it_asks_for_nothing_and_complains_of_nothing(browser: Page, case: Case) -> None:
    browser.requests()
    browser.console()
    browser.open(case.path)
    assert browser.requests() == [case.path.resolve().as_uri()]
    assert browser.console() == []


def test_its_policy_forbids_scripts_and_requests(browser: Page, case: Case, tmp_path: Path) -> None:
    foreign = "<script>document.title = 'ran'</script><img src='http://127.0.0.1:9/x.png' alt=''></main>"
    spoilt = tmp_path / "spoilt.html"
    spoilt.write_text(case.path.read_text(encoding="utf-8").replace("</main>", foreign), encoding="utf-8")
    browser.open(spoilt)
    assert browser.ask("return document.title") != "ran"
    messages = [entry["message"] for entry in browser.console()]
    assert len(messages) == 2
    assert all("Content Security Policy" in message for message in messages)


def test_the_picture_has_the_figures_of_the_plan(browser: Page, case: Case) -> None:
    browser.open(case.path)
    expected = {
        (number, kind): stage[f"{kind}_gib"]
        for number, stage in enumerate(case.plan["stages"])
        for kind in KINDS
        if (stage.get(f"{kind}_gib") or 0) > 0
    }
    assert drawn(browser.ask(PARTS)) == expected
    nodes = browser.ask(GPUS)
    assert [(name, stages) for name, stages, _labels in nodes] == [
        (node["name"], node["gpus"]) for node in case.plan["nodes"]
    ]
    for _name, stages, labels in nodes:
        # RUF001: the page shows a dash of that width
        assert labels == ["–" if stage is None else str(stage + 1) for stage in stages]  # noqa: RUF001


def test_the_headlines_have_the_figures_of_the_plan(browser: Page, case: Case) -> None:
    browser.open(case.path)
    headlines = browser.ask(HEADLINES)
    for key in (
        *("tensor_parallel_size", "pipeline_parallel_size", "gpus_used", "gpus_total", "nodes_used", "max_model_len"),
        *("max_concurrency", "kv_cache_tokens", "gpu_memory_utilization", "weights_bytes"),
    ):
        if case.plan.get(key) is not None:
            assert float(headlines[camel(key)]) == case.plan[key], key
    for name in ("download", "load"):
        if case.plan.get(name):
            assert float(headlines[f"{name}Seconds"]) == case.plan[name]["seconds"]


@pytest.mark.parametrize("width", [1200, 360])
def test_bars_are_as_long_as_their_figures_say(browser: Page, case: Case, width: int) -> None:
    browser.open(case.path, width)
    reached: dict[int, float] = {}
    for part in browser.ask(PARTS):
        assert part["width"] == pytest.approx(float(part["gib"]) / part["scale"] * part["whole"], abs=1)
        if part["kind"] != "short":
            assert part["left"] == pytest.approx(reached.get(part["first"], 0.0), abs=1)
            reached[part["first"]] = part["left"] + part["width"]
        assert part["left"] + part["width"] <= part["whole"] + 1
    totals = {stage.get("total_gib") for stage in case.plan["stages"]}
    if len(totals) == 1 and totals != {None} and case.plan.get("fits"):
        bars = {part["whole"] for part in browser.ask(PARTS)}
        assert all(end == pytest.approx(max(bars), abs=1) for end in reached.values())


@pytest.mark.parametrize("width", [1200, 360])
def test_nothing_sticks_out(browser: Page, case: Case, width: int) -> None:
    browser.open(case.path, width)
    assert browser.ask("return document.documentElement.scrollWidth") == width
    assert browser.ask(WIDE) == []


def test_long_names_do_not_stick_out_of_a_phone(browser: Page, case: Case, tmp_path: Path) -> None:
    long = tmp_path / "long.html"
    text = case.path.read_text(encoding="utf-8")
    for name in [case.plan["model"], *(node["name"] for node in case.plan["nodes"])]:
        text = text.replace(f">{name}<", ">" + "a-name-of-sixty-characters-" * 3 + "x" * 40 + "<")
    long.write_text(text, encoding="utf-8")
    browser.open(long, 360)
    assert browser.ask(WIDE) == []


@pytest.mark.parametrize("dark", [False, True])
def test_text_can_be_read(browser: Page, case: Case, dark: bool) -> None:
    browser.open(case.path, dark=dark)
    assert browser.ask(CONTRAST) == []


def test_the_dark_scheme_is_dark(browser: Page, case: Case) -> None:
    backgrounds = []
    for dark in (False, True):
        browser.open(case.path, dark=dark)
        backgrounds.append(browser.ask("return getComputedStyle(document.body).backgroundColor"))
    light, dark_one = (sum(map(int, re.findall(r"\d+", text))) for text in backgrounds)
    assert light > 600
    assert dark_one < 150


def test_it_prints_with_the_arithmetic(browser: Page, case: Case) -> None:
    browser.open(case.path, 794)
    pdf = browser.pdf()
    assert pdf.startswith(b"%PDF-")
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b", pdf)) <= 12
    browser.wait_for(HIDDEN_LINES, len(case.plan["arithmetic"]))
    browser.paper()
    browser.wait_for(HIDDEN_LINES, 0)
