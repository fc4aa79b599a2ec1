# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters engine_launches and offload_proof."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.llmserve.vllm.plugins.filter import engine_launches as plugin
from ansible_collections.llmserve.vllm.plugins.filter.offload_proof import FilterModule as ProofModule
from ansible_collections.llmserve.vllm.tests.unit.plugins import plans

LAUNCHES = plugin.FilterModule().filters()["engine_launches"]
PROOF = ProofModule().filters()["offload_proof"]
ENGINE: dict[str, Any] = {"executor": "mp", "model": "/m", "served_name": "m", "version": "0.33.0"}
HOSTS = [{"name": "n1", "address": "10.0.0.1"}]


def test_one_entry_for_each_host_that_starts_something(monkeypatch: pytest.MonkeyPatch) -> None:
    warned: list[str] = []
    monkeypatch.setattr(plugin.display, "warning", warned.append)
    engine = {**ENGINE, "port": "8001", "engine_args": {"swap_space": 4}, "accepted": {}, "ray": {}}
    (only,) = LAUNCHES(engine, HOSTS)
    assert (only["name"], only["rank"], only["headless"], only["gpus"]) == ("n1", 0, False, 1)
    assert only["argv"][:3] == ["/m", "--served-model-name", "m"]
    assert only["argv"][only["argv"].index("--port") + 1] == "8001"
    assert len(warned) == 1


@pytest.mark.parametrize(
    ("engine", "hosts", "words"),
    [
        ([], HOSTS, "needs a dictionary"),
        (ENGINE, "n1", "a list of hosts"),
        ({"executor": "mp"}, HOSTS, "needs 'model'"),
        (ENGINE, [{"name": "n1"}], "needs 'address'"),
        ({**ENGINE, "executer": "mp"}, HOSTS, "does not know 'executer'"),
        ({**ENGINE, "model": ""}, HOSTS, "no model to serve: run the role hf_model"),
        ({**ENGINE, "port": "web"}, HOSTS, "web"),
        ({**ENGINE, "executor": "ray"}, HOSTS, "address of the Ray cluster"),
        ({**ENGINE, "ray": {"nowhere": 1}}, HOSTS, "nowhere"),
        ({**ENGINE, "accepted": {"x": 1}}, HOSTS, "engine_flags returns"),
    ],
)
def test_errors_are_filter_errors(engine: Any, hosts: Any, words: str) -> None:
    with pytest.raises(AnsibleFilterError, match=words):
        LAUNCHES(engine, hosts)


def test_an_offload_as_planned() -> None:
    plan = plans.load("70b_1xgh200_offload")
    moved = plan["stages"][0]["offloaded_gib"]
    left = plan["weights_gib_per_gpu"]
    proof = PROOF(plan, {"offloaded_gib_per_gpu": moved, "weights_gib_per_gpu": left}, [{"memory_used_mib": 89000}])
    assert proof["took_place"] is True
    assert proof["planned_gib"] == moved > 0
    assert len(proof["evidence"]) == 3


@pytest.mark.parametrize(
    ("memory", "used_mib", "took_place"),
    [
        ({"offloaded_gib_per_gpu": 0.01}, 0, False),
        ({"weights_gib_per_gpu": 131.4}, 0, False),
        ({"offloaded_gib_per_gpu": 0.01}, 60000, False),
        ({}, 0, None),
        ({}, 60000, True),
        # the KV cache fills what is free
        ({}, 200000, None),
    ],
)
def test_what_the_log_and_the_gpu_tell(memory: dict[str, float], used_mib: int, took_place: bool | None) -> None:
    plan = plans.load("70b_1xgh200_offload")
    assert PROOF(plan, memory, [{"memory_used_mib": used_mib}])["took_place"] is took_place


def test_without_offload_there_is_nothing_to_prove() -> None:
    assert PROOF(plans.load("8b_1xgh200"), {}) == {"planned_gib": 0.0, "took_place": None, "evidence": []}
    with pytest.raises(AnsibleFilterError, match="needs a plan"):
        PROOF([])
