# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans to show: recorded ones, large ones, and odd ones."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "plans"
NAMES = sorted(path.stem for path in FIXTURES.glob("*.json"))
SIZES = ("weights", "kv", "activation", "overhead", "free")


def load(name: str) -> dict[str, Any]:
    """A plan that parallel_plan has made."""
    plan: dict[str, Any] = json.loads((FIXTURES / f"{name}.json").read_text())
    return plan


def wide(hosts: int = 64, gpus: int = 8, stages: int = 64, alike: bool = True) -> dict[str, Any]:
    """Many hosts and stages; the stages differ from each other unless they are to be alike."""
    plan = copy.deepcopy(load("405b_2x8"))
    plan.update(gpus_used=hosts * gpus, gpus_total=hosts * gpus, nodes_used=hosts, pipeline_parallel_size=stages)
    model = plan["stages"][0]
    plan["stages"] = [{**model, "first_layer": number * 2, "layers": 2} for number in range(stages)]
    if not alike:
        for number, stage in enumerate(plan["stages"]):
            stage.update(weights_gib=20 + number / 2, kv_gib=model["kv_gib"] + 27.282 - number / 2)
    plan["nodes"] = [
        {
            "name": f"node-{number + 1:03d}",
            "gpu_name": plan["gpu"]["name"],
            "gpus": [number * stages // hosts] * gpus,
        }
        for number in range(hosts)
    ]
    return plan


HOSTILE = "<script>alert(1)</script>\" onload='x' \x1b[31m & {{ 7 * 7 }}"

# What a figure, a text or a list of a plan may turn out to be.
_odd = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.just(10**400),
    st.text(max_size=90),
    st.just("x" * 300),
    st.just(HOSTILE),
    st.lists(st.text(max_size=5), max_size=2),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=2),
)
_size = st.one_of(st.floats(-100, 200), st.integers(-3, 200), _odd)
_stage = st.one_of(
    st.fixed_dictionaries(
        {},
        optional={
            "layers": _odd,
            "first_layer": _odd,
            "total_gib": _size,
            "offloaded_gib": _size,
            **{f"{kind}_gib": _size for kind in SIZES},
        },
    ),
    _odd,
)
_node = st.one_of(
    st.fixed_dictionaries(
        {}, optional={"name": _odd, "gpu_name": _odd, "gpus": st.one_of(_odd, st.lists(st.one_of(_odd, st.just(0))))}
    ),
    _odd,
)
_texts = st.one_of(_odd, st.lists(st.one_of(_odd, st.just("No. What would work: a; b; .")), max_size=4))
_PART_KEYS = [
    *("name", "total_gib", "requested_gib"),
    *("bytes", "seconds", "mb_per_second", "bytes_per_node", "gb_per_second", "measured", "stated"),
    *("tensor_parallel_size", "pipeline_parallel_size", "fits", "kv_cache_tokens", "why"),
]
_part = st.one_of(
    _odd,
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(_PART_KEYS, _odd),
    ),
)


def odd_plans() -> st.SearchStrategy[dict[str, Any]]:
    """Whatever may be in a plan, or may be missing."""
    keys = [key for key in load("70b_1xgh200_offload") if key not in ("stages", "nodes")]
    special: dict[str, st.SearchStrategy[Any]] = {
        "stages": st.one_of(_odd, st.lists(_stage, max_size=40)),
        "nodes": st.one_of(_odd, st.lists(_node, max_size=20)),
        "reasons": _texts,
        "warnings": _texts,
        "arithmetic": _texts,
        "alternatives": st.one_of(_odd, st.lists(_part, max_size=4)),
        "gpu": _part,
        "download": _part,
        "load": _part,
    }
    return st.fixed_dictionaries({}, optional={**dict.fromkeys(keys, _odd), **special})
