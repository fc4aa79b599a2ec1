# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The job script: what it starts is what every other deployment starts, and no secret is in it."""

from __future__ import annotations

import mmap
import os
import re
import shlex
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._engine_launch import Engine, Host, Launch, Ray, launches
from ansible_collections.llmserve.vllm.plugins.module_utils._slurm_watch import mark_of
from ansible_collections.llmserve.vllm.plugins.plugin_utils._slurm_script import (
    Places,
    ScriptError,
    Wanted,
    Ways,
    slurm_script,
)

HOME = "/shared/alice/llmserve/llama"
ENGINE = Engine(
    "ray",
    "/shared/models/llama",
    ["meta-llama/Llama", "/shared/models/llama"],
    engine_args={"max_model_len": 32768, "limit_mm_per_prompt": {"image": 2}, "seed": 7},
    planned_args={"tensor_parallel_size": 8, "pipeline_parallel_size": 4},
    version="0.33.0",
)
WANTED = Wanted(4, 8, gpu_type="h100", partition="gpu", account="lab", time="1-00:00:00")
RAY = Places(HOME, api_key_file=HOME + "/api_key", ray_token_file=HOME + "/ray_token")
MP = Places(HOME, api_key_file=HOME + "/api_key")
# What the script calls what a job has found out.
PORT = 20160
ADDRESSES = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"]


def executed(script: str, function: str, rank: int) -> tuple[list[str], dict[str, str]]:
    """What the function of the script starts, run by Bash itself: arguments and exported variables."""
    exports = "\n".join(re.findall(r"^export \w+=.*$", script, re.MULTILINE))
    body = re.search(rf"^{function}\(\) {{\n.*?^}}$", script, re.MULTILINE | re.DOTALL)
    assert body is not None
    program = f"""
set -u
temp=/tmp/ls-7 head_address={ADDRESSES[0]} port={PORT} SLURM_PROCID={max(0, rank - 1)} PATH=/nowhere
own_address() {{ builtin echo {ADDRESSES[rank]}; }}
cat() {{ builtin echo key; }}
mkdir() {{ :; }}
echo() {{ :; }}
VLLM_CONFIG_ROOT=/dev
{exports}
run() {{ shift 4; builtin printf '%s\\0' "$@"; builtin echo; builtin export -p; }}
{re.sub(r"^  echo .*$", "", body.group(), flags=re.MULTILINE)}
{function}
"""
    done = subprocess.run([shutil.which("bash") or "bash", "-c", program], capture_output=True, text=True, check=True)
    words, _end, rest = done.stdout.rpartition("\0\n")
    found = dict(re.findall(r'^declare -x (\w+)="(.*)"$', rest, re.MULTILINE))
    return words.split("\0"), found


def everywhere(places: Places, executor: str) -> list[Launch]:
    """What the function that all deployments use makes for four hosts."""
    ray = Ray(f"{ADDRESSES[0]}:{PORT + 1}", places.ray_token_file, "/tmp/ls-7/engine/config", "/tmp/ls-7/engine")
    engine = ENGINE._replace(
        executor=executor,
        listen=ADDRESSES[0],
        port=PORT,
        master_port=PORT + 1,
        ray=ray if executor == "ray" else None,
    )
    return launches(engine, [Host(f"n{n}", address) for n, address in enumerate(ADDRESSES)]).launches


@pytest.mark.parametrize(("executor", "places", "ranks"), [("ray", RAY, [0]), ("mp", MP, [0, 1, 2, 3])])
def test_arguments_and_environment_are_those_of_every_other_deployment(
    executor: str, places: Places, ranks: list[int]
) -> None:
    script = slurm_script(ENGINE._replace(executor=executor), WANTED, places, Ways())
    expected = everywhere(places, executor)
    assert [launch.rank for launch in expected] == ranks
    for launch in expected:
        argv, environment = executed(script, "rank" if launch.headless else "engine", launch.rank)
        assert argv == launch.argv
        assert {name: environment.get(name) for name in launch.environment} == launch.environment
        assert ("VLLM_API_KEY" in environment) is not launch.headless


@pytest.mark.parametrize(("executor", "places"), [("ray", RAY), ("mp", MP)])
@pytest.mark.parametrize("nodes", [1, 2])
def test_bash_takes_it(executor: str, places: Places, nodes: int, tmp_path: Path) -> None:
    engine = ENGINE._replace(
        executor=executor, planned_args={"tensor_parallel_size": 8, "pipeline_parallel_size": nodes}
    )
    for chain in (0, 2):
        script = slurm_script(engine, replace(WANTED, nodes=nodes), places, Ways(chain=chain, interface="ib0"))
        assert "{{" not in script and "{%" not in script
        (tmp_path / "job.sh").write_text(script)
        subprocess.run(["bash", "-n", str(tmp_path / "job.sh")], check=True)
        assert ("sbatch --begin" in script) is bool(chain)
        assert ("ray start" in script) is (executor == "ray")
        assert ("--headless" in script) is (executor == "mp" and nodes > 1)


