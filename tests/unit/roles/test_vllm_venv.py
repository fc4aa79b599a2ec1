# SPDX-License-Identifier: GPL-3.0-or-later
"""The runtime venv: its units, as the roles' own variables make them, and its lock files."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.llmserve.vllm.plugins.module_utils._unit_file import read

ROOT = Path(__file__).resolve().parents[3]
LOCKS = sorted((ROOT / "roles/vllm_venv/files/locks").glob("*.txt"))
ROLES = ("ray_node", "vllm_venv", "vllm_serve")
# What `systemd-analyze security` may find in a unit, of 10: the network that it serves on (0.5), its users' shared
# memory and devices, and code that is made at run time. A unit without any of the settings has 9.6.
MOST_EXPOSURE = 2.5
VARIABLES: dict[str, Any] = {
    "llmserve_model": "org/model",
    "llmserve_node_ip": "10.0.0.1",
    "llmserve_environment": {"NCCL_DEBUG": "INFO", "ODD": 'a "b" $c %d'},
    "hf_model_path": "/var/lib/llmserve/huggingface/hub/models--org--model/snapshots/0f1e",
    "preflight_plan": {"engine_args": {"tensor_parallel_size": 1, "pipeline_parallel_size": 2}},
    "llmserve_engine_args": {"max_model_len": 1024, "hf_overrides": {"a": "100 %"}},
    "vllm_serve_addresses": ["10.0.0.1", "10.0.0.2"],
    "vllm_venv_path": "/var/lib/llmserve/venv/vllm-0.33.0-py312-0f1e",
    "vllm_venv_home": "/var/lib/llmserve/home",
    "vllm_venv_digest": "0f1e",
    "vllm_venv_found": {"versions": {"vllm": "0.33.0"}},
    "ray_node_guard": {
        "command": ["python3", "/var/lib/llmserve/group_guard.py", "--group", "g", "--at", "10.0.0.1:29520", "--name"],
        "name": "node1",
        "label": "0f1e",
        "file": "/var/lib/llmserve/group_guard.py",
    },
    "ray_node_host": {"devices": [], "capabilities": ["CAP_DAC_OVERRIDE"]},
    "__ray_node_infiniband": {"stat": {"exists": False}},
    "ansible_facts": {"getent_group": {"video": [], "render": []}},
}
PLAY = """
- hosts: all
  connection: local
  gather_facts: false
  vars_files: [{files}]
  tasks:
    - ansible.builtin.set_fact:
        vllm_serve_launch: "{{{{ __vllm_serve_launches | selectattr('name', 'eq', inventory_hostname) | first }}}}"
    - ansible.builtin.set_fact:
        vllm_serve_fingerprint: "{{{{ __vllm_serve_definition | to_json(sort_keys=true) | hash('sha256') }}}}"
      when: __vllm_serve_is_group
    - ansible.builtin.copy:
        content: "{{{{ answer | to_json }}}}"
        dest: "{folder}/{{{{ inventory_hostname }}}}.json"
        mode: "0600"
      vars:
        answer:
          argv: "{{{{ vllm_serve_launch.argv }}}}"
          docker: {{env: "{{{{ __vllm_serve_env }}}}", ray: "{{{{ __ray_node_env | combine(__ray_node_host_env) }}}}"}}
          venv: {{env: "{{{{ __vllm_serve_unit_env }}}}", ray: "{{{{ __ray_node_unit_env }}}}"}}
          command: "{{{{ __vllm_serve_unit_command + vllm_serve_launch.argv }}}}"
    - ansible.builtin.template:
        src: {template}
        dest: "{folder}/{{{{ inventory_hostname }}}}.service"
        mode: "0644"
      when: vllm_serve_runtime == 'venv'
      vars:
        vllm_venv_unit_component: "{{{{ __vllm_serve_component }}}}"
        vllm_venv_unit_executor: "{{{{ vllm_serve_executor }}}}"
        vllm_venv_unit_group: "{{{{ __vllm_serve_group if __vllm_serve_is_group else '' }}}}"
        vllm_venv_unit_command: "{{{{ __vllm_serve_unit_command + vllm_serve_launch.argv }}}}"
        vllm_venv_unit_credentials: "{{{{ __vllm_serve_credentials }}}}"
