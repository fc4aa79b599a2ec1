# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Causes in Ray: joining, versions, tokens, resources, and nodes and actors that die.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from typing import Tuple

from ansible_collections.llmserve.vllm.plugins.module_utils._diagnosis.model import LIKELY, NAMED, Cause, cause, seen

_VLLM = "https://github.com/vllm-project/vllm/issues/"
_RAY = "https://github.com/ray-project/ray/issues/"
_DOCS = "https://docs.ray.io/en/latest/"

CAUSES: Tuple[Cause, ...] = (
    cause(
        "duplicate_host_ip",
        "Two nodes say that they have the same address.",
        "Give every host its own llmserve_node_ip, an address of the cluster network that is configured on it, and set "
        "VLLM_HOST_IP nowhere for all hosts at once.",
        seen(NAMED - 1, r"Every node should have a unique IP address"),
        source=_VLLM + "7699",
    ),
    cause(
        "insufficient_ray_resources/address_mismatch",
        "vLLM looks for a node under another address than the one by which Ray knows it.",
        "Set llmserve_node_ip of each host to the address of the cluster network: the roles give it to Ray "
        "(--node-ip-address) and to vLLM (VLLM_HOST_IP).",
        seen(
            NAMED - 1,
            r"No available node types can fulfill resource request .*'node:[\d.]+'",
            r"none of these match this node's IP|Ray expects this IP address to be either the GCS address",
            mild=True,
            waiting=True,
        ),
        source=_VLLM + "14186",
    ),
    cause(
        "insufficient_ray_resources",
        "The Ray cluster has too few free GPUs for the engine, so it waits for ones that may never come.",
        "Look at `ray status`: all nodes must have joined with their GPUs, no other engine may hold them, and "
        "llmserve_node_ip of each node must be the address under which Ray knows it.",
        seen(
            LIKELY,
            r"Cannot provide a placement group",
            r"number of required \w+s exceeds the total number of available",
            r"No available node types can fulfill resource request",
            r"Waiting for creating a placement group of specs for (?:[3-9]\d|\d{3,}) seconds",
            r"Tensor parallel size \(\d+\) (exceeds|cannot be larger)",
            r"Not enough resources to allocate (\d+|%s) DP ranks",
            r"Total available GPUs \d+ are less than total desired GPUs|PlacementGroupSchedulingError",
            mild=True,
            waiting=True,
        ),
        source=_VLLM + "7815",
    ),
    cause(
        "ray_driver_node_without_gpu",
        "Ray has given no GPU of the node on which vLLM was started to the engine.",
        "Start vLLM on a node that has free GPUs, and check that llmserve_node_ip there equals Ray's address of the "
        "node.",
        seen(
            NAMED,
            r"Ray does not allocate any \w+s on the driver node",
            r"Current node has no \w+ available",
            r"driver node .*(no|without) GPU",
            r"driver node id \S+ is not included in a placement group|enough GPUs available in a current node",
        ),
        source=_VLLM + "12983",
    ),
    cause(
        "ray_version_mismatch",
        "Ray or Python have another version here than in the cluster.",
        "Use the same llmserve_image, by digest, and the same llmserve_ray_version on every node.",
        seen(NAMED, r"(?<!patch )[Vv]ersion mismatch: (cluster has|The cluster was)"),
        exact="The cluster has Ray {cluster_ray} on Python {cluster_python}, this process Ray {own_ray} on Python "
        "{own_python}: use the same llmserve_image, by digest, and the same llmserve_ray_version on every node.",
        source="https://github.com/gpustack/gpustack/issues/2691",
    ),
    cause(
        "ray_auth",
        "Ray refused the authentication token, or none was given.",
        "Give every node and the serving container the same Ray token and RAY_AUTH_MODE; the roles read the token of "
        "the head and hand it to the workers.",
        seen(
            NAMED,
            r"ray\.exceptions\.AuthenticationError|InvalidAuthToken|no authentication token was found",
            r"Unauthenticated: .*[Tt]oken|Token authentication is enabled but no",
        ),
        source=_DOCS + "ray-security/token-auth.html",
    ),
    cause(
        "ray_missing",
        "Ray is not installed in the image: vLLM's stock images since 0.18 come without it.",
        "Use an image with Ray added (role vllm_image does it with llmserve_ray_version), or llmserve_executor: mp.",
        seen(
            NAMED,
            r"No module named 'ray'",
            r"Failed to import Ray|Ray is not installed|[Pp]lease install ray|requires installation of ray",
            r"\bray: (command )?not found|\"ray\": executable file not found",
        ),
        source=_VLLM + "33445",
    ),
    cause(
        "ray_session_mismatch",
        "A Ray of an earlier session still runs or has left its state behind on this host.",
        "Stop the old cluster (playbooks/stop.yml, `ray stop` for one of your own), then start head and workers anew.",
        seen(NAMED, r"[Ss]ession[ _]name .* does not match persisted value"),
        source=_RAY + "40412",
    ),
    cause(
        "ray_temp_dir",
        "Ray cannot use its directory for sockets and logs: its path is too long, or it belongs to somebody else.",
        "Set llmserve_state_dir to a short path that the container may write to (a socket's path may have 107 bytes).",
        seen(
            NAMED,
            r"AF_UNIX path length cannot exceed \d+ bytes|validate_socket_filename failed",
            r"Permission denied: '/tmp/ray|Can't find a `node_ip_address\.json` file",
        ),
        source=_RAY + "7724",
    ),
    cause(
        "ray_object_store_full",
        "Ray's object store is full.",
        "Set ray_node_object_store_memory to 1 GiB or a little more (vLLM hardly uses it), and see that the container "
        "has the host's /dev/shm (ipc_mode: host).",
        seen(
            NAMED,
            r"ray\.exceptions\.ObjectStoreFullError|ObjectStoreFull",
            r"plasma.*Failed to create object|Attempting to cap object store memory usage",
        ),
        source=_DOCS + "ray-core/objects.html",
    ),
    cause(
        "ray_channel_timeout",
        "A stage of the pipeline did not hand on its result in Ray's time.",
        "Raise RAY_CGRAPH_get_timeout (seconds, as a string) in vllm_serve_env and ray_node_env, or use "
        "llmserve_executor: mp; a rank that hangs shows in its own log first.",
        seen(LIKELY + 5, r"RayChannelTimeoutError|Timed out waiting for object available to read"),
        seen(LIKELY + 5, r"RAY_CGRAPH_get_timeout"),
        source=_VLLM + "27116",
    ),
    cause(
        "ray_node_died",
        "A node of the Ray cluster has gone: its container or host stopped, or the network to it broke.",
        "Look at that host's llmserve-ray-worker container and dmesg (out of memory, a GPU that fell off the bus), "
        "then start the playbook again: head, workers and engine belong together.",
        seen(
            LIKELY + 7,
            r"has been marked dead because the detector has missed too many heartbeats",
            r"has mistakenly been marked as dead by the GCS",
            r"ray\.exceptions\.NodeDiedError|Task failed due to the node dying",
            r"The actor is dead because its node has died|LocalRayletDiedError",
            r"[Hh]ealth check failed due to missing too many heartbeats",
            r"Raylet is terminated\.|The raylet.* died unexpectedly|node_dead|EXPECTED_TERMINATION.*drain",
            mild=True,
            unless=r"Stopped all \d+ Ray processes",
        ),
        source=_DOCS + "ray-core/fault_tolerance/nodes.html",
    ),
    cause(
        "ray_unreachable",
        "The Ray head cannot be reached.",
        "Check that the container llmserve-ray-head runs, that vllm_serve_ray_address is its address and port on the "
        "cluster network, and that no firewall blocks it.",
        seen(
            LIKELY,
            r"Failed to connect to Ray cluster|Could not find any running Ray instance",
            r"Timed out while waiting for GCS|Unable to connect to GCS|ray\.exceptions\.RpcError: .*(GCS|UNAVAILABLE)",
            r"The node(\(s\))? .*failed to register|GCS (server )?is (down|not available|unreachable)",
            r"The current node timed out during startup|no raylets have registered yet",
            r"Failed to register (worker|a worker) .* to (the )?[Rr]aylet|ray client server.*(refused|unreachable)",
        ),
        # a worker repeats it while it waits for the head
        seen(LIKELY, r"Failed to connect to GCS", waiting=True),
        source=_DOCS + "ray-core/miscellaneous.html",
    ),
)
