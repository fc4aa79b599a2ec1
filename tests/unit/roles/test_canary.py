# SPDX-License-Identifier: GPL-3.0-or-later
"""The canary's script: what it makes of a look, and when it acts."""

from __future__ import annotations

import ast
import importlib.util
import json
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ansible_collections.llmserve.vllm.tests.unit.plugins.fake_server import KEY, MODEL, Script, serving

SCRIPT = Path(__file__).resolve().parents[3] / "roles/canary/files/canary.py"
NOW = 1795255200.0
CONFIG: dict[str, Any] = {
    "act": True,
    "failures": 3,
    "max_restarts": 3,
    "max_restarts_a_day": 6,
    "loading_seconds": 7200,
    "nodes": 2,
    "ray_head": "llmserve-ray-head",
}


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("llmserve_canary", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


canary = load()
# an engine that runs for an hour and does not answer, though it says that it is healthy
HUNG = canary.Look(error="no answer within 60 s", healthy=True, container="running", started=NOW - 3600)
ANSWERED = canary.Look(answer_seconds=0.1, container="running", started=NOW - 3600)


class Canary:
    """Looks one after the other, a minute apart, with what is done in between."""

    def __init__(self, **config: Any) -> None:
        self.config = {**CONFIG, **config}
        self.state: dict[str, Any] = {}
        self.now = NOW

    def see(self, look: Any, nodes: int | None = 2) -> Any:
        self.now += 60
        verdict, reason = canary.judge(look, self.state, self.config, self.now)
        self.state = canary.record(self.state, verdict, reason, look, self.now)
        decision = canary.decide(self.state, nodes, self.config, self.now)
        self.state = canary.acting(self.state, decision, self.now)
        if decision.action:
            self.state["pending"] = None
        # as it comes back from the file
        self.state = json.loads(json.dumps(self.state))
        return decision

    def actions(self, *looks: Any, nodes: int | None = 2) -> list[str]:
        return [self.see(look, nodes).action for look in looks]


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "failed"),
        ({"answer_seconds": 0.1}, "ok"),
        ({"answer_seconds": 0.1, "held": "x"}, "ok"),
        ({"held": "playbooks/serve_405b.yml is at work"}, "held"),
        ({"container": ""}, "unknown"),
        ({"container": "exited"}, "stopped"),
        ({"container": "missing"}, "stopped"),
        ({"container": "paused"}, "stopped"),
        ({"container": "restarting"}, "crashing"),
        ({"status": 401}, "refused"),
        ({"status": 404}, "refused"),
        ({"status": 503}, "failed"),
        ({"advanced": True}, "busy"),
        ({"healthy": False}, "loading"),
        ({"healthy": False, "started": NOW - 7300}, "failed"),
    ],
)
def test_verdicts(changes: dict[str, Any], verdict: str) -> None:
    assert canary.judge(HUNG._replace(**changes), {}, CONFIG, NOW)[0] == verdict


def test_an_engine_that_has_answered_since_it_was_started_is_not_loading() -> None:
    silent = HUNG._replace(healthy=False)
    assert canary.judge(silent, {"last_ok": NOW - 60}, CONFIG, NOW)[0] == "failed"
    assert canary.judge(silent, {"last_ok": NOW - 4000}, CONFIG, NOW)[0] == "loading"


def test_one_that_docker_restarts_again_and_again_is_crashing_until_it_answers() -> None:
    it = Canary()
    it.see(ANSWERED._replace(restarts=2))
    dying = HUNG._replace(healthy=False, started=NOW + 100)
    assert [canary.judge(dying._replace(restarts=n), it.state, CONFIG, NOW + 120)[0] for n in (2, 4, 5)] == [
        "loading",
        "loading",
        "crashing",
    ]
    # Docker counts from 0 again after a restart by hand
    assert it.actions(*[dying._replace(restarts=0)] * 5, *[dying._replace(restarts=9)] * 5) == [""] * 10
    assert it.state["verdict"] == "crashing"


def test_three_failures_in_a_row_restart_the_engine_and_an_answer_ends_the_series() -> None:
    it = Canary()
    assert it.actions(ANSWERED, HUNG, HUNG, ANSWERED, HUNG, HUNG, HUNG) == ["", "", "", "", "", "", "engine"]
    assert it.state["counts"] == {"ok": 2, "failed": 5, "acted": 1}
    assert "no answer within 60 s" in it.state["actions"][0]["reason"]
    assert it.state["last_ok"] == NOW + 240
    assert it.see(ANSWERED).action == ""
    assert (it.state["failures_in_a_row"], it.state["verdict"]) == (0, "ok")


@pytest.mark.parametrize(("nodes", "words"), [(1, "Ray has 1 of 2 nodes"), (None, "Ray does not answer")])
def test_lost_nodes_restart_the_group(nodes: int | None, words: str) -> None:
    it = Canary()
    assert it.actions(ANSWERED, HUNG, HUNG, HUNG, nodes=nodes)[-1] == "group"
    assert words in it.state["actions"][0]["reason"]


