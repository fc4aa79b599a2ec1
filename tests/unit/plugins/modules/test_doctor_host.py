# SPDX-License-Identifier: GPL-3.0-or-later
"""The shell of llmserve.vllm.doctor_host: everything at once, nothing at all, and never a secret."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.llmserve.vllm.plugins.module_utils._ray import PROBE_MARK
from ansible_collections.llmserve.vllm.plugins.modules import doctor_host
from ansible_collections.llmserve.vllm.tests.unit.plugins.fake_server import KEY, Script, serving
from ansible_collections.llmserve.vllm.tests.unit.plugins.module_utils.test__cluster_containers import line
from ansible_collections.llmserve.vllm.tests.unit.plugins.modules.module_runner import run_module

REPORT = Path(__file__).resolve().parents[2] / "fixtures" / "gpu" / "two_h100_one_sick.xml"
RAY = {
    "version": "2.56.1",
    "nodes": [{"NodeID": "1", "Alive": True, "NodeManagerAddress": "10.0.0.1"}],
    "free": {},
    "groups": [],
}
TOKEN = "0123456789abcdef" * 4
DOCKER = f"""#!/bin/sh
case "$1 $2" in
"info --format") echo '{{"ServerVersion": "28.3.0", "DockerRootDir": "/tmp", "Runtimes": {{"nvidia": {{}}}}}}';;
"ps --all") echo 4f1c;;
"inspect --type") cat <<'END'
{line()}
{line("llmserve-ray-head", "ray_head")}
END
;;
"image inspect") echo '["x@sha256:feed"]';;
"logs --tail") echo "the key is {KEY}, the token {TOKEN}, HF_TOKEN=hf_abcdefghijklmnopqrst";;
"exec 4f1c")
  case "$*" in
  *importlib.metadata*) echo '{{"vllm": "0.33.0", "ray": "2.56.1"}}';;
  *) echo '{PROBE_MARK}{json.dumps(RAY)}';;
  esac;;
esac
"""


def tool(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def no_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Tools of the test's own first in the path; the kernel of this machine tells nothing."""
    tools = tmp_path / "bin"
    tools.mkdir()
    tool(tools, "journalctl", "#!/bin/sh\necho 'No journal files were found.' >&2\nexit 1\n")
    tool(tools, "dmesg", "#!/bin/sh\necho 'dmesg: Operation not permitted' >&2\nexit 1\n")
    monkeypatch.setenv("PATH", str(tools), prepend=":")
    return tools


def look(capsys: pytest.CaptureFixture[str], **args: Any) -> dict[str, Any]:
    result = run_module("doctor_host", capsys, **args)
    assert (result["rc"], result["changed"], result["warned"]) == (0, False, "")
    facts: dict[str, Any] = result["facts"]
    return facts


def full(tmp_path: Path, tools: Path, url: str) -> dict[str, Any]:
    for name, text in {"api_key": KEY, "ray_token": TOKEN}.items():
        (tmp_path / name).write_text(text + "\n")
    (tmp_path / "canary.json").write_text('{"verdict": "ok"}')
    return {
        "docker_cli": tool(tools, "docker", DOCKER),
        "nvidia_smi": tool(tools, "nvidia-smi", f"#!/bin/sh\ncat {REPORT}\n"),
        "secret_files": [str(tmp_path / name) for name in ("api_key", "ray_token", "none")],
        "url": url,
        "api_key_file": str(tmp_path / "api_key"),
        "ray_address": "10.0.0.1:6379",
        "canary_file": str(tmp_path / "canary.json"),
        "lock_file": str(tmp_path / "none"),
    }


def test_everything_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str], no_journal: Path) -> None:
    with serving(Script()) as url:
        facts = look(capsys, **full(tmp_path, no_journal, url))
    assert set(facts) == set(yaml.safe_load(doctor_host.RETURN)["facts"]["contains"])
    assert [item["name"] for item in facts["containers"]] == ["llmserve-ray-head", "llmserve-vllm"]
    assert facts["versions"] == {"vllm": "0.33.0", "ray": "2.56.1"}
    assert facts["ray"]["nodes"][0]["address"] == "10.0.0.1"
    assert facts["endpoint"]["error"] is None
    assert len(facts["gpu"]["gpus"]) == 2
    assert (facts["canary"], facts["lock"]) == ({"verdict": "ok"}, None)
    assert len(facts["problems"]) == 2


def test_no_secret_leaves_the_host(tmp_path: Path, capsys: pytest.CaptureFixture[str], no_journal: Path) -> None:
    with serving(Script()) as url:
        facts = look(capsys, **full(tmp_path, no_journal, url))
    assert facts["texts"]["llmserve-vllm"].startswith("the key is <redacted>, the token <redacted>")
    for secret in (KEY, TOKEN, "hf_abc"):
        assert secret not in json.dumps(facts)


def test_no_log_leaves_it_when_a_secret_cannot_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], no_journal: Path
) -> None:
    with serving(Script()) as url:
        args = full(tmp_path, no_journal, url)
        # a directory in its place stands for a file of somebody else's: root reads those
        facts = look(capsys, **{**args, "secret_files": [str(tmp_path)]})
    assert facts["texts"] == {}
    assert any(problem.startswith("No logs: a file of secrets cannot be read") for problem in facts["problems"])


def test_a_host_with_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str], no_journal: Path) -> None:
    none = str(tmp_path / "none")
    facts = look(capsys, docker_cli=none, nvidia_smi=none)
    assert facts["docker"] == {"client": None, "server": None, "error": "there is no Docker client on this host"}
    assert (facts["containers"], facts["ray"], facts["endpoint"], facts["versions"]) == ([], None, None, None)
    assert facts["gpu"]["reason_kind"] == "driver_not_installed"
    assert facts["texts"] == {}


def test_a_daemon_that_hangs_costs_one_time_limit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], no_journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ansible_collections.llmserve.vllm.plugins.module_utils._host_look._DOCKER_SECONDS", 0.5)
    began = time.monotonic()
    facts = look(capsys, docker_cli=tool(no_journal, "docker", "#!/bin/sh\nexec sleep 30\n"), nvidia_smi="none")
    assert time.monotonic() - began < 10
    assert "no answer within" in facts["docker"]["error"]
    assert facts["texts"]["docker"] == facts["docker"]["error"]


def test_a_newer_client_says_in_its_json_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], no_journal: Path
) -> None:
    words = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
    said = json.dumps({"ServerErrors": [words], "ServerVersion": ""})
    docker = tool(no_journal, "docker", f"#!/bin/sh\necho '{said}'\nexit 1\n")
    assert look(capsys, docker_cli=docker, nvidia_smi="none", log_kib=0)["docker"]["error"] == words
