# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Causes on the host: ports, permissions, disks, and limits of processes.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from typing import Tuple

from ansible_collections.llmserve.vllm.plugins.module_utils._diagnosis.model import (
    GENERAL,
    LIKELY,
    NAMED,
    Cause,
    cause,
    seen,
)

_VLLM = "https://github.com/vllm-project/vllm/issues/"

CAUSES: Tuple[Cause, ...] = (
    cause(
        "port_in_use/ray",
        "A port that Ray needs is taken, by an older Ray or another program.",
        "Find it with `ss -ltnp`; choose other ports with ray_head_port, ray_head_dashboard_port and ray_node_ports.",
        seen(
            NAMED - 1,
            r"Ray component \S+ is trying to use a port number",
            r"Ray is trying to start at [\w.:]+, but is already running",
            r"Failed to start the grpc server\. The specified port is",
            r"Failed to bind .*(dashboard|gcs|ray).* port|grpc_server\.cc.* port \d+ .*in use",
        ),
        source="https://github.com/ray-project/ray/issues/22663",
    ),
    cause(
        "port_in_use",
        "Another process already listens on the port.",
        "Find it with `ss -ltnp`, stop it if it is a left-over engine, or choose another llmserve_port.",
        seen(
            NAMED,
            r"\[Errno 98\]",
            r"[Aa]ddress already in use",
            r"EADDRINUSE|port is already allocated",
        ),
        source=_VLLM + "9556",
    ),
    cause(
        "address_not_available",
        "The address to listen on is not one of this host's.",
        "Set llmserve_node_ip (and vllm_serve_host) to an address that `ip address` shows on the host; a "
        "public address "
        "that the provider translates is none.",
        seen(NAMED, r"\[Errno 99\]|[Cc]annot assign requested address|EADDRNOTAVAIL"),
        source=_VLLM + "18986",
    ),
    cause(
        "disk_full/quota",
        "The quota of the user or project on a filesystem is used up.",
        "Free space, ask for more quota, or move llmserve_hf_home and llmserve_state_dir to another filesystem.",
        seen(NAMED - 1, r"Disk quota exceeded|\[Errno 122\]"),
    ),
    cause(
        "disk_full",
        "A filesystem is full.",
        "Free space where the evidence points to (llmserve_hf_home, llmserve_state_dir, /tmp or the "
        "container runtime's "
        "storage).",
        seen(
            LIKELY,
            r"No space left on device|Not enough free disk space|no space left on device",
            unless=r"No space left on device.*/dev/shm|/dev/shm.*No space left on device",
        ),
        source="https://huggingface.co/docs/huggingface_hub/guides/manage-cache",
    ),
    cause(
        "read_only_filesystem",
        "Something has to be written where the container may only read.",
        "Point caches to a directory that is writable: VLLM_CACHE_ROOT, TRITON_CACHE_DIR and HF_HOME in "
        "vllm_serve_env; "
        "a disk that the kernel has made read-only shows in dmesg.",
        seen(LIKELY, r"\[Errno 30\]|Read-only file system"),
    ),
    cause(
        "user_unknown",
        "The container runs under a user id without a name, which torch and others ask for.",
        "Set USER and TORCHINDUCTOR_CACHE_DIR in vllm_serve_env, or run an image that knows the user (vLLM's do since "
        "0.22).",
        seen(NAMED, r"getpwuid\(\): uid not found: \d+|no username set in the environment|No username set in the env"),
        source=_VLLM + "19504",
    ),
    cause(
        "permission_denied/docker",
        "The account may not talk to Docker.",
        "Run the playbook with become: true, or as a member of the group docker.",
        seen(NAMED, r"permission denied while trying to connect to the (Docker|docker) (daemon|API)"),
        source="https://docs.docker.com/engine/install/linux-postinstall/",
    ),
    cause(
        "docker_not_running",
        "The Docker daemon does not run.",
        "`systemctl status docker` says why; the role docker_nvidia sets it up and starts it.",
        seen(NAMED, r"Cannot connect to the Docker daemon|failed to start daemon: |dial unix /\S*docker\.sock"),
        source="https://docs.docker.com/engine/daemon/troubleshoot/",
    ),
    cause(
        "permission_denied",
        "The process may not read or write a file, often one that root left behind in the model cache.",
        "Give the file of the evidence to the account that serves: `chown -R` of llmserve_hf_home to "
        "llmserve_user, and "
        "look at SELinux or AppArmor if the owner is right.",
        seen(
            LIKELY,
            r"\[Errno 13\]|PermissionError",
            r"(open|mkdir|exec|stat|unlink|write) [^:]*: permission denied|: Permission denied$",
        ),
        source=_VLLM + "19504",
    ),
    cause(
        "too_many_open_files",
        "The process has more files and sockets open than it may.",
        "Raise the container's ulimit nofile (1048576), and the host's fs.file-max.",
        seen(NAMED, r"\[Errno 24\]|Too many open files|EMFILE"),
    ),
    cause(
        "too_many_processes",
        "No more threads or processes may be started.",
        "Raise the limits: pids_limit of the container, TasksMax of the Docker service, ulimit nproc; fewer "
        "threads with "
        "OMP_NUM_THREADS in vllm_serve_env.",
        seen(
            NAMED,
            r"\[Errno 11\] Resource temporarily unavailable|BlockingIOError: .*fork|can't start new thread",
            r"pthread_create (failed|: Resource temporarily)",
            r"libgomp: Thread creation failed|failed to create new OS thread",
            r"cgroup: fork rejected by pids controller|Failed to create thread",
        ),
        source="https://docs.docker.com/reference/cli/docker/container/run/",
    ),
    cause(
        "executable_missing",
        "The program that the container should start is not in the image.",
        "Images before 0.11.1 start the API server by themselves and want --model; leave the command to the role "
        "vllm_serve, and check llmserve_image.",
        seen(
            NAMED + 1,
            r"exec: \"?(vllm|python3?|/bin/bash)\"?: (executable file not found|stat .* no such file)",
            r"^(bash|sh|/bin/sh): (line \d+: |\d+: )?vllm: (command )?not found",
            r"^[\w/-]+: (line )?\d+: exec: vllm: not found",
            r"unrecognized subcommand|error: argument subparser: invalid choice",
        ),
    ),
    cause(
        "slurm_step_blocked",
        "A step of the Slurm job waits for resources that another step of the same job holds.",
        "Start the step with `--overlap` and with its own --cpus-per-task and --gpus.",
        seen(NAMED, r"step creation temporarily disabled, retrying", mild=True, waiting=True),
        source="https://slurm.schedmd.com/srun.html",
    ),
    cause(
        "slurm_time_limit",
        "Slurm ended the job because its time was up.",
        "Ask for more time, or chain jobs; loading a large model alone may take an hour.",
        seen(NAMED, r"CANCELLED AT \S+ DUE TO TIME LIMIT"),
        source="https://slurm.schedmd.com/sbatch.html",
    ),
    cause(
        "downloaded_error_page",
        "A script that was fetched from the web is an error page: the address has moved.",
        "Fetch with `curl -f`, and from a tag instead of a branch; the roles need no script of vLLM's.",
        seen(NAMED, r"line 1: 404:: command not found|line \d+: syntax error near unexpected token `<'"),
        source="https://github.com/vllm-project/vllm/tree/main/examples",
    ),
    cause(
        "name_not_resolved",
        "A host name has no address here: that of another node, or any, because the name service does not answer.",
        "Check /etc/resolv.conf and /etc/hosts in the container, and use addresses instead of names for the nodes.",
        seen(
            GENERAL,
            r"gaierror: \[Errno -[2-5]\]|Temporary failure in name resolution|Name or service not known",
            r"hostname (\S+ )?(cannot|could not) be (retrieved|resolved)",
            waiting=True,
        ),
        source="https://docs.docker.com/engine/network/#dns-services",
    ),
    cause(
        "clock_wrong",
        "The host's clock is wrong, so that certificates and signatures count as not yet or no longer valid.",
        "Set the clock and keep it right (chrony or systemd-timesyncd).",
        seen(NAMED - 1, r"certificate is not yet valid|RequestTimeTooSkewed|Clock skew (detected|too great)"),
    ),
    cause(
        "mount_missing",
        "A directory that should be mounted into the container does not exist on the host.",
        "Create it or correct llmserve_hf_home, llmserve_state_dir or llmserve_config_dir.",
        seen(
            NAMED,
            r"invalid mount config for type \"?bind\"?: bind source path does not exist",
            r"error mounting \"[^\"]+\" to rootfs",
            r"mount\.nfs: |mount error\(\d+\)",
        ),
        source="https://docs.docker.com/engine/storage/bind-mounts/",
    ),
    cause(
        "numa_binding_failed",
        "A process could not be bound to the memory or the CPUs of its NUMA node.",
        "Take numa_bind out of llmserve_engine_args; in a container the capability SYS_NICE is needed, and "
        "on GH200 the "
        "nodes of the GPU's memory have no CPUs.",
        seen(
            NAMED,
            r"numa_migrate_pages failed|libnuma: (Error|error)",
            r"setting (membind|interleave mask): Operation not permitted",
            r"numactl: .*(not permitted|invalid|out of range|not found)|<\d+> is invalid.*numactl|mbind: ",
            r"(numa|NUMA)\S* .*failed to bind|(numa|NUMA) binding failed|NUMA is not available",
        ),
        source="https://github.com/vllm-project/vllm/pull/39361",
    ),
)
