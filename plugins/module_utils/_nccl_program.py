# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The all-reduce of M(llmserve.vllm.nccl_check), as it runs inside the serving image on every host.

Its source text is handed to the image's Python, so it uses the standard library and torch alone. On each host one
process leads: it meets the leaders of the other hosts in a store on the first host, sees whether all reach each other,
then starts one process per GPU (_nccl_rank), and stops them as soon as another host has failed. What happens is printed
as lines of JSON between the lines of NCCL.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from typing import Any, Dict, Iterator, List, NamedTuple, NoReturn, Optional, Sequence, Tuple

MARK = "LLMSERVE_NCCL_CHECK "
# How the source gets into the image's Python, and from there into that of the ranks.
BOOT = "import sys; exec(compile(sys.argv[1], 'nccl_check', 'exec'))"
_SIOCGIFADDR = 0x8915
# Seconds for one connection between hosts, and for the last words when the time is up.
_CONNECT_SECONDS = 3
_LAST_WORDS = 5
_INTERFACE_VARIABLES = ("NCCL_SOCKET_IFNAME", "GLOO_SOCKET_IFNAME")


class Failure(Exception):
    """The check has failed; C(kind) says how, C(facts) are the figures."""

    def __init__(self, kind: str, detail: str = "", **facts: Any) -> None:
        super().__init__(detail or kind)
        self.kind = kind
        self.facts = dict(facts, detail=detail)


class Plan(NamedTuple):
    """What every host is told: the hosts in order, and which of them this is."""

    number: int
    hosts: List[str]
    addresses: List[str]
    port: int
    join_seconds: float
    limit_seconds: float
    sizes: List[int]
    sizes_gloo: List[int]

    @property
    def host(self) -> str:
        return self.hosts[self.number]


def say(event: str, **facts: Any) -> None:
    """One line for the module to read. A single write, so that the lines of other processes do not get into it."""
    os.write(1, ("\n" + MARK + json.dumps(dict(facts, event=event)) + "\n").encode())


def interfaces() -> Dict[str, str]:
    """The network interfaces and their IPv4 addresses, empty where there is none."""
    found = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        for _index, name in socket.if_nameindex():
            request = struct.pack("256s", name.encode()[:15])
            try:
                answer = fcntl.ioctl(opened.fileno(), _SIOCGIFADDR, request)
                found[name] = socket.inet_ntoa(answer[20:24])
            except OSError:
                found[name] = ""
    return found


def chosen(value: str, names: Sequence[str], prefixes: bool = True) -> List[str]:
    """Those of the interfaces that NCCL_SOCKET_IFNAME means: prefixes, names after C(=), others after C(^).

    gloo knows whole names only.
    """
    excluded = value.startswith("^")
    rest = value[1:] if excluded else value
    exact = rest.startswith("=") or not prefixes
    wanted = [name.strip() for name in (rest[1:] if rest.startswith("=") else rest).split(",") if name.strip()]
    hit = [name for name in names if any(name == want if exact else name.startswith(want) for want in wanted)]
    return [name for name in names if name not in hit] if excluded else hit


def check_interfaces(environment: Dict[str, str], names: Sequence[str]) -> None:
    """Refuse a variable that names no interface of this host."""
    for variable in _INTERFACE_VARIABLES:
        value = environment.get(variable, "")
        if value and not chosen(value, names, variable.startswith("NCCL")):
            raise Failure("interface", variable=variable, value=value, present=sorted(names))


def gloo_place(environment: Dict[str, str], found: Dict[str, str]) -> Tuple[str, str]:
    """The interface and the address that gloo takes: what it is told, or what the host's name stands for."""
    named = environment.get("GLOO_SOCKET_IFNAME", "").split(",")[0]
    if named:
        return named, found.get(named, "")
    try:
        address = socket.gethostbyname(socket.gethostname())
    except OSError:
        return "", ""
    # 127.0.1.1 is no interface's own address, and as good as any other of lo's
    return next((name for name, has in found.items() if has == address), "lo" if address[:4] == "127." else ""), address


