# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts out of the text of docker info, which is written by hand in the format of Docker's client."""

from __future__ import annotations

import json

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.llmserve.vllm.plugins.filter.parse_docker_info import parse_docker_info

CLIENT = """\
Client: Docker Engine - Community
 Version:    29.1.3
 Plugins:
  buildx: Docker Buildx (Docker Inc.)
    Version:  v0.30.1

"""
SERVER = """\
Server:
 Containers: 0
  Running: 0
 Server Version: 29.1.3
 Storage Driver: overlayfs
  driver-type: io.containerd.snapshotter.v1
 Cgroup Version: 2
 Plugins:
  Volume: local
 Discovered Devices:
  cdi: nvidia.com/gpu=0
  cdi: nvidia.com/gpu=all
 Runtimes: io.containerd.runc.v2 runc
 Default Runtime: runc
 Security Options:
  apparmor
  seccomp
   Profile: builtin
 Docker Root Dir: /data/docker
"""


def test_text() -> None:
    assert parse_docker_info(CLIENT + SERVER) == {
        "version": "29.1.3",
        "root": "/data/docker",
        "storage_driver": "overlayfs",
        "containerd_images": True,
        "default_runtime": "runc",
        "nvidia": True,
        "selinux": False,
        "apparmor": True,
        "rootless": False,
        "cgroup_version": "2",
    }


def test_the_runtime_counts_as_well() -> None:
    without = SERVER.replace("  cdi: nvidia.com/gpu=0\n  cdi: nvidia.com/gpu=all\n", "")
    assert (parse_docker_info(CLIENT + without) or {})["nvidia"] is False
    assert (parse_docker_info(CLIENT + without.replace(" runc\n", " nvidia runc\n", 1)) or {})["nvidia"] is True


def test_json_is_as_good() -> None:
    assert (parse_docker_info(json.dumps({"ServerVersion": "28.0.1"})) or {})["version"] == "28.0.1"


@pytest.mark.parametrize("text", ["", CLIENT, CLIENT + "Server:\nERROR: Cannot connect to the Docker daemon\n"])
def test_no_daemon_has_no_facts(text: str) -> None:
    assert parse_docker_info(text) is None


def test_only_text_is_taken() -> None:
    with pytest.raises(AnsibleFilterError, match="takes text"):
        parse_docker_info(None)
