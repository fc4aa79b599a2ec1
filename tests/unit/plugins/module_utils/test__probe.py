# SPDX-License-Identifier: GPL-3.0-or-later
"""Listening and connecting, over this machine's loopback."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils import _probe, _reach
from ansible_collections.llmserve.vllm.plugins.module_utils._order import Who
from ansible_collections.llmserve.vllm.plugins.module_utils._probe import RANDOM, Port

HOME = "127.0.0.1"


def free_port() -> int:
    with closing(socket.socket()) as held:
        held.bind((HOME, 0))
        return int(held.getsockname()[1])


@pytest.fixture
def cluster(request: pytest.FixtureRequest) -> Iterator[str]:
    name = f"test-{request.node.name}-{time.monotonic_ns()}"
    yield name
    _probe.stop(name)


def listen(cluster: str, *ports: int, peers: int = 1) -> list[Port]:
    wanted = [{"name": f"port {number}", "port": port} for number, port in enumerate(ports)]
    return _probe.start(Who("node2", HOME), wanted, cluster=cluster, peers=peers, seconds=60)


def reach(
    ports: list[Port], host: str = "node2", timeout: float = 5, me: str = "node1", others: int = 0
) -> list[dict[str, Any]]:
    target = {"host": host, "address": HOME, "ports": [port._asdict() for port in ports]}
    more = [{"host": f"other{number}", "address": HOME, "ports": []} for number in range(others)]
    return _reach.reach(HOME, me, [target, *more], timeout)


def is_free(port: int, address: str = HOME) -> bool:
    for _attempt in range(100):
        with closing(socket.socket()) as held:
            try:
                held.bind((address, port))
            except OSError:
                time.sleep(0.05)
                continue
            return True
    return False


def test_every_port_answers_and_all_is_gone_after_the_goodbye(cluster: str) -> None:
    first, second = free_port(), free_port()
    ports = listen(cluster, first, second)
    assert [port.name for port in ports] == ["port 0", "port 1", RANDOM]
    assert all(port.probe for port in ports)
    assert {result["state"] for result in reach(ports)} == {"ok"}
    assert all(is_free(port.port) for port in ports)


def test_it_waits_for_all_peers(cluster: str) -> None:
    ports = listen(cluster, free_port(), peers=2)
    assert {result["state"] for result in reach(ports, others=1)} == {"ok"}
    assert {result["state"] for result in reach(ports, me="node3", others=1)} == {"ok"}
    assert all(is_free(port.port) for port in ports)


def test_it_does_not_wait_for_peers_that_nobody_has_reached(cluster: str) -> None:
    ports = listen(cluster, free_port(), peers=7)
    assert {result["state"] for result in reach(ports)} == {"ok"}
    assert all(is_free(port.port) for port in ports)


def test_an_answer_from_another_host_is_none(cluster: str) -> None:
    ports = listen(cluster, free_port())
    result = reach(ports, host="node3")[0]
    assert (result["state"], result["answer"]) == ("wrong_host", "node2")


def test_refusal_is_told_from_silence(cluster: str) -> None:
    with closing(socket.socket()) as silent:
        silent.bind((HOME, 0))
        silent.listen()
        port = silent.getsockname()[1]
        ports = [Port("closed", free_port(), True), Port("silent", port, True), Port("service", port, False)]
        assert [result["state"] for result in reach(ports, timeout=0.3)] == ["refused", "timeout", "ok"]


def test_another_program_answers(cluster: str) -> None:
    with closing(socket.socket()) as other:
        other.bind((HOME, 0))
        other.listen()
        port = Port("ssh", other.getsockname()[1], True)
        opened = socket.create_connection((HOME, port.port))
        opened.close()
        ports = [port]
        tries = [_reach.connect(HOME, {"host": "node2", "address": HOME}, port._asdict()) for port in ports]
        for _expected in range(2):
            peer = other.accept()[0]
            peer.sendall(b"SSH-2.0-OpenSSH\r\n") if _expected else peer.close()
        _reach.drive(tries, 5)
        peer.close()
        tries[0].opened.close()
    assert (tries[0].state, tries[0].answer) == ("wrong_host", "SSH-2.0-OpenSSH")


def test_a_port_of_a_running_service_counts_when_it_answers(cluster: str) -> None:
    with closing(socket.socket()) as service:
        service.bind((HOME, 0))
        service.listen()
        port = service.getsockname()[1]
        ports = listen(cluster, port)
        assert ports[0] == Port("port 0", port, False)
        assert {result["state"] for result in reach(ports)} == {"ok"}


def test_a_new_run_ends_the_listener_of_the_one_before(cluster: str) -> None:
    port = free_port()
    listen(cluster, port, peers=9)
    _probe.stop(cluster)
    assert is_free(port)
    assert listen(cluster, port)[0].probe


def test_no_way_out() -> None:
    target = {"host": "node2", "address": "203.0.113.9", "ports": [{"name": "a", "port": 9, "probe": True}]}
    # an address that this machine does not have cannot be a source
    result = _reach.reach("203.0.113.8", "node1", [target], 1)[0]
    assert (result["state"], bool(result["answer"])) == ("unreachable", True)
    assert _probe.start(Who("a", "203.0.113.8"), [], cluster="none", peers=1, seconds=1) == []