def places(plan: Plan, environment: Dict[str, str], found: Dict[str, str]) -> List[Dict[str, str]]:
    """The addresses of this host that the others have to reach, with who needs them."""
    name, address = gloo_place(environment, found)
    wanted = [("cluster", "", plan.addresses[plan.number]), ("gloo", name, address)]
    told = environment.get("NCCL_SOCKET_IFNAME", "")
    for name in chosen(told, list(found))[:1] if told else []:
        wanted.append(("NCCL", name, found[name]))
    distinct: Dict[str, Dict[str, str]] = {}
    for user, name, address in wanted:
        if address:
            distinct.setdefault(address, {"user": user, "interface": name, "address": address})
    return list(distinct.values())


def look(torch: Any) -> Dict[str, Any]:
    """What this host brings: GPUs and versions. A torch without CUDA is one for CPUs; CUDA without GPUs is broken."""
    facts: Dict[str, Any] = {"torch": str(torch.__version__), "gpus": 0, "backend": "gloo", "nccl": ""}
    if torch.version.cuda is None:
        return facts
    try:
        torch.cuda.init()
        facts.update(backend="nccl", gpus=torch.cuda.device_count())
        facts["nccl"] = ".".join(str(part) for part in torch.cuda.nccl.version())
    except Exception as exc:
        raise Failure("cuda", str(exc).strip().split("\n", 1)[0]) from exc
    return facts


def listen(address: str, port: int) -> socket.socket:
    """A listening socket on the cluster's address alone."""
    opened = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    opened.bind((address, port))
    opened.listen(512)
    return opened


def connect(address: str, port: int) -> str:
    """Empty when a connection comes about, else why not."""
    try:
        with socket.create_connection((address, port), _CONNECT_SECONDS):
            return ""
    except socket.timeout:
        return "timeout"
    except ConnectionRefusedError:
        return "refused"
    except OSError as exc:
        return exc.strerror or str(exc)


def open_store(dist: Any, plan: Plan, deadline: float) -> Any:
    """The store in which the hosts meet: served by the first one, on its address alone."""
    first, patience = plan.addresses[0], datetime.timedelta(seconds=plan.limit_seconds)
    if plan.number == 0:
        try:
            listener = listen(first, plan.port)
        except OSError as exc:
            raise Failure("port", exc.strerror or str(exc), address=first, port=plan.port) from exc
        return dist.TCPStore(
            first,
            plan.port,
            is_master=True,
            timeout=patience,
            wait_for_workers=False,
            master_listen_fd=listener.detach(),
        )
    while True:
        trouble = connect(first, plan.port)
        if not trouble:
            return dist.TCPStore(first, plan.port, is_master=False, timeout=patience, wait_for_workers=False)
        if time.monotonic() > deadline:
            raise Failure("no_way_to_head", trouble, address=first, port=plan.port)
        time.sleep(0.5)