def test_what_did_not_help_is_tried_with_ray_and_then_no_more() -> None:
    it = Canary()
    it.see(ANSWERED)
    done = it.actions(*[HUNG] * 15)
    assert [action for action in done if action] == ["engine", "group", "group"]
    assert it.state["gave_up"] is True
    assert it.state["gave_up_reason"] == "3 restarts have not helped"
    # an answer, however it came about, lets it begin anew
    it.see(ANSWERED)
    assert it.state["gave_up"] is False
    assert "engine" in it.actions(HUNG, HUNG, HUNG)


def test_it_does_not_restart_all_day_what_answers_in_between() -> None:
    it = Canary()
    done = [action for dummy in range(10) for action in it.actions(ANSWERED, HUNG, HUNG, HUNG) if action]
    assert done == ["engine"] * 6
    assert "within a day" in it.state["gave_up_reason"]
    it.now += 24 * 3600
    assert "engine" in it.actions(HUNG, HUNG, HUNG)


@pytest.mark.parametrize(
    "look",
    [
        HUNG._replace(held="a playbook is at work"),
        HUNG._replace(healthy=False),
        HUNG._replace(container="exited"),
        HUNG._replace(container="restarting"),
        HUNG._replace(container=""),
        HUNG._replace(advanced=True),
        HUNG._replace(status=401),
    ],
)
def test_what_must_be_left_alone_is(look: Any) -> None:
    it = Canary()
    assert it.actions(*[look] * 20) == [""] * 20


def test_what_happened_before_it_loaded_or_was_held_counts_no_more() -> None:
    it = Canary()
    loading = HUNG._replace(healthy=False)
    assert it.actions(HUNG, HUNG, loading, HUNG, HUNG) == [""] * 5
    # that Docker did not answer once changes nothing
    assert it.actions(HUNG._replace(container=""), HUNG) == ["", "engine"]


def test_without_leave_to_act_it_only_writes_down() -> None:
    it = Canary(act=False)
    assert it.actions(*[HUNG] * 9) == [""] * 9
    assert it.state["failures_in_a_row"] == 9


def test_a_restart_that_was_cut_off_is_ended() -> None:
    state = {"verdict": "stopped", "failures_in_a_row": 0, "actions": [], "pending": {"time": NOW - 100}}
    assert canary.decide(state, 2, CONFIG, NOW).action == "start"
    assert canary.decide({**state, "pending": {"time": NOW - 1000}}, 2, CONFIG, NOW).action == ""
    assert canary.decide({**state, "pending": None}, 2, CONFIG, NOW).action == ""


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ('{"by": "playbooks/serve_405b.yml", "until": 1795255300}', "playbooks/serve_405b.yml is at work"),
        ('{"by": "x", "until": "1795255300"}', "x is at work"),
        ('{"by": "x", "until": 1795255100}', ""),
        ("", ""),
        ("{", ""),
        ("[]", ""),
    ],
)
def test_who_holds_it(text: str, held: str) -> None:
    assert canary.read_hold(text, NOW) == held


def test_tokens_by_both_names() -> None:
    assert (
        canary.tokens_made('vllm:generation_tokens_total{engine="0"} 5.0\nvllm:generation_tokens_total{engine="1"} 7\n')
        == 12
    )
    assert canary.tokens_made('vllm:generation_tokens{m="x"} 3\nvllm:generation_tokens_created{m="x"} 1e9\n') == 3
    assert canary.tokens_made("<html>") == 0


# The whole script, against a real server and a stand-in for Docker.

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


def test_an_answer_is_written_down(tmp_path: Path) -> None:
    with serving(Script()) as url:
        state = Host(tmp_path, url).run()
    assert (state["verdict"], state["counts"]) == ("ok", {"ok": 1})
    assert abs(state["last_ok"] - time.time()) < 60
    assert (tmp_path / "canary.json").stat().st_mode & 0o777 == 0o644
    assert not list(tmp_path.glob(".canary-*"))


def hanging() -> Script:
    script = Script()
    script.answers["/v1/completions"] = lambda _handler, _body: time.sleep(2)
    return script


def test_an_engine_that_hangs_is_restarted(tmp_path: Path) -> None:
    with serving(hanging()) as url:
        host = Host(tmp_path, url)
        state = host.run()
    assert host.restarts() == ["restart -t 1 llmserve-vllm"]
    assert (state["actions"][0]["what"], state["pending"]) == ("engine", None)


def test_a_series_of_failures_does_not_wait_for_the_timer(tmp_path: Path) -> None:
    with serving(hanging()) as url:
        host = Host(tmp_path, url)
        host.config["failures"] = 3
        state = host.run()
    assert state["counts"] == {"failed": 3, "acted": 1}
    assert host.restarts() == ["restart -t 1 llmserve-vllm"]


def test_a_series_ends_with_an_answer(tmp_path: Path) -> None:
    script = Script()
    asked = iter(range(9))

    def first_hangs(handler: Any, _body: Any) -> None:
        if next(asked) == 0:
            time.sleep(2)
        handler.reply({"choices": [{"text": "x"}]})

    script.answers["/v1/completions"] = first_hangs
    with serving(script) as url:
        host = Host(tmp_path, url)
        host.config["failures"] = 3
        state = host.run()
    assert (state["counts"], state["failures_in_a_row"]) == ({"failed": 1, "ok": 1}, 0)
    assert host.restarts() == []


