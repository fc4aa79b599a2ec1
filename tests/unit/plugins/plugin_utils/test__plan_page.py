# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan as an HTML page."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser
from typing import Any

import pytest
from ansible_collections.llmserve.vllm.plugins.plugin_utils._plan_page import plan_page
from ansible_collections.llmserve.vllm.tests.unit.plugins.plans import HOSTILE, NAMES, SIZES, load, odd_plans, wide
from hypothesis import HealthCheck, given, settings

VOID = {"meta"}


class Reader(HTMLParser):
    """All tags with their attributes; every tag has to be closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        assert len({name for name, _value in attrs}) == len(attrs), attrs
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            self.text.append(data)

    def having(self, *names: str) -> list[dict[str, str]]:
        """The attributes of the elements that have all of these."""
        return [attrs for _tag, attrs in self.tags if all(name in attrs for name in names)]


def read(plan: dict[str, Any]) -> Reader:
    """The page, after the checks that hold for every page."""
    page = plan_page(plan)
    assert page.startswith("<!DOCTYPE html>\n<html lang=")
    reader = Reader(page)
    tags = {tag for tag, _attrs in reader.tags}
    assert not tags & {"script", "img", "link", "iframe", "object", "embed", "base", "form", "a", "use", "image"}
    for tag, attrs in reader.tags:
        assert not {"src", "href", "xlink:href", "action", "style"} & set(attrs), (tag, attrs)
        assert not any(name.startswith("on") for name in attrs), (tag, attrs)
    style = page[page.index("<style>") : page.index("</style>")]
    assert "@import" not in style
    assert re.findall(r"url\(([^)]*)\)", style) == ["#lacking"]
    return reader


@pytest.mark.parametrize("name", NAMES)
def test_the_figures_of_the_picture_are_those_of_the_plan(name: str) -> None:
    plan = load(name)
    reader = read(plan)
    drawn = {(item["data-stage"], item["data-kind"]): item for item in reader.having("data-stage", "data-gib")}
    for number, stage in enumerate(plan["stages"]):
        for kind in SIZES:
            size = stage.get(f"{kind}_gib")
            item = drawn.get((str(number), kind))
            assert (item is not None) == (size is not None and size > 0), (number, kind)
            if item is not None:
                assert float(item["data-gib"]) == size
    for node, found in zip(plan["nodes"], reader.having("data-node"), strict=True):
        assert found["data-node"] == node["name"]
    gpus = [item["data-stage"] for item in reader.having("data-gpu")]
    assert gpus == ["" if stage is None else str(stage) for node in plan["nodes"] for stage in node["gpus"]]


@pytest.mark.parametrize("name", NAMES)
def test_widths_are_in_proportion_and_in_a_row(name: str) -> None:
    reader = read(load(name))
    scales = {float(item["data-scale-gib"]) for item in reader.having("data-scale-gib")}
    assert len(scales) <= 1
    reached: Counter[str] = Counter()
    for item in reader.having("data-stage", "data-gib"):
        if item["data-kind"] == "short":
            continue
        width = float(item["width"].rstrip("%"))
        assert width == pytest.approx(float(item["data-gib"]) / next(iter(scales)) * 100, abs=0.001)
        assert float(item["x"].rstrip("%")) == pytest.approx(reached[item["data-stage"]], abs=0.002)
        reached[item["data-stage"]] += width  # type: ignore[assignment]
        assert reached[item["data-stage"]] <= 100.01


def test_the_headline_figures_are_there_for_programs() -> None:
    plan = load("405b_2x8")
    found: dict[str, str] = {}
    for attrs in read(plan).having("id"):
        found.update(attrs)
    for key in ("tensor_parallel_size", "pipeline_parallel_size", "max_model_len", "max_concurrency", "weights_bytes"):
        assert found["data-" + key.replace("_", "-")] == str(plan[key])
    assert found["data-download-seconds"] == str(plan["download"]["seconds"])
    assert found["data-load-bytes-per-node"] == str(plan["load"]["bytes_per_node"])


def test_what_a_plan_lacks_is_drawn_over_its_bar() -> None:
    reader = read(load("405b_1x8_unfit"))
    short = next(item for item in reader.having("data-gib") if item["data-kind"] == "short")
    assert float(short["data-gib"]) == pytest.approx(25.045, abs=0.01)
    text = " ".join("".join(reader.text).split())
    assert "Why it does not work" in text
    assert "16 such GPUs (TP 8 x PP 2)" in text
    assert re.search(r"Lacking ?25\.0[0-9]", text)


def test_a_screen_reader_hears_the_figures() -> None:
    labels = [item["aria-label"] for item in read(load("70b_3x8_idle")).having("aria-label", "role")]
    assert "node-001: GPU 0 stage 1; GPU 1 stage 2; GPU 2 stage 3; 5 idle" in labels
    assert (
        "Stage 1: Weights 45.02 GiB, KV cache 23.77 GiB, Activations 2.21 GiB, Overhead 1.85 GiB, Free 6.33 GiB"
        in labels
    )


def test_64_hosts_are_drawn_small() -> None:
    plan = wide(64, 8, 64, alike=False)
    assert len(plan_page(plan)) < 400_000
    reader = read(plan)
    assert len(reader.having("data-gpu")) == 512
    assert len(reader.having("data-scale-gib")) == 64


def test_many_equal_stages_share_a_bar() -> None:
    bars = read(wide(64, 8, 64)).having("data-scale-gib")
    assert [(item["data-stage"], item["data-last-stage"]) for item in bars] == [("0", "63")]
    assert len(read(wide(8, 8, 8)).having("data-scale-gib")) == 8


def test_hosts_that_differ_name_their_gpus() -> None:
    plan = wide(2, 8, 2)
    plan["nodes"][1]["gpu_name"] = "NVIDIA H200"
    text = " ".join("".join(read(plan).text).split())
    assert "node-002 8 × NVIDIA H200" in text  # noqa: RUF001


@pytest.mark.parametrize("key", ["model", "architecture", "quantization", "vllm_version", "weights_source"])
def test_no_text_gets_out_of_its_place(key: str) -> None:
    plan = wide(2, 8, 2)
    plan[key] = HOSTILE
    assert "<script" not in plan_page(plan)
    assert "<script>alert(1)</script>" in "".join(read(plan).text)


def test_no_name_gets_out_of_its_place() -> None:
    plan = wide(2, 8, 2)
    plan["nodes"][0].update(name=HOSTILE, gpu_name=HOSTILE)
    plan["engine_args"] = {HOSTILE: {HOSTILE: HOSTILE}}
    plan.update(reasons=[HOSTILE], warnings=[HOSTILE], arithmetic=[HOSTILE])
    plan["alternatives"] = [{"why": HOSTILE}]
    reader = read(plan)
    assert "<script" not in plan_page(plan)
    assert "onload='x'" in reader.having("data-node")[0]["data-node"]
    assert "49" not in reader.having("data-node")[0]["data-node"]


def test_an_empty_plan_is_a_page_too() -> None:
    reader = read({})
    assert not reader.having("data-gib")
    assert "Memory unknown" in "".join(reader.text)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plan=odd_plans())
def test_whatever_is_in_the_plan(plan: dict[str, Any]) -> None:
    for item in read(plan).having("data-gib"):
        assert 0 <= float(item["x"].rstrip("%")) <= 100
        assert 0 < float(item["width"].rstrip("%")) <= 100
