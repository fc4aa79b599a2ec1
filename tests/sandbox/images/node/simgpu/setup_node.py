"""Write the GPU table and the SSH key from the environment that the node's container was started with."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
from pathlib import Path

GPU_TABLE = Path("/opt/simgpu/gpus.tsv")
# a node that has booted before
BOOTED = Path("/var/lib/sandbox-node-booted")
# memory as nvidia-smi says it (MiB) and compute capability
MODELS = {
    "NVIDIA H100 80GB HBM3": (81559, "9.0"),
    "NVIDIA H100 NVL": (95830, "9.0"),
    "NVIDIA H200": (143771, "9.0"),
    "NVIDIA GH200 480GB": (97871, "9.0"),
    "NVIDIA GH200 144G HBM3e": (147456, "9.0"),
    "NVIDIA B200": (183359, "10.0"),
    "NVIDIA A100-SXM4-80GB": (81920, "8.0"),
    "NVIDIA A100-SXM4-40GB": (40960, "8.0"),
    "NVIDIA A10": (23028, "8.6"),
    "NVIDIA L40S": (46068, "8.9"),
}


def environment() -> dict[str, str]:
    """Return what `docker run --env` gave to init; systemd does not pass it on to services."""
    entries = Path("/proc/1/environ").read_bytes().decode().split("\0")
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)


def gpu_uuid(index: int) -> str:
    """Return a UUID that stays with this node and slot."""
    digest = hashlib.sha256(f"{socket.gethostname()} {index}".encode()).hexdigest()
    return f"GPU-{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:32]}"


def main() -> None:
    """Set the node up; safe to run at every boot."""
    env = environment()
    name = env.get("SANDBOX_GPU_NAME", "NVIDIA H100 80GB HBM3")
    memory, capability = MODELS.get(name, (81559, "9.0"))
    memory = int(env.get("SANDBOX_GPU_MEMORY_MIB") or memory)
    rows = [
        f"{index}\t{gpu_uuid(index)}\t{memory}\t{capability}\t{name}\n"
        for index in range(int(env.get("SANDBOX_GPUS", "0")))
    ]
    GPU_TABLE.write_text("".join(rows), encoding="utf-8")

    keys = Path("/home/ops/.ssh/authorized_keys")
    keys.write_text(env.get("SANDBOX_SSH_KEY", "") + "\n", encoding="utf-8")
    shutil.chown(keys, "ops", "ops")
    os.chmod(keys, 0o600)

    # Docker's volume outlives the node, for the sake of its images. The containers in it belonged to a host that is
    # gone, with all the files that they mounted.
    if not BOOTED.exists():
        shutil.rmtree("/var/lib/docker/containers", ignore_errors=True)
        BOOTED.touch()

    if env.get("SANDBOX_DOCKER") == "0" and shutil.which("dockerd"):
        subprocess.run(["systemctl", "disable", "--now", "sandbox-dns.service"], check=True)
        subprocess.run(["dpkg", "--purge", "docker.io", "containerd", "runc", "python3-requests"], check=True)


if __name__ == "__main__":
    main()
