"""Make three signed package repositories of stand-ins, in the layouts of Docker's and of NVIDIA's.

docker/             suites and components; the package docker-engine brings the distribution's own Docker
toolkit/$(ARCH)/    flat; NVIDIA's four packages in two versions, with a runtime that gives simulated GPUs
driver/             flat; a driver that makes the node's simulated GPUs visible, and two versions of a fabric manager
key.asc             the public key of all three
other.asc           the public key of somebody else

Needs nothing but dpkg-deb and gpg, to run on a node of the sandbox as it is.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

# The second one shows whether a version that was asked for is kept to.
TOOLKIT_VERSIONS = ("1.20.0-1", "1.21.0-1")
SUITE, COMPONENT = "bookworm", "stable"
# The first is the version of the simulated driver, the second what apt would choose by itself.
FABRIC_MANAGER_VERSIONS = ("580.95.05", "580.105.08")
FABRIC_MANAGER_UNIT = """[Unit]
Description=stand-in of the sandbox
[Service]
ExecStart=/usr/bin/sleep infinity
[Install]
WantedBy=multi-user.target
"""
NVIDIA_CTK = Path(__file__).with_name("nvidia_ctk.py")


@dataclass
class Package:
    """A package with little in it: executables and files by their contents, and links by their targets."""

    name: str
    version: str
    depends: str = ""
    executables: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)

    def build(self, folder: Path) -> Path:
        """Write the package into the folder."""
        control = {
            "Package": self.name,
            "Version": self.version,
            "Architecture": "all",
            "Maintainer": "The llmserve.vllm authors <sandbox@localhost>",
            "Description": "stand-in of the sandbox",
        }
        if self.depends:
            control["Depends"] = self.depends
        target = folder / f"{self.name}_{self.version}_all.deb"
        with tempfile.TemporaryDirectory() as root:
            tree = Path(root)
            tree.chmod(0o755)
            (tree / "DEBIAN").mkdir()
            (tree / "DEBIAN/control").write_text("".join(f"{key}: {value}\n" for key, value in control.items()))
            for path, content in {**self.executables, **self.files}.items():
                (tree / path).parent.mkdir(parents=True, exist_ok=True)
                (tree / path).write_text(content)
                (tree / path).chmod(0o755 if path in self.executables else 0o644)
            for path, destination in self.links.items():
                (tree / path).parent.mkdir(parents=True, exist_ok=True)
                (tree / path).symlink_to(destination)
            run("dpkg-deb", "--root-owner-group", "--build", root, str(target))
        return target


def run(*command: str) -> str:
    """Return what a command prints."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def toolkit(version: str) -> list[Package]:
    """NVIDIA's packages as they depend on each other: each accepts a newer one of the next."""
    return [
        Package("libnvidia-container1", version),
        Package("libnvidia-container-tools", version, f"libnvidia-container1 (>= {version})"),
        Package(
            "nvidia-container-toolkit-base",
            version,
            executables={"usr/bin/nvidia-ctk": "#!/usr/bin/python3\n" + NVIDIA_CTK.read_text(encoding="utf-8")},
            links={"usr/bin/nvidia-container-runtime": "/opt/simgpu/runc"},
        ),
        Package(
            "nvidia-container-toolkit",
            version,
            f"nvidia-container-toolkit-base (= {version}), libnvidia-container-tools (>= {version})",
            links={"usr/bin/nvidia-container-runtime-hook": "/bin/true"},
        ),
    ]


def driver() -> list[Package]:
    """The driver's packages: a driver without a version of its own, and the daemon that must be of the same one."""
    return [
        Package("nvidia-driver-cuda", "580.95.05-1", links={"usr/bin/nvidia-smi": "/opt/simgpu/nvidia-smi"}),
        *(
            Package(
                "nvidia-fabricmanager-580",
                f"{version}-1",
                executables={"usr/bin/nv-fabricmanager": f"#!/bin/sh\necho Fabric Manager version is : {version}\n"},
                files={"lib/systemd/system/nvidia-fabricmanager.service": FABRIC_MANAGER_UNIT},
            )
            for version in FABRIC_MANAGER_VERSIONS
        ),
    ]


@dataclass
class Repository:
    """Where the parts of a repository lie; a flat one has them all in one folder."""

    root: Path
    pool: Path
    index: Path
    release: Path

    def write(self, packages: list[Package], gpg: list[str]) -> None:
        """Build the packages, and sign an index of them."""
        for folder in (self.pool, self.index, self.release):
            folder.mkdir(parents=True, exist_ok=True)
        entries = []
        for built in [package.build(self.pool) for package in packages]:
            content = built.read_bytes()
            entries.append(
                run("dpkg-deb", "--field", str(built)).strip()
                + f"\nFilename: {built.relative_to(self.root)}\nSize: {len(content)}"
                + f"\nSHA256: {hashlib.sha256(content).hexdigest()}\n"
            )
        index = self.index / "Packages"
        index.write_text("\n".join(entries), encoding="utf-8")
        digest = hashlib.sha256(index.read_bytes()).hexdigest()
        (self.release / "Release").write_text(
            f"Origin: sandbox\nSuite: {SUITE}\nCodename: {SUITE}\nComponents: {COMPONENT}\n"
            f"Date: {datetime.now(UTC):%a, %d %b %Y %H:%M:%S} UTC\nArchitectures: all {architecture()}\n"
            f"SHA256:\n {digest} {index.stat().st_size} {index.relative_to(self.release)}\n",
            encoding="utf-8",
        )
        run(*gpg, "--clearsign", "--output", str(self.release / "InRelease"), str(self.release / "Release"))


def architecture() -> str:
    """Return dpkg's name of this machine's architecture."""
    return run("dpkg", "--print-architecture").strip()


def make_key(home: str, user: str) -> list[str]:
    """Make a key in the folder, and return the command that signs with it."""
    gpg = ["gpg", "--homedir", home, "--batch", "--yes", "--quiet", "--passphrase", ""]
    run(*gpg, "--quick-generate-key", user, "default", "default", "never")
    return gpg


def main() -> None:
    """Make the repositories below the folder of the first argument."""
    target = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as home:
        gpg = make_key(home, "other@localhost")
        target.mkdir(parents=True, exist_ok=True)
        (target / "other.asc").write_text(run(*gpg, "--armor", "--export"))
        run("gpgconf", "--homedir", home, "--kill", "all")
    with tempfile.TemporaryDirectory() as home:
        gpg = make_key(home, "sandbox@localhost")
        docker = target / "docker"
        dists = docker / "dists" / SUITE
        layout = Repository(docker, docker / "pool", dists / COMPONENT / f"binary-{architecture()}", dists)
        layout.write([Package("docker-engine", "1.0", "docker.io")], gpg)
        flat = target / "toolkit" / architecture()
        layout = Repository(flat, flat, flat, flat)
        layout.write([package for version in TOOLKIT_VERSIONS for package in toolkit(version)], gpg)
        flat = target / "driver"
        Repository(flat, flat, flat, flat).write(driver(), gpg)
        # Last: whoever finds it finds the rest.
        (target / "key.asc").write_text(run(*gpg, "--armor", "--export"))
        run("gpgconf", "--homedir", home, "--kill", "all")


if __name__ == "__main__":
    main()
