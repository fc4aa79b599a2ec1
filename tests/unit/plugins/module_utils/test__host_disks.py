# SPDX-License-Identifier: GPL-3.0-or-later
"""Filesystems below paths, those that hang included."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils import _host_disks
from ansible_collections.llmserve.vllm.plugins.module_utils._bounded import Answer, call_all

MOUNTS = """\
22 1 259:2 / / rw,relatime shared:1 - ext4 /dev/root rw,discard
30 22 0:25 / /proc rw - proc proc rw
40 22 0:50 / /data ro,relatime shared:2 - nfs4 10.0.0.9:/export/my\\040data ro,hard
41 22 0:51 / /data2 rw - fuse.juicefs JuiceFS:x rw
42 22 0:52 / /mnt rw - autofs systemd-1 rw
43 42 0:53 / /mnt rw - virtiofs fs0 rw
too short
"""


def described(path: str, answer: Answer, tmp_path: Path) -> dict[str, object]:
    (tmp_path / "mountinfo").write_text(MOUNTS)
    return _host_disks.describe([path], [answer], 5, str(tmp_path / "mountinfo"))[0]


@pytest.mark.parametrize(
    ("path", "point", "fstype", "shared"),
    [
        ("/", "/", "ext4", False),
        ("/home/x", "/", "ext4", False),
        ("/data", "/data", "nfs4", True),
        ("/data/hf/hub", "/data", "nfs4", True),
        ("/data2/x", "/data2", "fuse.juicefs", True),
        ("/data3", "/", "ext4", False),
        ("/mnt/x", "/mnt", "virtiofs", True),
    ],
)
def test_the_mount_of_a_path(path: str, point: str, fstype: str, shared: bool) -> None:
    mount = _host_disks.mount_of(path, _host_disks.parse_mountinfo(MOUNTS))
    assert mount is not None
    assert (mount.mount_point, mount.fstype, _host_disks.is_shared(mount.fstype)) == (point, fstype, shared)


@pytest.mark.parametrize(
    "fstype", ["lustre", "ceph", "fuse.ceph-fuse", "gpfs", "beegfs", "wekafs", "cifs", "9p", "nfs"]
)
def test_network_filesystems(fstype: str) -> None:
    assert _host_disks.is_shared(fstype)


@pytest.mark.parametrize("fstype", ["ext4", "xfs", "btrfs", "zfs", "overlay", "tmpfs", "fuseblk", "nfsd", "fuse.lxcfs"])
def test_local_filesystems(fstype: str) -> None:
    assert not _host_disks.is_shared(fstype)


def test_a_path_that_does_not_exist_yet(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    found = _host_disks.look(str(tmp_path / "link" / "a" / "b"))
    assert found["nearest"] == str((tmp_path / "real").resolve())
    assert found["total_bytes"] > found["free_bytes"] > 0
    assert (found["read_only"], found["writable"], found["problem"]) == (False, True, None)
    (tmp_path / "file").write_text("")
    assert _host_disks.look(str(tmp_path / "file" / "x"))["nearest"] == str((tmp_path / "file").resolve())


def test_a_directory_that_may_not_be_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = str(tmp_path / "closed")
    real = os.stat

    def stat(path: str, **more: bool) -> os.stat_result:
        if str(path).startswith(closed + "/"):
            raise PermissionError(13, "Permission denied")
        return real(path, **more)

    (tmp_path / "closed").mkdir()
    monkeypatch.setattr(os, "stat", stat)
    found = _host_disks.look(closed + "/in/side")
    assert found["nearest"] == closed
    assert found["problem"].startswith(closed + " may not be looked into")


def test_a_stale_file_handle(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def statvfs(_path: str) -> os.statvfs_result:
        raise OSError(116, "Stale file handle")

    monkeypatch.setattr(os, "statvfs", statvfs)
    found = _host_disks.look(str(tmp_path))
    assert found == {"nearest": str(tmp_path.resolve()), "problem": f"{tmp_path.resolve()}: Stale file handle."}


def test_a_server_that_is_down(tmp_path: Path) -> None:
    found = described("/data/hf", Answer(False), tmp_path)
    assert found["problem"] == (
        "the filesystem at /data (nfs4, 10.0.0.9:/export/my data) did not answer within 5 s: is its server up?"
    )
    assert (found["shared"], found["read_only"], found["free_bytes"]) == (True, True, None)


def test_an_answer_and_an_error(tmp_path: Path) -> None:
    found = described("/link", Answer(True, {"nearest": "/data2", "free_bytes": 7, "problem": None}), tmp_path)
    assert (found["fstype"], found["mount_point"], found["free_bytes"]) == ("fuse.juicefs", "/data2", 7)
    assert "OSError: x" in str(described("/data", Answer(True, None, "OSError: x"), tmp_path)["problem"])


def hang() -> None:
    time.sleep(60)


def test_hanging_calls_cost_their_time_once() -> None:
    start = time.monotonic()
    answers = call_all([hang, lambda: {"a": [1, "x" * 200000]}, hang, lambda: 1 / 0, lambda: None], 0.5)
    assert time.monotonic() - start < 3
    assert [answer.finished for answer in answers] == [False, True, False, True, True]
    assert answers[1].value == {"a": [1, "x" * 200000]}
    assert str(answers[3].error).startswith("ZeroDivisionError")
    assert answers[4] == Answer(True)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_a_call_whose_process_dies() -> None:
    (answer,) = call_all([lambda: os._exit(3)], 5)
    assert answer.error == "it ended without an answer"
    assert call_all([], 5) == []