def test_what_it_asks_slurm_for() -> None:
    wanted = replace(WANTED, qos="long", reservation="r1", constraint="ib&nvlink", directives=["--mail-type=FAIL"])
    lines = [line[8:] for line in slurm_script(ENGINE, wanted, RAY, Ways()).splitlines() if line.startswith("#SBATCH ")]
    assert lines[:-1] == [
        "--job-name=llmserve",
        "--partition=gpu",
        "--account=lab",
        "--qos=long",
        "--reservation=r1",
        "--constraint=ib&nvlink",
        "--time=1-00:00:00",
        "--nodes=4",
        "--ntasks-per-node=1",
        "--gres=gpu:h100:8",
        "--mem=0",
        f"--chdir={HOME}",
        f"--output={HOME}/logs/%j.log",
        "--open-mode=append",
        "--signal=B:USR1@320",
        "--export=NONE",
        "--exclusive",
        "--no-requeue",
        "--mail-type=FAIL",
    ]


def test_a_part_of_a_node() -> None:
    wanted = Wanted(1, 4, exclusive=False, cpus_per_node=32, memory="200G")
    script = slurm_script(ENGINE._replace(executor="mp", planned_args={"tensor_parallel_size": 4}), wanted, MP, Ways())
    assert "#SBATCH --gres=gpu:4\n#SBATCH --cpus-per-task=32\n#SBATCH --mem=200G\n" in script
    assert "--exclusive" not in script


@pytest.mark.parametrize(
    ("given", "asked", "taken"), [("0,1,2,3", 2, "0,1"), ("4,5", 2, "4,5"), ("", 2, ""), ("3", 8, "3")]
)
def test_of_a_whole_node_a_job_takes_the_gpus_that_it_asked_for(given: str, asked: int, taken: str) -> None:
    """With --exclusive, Slurm 22.05 gives a step all GPUs of the node, whatever --gres says."""
    script = slurm_script(ENGINE, replace(WANTED, gpus_per_node=asked), RAY, Ways())
    assert f"\nreadonly gpus_per_node={asked}\n" in script
    body = re.search(r"^take_gpus\(\) {\n.*?^}$", script, re.MULTILINE | re.DOTALL)
    assert body is not None
    program = f'set -u; gpus_per_node={asked}\n{body.group()}\ntake_gpus; echo "$CUDA_VISIBLE_DEVICES"'
    done = subprocess.run(
        ["bash", "-c", program],
        env={"PATH": os.environ["PATH"], "CUDA_VISIBLE_DEVICES": given},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == taken


def test_shared_memory_that_a_killed_process_has_left_is_removed_and_no_other(tmp_path: Path) -> None:
    """vLLM's processes end by signals before Python's tracker of shared memory has done its work."""
    script = slurm_script(ENGINE, WANTED, RAY, Ways())
    body = re.search(r"^sweep\(\) {\n.*?^}$", script, re.MULTILINE | re.DOTALL)
    assert body is not None
    for name in ("psm_left", "psm_in_use", "psm_before", "model.bin", "nccl-left"):
        (tmp_path / name).write_bytes(bytes(4096))
    os.utime(tmp_path / "psm_before", (1000, 1000))
    program = f"set -u; job_began=$(($(date +%s) - 5))\n{body.group().replace('/dev/shm', str(tmp_path))}\nsweep"
    with (tmp_path / "psm_in_use").open("r+b") as handle, mmap.mmap(handle.fileno(), 4096):
        subprocess.run(["bash", "-c", program], check=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.bin", "psm_before", "psm_in_use"]


def test_the_mark_says_whether_it_is_the_same_script() -> None:
    script = slurm_script(ENGINE, WANTED, RAY, Ways())
    assert re.fullmatch(r"llmserve-[0-9a-f]{12}", mark_of(script))
    assert script == slurm_script(ENGINE, WANTED, RAY, Ways())
    assert mark_of(script) != mark_of(slurm_script(ENGINE, WANTED, RAY, Ways(drain_seconds=10)))


def test_values_of_the_operator_stay_values() -> None:
    engine = ENGINE._replace(engine_args={"chat_template": "$(touch /tmp/x)"}, model="/shared/a b")
    ways = Ways(environment={"NOTE": "it's $HOME"}, launcher=["apptainer", "exec", "--nv", "/images/a b.sif"])
    script = slurm_script(engine, WANTED, RAY, ways)
    assert "--chat-template '$(touch /tmp/x)'" in script
    assert f"export NOTE={shlex.quote(ways.environment['NOTE'])}" in script
    assert "  apptainer exec --nv '/images/a b.sif' \"$@\"\n" in script


@pytest.mark.parametrize(
    ("places", "wanted", "ways", "words"),
    [
        ({"temp_root": "/scratch/a/very/long/path/indeed"}, {}, {}, "slurm_serve_temp_root"),
        ({"home": "relative"}, {}, {}, "slurm_serve_dir"),
        ({"home": "/shared/%u"}, {}, {}, "Slurm takes a %"),
        ({}, {"partition": "gpu\n#SBATCH --x"}, {}, "control character"),
        ({}, {"nodes": 0}, {}, "1 or more"),
        ({}, {}, {"environment": {"VLLM_HOST_IP": "10.0.0.1"}}, "slurm_serve_interface"),
        ({}, {}, {"chain": 1, "chain_lead_seconds": 100}, "slurm_serve_chain_lead"),
    ],
)
def test_what_cannot_be_written(places: Any, wanted: Any, ways: Any, words: str) -> None:
    with pytest.raises(ScriptError, match=words):
        slurm_script(ENGINE, replace(WANTED, **wanted), replace(RAY, **places), Ways(**ways))
