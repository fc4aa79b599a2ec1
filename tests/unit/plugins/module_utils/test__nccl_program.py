# SPDX-License-Identifier: GPL-3.0-or-later
"""The program of the container, as far as it goes without torch: the leaders' decisions and their meeting."""

from __future__ import annotations

import json
import socket
import threading
import time
from typing import Any

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils import _nccl_program as program
from ansible_collections.llmserve.vllm.plugins.module_utils import _nccl_rank

NAMES = ["lo", "eth0", "eth1", "ens3", "docker0"]


class Store:
    """torch's TCPStore, within a process."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}

    def set(self, key: str, value: str) -> None:
        self.values[key] = value.encode()

    def get(self, key: str) -> bytes:
        return self.values[key]

    def check(self, keys: list[str]) -> bool:
        return all(key in self.values for key in keys)


def plan(number: int = 0, hosts: int = 2) -> program.Plan:
    names = [f"host{n}" for n in range(hosts)]
    return program.Plan(number, names, ["127.0.0.1"] * hosts, 29511, 5, 10, [1], [1])


@pytest.mark.parametrize(
    ("value", "prefixes", "want"),
    [
        ("eth", True, ["eth0", "eth1"]),
        ("eth", False, []),
        ("eth0,ens3", False, ["eth0", "ens3"]),
        ("=eth0", True, ["eth0"]),
        ("=eth", True, []),
        ("^docker,lo", True, ["eth0", "eth1", "ens3"]),
        ("^=eth0", True, ["lo", "eth1", "ens3", "docker0"]),
    ],
)
def test_interfaces_are_chosen_as_nccl_and_gloo_do(value: str, prefixes: bool, want: list[str]) -> None:
    assert program.chosen(value, NAMES, prefixes) == want


def test_a_variable_that_names_nothing_is_refused() -> None:
    with pytest.raises(program.Failure) as failed:
        program.check_interfaces({"NCCL_SOCKET_IFNAME": "eth", "GLOO_SOCKET_IFNAME": "eth"}, NAMES)
    assert failed.value.kind == "interface"
    assert (failed.value.facts["variable"], failed.value.facts["value"]) == ("GLOO_SOCKET_IFNAME", "eth")
    program.check_interfaces({}, NAMES)


def test_the_places_that_others_have_to_reach() -> None:
    found = {"lo": "127.0.0.1", "eth0": "127.0.0.1", "ib0": "10.1.0.1", "docker0": "172.17.0.1"}
    environment = {"GLOO_SOCKET_IFNAME": "docker0", "NCCL_SOCKET_IFNAME": "ib"}
    assert program.places(plan(), environment, found) == [
        {"user": "cluster", "interface": "", "address": "127.0.0.1"},
        {"user": "gloo", "interface": "docker0", "address": "172.17.0.1"},
        {"user": "NCCL", "interface": "ib0", "address": "10.1.0.1"},
    ]


def test_gloo_takes_what_the_name_of_the_host_stands_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostbyname", lambda _name: "127.0.1.1")
    assert program.gloo_place({}, {"lo": "127.0.0.1", "eth0": "10.0.0.1"}) == ("lo", "127.0.1.1")
    monkeypatch.setattr(socket, "gethostbyname", lambda _name: "10.0.0.1")
    assert program.gloo_place({}, {"lo": "127.0.0.1", "eth0": "10.0.0.1"}) == ("eth0", "10.0.0.1")


def test_doors_are_open_while_they_are_needed() -> None:
    with program.open_doors([{"user": "cluster", "interface": "", "address": "127.0.0.1"}]) as doors:
        assert program.connect("127.0.0.1", doors[0]["port"]) == ""
        assert program.reach(plan(0), [doors, doors]) == []
    ways = program.reach(plan(0), [doors, doors])
    assert [(way["from"], way["to"], way["state"]) for way in ways] == [("host0", "host1", "refused")]


def test_an_address_that_is_not_here_is_named() -> None:
    place = {"user": "gloo", "interface": "", "address": "192.0.2.1"}
    with pytest.raises(program.Failure) as failed, program.open_doors([place]):
        pass
    assert (failed.value.kind, failed.value.facts["address"]) == ("address", "192.0.2.1")


class Rank:
    """A process that has ended, or not."""

    def __init__(self, code: int | None) -> None:
        self.code = code

    def poll(self) -> int | None:
        return self.code


@pytest.mark.parametrize(("codes", "kind"), [([0, -9], "killed"), ([1, None], "rank"), ([None, None], "timeout")])
def test_what_becomes_of_the_ranks(codes: list[int | None], kind: str) -> None:
    meeting = program.Meeting(Store(), plan(0))
    with pytest.raises(program.Failure) as failed:
        program.watch(meeting, [Rank(code) for code in codes], ["host0", "host0", "host1"], time.monotonic() - 1)
    assert failed.value.kind == kind
    program.watch(meeting, [Rank(0), Rank(0)], [], time.monotonic() - 1)


def test_everybody_gets_the_answers_of_all_in_order() -> None:
    store = Store()
    got: dict[int, Any] = {}

    def take_part(number: int) -> None:
        meeting = program.Meeting(store, plan(number, 3))
        got[number] = meeting.gather("joining", {"n": number}, time.monotonic() + 5)

    threads = [threading.Thread(target=take_part, args=(number,)) for number in (2, 1, 0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == {number: [{"n": 0}, {"n": 1}, {"n": 2}] for number in range(3)}


def test_the_first_host_names_who_is_missing() -> None:
    with pytest.raises(program.Failure) as failed:
        program.Meeting(Store(), plan(0, 3)).gather("joining", 1, time.monotonic() - 1)
    assert (failed.value.kind, failed.value.facts["hosts"]) == ("not_there", ["host1", "host2"])


def test_a_failure_elsewhere_stops_everybody() -> None:
    store = Store()
    program.Meeting(store, plan(1)).put("abort", {"host": "host1", "kind": "cuda"})
    with pytest.raises(program.Failure) as failed:
        program.Meeting(store, plan(0)).gather("joining", 1, time.monotonic() + 5)
    assert (failed.value.kind, failed.value.facts["other"]) == ("stopped", "host1")


@pytest.mark.parametrize(("key", "kind"), [("backend", "backends"), ("nccl", "versions"), ("torch", "versions")])
def test_hosts_that_differ_are_refused(key: str, kind: str) -> None:
    same = {"backend": "nccl", "nccl": "2.28.9", "torch": "2.13"}
    with pytest.raises(program.Failure) as failed:
        program.compare(plan(), [same, {**same, key: "other"}])
    assert (failed.value.kind, failed.value.facts["what"]) == (kind, key)
    program.compare(plan(), [same, same])


def test_a_port_in_use_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(program.Failure) as failed:
            program.open_store(None, plan()._replace(port=port), time.monotonic())
    assert (failed.value.kind, failed.value.facts["port"]) == ("port", port)


def test_no_way_to_the_first_host() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(program.Failure) as failed:
        program.open_store(None, plan(1)._replace(port=port), time.monotonic() - 1)
    assert (failed.value.kind, failed.value.facts["detail"]) == ("no_way_to_head", "refused")


class Cuda:
    """torch.cuda of a host with or without GPUs."""

    class nccl:
        @staticmethod
        def version() -> tuple[int, int, int]:
            return (2, 28, 9)

    def __init__(self, error: str = "") -> None:
        self.error = error

    def init(self) -> None:
        if self.error:
            raise RuntimeError(self.error)

    def device_count(self) -> int:
        return 8


class Torch:
    """As much of torch as looking at the host needs."""

    __version__ = "2.13.0"

    def __init__(self, cuda_version: str | None, error: str = "") -> None:
        self.version = type("version", (), {"cuda": cuda_version})
        self.cuda = Cuda(error)


def test_backend_and_gpus() -> None:
    assert program.look(Torch(None)) == {"torch": "2.13.0", "gpus": 0, "backend": "gloo", "nccl": ""}
    assert program.look(Torch("13.0")) == {"torch": "2.13.0", "gpus": 8, "backend": "nccl", "nccl": "2.28.9"}


def test_cuda_that_does_not_work_is_not_taken_for_a_cpu() -> None:
    with pytest.raises(program.Failure) as failed:
        program.look(Torch("13.0", "Error 802: system not yet initialized\nand more"))
    assert (failed.value.kind, failed.value.facts["detail"]) == ("cuda", "Error 802: system not yet initialized")


def test_the_last_words_are_an_event(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    class Ended(Exception):
        pass

    def end(_code: int) -> None:
        raise Ended

    monkeypatch.setattr(program.os, "_exit", end)
    with pytest.raises(Ended):
        program.end_badly(None, plan(1), program.Failure("cuda", "no GPU"))
    line = capfd.readouterr().out.strip()
    assert json.loads(line[len(program.MARK) :]) == {
        "host": "host1",
        "kind": "cuda",
        "detail": "no GPU",
        "event": "failed",
    }


def test_bus_bandwidth_is_that_of_nccl_tests() -> None:
    assert [_nccl_rank.bus_factor(world) for world in (1, 2, 4, 16)] == [0.0, 1.0, 1.5, 1.875]


def test_only_the_later_rounds_are_timed() -> None:
    rounds: list[int] = []
    assert _nccl_rank.clock(lambda: rounds.append(1), lambda: None) >= 0
    assert len(rounds) > 10
