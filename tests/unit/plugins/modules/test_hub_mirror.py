# SPDX-License-Identifier: GPL-3.0-or-later
"""The module with its real process on loopback: started, known again, ended, and nobody else's."""

from __future__ import annotations

import json
import os
import pwd
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._background import own_identity, runs_here, started_at
from ansible_collections.llmserve.vllm.plugins.module_utils._mirror_process import Place
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_listing import announce
from ansible_collections.llmserve.vllm.plugins.module_utils._snapshot_store import ListedFile, Listing
from ansible_collections.llmserve.vllm.tests.unit.plugins.local_hub import free_port
from ansible_collections.llmserve.vllm.tests.unit.plugins.modules.module_runner import run_module

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "hf" / "hub"


@pytest.fixture
def mirror(cache: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    port = free_port()

    def run(check: bool = False, diff: bool = False, **args: Any) -> dict[str, Any]:
        given = {"cache_dir": str(cache), "address": "127.0.0.1", "port": port, **args}
        return run_module("hub_mirror", capsys, _ansible_check_mode=check, _ansible_diff=diff, **given)

    yield run
    run(state="absent")


def read(url: str, token: str) -> Any:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def wait_until(holds: Callable[[], Any]) -> None:
    until = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_from_nothing_to_nothing(mirror: Run, cache: Path) -> None:
    would = mirror(check=True, diff=True)
    assert (would["changed"], would["running"], would["token"]) == (True, False, "")
    assert would["diff"]["before"] == ""
    assert would["url"] in would["diff"]["after"]
    assert not cache.exists()

    did = mirror()
    assert (did["changed"], did["running"], did["url"]) == (True, True, would["url"])
    assert len(did["token"]) == 64
    assert "diff" not in did
    announce(str(cache / "models--acme--tiny" / ".llmserve"), "main", Listing("c" * 40, [ListedFile("x", 1, "a")]))
    assert read(did["url"] + "/api/models/acme/tiny", did["token"])["sha"] == "c" * 40
    with pytest.raises(urllib.error.HTTPError, match="401"):
        read(did["url"] + "/api/models/acme/tiny", "wrong")

    for check in (False, True):
        again = mirror(check=check)
        assert (again["changed"], again["running"]) == (False, True)
        assert (again["pid"], again["token"]) == (did["pid"], did["token"])

    would = mirror(check=True, diff=True, state="absent")
    assert (would["changed"], would["running"]) == (True, True)
    assert would["diff"]["after"] == ""
    assert started_at(did["pid"])
    gone = mirror(state="absent")
    assert (gone["changed"], gone["running"]) == (True, False)
    assert not started_at(did["pid"])
    assert os.listdir(cache) == ["models--acme--tiny"]
    assert mirror(state="absent")["changed"] is False


def test_who_may_read_what(mirror: Run, cache: Path) -> None:
    did = mirror()
    folder = Path(Place(str(cache)).folder)
    for path, mode in ((folder.parent, 0o700), (folder, 0o700), (folder / "token", 0o600), (folder / "log", 0o600)):
        assert path.stat().st_mode & 0o777 == mode
    assert (folder / "token").read_text().strip() == did["token"]
    process = Path("/proc", str(did["pid"]))
    for name in ("cmdline", "environ"):
        assert did["token"].encode() not in (process / name).read_bytes()
    assert did["token"] not in (folder / "log").read_text()
    # nothing of who started it is held open, which would keep a connection waiting
    held = {os.readlink(process / "fd" / number) for number in ("0", "1", "2")}
    assert held == {os.devnull, str(folder / "log")}
    assert os.getsid(did["pid"]) != os.getsid(0)


def test_another_port(mirror: Run) -> None:
    first = mirror()
    second = mirror(port=free_port())
    assert second["changed"]
    assert second["url"] != first["url"]
    assert second["token"] == first["token"]
    assert not started_at(first["pid"])
    # the same port, too, is let go of in time
    third = mirror(port=int(second["url"].rpartition(":")[2]), idle_timeout=60)
    assert (third["changed"], third["url"]) == (True, second["url"])
    assert third["pid"] != second["pid"]


def test_one_that_was_killed(mirror: Run) -> None:
    first = mirror()
    os.kill(first["pid"], signal.SIGKILL)
    wait_until(lambda: not started_at(first["pid"]))
    second = mirror()
    assert (second["changed"], second["token"]) == (True, first["token"])
    assert second["pid"] != first["pid"]


def test_it_ends_by_itself(mirror: Run, cache: Path) -> None:
    did = mirror(idle_timeout=0.2)
    wait_until(lambda: not started_at(did["pid"]))
    assert "nothing was asked for in 0.2 s" in Path(Place(str(cache)).log).read_text()
    assert mirror()["token"] == did["token"]


@pytest.mark.parametrize("lie", [{"started": "1"}, {"host": "elsewhere"}])
def test_a_foreign_process_is_left_alone(mirror: Run, cache: Path, lie: dict[str, str]) -> None:
    mirror()
    place = Place(str(cache))
    known = place.running()
    assert known is not None
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        # the number is another process' by now, or that of a process of another host
        told = {**own_identity(), "pid": other.pid, "started": started_at(other.pid), **lie}
        place.write(known._replace(process=told))
        assert place.running() is None
        assert mirror(port=free_port())["changed"]
        assert mirror(state="absent")["changed"]
        place.prepare()
        place.write(known._replace(process=told))
        assert mirror(state="absent")["changed"]
        assert other.poll() is None
        other.communicate(b"\n")
    # what the notes no longer know lives on
    assert runs_here(known.process)
    os.kill(known.process["pid"], signal.SIGKILL)


@pytest.mark.parametrize("check", [False, True])
def test_a_port_that_is_taken(mirror: Run, check: bool) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        result = mirror(port=port, check=check)
        assert (result["failed"], result["reason_kind"]) == (True, "port_in_use")
        assert f"port {port} of 127.0.0.1" in result["msg"]
        # a mirror that runs is not given up for a port that cannot be had
        first = mirror()
        assert mirror(port=port)["reason_kind"] == "port_in_use"
        assert mirror()["pid"] == first["pid"]


@pytest.mark.parametrize("check", [False, True])
@pytest.mark.parametrize(
    ("args", "kind"),
    [
        # addresses of documentation (RFC 5737) are nobody's
        ({"address": "192.0.2.1"}, "address_not_local"),
        ({"address": "0.0.0.0"}, "address_invalid"),
        ({"address": "node1"}, "address_invalid"),
        ({"port": 0}, "port_invalid"),
        ({"port": 65536}, "port_invalid"),
        ({"idle_timeout": 0}, "idle_timeout_invalid"),
        ({"run_as": "nobody-of-this-name"}, "run_as"),
    ],
)
def test_refusals(*, mirror: Run, cache: Path, args: dict[str, Any], kind: str, check: bool) -> None:
    result = mirror(check=check, **args)
    assert (result["failed"], result["reason_kind"]) == (True, kind)


def test_ipv6(mirror: Run) -> None:
    if not socket.has_ipv6:
        pytest.skip("this Python has no IPv6")
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6 address")
    did = mirror(address="0:0::1")
    assert did["url"].startswith("http://[::1]:")
    with pytest.raises(urllib.error.HTTPError, match="404"):
        read(did["url"] + "/api/models/acme/none", did["token"])
    assert mirror(address="::1")["changed"] is False


def test_a_cache_that_cannot_be_written(mirror: Run, cache: Path) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_text("not a directory")
    result = mirror()
    assert (result["failed"], result["reason_kind"]) == (True, "not_writable")
    assert str(cache) in result["msg"]
    cache.unlink()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_it_runs_as_the_user(mirror: Run, tmp_path: Path, cache: Path) -> None:
    # the users of this machine may not enter the directories of pytest
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    cache.parent.mkdir()
    user = pwd.getpwnam("nobody")
    os.chown(cache.parent, user.pw_uid, user.pw_gid)
    did = mirror(run_as="nobody")
    assert did["changed"]
    assert os.stat(f"/proc/{did['pid']}").st_uid == user.pw_uid
    assert os.stat(Place(str(cache)).folder).st_uid == user.pw_uid
    assert mirror(run_as="nobody")["changed"] is False
    refused = mirror(run_as="nobody", port=80)
    # some machines let everybody have these ports
    assert refused.get("reason_kind", "port_not_permitted") in ("port_not_permitted", "port_in_use")
    assert mirror(run_as="nobody", state="absent")["changed"]
