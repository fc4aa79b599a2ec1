# SPDX-License-Identifier: GPL-3.0-or-later
"""One download, passed on from host to host while it arrives. The hosts are directories and ports of this machine."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmserve.vllm.tests.unit.plugins.local_hub import free_port

from .conftest import HERE, MIB, ROOT, TOKEN, Hub, Module, assert_whole, job, total, wait_until

# What each host may lose when a connection breaks: what is on its way.
ON_THE_WAY = 2 * MIB


class Host:
    """One host of the chain."""

    def __init__(self, hub: Hub, cache: Path, peers: list[dict[str, str]], **more: Any) -> None:
        self.cache, self.port, self._peers, self._more = cache, free_port(), peers, more
        self.module = Module(hub, cache)
        self.running: subprocess.Popen[str] | None = None

    def mirror(self, state: str = "present") -> dict[str, Any]:
        args = {"cache_dir": str(self.cache), "address": "127.0.0.1", "port": self.port, "state": state}
        done = subprocess.run(
            [sys.executable, str(HERE / "run_module.py"), "hub_mirror"],
            input=json.dumps(args),
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": str(ROOT / ".ansible" / "collections")},
            timeout=60,
        )
        assert done.stdout, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        assert not found.get("failed"), found
        return found

    def begin(self, **more: Any) -> None:
        self.running = self.module.begin(peers=self._peers, **{**self._more, **more})

    def end(self) -> dict[str, Any]:
        assert self.running is not None
        return self.module.end(self.running)

    def kill(self) -> None:
        """As when the host loses power: the job and the mirror are gone at once."""
        os.kill(job(self.cache)["pid"], signal.SIGKILL)
        state = json.loads((next(self.cache.glob(".llmserve/mirror/**/state.json"))).read_text())
        os.kill(state["process"]["pid"], signal.SIGKILL)


Chain = Callable[..., list[Host]]


@pytest.fixture
def chain(hub: Hub, tmp_path: Path) -> Iterator[Chain]:
    """Hosts that are ready to begin: each but the last has its mirror, and knows those before it."""
    made: list[Host] = []

    def make(count: int, **more: Any) -> list[Host]:
        known: list[dict[str, str]] = []
        for number in range(count):
            alone = {"peers_only": True, **more} if number else {}
            made.append(Host(hub, tmp_path / f"host{number}" / "hub", list(reversed(known)), **alone))
            if number < count - 1:
                known.append(made[-1].mirror()["peer"])
        return made

    yield make
    for host in made:
        for process in host.module.running:
            if process.poll() is None:
                process.kill()
                process.wait()
        with contextlib.suppress(ProcessLookupError):
            if job(host.cache).get("state") == "running":
                os.kill(job(host.cache)["pid"], signal.SIGTERM)
        host.mirror("absent")


def has(host: Host, count: int) -> Callable[[], bool]:
    """Whether that many bytes have arrived there."""
    return lambda: job(host.cache).get("figures", {}).get("bytes_done", 0) >= count


@pytest.mark.parametrize("count", [2, 4])
def test_the_hub_sends_every_byte_once(hub: Hub, chain: Chain, count: int) -> None:
    hosts = chain(count)
    for host in hosts:
        host.begin()
    for host in hosts:
        done = host.end()
        assert done.get("changed"), done
        assert done["bytes_fetched"] == total(hub)
        assert_whole(hub, done["path"])
    assert hub.served == total(hub)


def test_what_arrives_is_passed_on_before_it_is_whole(hub: Hub, chain: Chain) -> None:
    hub.faults({"kind": "slow", "rate": 3 * MIB, "path": "safetensors"})
    hosts = chain(3)
    for host in hosts:
        host.begin()
    wait_until(has(hosts[2], total(hub) // 4))
    assert not list(hosts[0].cache.glob("*/snapshots/*/*.safetensors"))
    for host in hosts:
        assert_whole(hub, host.end()["path"])
    assert hub.served == total(hub)


def test_a_second_run_has_nothing_to_do(hub: Hub, chain: Chain) -> None:
    hosts = chain(2)
    for _run in range(2):
        for host in hosts:
            host.begin()
        results = [host.end() for host in hosts]
    assert [done["changed"] for done in results] == [False, False]
    assert hub.served == total(hub)


def test_a_host_that_was_added_later_costs_the_hub_nothing(hub: Hub, chain: Chain) -> None:
    hosts = chain(3)
    for host in hosts[:2]:
        host.begin()
        host.end()
    hub.faults({"kind": "status", "status": 500})
    hosts[2].begin()
    assert_whole(hub, hosts[2].end()["path"])


@pytest.mark.parametrize("lost", [0, 1], ids=["first", "middle"])
def test_a_host_that_is_rebooted_goes_on_and_so_do_those_behind_it(hub: Hub, chain: Chain, lost: int) -> None:
    hub.faults({"kind": "slow", "rate": 3 * MIB, "path": "safetensors"})
    hosts = chain(3)
    for host in hosts:
        host.begin()
    wait_until(has(hosts[2], total(hub) // 4))
    hosts[lost].kill()
    assert hosts[lost].end()["reason_kind"] == "job_died"
    hub.faults()
    hosts[lost].mirror()
    hosts[lost].begin()
    for host in hosts:
        done = host.end()
        assert_whole(hub, done["path"])
    assert hub.served < total(hub) + 4 * ON_THE_WAY


def test_a_host_that_stays_away_is_passed_over(hub: Hub, chain: Chain) -> None:
    hub.faults({"kind": "slow", "rate": 3 * MIB, "path": "safetensors"})
    hosts = chain(3)
    for host in hosts:
        host.begin()
    wait_until(has(hosts[2], total(hub) // 4))
    hosts[1].kill()
    hub.faults()
    assert_whole(hub, hosts[0].end()["path"])
    assert_whole(hub, hosts[2].end()["path"])
    assert hub.served < total(hub) + ON_THE_WAY


def test_hosts_that_share_a_directory_wait_for_one_download(hub: Hub, chain: Chain, tmp_path: Path) -> None:
    hub.faults({"kind": "slow", "rate": MIB // 2, "path": "safetensors"})
    (first,) = chain(1)
    first.begin()
    wait_until(has(first, MIB))
    second = Host(hub, first.cache, [first.mirror()["peer"]])
    started = second.module(peers=second._peers, wait=False)
    assert (started["attached"], started["job"]) == (True, job(first.cache)["job"])
    second.begin()
    hub.faults()
    assert_whole(hub, first.end()["path"])
    assert_whole(hub, second.end()["path"])
    assert len(list(tmp_path.glob("**/jobs/*.json"))) == 1
    assert hub.served == total(hub)


def test_without_anybody_to_ask_the_hub_is_asked_and_it_is_said(hub: Hub, chain: Chain) -> None:
    first, second = chain(2, peers_only=False)
    first.mirror("absent")
    second.begin()
    done = second.end()
    assert_whole(hub, done["path"])
    (warning,) = done["warnings"]
    assert "once more" in str(warning)


def test_or_it_is_refused(hub: Hub, chain: Chain) -> None:
    first, second = chain(2)
    first.mirror("absent")
    second.begin()
    done = second.end()
    assert done["reason_kind"] == "peers_unreachable"
    assert f"127.0.0.1:{first.port}" in done["msg"]
    assert hub.served == 0


def test_nobody_without_the_token_is_served(hub: Hub, chain: Chain) -> None:
    first, _second = chain(2)
    first.begin()
    first.end()
    stranger = Host(hub, first.cache.parent.parent / "x" / "hub", [{"url": first.mirror()["url"], "token": TOKEN}])
    stranger.begin(peers_only=True)
    done = stranger.end()
    assert done["reason_kind"] == "peers_unreachable"
    assert "refuses the token" in done["msg"]


def test_wrong_bytes_from_the_hub_reach_nobodys_snapshot(hub: Hub, chain: Chain) -> None:
    slow = {"kind": "slow", "rate": MIB // 2, "path": "safetensors"}
    hub.faults(slow, {"kind": "corrupt", "at": 0, "times": 1, "path": "safetensors"})
    hosts = chain(3)
    for host in hosts:
        host.begin()
    wait_until(lambda: all(has(host, MIB)() for host in hosts))
    hub.faults()
    for host in hosts:
        done = host.end()
        # the others may hear from the mirror that it starts over, before they have found out themselves
        assert done["refetched"] or host is not hosts[0], done
        assert_whole(hub, done["path"])
