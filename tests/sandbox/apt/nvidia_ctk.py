"""A stand-in for nvidia-ctk that does what `nvidia-ctk runtime configure --runtime=docker` does, and nothing else.

Like the real tool it adds its runtime to Docker's configuration, keeps everything else that is there, and leaves
restarting Docker to the caller.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path


def main() -> None:
    """Merge the runtime into the file; refuse one that is no JSON."""
    parser = argparse.ArgumentParser(prog="nvidia-ctk")
    words = parser.add_subparsers(required=True)
    configure = words.add_parser("runtime").add_subparsers(required=True).add_parser("configure")
    configure.add_argument("--runtime", choices=["docker"], default="docker")
    configure.add_argument("--config", type=Path, default=Path("/etc/docker/daemon.json"))
    path: Path = parser.parse_args().config

    print(f'time="sandbox" level=info msg="Loading config from {path}"', file=sys.stderr)
    try:
        config = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except ValueError as error:
        sys.exit(f'time="sandbox" level=error msg="unable to load config for runtime docker: {path}: {error}"')
    config.setdefault("runtimes", {})["nvidia"] = {"args": [], "path": "nvidia-container-runtime"}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(config, indent=4), encoding="utf-8")
    print(f'time="sandbox" level=info msg="Wrote updated config to {path}"', file=sys.stderr)


if __name__ == "__main__":
    main()