def test_ray_s_head_first_when_nodes_are_lost(tmp_path: Path) -> None:
    with serving(hanging()) as url:
        host = Host(tmp_path, url, nodes=1)
        host.run()
    assert host.restarts() == ["restart -t 1 llmserve-ray-head", "restart -t 1 llmserve-vllm"]


def test_nothing_is_restarted_while_a_playbook_is_at_work(tmp_path: Path) -> None:
    (tmp_path / "hold.json").write_text(json.dumps({"by": "x", "until": time.time() + 60}))
    with serving(hanging()) as url:
        host = Host(tmp_path, url)
        assert host.run()["verdict"] == "held"
    assert host.restarts() == []


def test_an_engine_that_works_for_others_is_not_restarted(tmp_path: Path) -> None:
    script = hanging()
    made = iter(range(100, 10000, 50))
    page = 'vllm:generation_tokens_total{{engine="0"}} {0}\n'
    script.answers["/metrics"] = lambda handler, _body: handler.reply(page.format(next(made)))
    script.api_key = ""
    with serving(script) as url:
        host = Host(tmp_path, url)
        assert host.run()["verdict"] == "busy"
    assert host.restarts() == []


def test_a_refused_key_and_nonsense_in_its_own_file(tmp_path: Path) -> None:
    (tmp_path / "canary.json").write_text("{")
    with serving(Script()) as url:
        host = Host(tmp_path, url)
        (tmp_path / "api_key").write_text("wrong")
        assert host.run()["verdict"] == "refused"
    assert host.restarts() == []


def test_nothing_listens(tmp_path: Path) -> None:
    host = Host(tmp_path, "http://127.0.0.1:1", f"running 0 {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}")
    assert host.run()["verdict"] == "loading"
    stopped = Host(tmp_path, "http://127.0.0.1:1", "exited 0 2026-11-21T09:00:00Z")
    assert stopped.run()["verdict"] == "stopped"
    assert stopped.restarts() == []


def test_without_docker_it_still_writes(tmp_path: Path) -> None:
    host = Host(tmp_path, "http://127.0.0.1:1")
    host.config["docker"] = str(tmp_path / "none")
    assert host.run()["verdict"] == "unknown"


def test_it_runs_on_python_3_8_with_nothing_but_the_standard_library() -> None:
    tree = ast.parse(SCRIPT.read_text(), feature_version=(3, 8))
    names = {
        (node.module or "") if isinstance(node, ast.ImportFrom) else node.names[0].name
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
    }
    assert not {name for name in names if name.partition(".")[0] in ("ansible", "ansible_collections", "requests")}
    assert SCRIPT.read_text()[:2] != "#!"


def test_without_ray_the_engine_alone_is_restarted_and_takes_its_ranks_along() -> None:
    it = Canary(ray_head="")
    decisions = [it.see(HUNG, nodes=None) for _look in range(6)]
    assert [decision.action for decision in decisions if decision.action] == ["engine", "engine"]


def test_tokens_that_were_read_count_as_well() -> None:
    page = 'vllm:prompt_tokens_total{engine="0"} 100\nvllm:generation_tokens_total 5\nvllm:prompt_tokens_cached 7\n'
    assert canary.tokens_made(page) == 105


# The same with units.

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


def test_a_unit_that_hangs_is_restarted_whatever_was_counted_before(tmp_path: Path) -> None:
    with serving(hanging()) as url:
        host = UnitHost(tmp_path, url)
        state = host.run()
    assert state["actions"][0]["what"] == "engine"
    assert host.restarts() == ["restart llmserve-vllm.service"]
    assert "reset-failed llmserve-vllm.service" in (tmp_path / "calls").read_text()


def test_ray_s_unit_first_when_nodes_are_lost(tmp_path: Path) -> None:
    with serving(hanging()) as url:
        host = UnitHost(tmp_path, url, nodes=1)
        host.run()
    assert host.restarts() == ["restart llmserve-ray-head.service", "restart llmserve-vllm.service"]


@pytest.mark.parametrize(
    ("active", "sub", "verdict"), [("inactive", "dead", "stopped"), ("activating", "auto-restart", "crashing")]
)
def test_a_unit_that_does_not_run_is_left_alone(tmp_path: Path, active: str, sub: str, verdict: str) -> None:
    host = UnitHost(tmp_path, "http://127.0.0.1:1", active, sub)
    state = host.run()
    assert (state["verdict"], host.restarts()) == (verdict, [])
    assert "Docker" not in state["reason"]


@pytest.mark.parametrize(
    ("text", "status"),
    [("", ""), ("LoadState=not-found\n", "missing"), ("LoadState=loaded\nActiveState=failed\n", "exited")],
)
def test_what_systemd_says_of_a_unit(text: str, status: str) -> None:
    assert canary.read_unit(text)[0] == status