"""


def hosts_of(runtime: str, executor: str) -> list[str]:
    return [f"{runtime}-{executor}-{number}" for number in ((1, 2) if executor == "mp" else (1,))]


def inventory() -> dict[str, Any]:
    """Both runtimes with both executors, so that one run is enough."""
    hosts = {
        host: {
            "llmserve_runtime": runtime,
            "llmserve_executor": executor,
            "vllm_serve_hosts": hosts_of(runtime, executor),
        }
        for runtime in ("docker", "venv")
        for executor in ("ray", "mp")
        for host in hosts_of(runtime, executor)
    }
    # where an inventory's own variables win, as they do in a role
    defaults = [yaml.safe_load((ROOT / f"roles/{role}/defaults/main.yml").read_text()) for role in ROLES]
    return {"all": {"hosts": hosts, "vars": {name: value for found in defaults for name, value in found.items()}}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the roles' variables make of an inventory, and the units that come of it."""
    base = tmp_path_factory.mktemp("runtimes")
    files = [f"{ROOT}/roles/{role}/vars/main.yml" for role in ROLES]
    template = f"{ROOT}/roles/vllm_venv/templates/serving.service.j2"
    (base / "hosts.yml").write_text(yaml.safe_dump(inventory()))
    (base / "play.yml").write_text(PLAY.format(files=", ".join(files), folder=base, template=template))
    more = {**VARIABLES, "ray_node_component": "ray_head", "ansible_python_interpreter": sys.executable}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["ansible-playbook", "-i", str(base / "hosts.yml"), str(base / "play.yml"), "-e", json.dumps(more)],
        cwd=ROOT,
        env={**os.environ, "PATH": path, "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return base


def made(folder: Path, host: str) -> Any:
    return json.loads((folder / f"{host}.json").read_text())


def unit_text(folder: Path, host: str) -> str:
    return (folder / f"{host}.service").read_text()


@pytest.mark.parametrize("executor", ["ray", "mp"])
def test_both_runtimes_run_the_same_in_other_places(folder: Path, executor: str) -> None:
    for docker, venv in zip(hosts_of("docker", executor), hosts_of("venv", executor), strict=True):
        there, here = made(folder, docker), made(folder, venv)
        assert here["argv"] == there["argv"]
        assert here["command"][4:] == there["argv"]
        assert "exec python3 /var/lib/llmserve/group_guard.py" in here["command"][2]
        own = {"HOME", "PATH", "CUDA_VISIBLE_DEVICES"}
        paths = {"RAY_AUTH_TOKEN_PATH", "VLLM_RPC_BASE_PATH"}
        assert set(here["venv"]["env"]) - own == set(there["docker"]["env"])
        same = set(there["docker"]["env"]) - paths
        assert {name: here["venv"]["env"][name] for name in same} == {
            name: there["docker"]["env"][name] for name in same
        }
        assert set(here["venv"]["ray"]) - own == set(there["docker"]["ray"])
    assert made(folder, f"venv-{executor}-1")["venv"]["env"]["VLLM_HOST_IP"] == "10.0.0.1"


def test_the_key_is_in_the_head_s_unit_by_its_path_alone(folder: Path) -> None:
    head, rank = (unit_text(folder, host) for host in hosts_of("venv", "mp"))
    assert read(head).credentials == ["api_key:/etc/llmserve/api_key"]
    assert "$(cat /run/credentials/llmserve-vllm.service/api_key)" in read(head).command[2]
    assert read(rank).credentials == []
    assert "api_key" not in rank
    assert read(head).labels["Group"] == read(rank).labels["Group"] != ""
    on_ray = read(unit_text(folder, "venv-ray-1"))
    assert on_ray.credentials == ["api_key:/etc/llmserve/api_key", "ray_token:/etc/llmserve/ray_token"]


def test_a_unit_says_what_the_roles_wanted_to_run(folder: Path) -> None:
    unit = read(unit_text(folder, "venv-mp-2"))
    assert unit.command == made(folder, "venv-mp-2")["command"]
    assert unit.labels["Component"] == "vllm_headless"
    assert unit.labels["Bin"] == VARIABLES["vllm_venv_path"] + "/bin"
    assert '{"a":"100 %"}' in " ".join(unit.command).replace('": "', '":"')


@pytest.mark.parametrize("host", ["venv-mp-1", "venv-mp-2", "venv-ray-1"])
def test_systemd_finds_nothing_wrong_and_little_exposed(folder: Path, tmp_path: Path, host: str) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed here")
    unit = tmp_path / "llmserve-test.service"
    unit.write_text(unit_text(folder, host))
    done = subprocess.run([analyze, "verify", str(unit)], capture_output=True, text=True, check=False)
    # what is not on this machine is no fault of the unit
    wrong = [line for line in done.stderr.splitlines() if str(unit) in line or "Unknown" in line]
    assert wrong == []
    done = subprocess.run(
        [analyze, "security", "--offline=true", "--no-pager", str(unit)], capture_output=True, text=True, check=False
    )
    match = re.search(r"exposure level for \S+: ([\d.]+)", done.stdout)
    assert match, done.stdout + done.stderr
    assert float(match.group(1)) <= MOST_EXPOSURE, done.stdout


def test_retries_of_an_engine_are_bounded_and_those_of_ray_are_not() -> None:
    text = (ROOT / "roles/vllm_venv/templates/serving.service.j2").read_text()
    assert re.search(r"startswith\('ray_'\) %}(?:.*\n)*?StartLimitIntervalSec=0\n", text)
    assert "StartLimitBurst={{ vllm_venv_unit_starts }}" in text


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_every_package_of_a_lock_file_is_pinned_and_hashed(lock: Path) -> None:
    match = re.fullmatch(r"vllm-([0-9.]+)-(x86_64|aarch64)-py3\d\d?", lock.stem)
    assert match
    text = lock.read_text()
    packages = re.findall(
        r"(?m)^([a-z0-9][a-z0-9.-]*)==(\S+) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", text
    )
    pinned = [line for line in text.splitlines() if "==" in line and not line.startswith("#")]
    assert len(packages) == len(pinned) > 100
    versions = {name: version for name, version, _hashes in packages}
    assert versions["vllm"] == match.group(1)
    defaults = yaml.safe_load((ROOT / "roles/vllm_venv/defaults/main.yml").read_text())
    assert f"default('{versions['ray']}')" in defaults["vllm_venv_ray_version"]
    assert "://" not in text


def test_there_is_a_lock_file_for_the_release_that_is_the_default() -> None:
    defaults = yaml.safe_load((ROOT / "roles/vllm_venv/defaults/main.yml").read_text())
    match = re.search(r"vllm-openai:v([0-9.]+)'", defaults["vllm_venv_vllm_version"])
    assert match
    have = {path.stem for path in LOCKS}
    wanted = {
        f"vllm-{match.group(1)}-{machine}-py{short}" for machine in ("x86_64", "aarch64") for short in ("311", "312")
    }
    assert wanted <= have