class Meeting:
    """The store, with the answers of all hosts collected by the first one."""

    def __init__(self, store: Any, plan: Plan) -> None:
        self.store = store
        self.plan = plan

    def put(self, key: str, value: Any) -> None:
        self.store.set(key, json.dumps(value))

    def has(self, key: str) -> bool:
        return bool(self.store.check([key]))

    def get(self, key: str) -> Any:
        return json.loads(self.store.get(key).decode())

    def check_abort(self) -> None:
        """Stop when another host has failed."""
        if self.has("abort"):
            other = self.get("abort")
            if other["host"] != self.plan.host:
                raise Failure("stopped", other=other["host"])

    def missing(self, what: str, count: int) -> List[int]:
        """The numbers of those who have not got as far as this."""
        keys = ["{0}/{1}".format(what, number) for number in range(count)]
        # one question where all are there, which is the rule
        return [] if self.store.check(keys) else [number for number, key in enumerate(keys) if not self.has(key)]

    def late(self, phase: str) -> List[str]:
        """The hosts that have not got as far as this."""
        return [self.plan.hosts[number] for number in self.missing(phase, len(self.plan.hosts))]

    def gather(self, phase: str, mine: Any, deadline: float) -> List[Any]:
        """The answers of all hosts, in order. The first host collects them: the others have one thing to ask for."""
        self.put("{0}/{1}".format(phase, self.plan.number), mine)
        everything = "all/" + phase
        leads, shown = self.plan.number == 0, 0.0
        while True:
            late = self.late(phase) if leads else []
            if leads and not late:
                self.put(everything, [self.get("{0}/{1}".format(phase, n)) for n in range(len(self.plan.hosts))])
            if self.has(everything):
                answers: List[Any] = self.get(everything)
                return answers
            self.check_abort()
            # the first host's word comes before the others lose patience
            if time.monotonic() > deadline + (0 if leads else _LAST_WORDS - 1):
                raise Failure("not_there", phase=phase, hosts=late or self.plan.hosts[:1])
            if leads and time.monotonic() - shown > 2:
                shown = time.monotonic()
                say("phase", phase=phase, missing=late)
            time.sleep(0.2)


def compare(plan: Plan, hosts: List[Dict[str, Any]]) -> None:
    """Refuse hosts that would not understand each other."""
    for kind, key in (("backends", "backend"), ("versions", "nccl"), ("versions", "torch")):
        if len({host[key] for host in hosts}) > 1:
            raise Failure(kind, what=key, values={name: host[key] for name, host in zip(plan.hosts, hosts)})


def reach(plan: Plan, doors: Sequence[List[Dict[str, Any]]]) -> List[Dict[str, Any]]:
    """Connect to every other host at ports of the kernel's choice, as NCCL and gloo will."""
    failed: List[Dict[str, Any]] = []

    def attempt(number: int, door: Dict[str, Any]) -> None:
        trouble = connect(door["address"], door["port"])
        if trouble:
            failed.append(dict(door, to=plan.hosts[number], state=trouble, **{"from": plan.host}))

    others = [number for number in range(len(plan.hosts)) if number != plan.number]
    tries = [(number, door) for number in others for door in doors[number]]
    threads = [threading.Thread(target=attempt, args=item) for item in tries]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(failed, key=lambda item: plan.hosts.index(item["to"]))


@contextlib.contextmanager
def open_doors(wanted: Sequence[Dict[str, str]]) -> Iterator[List[Dict[str, Any]]]:
    """A port at each of the addresses that takes connections."""
    with contextlib.ExitStack() as stack:
        doors: List[Dict[str, Any]] = []
        for place in wanted:
            try:
                # the kernel accepts connections; nobody here has to
                listener = stack.enter_context(listen(place["address"], 0))
            except OSError as exc:
                raise Failure("address", exc.strerror or str(exc), **place) from exc
            doors.append(dict(place, port=listener.getsockname()[1]))
        yield doors


def lead(plan: Plan, rank_source: str) -> None:
    """Everything that this host does."""
    began = time.monotonic()
    deadline = began + plan.limit_seconds - _LAST_WORDS
    meeting: Optional[Meeting] = None
    try:
        found = interfaces()
        say("phase", phase="loading", missing=[])
        try:
            import torch  # noqa: PLC0415 - the controller and the hosts have none
            import torch.distributed as dist  # noqa: PLC0415 - as above
        except ImportError as exc:
            raise Failure("torch", str(exc)) from exc
        facts = look(torch)
        gloo = gloo_place(dict(os.environ), found)[0]
        say("host", host=plan.host, interfaces=found, gloo_interface=gloo, **facts)
        # Others are to learn of a failure from here on, not to wait for this host.
        join_end = min(deadline, time.monotonic() + plan.join_seconds)
        say("phase", phase="joining", missing=plan.hosts)
        meeting = Meeting(open_store(dist, plan, join_end), plan)
        check_interfaces(dict(os.environ), list(found))
        hosts = meeting.gather("joining", facts, join_end)
        compare(plan, hosts)
        with open_doors(places(plan, dict(os.environ), found)) as doors:
            everywhere = meeting.gather("opening", doors, deadline)
            ways = meeting.gather("reaching", reach(plan, everywhere), deadline)
        closed = [way for ways_of_host in ways for way in ways_of_host]
        if closed:
            raise Failure("closed", ways=closed)
        run_ranks(meeting, hosts, rank_source, deadline)
        meeting.gather("measured", True, deadline)
        leave(meeting)
        say("done", seconds=round(time.monotonic() - began, 1))
    except Failure as exc:
        end_badly(meeting, plan, exc)
    except Exception as exc:
        # A store that has gone away: the first host has ended, and its own words say why.
        kind = "head_lost" if meeting is not None and plan.number else "broken"
        end_badly(meeting, plan, Failure(kind, "{0}: {1}".format(type(exc).__name__, exc)))


