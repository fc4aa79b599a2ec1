# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogue of causes, over logs assembled by hand for each of them."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._diagnose import diagnose
from ansible_collections.llmserve.vllm.plugins.module_utils._diagnosis.anchors import anchors
from ansible_collections.llmserve.vllm.plugins.module_utils._diagnosis.catalogue import CAUSES
from ansible_collections.llmserve.vllm.plugins.module_utils._diagnosis.text import (
    is_mild,
    strip_collector,
    strip_prefix,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._diagnosis.xids import XIDS, Xid
from ansible_collections.llmserve.vllm.tests.unit.plugins.diagnosis_logs import (
    SURROUNDINGS,
    Sample,
    samples,
    whole_logs,
)
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).parents[4]
ENGINE, HOST = samples("engine"), samples("host")
LONG = whole_logs("healthy") + whole_logs("combinations")


def first(text: str) -> str:
    found = diagnose(text)
    if not found:
        return "none"
    return found[0]["cause"] + ("/" + found[0]["detail"] if found[0]["detail"] else "")


@pytest.mark.parametrize("around", SURROUNDINGS)
@pytest.mark.parametrize("sample", ENGINE, ids=lambda sample: sample.title)
def test_each_cause_in_the_log_of_an_engine(sample: Sample, around: str) -> None:
    assert first(SURROUNDINGS[around](sample.text)) == sample.cause


@pytest.mark.parametrize("sample", HOST, ids=lambda sample: sample.title)
def test_each_cause_in_the_log_of_a_host(sample: Sample) -> None:
    assert first(sample.text) == sample.cause


@pytest.mark.parametrize("sample", LONG, ids=lambda sample: sample.title)
def test_healthy_logs_and_combinations(sample: Sample) -> None:
    assert first(sample.text) == sample.cause


@pytest.mark.parametrize("xid", XIDS, ids=lambda xid: str(xid.code))
def test_each_xid(xid: Xid) -> None:
    code, slug = xid.code, xid.slug
    lines = (
        f"[Fri Nov 21 02:11:45 2026] NVRM: Xid (PCI:0000:17:00): {code}, pid=4711, name=python3, Ch 00000010\n",
        f"Nov 21 03:11:12 gpu-01 kernel: NVRM: Xid (PCI:0000:17:00): {code}, name=<unknown>\n",
    )
    for line in lines:
        found = diagnose(line)[0]
        assert (found["cause"], found["detail"], found["figures"]["xid"]) == (slug, f"xid_{code}", code)


def test_hardware_explains_the_program_that_it_broke() -> None:
    line = "[ 1.0] NVRM: Xid (PCI:0000:17:00): {0}, pid=1, name=python3\n"
    assert first(line.format(45) + line.format(13) + line.format(95)) == "gpu_memory_fault/xid_95"
    assert first(line.format(74) + line.format(79)) == "gpu_fell_off_bus/xid_79"


def test_there_are_enough_of_everything() -> None:
    logs = Counter(sample.cause for sample in ENGINE + HOST)
    names = {cause.slug + ("/" + cause.detail if cause.detail else "") for cause in CAUSES}
    assert {name for name in names if logs[name] < 2 and "/xid_" not in name} == set()
    assert set(logs) <= names
    assert len(whole_logs("healthy")) >= 15
    assert len(whole_logs("combinations")) >= 15
    assert len({cause.slug for cause in CAUSES}) >= 60


def test_names_are_given_once_and_words_end_as_sentences_do() -> None:
    names = [(cause.slug, cause.detail) for cause in CAUSES]
    assert len(names) == len(set(names))
    for cause in CAUSES:
        assert cause.explanation.endswith("."), cause.slug
        assert cause.remedy.endswith("."), cause.slug
        assert cause.source.startswith("https://") or not cause.source, cause.slug


def test_remedies_name_variables_that_there_are() -> None:
    known = "".join(
        path.read_text(encoding="utf-8")
        for pattern in ("roles/*/README.md", "inventories/**/*.yml")
        for path in ROOT.glob(pattern)
    )
    prefixes = "llmserve|vllm_serve|ray_node|ray_head|ray_worker|hf_model|docker_nvidia|vllm_image"
    for cause in CAUSES:
        for name in re.findall(rf"\b(?:{prefixes})_[a-z_]+\b", cause.remedy + cause.exact):
            assert name in known, (cause.slug, name)


