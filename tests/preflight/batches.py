# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The faults that are put into the sandbox, in batches that do not disturb each other."""

from __future__ import annotations

from ansible_collections.llmserve.vllm.tests.preflight.cluster import infiniband, roce, roce_gids
from ansible_collections.llmserve.vllm.tests.preflight.sandbox import (
    BOTH,
    CLUSTER,
    Batch,
    Real,
    Ways,
    changed,
    fabric,
    on,
    shifted,
    smi,
    without,
)

_LATE = (
    "mkdir -p /opt/late && cd /opt/late && "
    "echo 'import time; real = time.time; time.time = lambda: real() - 600' > sitecustomize.py && "
    "printf '#!/bin/sh\\nPYTHONPATH=/opt/late exec /usr/bin/python3 \"$@\"\\n' > python3 && chmod 755 python3"
)
_MODEL = "/var/lib/llmserve-fault/hub/models--sandbox--tiny-llama-instruct"


def _snapshot(commit: str, *shards: str) -> str:
    files = " ".join(f"{_MODEL}/snapshots/{commit}/{shard}" for shard in shards)
    return (
        f"mkdir -p {_MODEL}/snapshots/{commit} {_MODEL}/refs && printf {commit} > {_MODEL}/refs/main && "
        f"for file in {files}; do echo weights > $file; done"
    )


_NFT = "nft add table inet fault && nft add chain inet fault input '{ type filter hook input priority -5; }' && "
_DNAT = "nft add table ip faultnat && nft add chain ip faultnat output '{ type nat hook output priority -150; }' && "
# where the kernel takes random ports from, without those of the deployment
_RANDOM = "tcp dport 32768-60999 tcp dport != 52365-52368 ct state new"
_IMAGE = "vllm/vllm-openai:v0.32.0"
_HOME = {"llmserve_hf_home": "/var/lib/llmserve-fault"}
_PROCESSES = r"s#<processes>#<processes><process_info><pid>1</pid><type>C</type><process_name>init</process_name>"
_PROCESSES += r"<used_memory>512 MiB</used_memory></process_info>#"

