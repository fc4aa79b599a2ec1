# SPDX-License-Identifier: GPL-3.0-or-later
"""The canary's script, and hosts with it on them: a real server, and stand-ins for Docker and systemd."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from ansible_collections.llmserve.vllm.tests.unit.plugins.fake_server import KEY, MODEL, Script
from ansible_collections.llmserve.vllm.tests.unit.roles.script import ROLES, load_script

SCRIPT = ROLES / "canary/files/canary.py"
CONFIG: dict[str, Any] = {
    "act": True,
    "failures": 3,
    "max_restarts": 3,
    "max_restarts_a_day": 6,
    "loading_seconds": 7200,
    "nodes": 2,
    "ray_head": "llmserve-ray-head",
}


canary = load_script(SCRIPT)
rules = load_script(SCRIPT.with_name("canary_verdict.py"))
DOCKER = """#!/bin/sh
echo "$@" >> {calls}
case "$1" in
ps) echo 4f1c;;
inspect) echo "{state}";;
exec) echo "ALIVE {nodes}";;
esac
"""


class Host:
    """A host with a canary on it."""

    def __init__(self, folder: Path, url: str, state: str = "running 0 2026-11-21T09:00:00.5Z", nodes: int = 2) -> None:
        self.folder = folder
        docker = folder / "docker"
        docker.write_text(DOCKER.format(calls=folder / "calls", state=state, nodes=nodes))
        docker.chmod(0o755)
        (folder / "api_key").write_text(KEY + "\n")
        files = {"api_key_file": "api_key", "state_file": "canary.json", "hold_file": "hold.json"}
        self.config = {
            **CONFIG,
            **{key: str(folder / name) for key, name in files.items()},
            **{"url": url, "model": MODEL, "docker": str(docker), "engine": "llmserve-vllm"},
            **{"ray_head": "llmserve-ray-head", "ray_address": "10.0.0.1:6379"},
            **{"deadline": 0.5, "failures": 1, "stop_seconds": 1, "ray_seconds": 1},
        }

    def run(self) -> dict[str, Any]:
        (self.folder / "config.json").write_text(json.dumps(self.config))
        assert canary.main(str(self.folder / "config.json")) == 0
        state: dict[str, Any] = json.loads((self.folder / "canary.json").read_text())
        return state

    def restarts(self) -> list[str]:
        calls = (self.folder / "calls").read_text().splitlines()
        return [call for call in calls if call.startswith(("restart", "start"))]


def hanging() -> Script:
    script = Script()
    script.answers["/v1/completions"] = lambda _handler, _body: time.sleep(2)
    return script


SYSTEMCTL = """#!/bin/sh
echo "$@" >> {calls}
[ "$1" = show ] && printf '{shown}'
exit 0
"""
SHOWN = (
    "LoadState=loaded\\nActiveState={active}\\nSubState={sub}\\nNRestarts={restarts}\\n"
    "ExecMainStartTimestampMonotonic=1000000\\n"
)


class UnitHost(Host):
    """A host whose engine is a systemd unit."""

    def __init__(self, folder: Path, url: str, active: str = "active", sub: str = "running", nodes: int = 2) -> None:
        super().__init__(folder, url)
        shown = SHOWN.format(active=active, sub=sub, restarts=0)
        for name, text in (
            ("systemctl", SYSTEMCTL.format(calls=folder / "calls", shown=shown)),
            ("ask", f"#!/bin/sh\necho ALIVE {nodes}\n"),
        ):
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)
        self.config.update(runtime="venv", docker="/nonexistent", systemctl=str(folder / "systemctl"))
        self.config["ray_ask"] = [str(folder / "ask")]