def test_every_pattern_has_anchors_that_its_matches_contain() -> None:
    lines = {strip_prefix(line) for sample in ENGINE + HOST + LONG for line in sample.text.splitlines()}
    for cause in CAUSES:
        for signature in cause.signatures:
            literals = anchors(signature.pattern.pattern)
            assert literals and min(map(len, literals)) > 2, (cause.slug, signature.pattern.pattern)
            for line in lines:
                if signature.pattern.search(line):
                    assert any(literal in line for literal in literals), (signature.pattern.pattern, line)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r"error: unrecognized arguments:", ("error: unrecognized arguments:",)),
        (r"(foo|bar) baz|qux[abc]+ quux", (" baz", " quux")),
        (r"ab*cd", ("cd",)),
        (r"abc{2}def", ("def",)),
        (r"^a\.b\(c\)$", ("a.b(c)",)),
        (r"[]x]yes[^]z\]]", ("yes",)),
        (r"(?<!no )never(?! (a|b))", ("never",)),
        (r"(foo|bar)", ()),
        (r"a line\|bar", ("a line|bar",)),
        (r"tab\there", ("tab\there",)),
    ],
)
def test_anchors(pattern: str, expected: tuple[str, ...]) -> None:
    assert anchors(pattern) == expected


@given(st.text(alphabet="ab.|(?", max_size=12))
def test_anchors_of_literals(text: str) -> None:
    escaped = re.escape(text)
    assert "".join(anchors(escaped)) == text


@pytest.mark.parametrize(
    "line",
    [
        "(EngineCore_DP0 pid=7) INFO 11-21 01:40:12 [a.py:154] x",
        "vllm-1  | WARNING 11-21 01:40:12 a.py:154] x",
        "2026-11-21T01:40:12.123456789Z INFO 11-21 01:40:12 [v1/a.py:154] x",
        'INFO:     10.0.0.9:1 - "GET /health HTTP/1.1" 200 OK',
        "2026-11-21 01:27:35,891\tINFO worker.py:1832 -- x",
        "[2026-11-21 01:27:35,891 W 16586 16586] gcs_rpc_client.h:148: x",
        "gpu-01:771:1215 [0] NCCL INFO x",
        "(RayWorkerWrapper pid=9, ip=10.0.0.2) gpu-01:771:1215 [0] NCCL INFO x",
        "[rank0]:[W1121 01:40:00.123456789 ProcessGroupNCCL.cpp:1496] x",
        "/opt/venv/lib/python3.12/site-packages/torch/cuda/__init__.py:61: FutureWarning: x",
        "(Worker_TP0 pid=7) [2026-11-21 01:40:00] INFO file_baton.py:48: x",
        "(APIServer pid=1) [INFO] model_hosting_container_standards - x",
        "2026-11-21 01:40:00.000064:  216  [INFO]: x",
        "2026-11-21 01:40:00,042 - modelscope - INFO - x",
        "[rank0]:W1121 01:40:00.083000 911603 torch/_inductor/utils.py:1137] x",
    ],
)
def test_what_is_said_calmly(line: str) -> None:
    assert is_mild(strip_collector(line))
    for calm, loud in (
        ("INFO", "ERROR"),
        ("WARNING", "ERROR"),
        (" W ", " E "),
        ("[W1", "[E1"),
        (":W1", ":E1"),
        ("FutureWarning", "OSError"),
    ):
        if calm in line:
            assert not is_mild(strip_collector(line.replace(calm, loud)))
            break


@pytest.mark.parametrize(
    "head",
    [
        "vllm-1  | ",
        "2026-11-21T01:40:12.123456789Z stderr F ",
        "Nov 21 01:40:12 gpu-01 env[2827]: ",
        "авг 18 14:14:46 gpu-01 python3[28147]: ",
        "11月 15 14:15:47 gpu-01 python3[28147]: ",
        '{"log":"',
        '    "textPayload": "',
        "[pod/vllm-0/vllm] ",
        "12: ",
        "[2026-11-21 01:40:12] ",
    ],
)
def test_what_collected_a_line_is_not_its_words(head: str) -> None:
    assert strip_collector(head + "(EngineCore pid=7) FooError: x") == "FooError: x"
