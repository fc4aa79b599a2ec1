# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The roles' contracts: specification, defaults and each other say the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
ROLES = sorted(path.parent.parent for path in ROOT.glob("roles/*/tasks/main.yml"))


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text()) if path.exists() else {}


def options(role: Path) -> dict[str, Any]:
    specs = load(role / "meta/argument_specs.yml")["argument_specs"]
    merged: dict[str, Any] = {}
    for entry_point in specs.values():
        merged.update(entry_point.get("options", {}))
    return merged


@pytest.fixture(params=ROLES, ids=lambda role: role.name)
def role(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_every_optional_variable_has_the_default_that_its_specification_names(role: Path) -> None:
    defaults = load(role / "defaults/main.yml") or {}
    optional = {name: option for name, option in options(role).items() if not option.get("required")}
    assert set(defaults) == set(optional)
    assert {name: option["default"] for name, option in optional.items()} == defaults


def test_every_option_is_described_typed_and_named_after_its_role(role: Path) -> None:
    for name, option in options(role).items():
        assert name.startswith(f"{role.name}_"), name
        assert option["description"].strip().endswith((".", ")")), name
        assert "type" in option, name


def test_every_task_file_of_a_role_is_reachable(role: Path) -> None:
    specs = load(role / "meta/argument_specs.yml")["argument_specs"]
    text = "".join(path.read_text() for path in role.glob("tasks/*.yml"))
    for path in role.glob("tasks/*.yml"):
        assert path.stem in specs or path.name in text, f"{path} is neither an entry point nor included"


def test_roles_name_no_inventory_groups(role: Path) -> None:
    for path in role.rglob("*.yml"):
        assert not re.search(r"groups\[|group_names", path.read_text().split("examples:")[0]), path


def test_readme_has_an_example_and_the_generated_part(role: Path) -> None:
    readme = (role / "README.md").read_text()
    assert "```yaml" in readme
    assert "<!-- BEGIN_ANSIBLE_DOCS -->" in readme


def test_preflight_looks_at_the_ports_that_the_other_roles_open() -> None:
    preflight = load(ROOT / "roles/preflight/defaults/main.yml")
    ray_node = load(ROOT / "roles/ray_node/defaults/main.yml")["ray_node_ports"]
    ray_head = load(ROOT / "roles/ray_head/defaults/main.yml")
    hf_model = load(ROOT / "roles/hf_model/defaults/main.yml")
    nccl_check = load(ROOT / "roles/nccl_check/defaults/main.yml")
    expected = {
        "hf_model_mirror_port": hf_model["hf_model_mirror_port"],
        "nccl_check_port": nccl_check["nccl_check_port"],
    }
    followed = {name: f"{{{{ {name} | default({port}) }}}}" for name, port in expected.items()}
    assert preflight["preflight_peer_ports"] == followed
    # Ports of workers are a range, and busy ones in it are skipped by Ray.
    assert preflight["preflight_node_ports"] == {k: v for k, v in ray_node.items() if not k.startswith("worker_")}
    guard = {"llmserve_guard_port": load(ROOT / "roles/ray_node/defaults/main.yml")["ray_node_guard_port"]}
    names = ("ray_head_port", "ray_head_client_port", "ray_head_dashboard_port")
    assert preflight["preflight_ray_head_ports"] == {name: ray_head[name] for name in names} | guard
    master = load(ROOT / "roles/vllm_serve/defaults/main.yml")["vllm_serve_master_port"]
    port = f"{{{{ vllm_serve_master_port | default({master}) }}}}"
    assert preflight["preflight_mp_head_ports"] == {"vllm_serve_master_port": port} | guard


def test_every_module_is_in_the_action_group() -> None:
    groups = load(ROOT / "meta/runtime.yml")["action_groups"]["llmserve"]
    assert sorted(groups) == sorted(path.stem for path in ROOT.glob("plugins/modules/*.py"))


def test_who_holds_the_deployment_is_written_and_read_in_one_place() -> None:
    files = {
        role: load(ROOT / f"roles/{role}/vars/main.yml")[f"__{role}_hold_file"]
        for role in ("canary", "deployment", "doctor")
    }
    assert len(set(files.values())) == 1


def test_the_canary_restarts_the_containers_that_the_roles_make() -> None:
    canary = load(ROOT / "roles/canary/vars/main.yml")["__canary_config"]
    component = load(ROOT / "roles/vllm_serve/vars/main.yml")["__vllm_serve_component"]
    assert canary["engine"] == "llmserve-vllm" and "'vllm' if __vllm_serve_is_head" in component
    assert "'llmserve-ray-head' if canary_executor == 'ray'" in canary["ray_head"]


def test_no_host_that_cannot_be_reached_ends_the_play_for_others() -> None:
    # run_once hands the failure of the one host on to all of them, whatever ignore_unreachable says
    for file in ROOT.glob("roles/*/tasks/*.yml"):
        for task in yaml.safe_load(file.read_text()) or []:
            assert not (task.get("ignore_unreachable") and task.get("run_once")), f"{file}: {task['name']}"


def test_pip_tells_the_truth_in_check_mode() -> None:
    # with a file of requirements or extra arguments it reports a change there, whatever is installed
    for file in ROOT.glob("roles/*/tasks/*.yml"):
        for task in yaml.safe_load(file.read_text()) or []:
            if {"extra_args", "requirements"} & set(task.get("ansible.builtin.pip") or {}):
                assert "not ansible_check_mode" in str(task.get("when")), f"{file}: {task['name']}"
