# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Causes between the ranks: NCCL, gloo, InfiniBand, rendezvous, and ranks that hang.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from typing import Tuple

from ansible_collections.llmserve.vllm.plugins.module_utils._diagnosis.model import (
    CRASH,
    GENERAL,
    LIKELY,
    NAMED,
    Cause,
    cause,
    seen,
)

_VLLM = "https://github.com/vllm-project/vllm/issues/"
_NCCL = "https://github.com/NVIDIA/nccl/issues/"
_NCCL_DOCS = "https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/"

CAUSES: Tuple[Cause, ...] = (
    cause(
        "nccl_system_error/no_interface",
        "NCCL finds no network interface that matches NCCL_SOCKET_IFNAME.",
        "Take NCCL_SOCKET_IFNAME out of ray_node_env and vllm_serve_env: the roles set it to the interface that has "
        "llmserve_node_ip; names may differ from host to host.",
        seen(
            NAMED - 1,
            r"[Bb]ootstrap : no socket interface|NET/Socket : [Nn]o (usable )?.*interface",
            r"NET/IB : No IP interface found",
        ),
        source=_NCCL_DOCS + "env.html",
    ),
    cause(
        "nccl_system_error/ib_memlock",
        "InfiniBand could not lock memory: the container's limit for it (memlock) is too low.",
        "Run the container with ulimit memlock=-1 and IPC_LOCK, as the roles do with ray_node_infiniband.",
        seen(
            NAMED - 1,
            r"ibv_(reg|create)_\w+ failed.*(Cannot allocate memory|(error|with) 12\b)",
            r"This might be due to (insufficient )?memlock|RLIMIT_MEMLOCK",
        ),
        source=_NCCL_DOCS + "troubleshooting.html",
    ),
    cause(
        "nccl_system_error/ib_device",
        "An InfiniBand or RoCE card could not be opened, or its connection to another host failed.",
        "Choose the cards with NCCL_IB_HCA in ray_node_env (all hosts the same rail), check `ibstat` and "
        "cables, and that "
        "the container has /dev/infiniband (ray_node_infiniband); for RoCE NCCL_IB_GID_INDEX has to fit.",
        seen(
            NAMED - 1,
            r"NET/IB ?: ?(Unable to (open|query)|No device found|Got (completion|async|CQE).*(error|status|fatal))",
            r"NET/IB ?: ?.*(async fatal event|incompatible devices|is incompatible with the local)",
            r"Call to ibv_\w+ failed|ibv_modify_qp failed|ibv_open_device failed",
            r"transport retry counter exceeded|IBV_WC_RETRY_EXC_ERR|vendor err \d+",
            r"NCCL WARN .*No such device",
            waiting=True,
        ),
        source=_NCCL_DOCS + "troubleshooting.html",
    ),
    cause(
        "nccl_system_error/version_mismatch",
        "The ranks run different versions of NCCL.",
        "Use the same llmserve_image, by digest, on every host, and mount no NCCL library over the image's own.",
        seen(
            NAMED - 1,
            r"Mismatched NCCL version detected|NCCL version mismatch with remote peer",
            r"NCCL library is (too old|not backwards compatible)",
            r"ncclInvalidUsage.*version|NCCL version .* (is )?incompatible",
        ),
        source=_NCCL + "1257",
    ),
    cause(
        "nccl_system_error/remote_exited",
        "NCCL lost another rank: its process ended or the network to it broke.",
        "Look at the rank that ended first, on the host that the evidence or the other logs name.",
        seen(
            CRASH - 2,
            r"remote process exited or there was a network error|ncclRemoteError",
            r"retrieving ncclUniqueId from .* got error",
            r"Connection closed by remote peer|socketProgress.*(Connection reset|closed)",
        ),
        source=_NCCL_DOCS + "troubleshooting.html",
    ),
    cause(
        "nccl_timeout",
        "A collective operation between the GPUs did not finish: one rank died or the network between them is blocked.",
        "Look for the rank that stopped first, and set NCCL_DEBUG: INFO in vllm_serve_env and ray_node_env "
        "to see which "
        "interfaces NCCL uses.",
        seen(
            LIKELY,
            r"Watchdog caught collective operation timeout",
            r"Watchdog got stuck|NCCL.*[Tt]imed? ?out",
            r"buffer\.cc:\d+\] Timed out waiting \d+ms for (recv|send) operation",
        ),
        source=_VLLM + "13535",
    ),
    cause(
        "nccl_system_error",
        "NCCL could not set up or keep the communication between the GPUs.",
        "Set NCCL_DEBUG: INFO in vllm_serve_env and ray_node_env; check interface names, InfiniBand devices "
        "and memlock "
        "in the container, and /dev/shm.",
        seen(
            LIKELY,
            r"NCCL error|ncclSystemError|ncclInternalError|ncclUnhandledCudaError|ncclInvalidUsage",
            unless=r"remote process exited or there was a network error|an illegal memory access was encountered",
        ),
        # NCCL also warns of what it does without
        seen(GENERAL - 2, r"NCCL WARN (Call to |Cuda failure|Error: |Failed to|connect to .* failed|socket)"),
        seen(CRASH - 1, r"NCCL error|ncclSystemError|ncclInternalError|ncclUnhandledCudaError"),
        source=_NCCL_DOCS + "troubleshooting.html",
    ),
    cause(
        "rendezvous_timeout/loopback",
        "gloo took a loopback address, so that other hosts cannot connect: /etc/hosts maps this host's name to "
        "127.0.0.1 or 127.0.1.1.",
        "Take the line out of /etc/hosts, or rely on GLOO_SOCKET_IFNAME, which the roles set to the interface that has "
        "llmserve_node_ip.",
        seen(
            NAMED - 1,
            r"connectFullMesh failed.*127\.0\.|gloo.*connect.*(remote|local)=\[?127\.0\.",
            r"SO_ERROR: Connection refused, remote=\[127\.0\.",
            mild=True,
            waiting=True,
        ),
        # said on every host whose own name has no address, where it does no harm to a single one
        seen(
            NAMED - 1,
            r"Unable to resolve hostname to a \(local\) address|resolves to a loopback address: 127\.",
            also=r"connectFullMesh failed|Dist(Store|Network)Error|SO_ERROR|client socket has (timed out|failed)",
            mild=True,
            waiting=True,
        ),
        source=_VLLM + "7074",
    ),
    cause(
        "gloo_no_interface",
        "gloo finds no interface of the name in GLOO_SOCKET_IFNAME.",
        "Take GLOO_SOCKET_IFNAME out of ray_node_env and vllm_serve_env: the roles set it to the interface that has "
        "llmserve_node_ip.",
        seen(
            NAMED - 1,
            r"Unable to find (address|interface) for:? ?\S+|gloo.*[Uu]nable to find interface",
            r"ifa != nullptr\. Unable to find|makeDeviceForInterface|unsupported gloo device",
        ),
        source=_VLLM + "5094",
    ),
    cause(
        "gloo_connection_lost",
        "The connection between two ranks (gloo) broke.",
        "Look at the rank on the other side: it mostly died first; else at the network between the hosts.",
        seen(
            CRASH - 3,
            r"gloo/transport/tcp/\S+\] .*(Connection (reset|closed) by peer|Read error|Broken pipe|closed)",
            r"Connection closed by peer \[[\d.:a-f]+\]",
        ),
        source=_VLLM + "6308",
    ),
    cause(
        "rendezvous_timeout",
        "The ranks did not find each other over the network in time.",
        "Check that all nodes run, that each llmserve_node_ip is an address of the cluster network, that "
        "GLOO_SOCKET_IFNAME and NCCL_SOCKET_IFNAME name its interface, and that no firewall blocks TCP "
        "between the nodes.",
        seen(
            LIKELY,
            r"DistStoreError|DistNetworkError",
            r"client socket has (timed out|failed to connect)",
            r"Timed out after \d+ seconds waiting for clients|Timed out initializing process group",
            r"[Ww]ait timeout after \d+ms, keys",
            r"Gloo connectFullMesh failed",
            r"Timed out waiting for (new )?engine core processes(?!.*slow weight)",
            r"The IPv[46] network addresses of .* cannot be retrieved",
            r"The DP master node \(ip: .*\) is missing or dead",
            r"RuntimeError: .*connect\(\) timed out",
            r"c10d.*(No route to host|Network is unreachable)|gloo.*(No route to host|Network is unreachable)",
            unless=r"Address already in use|EADDRINUSE",
        ),
        source="https://docs.vllm.ai/en/latest/serving/distributed_troubleshooting/",
    ),
    cause(
        "execute_model_timeout",
        "A step of the model took longer than the engine waits: a worker hangs, or it was still compiling.",
        "Look for the worker that stopped first; raise vllm_serve_execute_timeout "
        "(VLLM_EXECUTE_MODEL_TIMEOUT_SECONDS) when long steps are normal.",
        seen(
            LIKELY + 6,
            r"RPC call to (sample_tokens|execute_model|\w+) timed out",
            r"execute_model timed out|Timed out waiting for .*execute_model",
            r"asyncio\.exceptions\.TimeoutError|AsyncEngineDeadError: .*[Tt]imed? out|Engine iteration timed out",
        ),
        source=_VLLM + "17965",
    ),
    cause(
        "worker_hang",
        "A worker has not answered the engine for minutes: it hangs, or has died unnoticed.",
        "Take a stack of the workers (`py-spy dump`), look at the logs of the other hosts and at dmesg; "
        "disable_custom_all_reduce: true in llmserve_engine_args helps where P2P between the GPUs is broken.",
        seen(
            CRASH - 4,
            r"No available (shared memory broadcast )?block found in \d+ second",
            mild=True,
            waiting=True,
            times=5,
        ),
        source=_VLLM + "46611",
    ),
    cause(
        "custom_all_reduce_failed",
        "vLLM's own all-reduce does not work between these GPUs (no peer access, or it is broken).",
        "Set disable_custom_all_reduce: true in llmserve_engine_args; on virtual machines also "
        "NCCL_P2P_DISABLE: '1' in "
        "vllm_serve_env.",
        seen(
            NAMED,
            r"custom_all_reduce\.cu[h]?:\d+.*(failed|error|invalid argument)",
            r"Failed: Cuda error \S*custom_all_reduce",
            r"peer access is not supported between these two devices",
            r"gpu_p2p_access_cache.*(JSONDecodeError|Error)",
        ),
        source=_VLLM + "5613",
    ),
    cause(
        "other_rank_lost",
        "A part of the deployment on another host was lost, so this one has ended, too, to start anew with it.",
        "Look at the host that is named: why its part ended is in the log of its container.",
        seen(CRASH - 2, r"llmserve group guard: .{1,80} is lost \(.*\): \S+ ends", mild=True),
    ),
)
