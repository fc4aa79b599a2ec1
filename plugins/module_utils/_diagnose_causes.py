# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a vLLM server does not come up, and what to do: the words for each cause that C(_diagnose.py) can find.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from typing import Dict, NamedTuple


class Cause(NamedTuple):
    """A cause in plain words, and the step that mends it."""

    explanation: str
    remedy: str


CAUSES: Dict[str, Cause] = {
    "unknown_flag": Cause(
        "This vLLM does not know an option of its command line; options come and go between versions.",
        "Take the option out of llmserve_engine_args or spell it as this version does (see `vllm serve --help=all`).",
    ),
    "invalid_flag_value": Cause(
        "vLLM refuses the value of an option.",
        "Correct the value in llmserve_engine_args; the evidence says what is accepted.",
    ),
    "max_model_len_gt_model": Cause(
        "The context length asked for is longer than the model was made for.",
        "Lower max_model_len in llmserve_engine_args to the length that the evidence names, or leave it out.",
    ),
    "max_model_len_exceeds_kv_cache": Cause(
        "One request of the full context length needs more KV cache than the GPUs have left after the weights.",
        "Lower max_model_len to at most the estimated maximum in the evidence, raise gpu_memory_utilization, use an "
        "fp8 KV cache (kv_cache_dtype: fp8), or use more GPUs.",
    ),
    "kv_cache_no_memory": Cause(
        "Weights and activations leave no GPU memory for the KV cache.",
        "Use more GPUs or a quantized model, raise gpu_memory_utilization, or lower max_num_batched_tokens; "
        "cpu_offload_gb moves weights to host memory.",
    ),
    "cuda_oom": Cause(
        "A GPU ran out of memory.",
        "Use more GPUs (tensor_parallel_size) or a quantized model, lower gpu_memory_utilization, max_model_len or "
        "max_num_seqs, and make sure with nvidia-smi that nothing else uses the GPU.",
    ),
    "gpu_memory_in_use": Cause(
        "Another process already holds memory of the GPU, so the share that vLLM wants is not free.",
        "Find the process with nvidia-smi and stop it (often an engine that was left behind), or lower "
        "gpu_memory_utilization.",
    ),
    "host_oom": Cause(
        "The host or the container ran out of main memory.",
        "Free host memory, raise the container's memory limit, or lower cpu_offload_gb (it may need twice what it "
        "says); `dmesg` names the process that the kernel killed.",
    ),
    "gpu_not_visible": Cause(
        "The process sees no usable GPU, or fewer than it was told to use.",
        "Check `nvidia-smi` on the host and inside the container, that the container got its GPUs, and that "
        "CUDA_VISIBLE_DEVICES names existing ones; after `systemctl daemon-reload` a container may lose its GPUs until "
        "it is restarted.",
    ),
    "no_gpu_platform": Cause(
        "vLLM found no GPU platform at all: no driver library in the container, or a build for another kind of device.",
        "Start the container with its GPUs (NVIDIA container toolkit installed), and use the image of this CPU "
        "architecture and GPU vendor.",
    ),
    "fabric_manager_down": Cause(
        "The NVSwitch fabric is not initialized: its manager does not run or has another version than the driver.",
        "Install nvidia-fabricmanager in exactly the driver's version and start it "
        "(`systemctl enable --now nvidia-fabricmanager`).",
    ),
    "gpu_arch_unsupported": Cause(
        "This GPU generation cannot run the kernels, the data type or the quantization asked for.",
        "Use dtype: half on GPUs without bfloat16, another quantization of the model, or an image built for this GPU.",
    ),
    "driver_too_old": Cause(
        "The NVIDIA driver of the host is older than the CUDA version in the image needs.",
        "Upgrade the driver (CUDA 13 images need R580 or newer), or pin an image with an older CUDA version.",
    ),
    "tp_heads_not_divisible": Cause(
        "The attention heads or the layers' widths of the model cannot be split evenly over that many GPUs.",
        "Choose a tensor_parallel_size that divides the number in the evidence, and pipeline parallelism for the rest.",
    ),
    "world_size_exceeds_gpus": Cause(
        "Tensor times pipeline parallelism asks for more GPUs than this host has, and no way over hosts was chosen.",
        "Set distributed_executor_backend: ray (or nnodes with the mp backend), or lower the parallel sizes.",
    ),
    "model_arch_unsupported": Cause(
        "This vLLM version has no implementation of the model's architecture.",
        "Use a newer vLLM image, or another model; the evidence names the architecture.",
    ),
    "transformers_too_old": Cause(
        "The transformers library in the image is too old to know this model.",
        "Use a newer vLLM image; upgrading transformers inside of an image is rarely compatible.",
    ),
    "trust_remote_code_required": Cause(
        "The model brings Python code of its own, which vLLM only runs when told to.",
        "Review the code in the model's repository, pin its revision, then set trust_remote_code: true.",
    ),
    "model_path_missing": Cause(
        "The local model path does not exist in the container, or is not a complete model directory.",
        "Check that the path is mounted into the container on every node and contains config.json and the weights.",
    ),
    "model_not_found_or_private": Cause(
        "The Hub knows no such model under this name, or it is private and the token may not see it.",
        "Check the spelling of llmserve_model and its revision, and that llmserve_hf_token may read it.",
    ),
    "gated_repo_unauthenticated": Cause(
        "The model is gated, and no token, or one that the Hub does not know, was sent.",
        "Set llmserve_hf_token to a valid token of an account that has accepted the model's licence.",
    ),
    "gated_repo_not_authorized": Cause(
        "The model is gated, and the account of the token has not been given access.",
        "Open the model's page with that account, accept the licence and wait for the approval; a fine-grained token "
        "also needs the permission to read gated repositories.",
    ),
    "hub_unreachable": Cause(
        "The Hugging Face Hub cannot be reached from this host.",
        "Check name resolution, proxy and firewall, or download the model beforehand and serve with HF_HUB_OFFLINE=1.",
    ),
    "hub_offline_not_cached": Cause(
        "vLLM may not go online (HF_HUB_OFFLINE=1), and the model is not completely in its cache.",
        "Run the role hf_model for exactly this model id and revision on this node, and mount the whole HF_HOME.",
    ),
    "tokenizer_missing": Cause(
        "The model's tokenizer files are missing or unusable.",
        "Download the tokenizer files too, or point the option tokenizer to a repository that has them.",
    ),
    "weights_missing": Cause(
        "The model directory lacks weight files that the model needs.",
        "Run the role hf_model again: it fetches what is missing and verifies the shards.",
    ),
    "weights_corrupt": Cause(
        "A weight file is damaged or was downloaded only in part.",
        "Delete the file that the log names from the cache and run the role hf_model again.",
    ),
    "disk_full": Cause(
        "A filesystem is full.",
        "Free space where the evidence points to (model cache, /tmp or the container runtime's storage).",
    ),
    "port_in_use": Cause(
        "Another process already listens on the port.",
        "Find it with `ss -ltnp`, stop it if it is a left-over engine, or choose another llmserve_port.",
    ),
    "insufficient_ray_resources": Cause(
        "The Ray cluster has too few free GPUs for the engine, so it waits for ones that may never come.",
        "Look at `ray status`: all nodes must have joined with their GPUs, no other engine may hold them, and "
        "VLLM_HOST_IP of each node must be the address under which Ray knows it.",
    ),
    "ray_driver_node_without_gpu": Cause(
        "Ray has given no GPU of the node on which vLLM was started to the engine.",
        "Start vLLM on a node that has free GPUs, and check that VLLM_HOST_IP there equals Ray's address of the node.",
    ),
    "ray_version_mismatch": Cause(
        "Ray or Python have another version here than in the cluster.",
        "Use the same image, by digest, on every node.",
    ),
    "ray_auth": Cause(
        "Ray refused the authentication token, or none was given.",
        "Give every node and the serving container the same Ray token and RAY_AUTH_MODE.",
    ),
    "ray_missing": Cause(
        "Ray is not installed in the image: vLLM's stock images since 0.18 come without it.",
        "Use an image with Ray added (role vllm_image), or the mp executor.",
    ),
    "ray_unreachable": Cause(
        "The Ray head cannot be reached.",
        "Check that the head container runs and that RAY_ADDRESS is its address and port on the cluster network.",
    ),
    "rendezvous_timeout": Cause(
        "The ranks did not find each other over the network in time.",
        "Check that all nodes run, that each VLLM_HOST_IP is an address of the cluster network, that "
        "GLOO_SOCKET_IFNAME and NCCL_SOCKET_IFNAME name its interface, and that no firewall blocks TCP "
        "between the nodes.",
    ),
    "nccl_timeout": Cause(
        "A collective operation between the GPUs did not finish: one rank died or the network between them is blocked.",
        "Look for the rank that stopped first, and set NCCL_DEBUG=INFO to see which interfaces NCCL uses.",
    ),
    "nccl_system_error": Cause(
        "NCCL could not set up or keep the communication between the GPUs.",
        "Set NCCL_DEBUG=INFO; check interface names, InfiniBand devices and memlock in the container, and /dev/shm.",
    ),
    "shm_too_small": Cause(
        "The container's shared memory is too small for the traffic between the workers.",
        "Run the container with ipc_mode: host, or a larger shm_size.",
    ),
    "worker_crash_native": Cause(
        "A worker process crashed in native code.",
        "Look above for the first error of the same process; if there is none, try enforce_eager: true and another "
        "vLLM version, and check the GPU with `nvidia-smi -q` and `dmesg` (Xid messages).",
    ),
    "engine_killed": Cause(
        "A process of the engine was killed from outside, most often by the kernel for lack of memory.",
        "Look at `dmesg -T` for an out-of-memory kill; free host memory or raise the container's limit.",
    ),
    "stopped_by_signal": Cause(
        "Somebody or something asked the server to stop.",
        "Nothing to mend when that was intended; else look who stopped the container (`docker events`, systemd).",
    ),
    "broken_install": Cause(
        "Python packages or libraries in the image or venv do not fit together.",
        "Use the official image unchanged, or rebuild the image or venv with the versions that this vLLM pins.",
    ),
    "unclassified_error": Cause(
        "The engine failed with an error that this collection does not know yet.",
        "Read the evidence and the lines above it in the log.",
    ),
}
