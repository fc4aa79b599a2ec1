"""A stand-in for nvidia-ctk that does what the role asks of it, and nothing else.

`nvidia-ctk runtime configure --runtime=docker` adds the runtime to Docker's configuration, keeps everything else that
is there, and leaves restarting Docker to the caller. `nvidia-ctk cdi generate` writes a device list of the driver and
the GPUs that nvidia-smi knows.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path


def log(level: str, message: str) -> str:
    """Return a line as the real tool logs it."""
    return f'time="sandbox" level={level} msg="{message}"'


def configure(arguments: argparse.Namespace) -> None:
    """Merge the runtime into the file; refuse one that is no JSON."""
    path: Path = arguments.config
    print(log("info", f"Loading config from {path}"), file=sys.stderr)
    try:
        config = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except ValueError as error:
        sys.exit(log("error", f"unable to load config for runtime docker: {path}: {error}"))
    config.setdefault("runtimes", {})["nvidia"] = {"args": [], "path": "nvidia-container-runtime"}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(config, indent=4), encoding="utf-8")
    print(log("info", f"Wrote updated config to {path}"), file=sys.stderr)


def generate(arguments: argparse.Namespace) -> None:
    """Write the device list; JSON is YAML, too."""
    query = ["nvidia-smi", "--query-gpu=index,driver_version", "--format=csv,noheader"]
    rows = [row.split(", ") for row in subprocess.check_output(query, text=True).splitlines()]
    library = f"/usr/lib/x86_64-linux-gnu/libcuda.so.{rows[0][1]}"
    devices = [{"name": name, "containerEdits": {}} for name in [index for index, _driver in rows] + ["all"]]
    mounts = {"mounts": [{"hostPath": library, "containerPath": library}]}
    spec = {"cdiVersion": "0.5.0", "kind": "nvidia.com/gpu", "devices": devices, "containerEdits": mounts}
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(spec, indent=4), encoding="utf-8")
    print(log("info", f"Generated CDI spec with version 0.5.0 in {arguments.output}"), file=sys.stderr)


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="nvidia-ctk")
    words = parser.add_subparsers(required=True)
    runtime = words.add_parser("runtime").add_subparsers(required=True).add_parser("configure")
    runtime.add_argument("--runtime", choices=["docker"], default="docker")
    runtime.add_argument("--config", type=Path, default=Path("/etc/docker/daemon.json"))
    runtime.set_defaults(run=configure)
    cdi = words.add_parser("cdi").add_subparsers(required=True).add_parser("generate")
    cdi.add_argument("--output", type=Path, required=True)
    cdi.set_defaults(run=generate)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
