# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Failures by the host, by the image, and by what is done to a process."""

from __future__ import annotations

from ansible_collections.llmserve.vllm.tests.failures.fault import (
    CONTAINER,
    CORE,
    LOADING,
    PREFLIGHT,
    SERVING,
    START,
    STRIKE,
    STRUCK,
    Failure,
    main_process,
    running,
    started_by,
)

# Three times what the tiny model takes from the first process to the first answer.
_PATIENCE = 75
_MOUNT = "mkdir -p /mnt/fault && mount -t tmpfs -o nr_inodes={0},size=1m tmpfs /mnt/fault"
_UMOUNT = "umount /mnt/fault; rmdir /mnt/fault"
# An image with a shell and nothing else. tar follows the links of the merged /usr.
_SHELL = (
    "tar -C / -chf - bin/sh bin/cat lib64/ld-linux-x86-64.so.2 lib/x86_64-linux-gnu/libc.so.6"
    " | docker import - fault/no-vllm:1"
)
_ELF = "bytes.fromhex('7f454c4602010100') + bytes(8) + (2).to_bytes(2, 'little') + (183).to_bytes(2, 'little')"
_OTHER_ARCHITECTURE = (
    'rm -rf /root/arm && mkdir -p /root/arm/bin && python3 -c "import pathlib; '
    f"pathlib.Path('/root/arm/bin/sh').write_bytes({_ELF} + (1).to_bytes(4, 'little') + bytes(104))\""
    " && chmod 755 /root/arm/bin/sh && tar -C /root/arm -cf - bin | docker import - fault/aarch64:1"
)


def _image(name: str) -> dict[str, object]:
    # what is in them is not asked: preflight and the role vllm_image do that before
    return {"vllm_serve_image": name, "vllm_serve_ask_flags": False, "vllm_serve_vllm_version": "0.32.0"}


HOST = (
    Failure(
        "port_held_by_somebody",
        "another program listens on `llmserve_port`, and playbooks/serve.yml is run",
        ("8000", "python3"),
        way=PREFLIGHT,
        do="systemd-run --unit squatter python3 -m http.server 8000 && sleep 1",
        undo="systemctl stop squatter",
        since=START,
    ),
    Failure(
        "port_in_use",
        "another program has taken the port since preflight looked",
        ("already listens",),
        "port_in_use",
        do="systemd-run --unit squatter python3 -m http.server 8000 && sleep 1",
        undo="systemctl stop squatter",
    ),
    Failure(
        "address_of_nobody",
        "`vllm_serve_host` is not an address of the host",
        ("address",),
        "address_not_available",
        variables={"vllm_serve_host": "10.89.77.99"},
    ),
    Failure(
        "shm_too_small",
        "`vllm_serve_shm_size: 16m`",
        ("/dev/shm",),
        "shm_too_small",
        variables={"vllm_serve_shm_size": "16m"},
    ),
    Failure(
        "disk_full_for_the_role",
        "there is no room for a directory below `llmserve_state_dir`",
        ("/mnt/fault", "no space left"),
        do=_MOUNT.format(1),
        undo=_UMOUNT,
        variables={"vllm_serve_state_dir": "/mnt/fault"},
        since=START,
    ),
    Failure(
        "disk_full_for_the_engine",
        "the file system for vLLM's cache and sockets has no room for another file",
        ("full",),
        "disk_full",
        do=_MOUNT.format(3),
        undo=_UMOUNT,
        variables={
            "vllm_serve_state_dir": "/mnt/fault",
            "vllm_serve_ask_flags": False,
            "vllm_serve_env": {"VLLM_RPC_BASE_PATH": "/root/.cache/vllm"},
        },
    ),
    Failure(
        "memory_limit",
        "the container may have 300 MiB of main memory",
        ("memory",),
        "host_oom",
        strike=running(CONTAINER) + STRUCK + f"docker update --memory 300m --memory-swap 300m {CONTAINER}",
    ),
    Failure(
        "api_key_empty",
        "/etc/llmserve/api_key is empty, for which vLLM would answer everybody",
        ("/etc/llmserve/api_key is empty",),
        do="mkdir -p /etc/llmserve && : > /etc/llmserve/api_key",
        undo="rm -f /etc/llmserve/api_key",
        since=START,
    ),
    Failure(
        "image_without_vllm",
        "the image has no vLLM",
        ("not in the image",),
        "executable_missing",
        do=_SHELL,
        undo="docker rmi fault/no-vllm:1",
        variables=_image("fault/no-vllm:1"),
    ),
    Failure(
        "image_of_another_architecture",
        "the image was built for aarch64",
        ("CPU architecture",),
        "wrong_architecture",
        do=_OTHER_ARCHITECTURE,
        undo="docker rmi fault/aarch64:1; rm -rf /root/arm",
        variables=_image("fault/aarch64:1"),
    ),
    Failure(
        "wrong_entrypoint",
        "the container starts a program that the image does not have",
        ("vllm-server", "executable file not found"),
        variables={"__vllm_serve_entrypoint": ["vllm-server"]},
        since=START,
    ),
    Failure(
        "package_missing",
        "a Python package of the image is gone",
        ("uvloop",),
        "broken_install",
        variables=started_by('rm -rf /usr/local/lib/python3*/dist-packages/uvloop; exec vllm serve "$@"'),
    ),
)

PROCESSES = (
    Failure(
        "killed_while_starting",
        "`kill -9` of the container's main process while it starts",
        ("exit code 137",),
        "engine_killed",
        strike=LOADING + STRUCK + f"kill -9 {main_process(CONTAINER)}",
        since=STRIKE,
    ),
    Failure(
        "core_killed_while_starting",
        "`kill -9` of the engine core while it starts",
        ("killed",),
        "engine_killed",
        strike=LOADING + STRUCK + "kill -9 $core",
        since=STRIKE,
    ),
    Failure(
        "stopped_while_starting",
        "`docker stop` while it starts",
        ("told to stop",),
        "stopped_by_signal",
        strike=LOADING + STRUCK + f"docker stop -t 2 {CONTAINER}",
        since=STRIKE,
    ),
    Failure(
        "stalled_while_starting",
        f"SIGSTOP to the engine core while it starts, with {_PATIENCE} s for the start",
        ("has not answered within", "nothing new in its log"),
        variables={"vllm_serve_ready_timeout": _PATIENCE},
        strike=LOADING + STRUCK + "kill -STOP $core",
        # a process that is stopped does not hear that it is to end
        undo=f"pkill -KILL -f 'Engine[C]ore'; docker rm -f {CONTAINER}",
        since=STRIKE,
        hint="nothing new in its log",
        late="a compiler says nothing for minutes, too: it tells of the silence, and ends when the time is over",
    ),
    Failure(
        "not_ready_in_time",
        "`vllm_serve_ready_timeout: 5`",
        ("has not answered within 5 s",),
        variables={"vllm_serve_ready_timeout": 5},
        since=START,
        late="counted from the start of the command; 5 s of it are the time that it was given",
    ),
    Failure(
        "core_killed_while_serving",
        "`kill -9` of the engine core of a server that answers, then playbooks/doctor.yml",
        ("killed",),
        "engine_killed",
        way=SERVING,
        strike=f"core=$({CORE}); {STRUCK} kill -9 $core",
        since=STRIKE,
    ),
    Failure(
        "stopped_while_serving",
        "`docker stop` of a server that answers, then playbooks/doctor.yml",
        ("was stopped",),
        "container_stopped",
        way=SERVING,
        strike=STRUCK + f"docker stop -t 5 {CONTAINER}",
        since=STRIKE,
    ),
)