def end_badly(meeting: Optional[Meeting], plan: Plan, failure: Failure) -> NoReturn:
    """Say why, let the others know, and leave the store open until they do."""
    say("failed", host=plan.host, kind=failure.kind, **failure.facts)
    if meeting is not None:
        with contextlib.suppress(Exception):
            if not meeting.has("abort"):
                meeting.put("abort", {"host": plan.host, "kind": failure.kind})
            leave(meeting)
    sys.stdout.flush()
    os._exit(1)


def leave(meeting: Meeting) -> None:
    """Let the first host keep the store until the others have read what they need, or a while is over."""
    meeting.put("end/{0}".format(meeting.plan.number), True)
    end = time.monotonic() + _LAST_WORDS
    while meeting.plan.number == 0 and meeting.late("end") and time.monotonic() < end:
        time.sleep(0.2)


def run_ranks(meeting: Meeting, hosts: List[Dict[str, Any]], rank_source: str, deadline: float) -> None:
    """One process per GPU, or a single one without; ends when all have, or with the first that fails."""
    plan = meeting.plan
    counts = [max(1, host["gpus"]) for host in hosts]
    first = sum(counts[: plan.number])
    ranks = []
    for local in range(counts[plan.number]):
        task = dict(plan._asdict(), rank=first + local, local=local, world=sum(counts), backend=hosts[0]["backend"])
        argv = [sys.executable, "-u", "-c", BOOT, rank_source, json.dumps(dict(task, mark=MARK))]
        ranks.append(subprocess.Popen(argv, stdin=subprocess.DEVNULL))
    owners = [host for host, count in zip(plan.hosts, counts) for _rank in range(count)]
    try:
        watch(meeting, ranks, owners, deadline)
    finally:
        for rank in ranks:
            rank.kill()


def watch(meeting: Meeting, ranks: List[Any], owners: List[str], deadline: float) -> None:
    """Wait for this host's processes."""
    leads, shown = meeting.plan.number == 0, 0.0
    while True:
        codes = [rank.poll() for rank in ranks]
        bad = [code for code in codes if code]
        if bad:
            # a rank has said itself what ails it, unless it was killed
            raise Failure("killed", "signal {0}".format(-min(bad))) if min(bad) < 0 else Failure("rank")
        if all(code == 0 for code in codes):
            return
        meeting.check_abort()
        ended = time.monotonic() > deadline
        if ended or (leads and time.monotonic() - shown > 2):
            shown = time.monotonic()
            late = meeting.missing("connected", len(owners))
            phase = "connecting" if late else "measuring"
            hosts = sorted({owners[number] for number in late}, key=meeting.plan.hosts.index)
            if ended:
                raise Failure("timeout", hosts=hosts, phase=phase, ranks=late)
            say("phase", phase=phase, missing=hosts)
        time.sleep(0.2)


def main(argv: Sequence[str]) -> None:
    """argv: this source, that of the ranks, and what to know as JSON."""
    lead(Plan(**json.loads(argv[2])), argv[1])


if __name__ == "__main__":
    main(sys.argv[1:])
