# SPDX-License-Identifier: GPL-3.0-or-later
"""The canary's script as a whole, on hosts with containers and with units."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmserve.vllm.tests.unit.plugins.fake_server import Script, serving
from ansible_collections.llmserve.vllm.tests.unit.roles.canary_host import Host, UnitHost, hanging


def test_an_answer_is_written_down(tmp_path: Path) -> None:
    with serving(Script()) as url:
        state = Host(tmp_path, url).run()
    assert (state["verdict"], state["counts"]) == ("ok", {"ok": 1})
    assert abs(state["last_ok"] - time.time()) < 60
    assert (tmp_path / "canary.json").stat().st_mode & 0o777 == 0o644
    assert not list(tmp_path.glob(".canary-*"))


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
