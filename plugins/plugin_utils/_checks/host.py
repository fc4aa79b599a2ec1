# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a host can run what it is to run, its GPUs aside.


This plugin util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.llmserve.vllm.plugins.plugin_utils._checks.base import (
    ERROR,
    WARNING,
    Cluster,
    Finding,
    Found,
    Group,
    Host,
)
from ansible_collections.llmserve.vllm.plugins.plugin_utils._checks.images import release

GROUP = Group("host")

_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
# The first release with an image for aarch64.
_FIRST_AARCH64 = (0, 10, 2)
_RED_HAT = ("rhel", "rocky", "almalinux", "centos", "ol")
_SYSTEMS = {"ubuntu": ("22.04", "24.04", "26.04"), "debian": ("12", "13"), **dict.fromkeys(_RED_HAT, ("9", "10"))}
_PYTHON = (3, 10)


@GROUP.add("unreachable", ERROR, "every host answers over SSH")
def unreachable(cluster: Cluster) -> Iterator[Finding]:
    for host in cluster.hosts:
        if host.unreachable:
            yield Finding(
                host.name,
                f"unreachable: {host.unreachable}",
                "an answer over SSH",
                f"Try ansible {host.name} -m ping; check ansible_host, ansible_user and the key, or take the host out "
                "of the inventory.",
            )


@GROUP.each("architecture", ERROR, "vLLM has an image for the host's architecture, and the host has that one")
def architecture(host: Host, cluster: Cluster) -> Iterator[Found]:
    machine = str(host.fact("architecture") or "")
    wanted = " or ".join(_MACHINES)
    version = release(host, cluster)
    image = host.fact("docker", "image", "architecture")
    if machine and machine not in _MACHINES:
        yield Found(machine, wanted, "Take the host out of the inventory: there is no image of vLLM for it.")
    elif machine == "aarch64" and version and version < _FIRST_AARCH64:
        yield Found("aarch64", "vLLM 0.10.2 or newer", "Choose a newer llmserve_image: older ones are for x86_64 only.")
    elif image and machine and image != _MACHINES[machine]:
        yield Found(
            f"its image is for {image}",
            f"{_MACHINES[machine]} ({machine})",
            "Remove it there (docker rmi) and pull the tag that is for all architectures.",
        )


@GROUP.each("os", WARNING, "the host runs a distribution that the roles know")
def operating_system(host: Host, cluster: Cluster) -> Iterator[Found]:
    name, version = host.fact("os", "id"), str(host.fact("os", "version") or "")
    if not name:
        return
    known = _SYSTEMS.get(str(name), ())
    if version not in known and version.partition(".")[0] not in known:
        yield Found(
            str(host.fact("os", "name") or name),
            "Ubuntu 22.04 to 26.04, Debian 12 or 13, RHEL 9 or 10",
            "The roles may not know its packages: install Docker with the NVIDIA container toolkit yourself, or "
            "reinstall the host.",
        )


@GROUP.each("python", ERROR, "the host's Python can run the download's library")
def python(host: Host, cluster: Cluster) -> Iterator[Found]:
    version = str(host.fact("python") or "")
    if version and tuple(map(int, version.split(".")[:2])) < _PYTHON:
        yield Found(
            f"Python {version}",
            "3.10 or newer",
            "Install a newer one beside it (python3.11) and set ansible_python_interpreter of the host to it.",
        )


def clock_offset(host: Host) -> float:
    """By how many seconds the host's clock is surely ahead of the controller's; 0 when it may be right."""
    times, controller = host.fact("time"), host.fact("controller_time")
    if not times or not controller:
        return 0.0
    # the host was read between two looks at the controller's clock
    most, least = times[0] - controller[0], times[1] - controller[1]
    if most < 0:
        return float(most)
    return float(max(least, 0.0))


@GROUP.each("clock", ERROR, "the host's clock agrees with the controller's")
def clock(host: Host, cluster: Cluster) -> Iterator[Found]:
    limit = float(cluster.wish.get("clock_seconds") or 5)
    offset = clock_offset(host)
    if abs(offset) > limit:
        yield Found(
            f"its clock is {_span(abs(offset))} {'ahead' if offset > 0 else 'behind'}",
            f"within {limit:g} s of the controller",
            "Turn time synchronisation on: sudo timedatectl set-ntp true (package chrony or systemd-timesyncd). When "
            "all hosts are listed, it is the controller's clock that is wrong.",
        )


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


@GROUP.each("port", ERROR, "nothing else listens on the planned ports")
def port(host: Host, cluster: Cluster) -> Iterator[Found]:
    for item in host.facts_list("held_ports"):
        if item["holder"]:
            yield Found(
                f"port {item['port']} is taken by {item['holder']}",
                f"free ({item['name']})",
                f"Stop it, or choose another port for {item['name']} in the inventory.",
            )


@GROUP.each("daemon_json", ERROR, "Docker's configuration can be read")
def daemon_json(host: Host, cluster: Cluster) -> Iterator[Found]:
    error = host.fact("docker", "daemon_json", "error")
    if error:
        yield Found(
            f"/etc/docker/daemon.json: {error}",
            "JSON",
            "Correct the file there: python3 -m json.tool /etc/docker/daemon.json shows the place.",
        )


@GROUP.each("rootless_docker", ERROR, "Docker runs as root")
def rootless_docker(host: Host, cluster: Cluster) -> Iterator[Found]:
    if host.fact("docker", "server", "rootless"):
        yield Found(
            "Docker runs without root",
            "the system's Docker",
            "Host network, /dev/infiniband and locked memory need it: unset DOCKER_HOST and install Docker Engine.",
        )


@GROUP.each("selinux", WARNING, "SELinux lets containers read the model")
def selinux(host: Host, cluster: Cluster) -> Iterator[Found]:
    if host.fact("selinux_enforcing") and host.fact("docker", "server", "selinux"):
        home = host.wish.get("hf_home") or "the model's directory"
        yield Found(
            "SELinux confines containers",
            f"readable {home}",
            f"Label it there: sudo chcon -R -t container_file_t {home} (semanage fcontext keeps it), or set "
            "selinux-enabled to false in daemon.json.",
        )


@GROUP.each("apparmor", WARNING, "Docker uses AppArmor where the kernel does")
def apparmor(host: Host, cluster: Cluster) -> Iterator[Found]:
    if host.fact("apparmor") and host.fact("docker", "server") and not host.fact("docker", "server", "apparmor"):
        yield Found(
            "the kernel uses AppArmor, Docker does not",
            "the profile docker-default",
            "Install the package apparmor on the host and restart Docker: containers run unconfined otherwise.",
        )
