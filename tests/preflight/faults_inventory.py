# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of the inventory, of addresses and of hosts."""

from __future__ import annotations

from ansible_collections.llmserve.vllm.tests.preflight.cluster import NOW, Picture
from ansible_collections.llmserve.vllm.tests.preflight.fault import (
    Fault,
    Inject,
    cluster_wish,
    every,
    fact,
    together,
    wish,
)


def _other_subnet(picture: Picture) -> None:
    picture.wish()["node_ip"] = "10.9.0.2"
    picture.facts()["addresses"][2] = {"address": "10.9.0.2", "prefix": 20, "interface": "bond0"}


def _public(picture: Picture) -> None:
    picture.wish()["node_ip"] = "8.8.4.4"
    picture.facts()["addresses"][2] = {"address": "8.8.4.4", "prefix": 32, "interface": "bond0"}


def _unreachable(picture: Picture) -> None:
    picture.nodes[1].update(facts=None, unreachable="Connection timed out", reach=None)
    picture.nodes[0]["reach"] = []


def _held(holder: str) -> Inject:
    return fact("held_ports", [{"name": "metrics", "port": 52368, "holder": holder}])


FAULTS = (
    # the inventory
    Fault("two_heads", "one_head", "two hosts in ray_head", "ray_workers", wish("is_head", True)),
    Fault(
        "typo_shared",
        "variable_names",
        "llmserve_modle is set",
        "Rename it to llmserve_model",
        wish("variables", ["llmserve_modle"]),
    ),
    Fault(
        "typo_role",
        "variable_names",
        "ray_node_prots is set",
        "Rename it to ray_node_ports",
        wish("variables", ["ray_node_prots"]),
    ),
    Fault(
        "left_as_it_came",
        "placeholders",
        "llmserve_hf_home still says FILE-SYSTEM-NAME",
        "Set llmserve_hf_home",
        wish("texts", {"llmserve_hf_home": "/home/ubuntu/FILE-SYSTEM-NAME/huggingface"}),
    ),
    Fault(
        "token_placeholder",
        "secrets",
        "the token is hf_xxxx",
        "ansible-vault",
        cluster_wish(secrets={"llmserve_hf_token": "hf_xxxx"}),
    ),
    Fault(
        "key_with_line_end",
        "secrets",
        "the API key has a line end in it",
        "llmserve_api_key",
        cluster_wish(secrets={"llmserve_api_key": "s3cret\nkey"}),
    ),
    Fault(
        "unknown_engine_argument",
        "engine_args",
        "max_modle_len among the engine arguments",
        "llmserve_engine_args",
        cluster_wish(engine_args={"max_modle_len": 1}),
    ),
    Fault(
        "sizes_too_large",
        "parallel_sizes",
        "tensor 8 x pipeline 4 for 16 GPUs",
        "llmserve_pipeline_parallel_size",
        cluster_wish(pipeline_parallel_size=4),
    ),
    Fault(
        "model_too_large",
        "plan",
        "the planner finds no layout",
        "add GPUs",
        lambda picture: picture.plan.update(fits=False, reasons=["It does not fit on 16 GPUs."]),
    ),
    Fault(
        "ranks_without_ray",
        "executor",
        "three stages for two hosts without Ray",
        "a multiple of the hosts",
        together(
            cluster_wish(executor="mp"),
            lambda picture: picture.plan["engine_args"].update(tensor_parallel_size=1, pipeline_parallel_size=3),
        ),
    ),
    Fault(
        "too_old_without_ray",
        "executor",
        "several hosts without Ray, with a vLLM that cannot",
        "a newer vLLM",
        cluster_wish(executor="mp", vllm_version="0.10.0"),
    ),
    Fault(
        "same_port_twice",
        "port_numbers",
        "two services with one port",
        "another port for metrics",
        wish("ports", [{"name": "node_manager", "port": 6380}, {"name": "metrics", "port": 6380}]),
    ),
    # addresses
    Fault("no_address", "node_ip", "llmserve_node_ip is not set", "private network", wish("node_ip", "")),
    Fault("name_for_address", "node_ip", "llmserve_node_ip is a name", "10.0.0.2 (bond0)", wish("node_ip", "node-2")),
    Fault(
        "address_of_another_host",
        "duplicate_node_ip",
        "one address on two hosts of the inventory",
        "host_vars",
        wish("node_ip", "10.0.0.1"),
    ),
    Fault("public_address", "node_ip_public", "a public address", "preflight_allow_public", _public),
    Fault(
        "address_behind_nat",
        "node_ip_local",
        "an address that is on no interface",
        "It has 10.0.0.2 (bond0)",
        wish("node_ip", "10.0.0.77"),
    ),
    Fault("another_subnet", "subnet", "an address in another subnet", "one network", _other_subnet),
    Fault(
        "two_cards_in_one_subnet",
        "two_interfaces",
        "two interfaces in the cluster's subnet",
        "take the address off",
        lambda picture: picture.facts()["addresses"].append(
            {"address": "10.0.0.99", "prefix": 20, "interface": "eno2"}
        ),
    ),
    Fault(
        "hostname_on_loopback",
        "hostname",
        "the host's name is 127.0.1.1 in /etc/hosts",
        "/etc/hosts",
        fact("hostname_addresses", ["127.0.1.1"]),
    ),
    # hosts
    Fault("ssh_does_not_answer", "unreachable", "a host does not answer", "ansible_host", _unreachable),
    Fault("unknown_machine", "architecture", "a ppc64le host", "no image", every("architecture", "ppc64le")),
    Fault(
        "image_for_another_machine",
        "architecture",
        "the host has the image of another architecture",
        "docker rmi",
        every("docker.image", {"id": "sha256:1", "digest": "sha256:2", "architecture": "arm64"}),
    ),
    Fault(
        "old_distribution",
        "os",
        "Ubuntu 20.04",
        "reinstall",
        fact("os", {"id": "ubuntu", "version": "20.04", "name": "Ubuntu 20.04.6 LTS"}),
    ),
    Fault("old_python", "python", "Python 3.8", "ansible_python_interpreter", fact("python", "3.8.10")),
    Fault("clock_behind", "clock", "a clock 10 minutes behind", "timedatectl", fact("time", [NOW - 600, NOW - 599])),
    Fault("clock_ahead", "clock", "a clock 7 s ahead", "timedatectl", fact("time", [NOW + 9, NOW + 9.5])),
    Fault("port_taken", "port", "another program on a planned port", "Stop it", _held("process 812 (nginx)")),
    Fault(
        "port_of_another_cluster",
        "port",
        "another cluster's container on a planned port",
        "another port for metrics",
        _held("container llmserve-ray-head, of the llmserve cluster 'test', process 900 (raylet)"),
    ),
    Fault(
        "broken_daemon_json",
        "daemon_json",
        "daemon.json is not JSON",
        "json.tool",
        fact("docker.daemon_json", {"error": "Expecting ',' delimiter: line 3"}),
    ),
    Fault(
        "docker_without_root",
        "rootless_docker",
        "rootless Docker",
        "DOCKER_HOST",
        fact("docker.server.rootless", True),
    ),
    Fault(
        "selinux_on",
        "selinux",
        "SELinux confines containers",
        "container_file_t",
        together(fact("selinux_enforcing", True), fact("docker.server.selinux", True)),
    ),
    Fault(
        "no_apparmor_profile", "apparmor", "Docker without AppArmor", "apparmor", fact("docker.server.apparmor", False)
    ),
)
