# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filesystems below given paths, network filesystems that do not answer included.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import functools
import os
import re
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence

from ansible_collections.llmserve.vllm.plugins.module_utils._bounded import Answer
from ansible_collections.llmserve.vllm.plugins.module_utils._host import read_text

# Filesystems that other hosts may see as well. FUSE names its filesystems "fuse.NAME".
_SHARED = re.compile(
    r"(fuse\.)?(nfs4?|lustre|ceph(fs|-fuse)?|gpfs|mmfs|beegfs(_nodev)?|glusterfs|cifs|smb3|smbfs|9p|virtiofs|afs|ocfs2|gfs2|"
    r"orangefs|pvfs2|weka(fs)?|panfs|quobyte|daos|dfuse|juicefs|s3fs|gcsfuse|goofys|geesefs|mount-s3|mountpoint-s3|sshfs|"
    r"rclone|blobfuse2?|hdfs|hf3fs|seaweedfs|moosefs|mfs|cvmfs2?|alluxio-fuse)$"
)


class Mount(NamedTuple):
    """One line of mountinfo."""

    mount_point: str
    fstype: str
    source: str
    read_only: bool


def parse_mountinfo(text: str) -> List[Mount]:
    """The mounts in C(/proc/self/mountinfo), in its order."""
    mounts = []
    for line in text.splitlines():
        before, dash, after = line.partition(" - ")
        words, what = before.split(" "), after.split(" ")
        if dash and len(words) >= 6 and len(what) >= 2:
            options = words[5].split(",") + (what[2].split(",") if len(what) > 2 else [])
            mounts.append(Mount(_unescape(words[4]), what[0], _unescape(what[1]), "ro" in options))
    return mounts


def _unescape(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), text)


def mount_of(path: str, mounts: Sequence[Mount]) -> Optional[Mount]:
    """The mount that holds a path: the deepest, and of several on one point the last, which covers the others."""
    found = None
    for mount in mounts:
        point = mount.mount_point.rstrip("/") + "/"
        if (path.rstrip("/") + "/").startswith(point) and (
            found is None or len(mount.mount_point) >= len(found.mount_point)
        ):
            found = mount
    return found


def is_shared(fstype: str) -> bool:
    """Whether other hosts may see the same files."""
    return bool(_SHARED.match(fstype))


def look(path: str) -> Dict[str, Any]:
    """What the filesystem says of itself. May hang for ever on a network filesystem: call it bounded."""
    problem = None
    try:
        where = os.path.realpath(path)
    except OSError:
        where = os.path.normpath(path)
    while True:
        try:
            os.stat(where)
            break
        except (FileNotFoundError, NotADirectoryError):
            pass
        except PermissionError:
            problem = "{0} may not be looked into by this user, so what is below it is unknown.".format(
                os.path.dirname(where)
            )
        except OSError as exc:
            return {"nearest": where, "problem": "{0}: {1}.".format(where, exc.strerror)}
        if where == os.path.dirname(where):
            break
        where = os.path.dirname(where)
    try:
        figures = os.statvfs(where)
    except OSError as exc:
        return {"nearest": where, "problem": "{0}: {1}.".format(where, exc.strerror)}
    read_only = bool(figures.f_flag & os.ST_RDONLY)
    return {
        "nearest": where,
        "total_bytes": figures.f_blocks * figures.f_frsize,
        "free_bytes": figures.f_bavail * figures.f_frsize,
        # filesystems without a fixed number of inodes (btrfs, many network ones) say 0
        "inodes_total": figures.f_files or None,
        "inodes_free": figures.f_favail if figures.f_files else None,
        "read_only": read_only,
        "writable": not read_only and os.access(where, os.W_OK | os.X_OK if os.path.isdir(where) else os.W_OK),
        "problem": problem,
    }


def calls(paths: Sequence[str]) -> List[Callable[[], Any]]:
    """One call per path that fetches its figures."""
    return [functools.partial(look, path) for path in paths]


def describe(
    paths: Sequence[str], answers: Sequence[Answer], timeout: float, mountinfo: str = "/proc/self/mountinfo"
) -> List[Dict[str, Any]]:
    """One entry per path, from the answers to its call. Read after the calls, which may have mounted something."""
    mounts = parse_mountinfo(read_text(mountinfo) or "")
    return [_entry(path, answers[index], mounts, timeout) for index, path in enumerate(paths)]


def _entry(path: str, answer: Answer, mounts: Sequence[Mount], timeout: float) -> Dict[str, Any]:
    found: Dict[str, Any] = answer.value or {}
    mount = mount_of(found.get("nearest") or os.path.normpath(path), mounts)
    entry: Dict[str, Any] = {
        "path": path,
        "nearest": None,
        "fstype": mount.fstype if mount else None,
        "source": mount.source if mount else None,
        "mount_point": mount.mount_point if mount else None,
        "shared": is_shared(mount.fstype) if mount else None,
        "total_bytes": None,
        "free_bytes": None,
        "inodes_total": None,
        "inodes_free": None,
        "read_only": mount.read_only if mount else None,
        "writable": None,
        "problem": None,
    }
    entry.update(found)
    if answer.error:
        entry["problem"] = "the filesystem could not be read ({0}).".format(answer.error)
    elif not answer.finished:
        entry["problem"] = "the filesystem{0} did not answer within {1:g} s: is its server up?".format(
            " at {0.mount_point} ({0.fstype}, {0.source})".format(mount) if mount else "", timeout
        )
    return entry
