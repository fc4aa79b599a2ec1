# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables that nothing reads."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.llmserve.vllm.plugins.plugin_utils._checks.names import Unknown, known_names, unknown_names


def roles(root: Path) -> Path:
    for role, option in (("hf_model", "hf_model_repo"), ("ray_node", "ray_node_ports")):
        meta = root / "roles" / role / "meta"
        meta.mkdir(parents=True)
        spec = f"{{argument_specs: {{main: {{options: {{{option}: {{default: '{{{{ llmserve_model }}}}'}}}}}}}}}}\n"
        (meta / "argument_specs.yml").write_text(spec)
    tasks = root / "roles" / "hf_model" / "tasks"
    tasks.mkdir()
    (tasks / "main.yml").write_text("- set_fact: {hf_model_path: x}\n")
    return root


def test_names_come_from_the_roles(tmp_path: Path) -> None:
    names = known_names(roles(tmp_path))
    assert names.options == {"hf_model_repo", "ray_node_ports", "llmserve_model"}
    assert names.prefixes == ("llmserve_", "hf_model_", "ray_node_")


def test_what_looks_like_ours_and_is_not(tmp_path: Path) -> None:
    given = [
        "llmserve_modle",
        "llmserve_colour",
        "hf_model_path",
        "hf_model_rep",
        "ray_node_colour",
        "my_port",
        "ray",
        "rray_node_ports",
    ]
    # a fact that a role sets is known, and a far name with a role's prefix is somebody else's
    assert unknown_names(given, known_names(roles(tmp_path))) == [
        Unknown("hf_model_rep", ["hf_model_repo"]),
        Unknown("llmserve_colour", []),
        Unknown("llmserve_modle", ["llmserve_model"]),
        Unknown("rray_node_ports", ["ray_node_ports"]),
    ]


def test_the_collection_knows_its_own_names() -> None:
    names = known_names()
    documented = {"llmserve_model", "llmserve_node_ip", "llmserve_hf_home", "llmserve_engine_args", "preflight_checks"}
    assert documented <= names.options
    assert unknown_names(sorted(names.used), names) == []