BATCHES = (
    Batch("nothing", ()),
    Batch(
        "the inventory",
        (
            Real("typo_shared", BOTH, variables={"llmserve_modle": "x"}),
            Real("typo_role", BOTH, variables={"ray_node_prots": {}}),
            Real("left_as_it_came", BOTH, variables={"llmserve_hf_home": "/data/FILE-SYSTEM-NAME/huggingface"}),
            Real("key_with_line_end", CLUSTER, variables={"llmserve_api_key": "s3cret\nkey"}),
            Real("unknown_engine_argument", CLUSTER, variables={"llmserve_engine_args": {"max_modle_len": 1}}),
            Real("sizes_too_large", CLUSTER, variables={"llmserve_tensor_parallel_size": 8}),
            Real("same_port_twice", ("node1",), variables={"llmserve_port": 6380}),
            Real(
                "override_unknown_interface", BOTH, variables={"llmserve_environment": {"NCCL_SOCKET_IFNAME": "eno1"}}
            ),
            Real("full_docker_disk", BOTH, variables={"preflight_image_gib": 100000}),
        ),
        also=frozenset({"plan"}),
    ),
    Batch(
        "the hosts",
        (
            Real("other_driver", ("node2",), on("node2", *smi("s/580.95.05/580.65.06/"))),
            Real(
                "clock_behind",
                ("node2",),
                on("node2", _LATE, "rm -r /opt/late"),
                host_variables={"node2": {"ansible_python_interpreter": "/opt/late/python3"}},
            ),
            Real(
                "hostname_on_loopback",
                ("node2",),
                on(
                    "node2",
                    "cp /etc/hosts /root/hosts && sed s/^10.*node2/127.0.1.1\\ node2/ /root/hosts > /etc/hosts",
                    "cat /root/hosts > /etc/hosts && rm /root/hosts",
                ),
            ),
            Real(
                "tiny_shm",
                ("node2",),
                on("node2", "mount -o remount,size=64m /dev/shm", "mount -o remount,size=2g /dev/shm"),
            ),
            Real("other_mtu", ("node2",), on("node2", "ip link set eth0 mtu 1400", "ip link set eth0 mtu 1500")),
            Real(
                "old_distribution",
                ("node2",),
                on(
                    "node2",
                    "sed -e s/^VERSION_ID=.*/VERSION_ID=10/ /etc/os-release > /run/os-release && "
                    "mount --bind /run/os-release /etc/os-release",
                    "umount /etc/os-release",
                ),
            ),
            Real(
                "port_taken",
                ("node2",),
                on("node2", "systemd-run --unit squatter python3 -m http.server 6380", "systemctl stop squatter"),
            ),
            Real(
                "broken_daemon_json",
                ("node1",),
                on(
                    "node1",
                    "cd /etc/docker && cp daemon.json /root/ && echo '{,' > daemon.json",
                    "cat /root/daemon.json > /etc/docker/daemon.json",
                ),
            ),
            Real(
                "foreign_gpu_process",
                ("node1",),
                on("node1", *smi(_PROCESSES, "s#<persistence_mode>Enabled#<persistence_mode>Disabled#")),
            ),
            # by the same stand-in as the process
            Real("no_persistence", ("node1",)),
            Real(
                "two_cards_in_one_subnet",
                ("node1",),
                on(
                    "node1",
                    "ip link add fault0 type veth peer name fault1 && ip addr add SUBNET.99/24 dev fault0",
                    "ip link del fault0",
                ),
            ),
            Real(
                "read_only",
                ("node2",),
                on(
                    "node2",
                    "mkdir -p /mnt/fault && mount -t tmpfs -o ro tmpfs /mnt/fault",
                    "umount /mnt/fault; rmdir /mnt/fault",
                ),
                host_variables={"node2": {"llmserve_hf_home": "/mnt/fault/huggingface"}},
            ),
            Real(
                "no_inodes",
                ("node1",),
                on(
                    "node1",
                    "mkdir -p /mnt/fault && mount -t tmpfs -o nr_inodes=20,size=1g tmpfs /mnt/fault",
                    "umount /mnt/fault; rmdir /mnt/fault",
                ),
                host_variables={"node1": {"llmserve_hf_home": "/mnt/fault/huggingface"}},
            ),
        ),
    ),
    Batch(
        "the GPUs",
        (
            Real(
                "driver_too_old",
                BOTH,
                ways=Ways(
                    do={
                        "node1": smi("s/580.95.05/570.86.15/", "s#_mig>Disabled#_mig>Enabled#")[0],
                        "node2": smi(
                            "s/580.95.05/570.86.15/",
                            "s#<compute_mode>Default#<compute_mode>Prohibited#",
                            "s#NVIDIA H100 80GB HBM3#NVIDIA H200#",
                            "s#<used>0 MiB#<used>70000 MiB#",
                            "s#<sram_uncorrectable_secded>0#<sram_uncorrectable_secded>3#",
                        )[0],
                    },
                    undo={host: smi()[1] for host in BOTH},
                ),
            ),
            # by the same stand-ins
            Real("mig_mode", ("node1",)),
            Real("compute_prohibited", ("node2",)),
            Real("other_gpu", ("node2",)),
            Real("memory_of_a_dead_process", ("node2",)),
            Real("ecc_errors", ("node2",)),
        ),
        # a GPU in pieces, and two models of GPU: no plan can be trusted
        also=frozenset({"plan"}),
    ),
    Batch(
        "a GPU too many",
        (
            Real(
                "seven_gpus",
                ("node2",),
                on(
                    "node2",
                    "cd /opt/simgpu && cp gpus.tsv gpus.old && sed 's/^0\\tGPU-../0\\tGPU-ff/' gpus.old >> gpus.tsv",
                    "cd /opt/simgpu && cat gpus.old > gpus.tsv && rm gpus.old",
                ),
            ),
        ),
    ),
    Batch(
        "network, image and model",
        (
            Real(
                "closed_port",
                ("node2",),
                on("node2", _NFT + "nft add rule inet fault input tcp dport 6380 drop", "nft delete table inet fault"),
            ),
            Real(
                "closed_random_ports",
                ("node1",),
                on(
                    "node1",
                    _NFT + f"nft add rule inet fault input {_RANDOM} drop",
                    "nft delete table inet fault",
                ),
            ),
            Real(
                "address_on_two_machines",
                ("node2",),
                on(
                    "node1",
                    _DNAT + "nft add rule ip faultnat output ip daddr SUBNET.12 tcp dport 6381 dnat to SUBNET.11",
                    "nft delete table ip faultnat",
                ),
            ),
            Real(
                "moved_tag",
                ("node2",),
                ways=Ways(
                    do=dict.fromkeys(BOTH, f"date +%N > /root/x && tar -C /root -c x | docker import - {_IMAGE}"),
                    undo=dict.fromkeys(BOTH, f"docker rmi {_IMAGE}; rm /root/x"),
                ),
            ),
            Real(
                "missing_shard",
                ("node2",),
                ways=Ways(
                    do={
                        "node1": _snapshot("a" * 40, "model-1.safetensors", "model-2.safetensors"),
                        "node2": _snapshot("a" * 40, "model-1.safetensors"),
                    },
                    undo=dict.fromkeys(BOTH, "rm -r /var/lib/llmserve-fault"),
                ),
                variables=_HOME,
            ),
        ),
    ),
    Batch(
        "a host behind a firewall, with another commit",
        (
            Real(
                "closed_host",
                ("node2",),
                on(
                    "node2",
                    _NFT + "nft add rule inet fault input ip saddr SUBNET.11 tcp dport 1024-65535 ct state new drop",
                    "nft delete table inet fault",
                ),
            ),
            Real(
                "another_commit",
                ("node2",),
                ways=Ways(
                    do={
                        "node1": _snapshot("a" * 40, "model-1.safetensors"),
                        "node2": _snapshot("b" * 40, "model-1.safetensors"),
                    },
                    undo=dict.fromkeys(BOTH, "rm -r /var/lib/llmserve-fault"),
                ),
                variables=_HOME,
            ),
        ),
    ),
    Batch(
        "InfiniBand",
        (
            Real(
                "hca_down",
                ("node2",),
                fabric(
                    infiniband(1),
                    changed(
                        "mlx5_6",
                        changed("mlx5_3", without("mlx5_4", infiniband(2)), state="DOWN", phys_state="Polling"),
                        rate_gbps=200,
                    ),
                    devices=False,
                ),
            ),
            # by the same cards
            Real("hca_gone", ("node2",)),
            Real("slow_link", ("node2",)),
            Real("no_dev_infiniband", ("node2",)),
            # what the nodes are: containers that may not raise limits, without the driver's modules
            Real("memlock_limited", BOTH),
            Real("no_gpudirect", BOTH),
        ),
    ),
    Batch(
        "Ethernet in an InfiniBand cluster",
        (Real("ethernet_among_infiniband", ("node2",), fabric(infiniband(1)[:8], roce(2)[:8])),),
        also=frozenset({"memlock", "gpudirect"}),
    ),
    Batch(
        "RoCE without addresses",
        (
            Real(
                "no_ipv4_on_roce",
                ("node2",),
                fabric(roce(1), changed("mlx5_2", roce(2), gids=roce_gids(2, 2, "eth2")[:2])),
            ),
        ),
        also=frozenset({"memlock", "gpudirect"}),
    ),
    Batch(
        "RoCE with shifted GIDs",
        (Real("shifted_gids", ("node2",), fabric(roce(1), shifted(roce(2)))),),
        also=frozenset({"memlock", "gpudirect"}),
    ),
)
