"""Make this machine the part of the cluster that its container was started as: homes, GPUs, configuration of Slurm."""

from __future__ import annotations

import os
import shutil
import socket
import stat
from pathlib import Path

CONFIGURATION = Path("/etc/slurm")
# Starts what runs on the controller only.
CONTROLLER = CONFIGURATION / "controller"
USERS = ("alice", "bob")
NULL_DEVICE = os.makedev(1, 3)


def environment() -> dict[str, str]:
    """Return what `docker run --env` gave to init; systemd does not pass it on to services."""
    entries = Path("/proc/1/environ").read_bytes().decode().split("\0")
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)


def configure(login: str, addresses: dict[str, str], gpus: int) -> None:
    """Write the parts of the configuration that name machines."""
    compute = ",".join(name for name in addresses if name != login)
    nodes = [
        f"NodeName={name} NodeAddr={address} CPUs=4 RealMemory=8000{f' Gres=gpu:h100:{gpus}' if name != login else ''}"
        for name, address in addresses.items()
    ]
    lines = [
        f"SlurmctldHost={login}({addresses[login]})",
        f"AccountingStorageHost={login}",
        *nodes,
        f"PartitionName=gpu Nodes={compute} Default=YES MaxTime=1-00:00:00 DefaultTime=01:00:00 State=UP",
        f"PartitionName=staff Nodes={compute} AllowAccounts=staff State=UP",
        f"PartitionName=closed Nodes={compute} State=DOWN",
        f"PartitionName=cpu Nodes={login} State=UP",
    ]
    (CONFIGURATION / "machines.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")
    devices = f"NodeName={compute} Name=gpu Type=h100 File=/dev/nvidia[0-{gpus - 1}]\n"
    (CONFIGURATION / "gres.conf").write_text(devices, encoding="utf-8")


def make_gpus(count: int) -> None:
    """Device files with the names of GPUs: Slurm counts them, and vLLM's CPU build opens none."""
    for index in range(count):
        device = Path(f"/dev/nvidia{index}")
        if not device.exists():
            os.mknod(device, 0o666 | stat.S_IFCHR, NULL_DEVICE)
            os.chmod(device, 0o666)


def make_homes(key: str) -> None:
    """The homes lie on the volume that all machines share; the controller makes them."""
    for user in USERS:
        keys = Path("/home") / user / ".ssh"
        keys.mkdir(parents=True, exist_ok=True)
        (keys / "authorized_keys").write_text(key + "\n", encoding="utf-8")
        for path, mode in ((keys.parent, 0o700), (keys, 0o700), (keys / "authorized_keys", 0o600)):
            shutil.chown(path, user, user)
            os.chmod(path, mode)


def main() -> None:
    """Set the machine up; safe to run at every boot."""
    env = environment()
    addresses = dict(entry.split("=") for entry in env["SANDBOX_SLURM_MACHINES"].split())
    login, gpus = next(iter(addresses)), int(env["SANDBOX_GPUS"])
    configure(login, addresses, gpus)
    if socket.gethostname() == login:
        CONTROLLER.touch()
        make_homes(env["SANDBOX_SSH_KEY"])
    else:
        make_gpus(gpus)


if __name__ == "__main__":
    main()
