# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that connect to each other on one order, over addresses of this machine's loopback."""

from __future__ import annotations

import hashlib
import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils import _order, _probe, _reach
from ansible_collections.llmserve.vllm.plugins.module_utils._order import Who, ask
from ansible_collections.llmserve.vllm.tests.unit.plugins.module_utils.test__probe import is_free

KEY = "k" * 64
CLUSTER = f"order-{time.monotonic_ns()}"
HOSTS = {f"node{number}": f"127.0.0.{number}" for number in (1, 2, 3)}


def target(name: str, ports: list[_probe.Port]) -> dict[str, Any]:
    return {"host": name, "address": HOSTS[name], "ports": [port._asdict() for port in ports]}


def start(name: str, key: str = KEY, *ports: int) -> dict[str, Any]:
    wanted = [{"name": f"port {port}", "port": port} for port in ports]
    who = Who(name, HOSTS[name], key)
    return target(name, _probe.start(who, wanted, cluster=CLUSTER + name, peers=len(HOSTS) - 1, seconds=60))


@pytest.fixture
def _ended() -> Iterator[None]:
    yield
    for name in HOSTS:
        _probe.stop(CLUSTER + name)


def asked(targets: list[dict[str, Any]], key: str = KEY) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    return ask(Who("node1", HOSTS["node1"], key), targets, 5)


@pytest.mark.usefixtures("_ended")
def test_one_call_has_every_host_connect_and_all_listeners_end() -> None:
    targets = [start(name) for name in HOSTS]
    own, reports = asked(targets)
    assert [(result["host"], result["state"]) for result in own] == [("node2", "ok"), ("node3", "ok")]
    assert reports == {"node2": [], "node3": []}
    assert all(is_free(item["ports"][-1]["port"], item["address"]) for item in targets)


@pytest.mark.usefixtures("_ended")
@pytest.mark.parametrize("lost", [["node3"], ["node2", "node3"]])
def test_the_listeners_wait_for_hosts_whose_answers_were_lost(monkeypatch: pytest.MonkeyPatch, lost: list[str]) -> None:
    answer = _order._answer
    monkeypatch.setattr(_order, "_answer", lambda *said: None if said[2] in lost else answer(*said))
    targets = [start(name) for name in HOSTS]
    assert asked(targets)[1] == {name: [] for name in ("node2", "node3") if name not in lost}
    for name in lost:
        # longer than a listener lingers that has nobody to wait for
        time.sleep(1.5)
        others = [item for item in targets if item["host"] != name]
        assert {result["state"] for result in _reach.reach(HOSTS[name], name, others, 5)} == {"ok"}
    assert all(is_free(item["ports"][-1]["port"], item["address"]) for item in targets)


@pytest.mark.usefixtures("_ended")
def test_what_one_host_does_not_reach_is_in_its_report_alone() -> None:
    targets = [start(name) for name in HOSTS]
    with closing(socket.socket()) as silent:
        silent.bind((HOSTS["node3"], 0))
        closed = {"name": "closed", "port": silent.getsockname()[1], "probe": True}
    # nobody listens there, so that all the others find it refused
    targets[2]["ports"].insert(0, closed)
    own, reports = asked(targets)
    expected = {"host": "node3", "name": "closed", "port": closed["port"], "state": "refused"}
    assert [{**result, "answer": ""} for result in _order.failed(own)] == [{**expected, "answer": ""}]
    assert [{**result, "answer": ""} for result in reports["node2"]] == [{**expected, "answer": ""}]
    # another open port was enough to ask
    assert reports["node3"] == []


@pytest.mark.usefixtures("_ended")
@pytest.mark.parametrize(("theirs", "ours"), [("x" * 64, KEY), ("", KEY), ("", "")])
def test_nobody_obeys_without_the_key(theirs: str, ours: str) -> None:
    with closing(socket.socket()) as watched:
        watched.bind((HOSTS["node3"], 0))
        watched.listen()
        watched.settimeout(1)
        service = {"name": "service", "port": watched.getsockname()[1], "probe": False}
        second = start("node2", theirs)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_order, "_SLACK", 0.5)
            own, reports = ask(
                Who("node1", HOSTS["node1"], ours), [second, {**target("node3", []), "ports": [service]}], 0.5
            )
        assert [result["state"] for result in own] == ["ok", "ok"]
        assert reports == {}
        came = watched.accept()[1][0]
        assert came == HOSTS["node1"]
        with pytest.raises(socket.timeout):
            watched.accept()


def order(targets: list[dict[str, Any]]) -> tuple[bytes, bytes]:
    payload = json.dumps({"targets": targets, "timeout": 5}).encode()
    digest = hashlib.sha256(payload).hexdigest().encode()
    return b"order " + digest + b" " + _order._mac(KEY, digest) + b"\n", payload


def say(item: dict[str, Any], *texts: bytes) -> bytes:
    """What a listener says after its greeting, until it closes the connection."""
    said = b""
    with socket.create_connection((item["address"], item["ports"][-1]["port"]), 5) as opened:
        assert opened.recv(100).startswith(b"llmserve-preflight ")
        # who does not obey closes the connection before all has been said
        with suppress(OSError):
            for text in texts:
                opened.sendall(text)
            opened.shutdown(socket.SHUT_WR)
            while data := opened.recv(1000):
                said += data
    return said


@pytest.mark.usefixtures("_ended")
def test_an_order_is_obeyed_once_and_as_it_was_signed() -> None:
    second, third = start("node2"), start("node3")
    signed, payload = order([third])
    # another order under the same signature
    assert say(third, signed, order([second])[1]) == b""
    answer = say(second, signed, payload)
    assert json.loads(answer.partition(b" ")[2]) == {"host": "node2", "failed": []}
    # said again by somebody who has listened
    assert say(second, signed, payload) == b""


def test_hosts_begin_behind_themselves() -> None:
    targets = [target(name, []) for name in HOSTS]
    begun = {name: [item["host"] for item in _order.behind(name, targets)] for name in [*HOSTS, "node9"]}
    assert begun["node1"] == ["node2", "node3"]
    assert begun["node2"] == ["node3", "node1"]
    assert begun["node3"] == ["node1", "node2"]
    assert begun["node9"] == list(HOSTS)


def test_an_answer_counts_only_from_the_host_that_was_asked() -> None:
    text = json.dumps({"host": "node2", "failed": []}).encode()
    signed = _order._mac(KEY, b"asked" + text) + b" " + text
    assert _order._answer(KEY, b"asked", "node2", signed) == []
    assert _order._answer(KEY, b"asked", "node3", signed) is None
    assert _order._answer(KEY, b"asked", "node2", signed[:-1]) is None
    assert _order._answer("", b"asked", "node2", signed) is None
    assert _order._answer(KEY, b"asked", "node2", b"") is None
    # said in an earlier look at the hosts
    assert _order._answer(KEY, b"other", "node2", signed) is None


def test_a_host_of_which_no_port_can_be_reached_is_not_asked() -> None:
    with closing(socket.socket()) as gone:
        gone.bind((HOSTS["node2"], 0))
        port = _probe.Port("closed", gone.getsockname()[1], True)
    own, reports = asked([target("node1", []), target("node2", [port])])
    assert ([result["state"] for result in own], reports) == (["refused"], {})
