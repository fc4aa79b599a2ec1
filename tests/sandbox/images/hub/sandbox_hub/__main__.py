"""Serve until stopped."""

from __future__ import annotations

import argparse
import contextlib
import threading
from pathlib import Path

from . import __doc__ as about
from .answers import Server
from .endpoints import Hub
from .repos import load
from .site import Site
from .storage import Storage
from .wheels import WheelIndex


def read_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="hub.py", description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", type=Path, default=Path("/models"), help="folder of ORG/NAME[@REF]")
    parser.add_argument("--wheels", type=Path, default=Path("/wheels"), help="folder of *.whl")
    parser.add_argument("--address", default="", help="where to listen; default: everywhere")
    parser.add_argument("--port", type=int, default=8080, help="default 8080; 0: one that is free")
    parser.add_argument(
        "--storage-port", type=int, help="redirect LFS files to this port of the same host; 0: one that is free"
    )
    parser.add_argument("--renamed", action="append", default=[], metavar="OLD=NEW", help="redirect an old name")
    parser.add_argument("--rate", type=int, default=0, help="bytes per second of a weights file; 0: no limit")
    parser.add_argument("--page-size", type=int, default=1000, help="entries on a page of a tree; default 1000")
    parser.add_argument("--test-control", action="store_true", help="take orders below /_test/: see steering.py")
    parser.add_argument("--quiet", action="store_true", help="no access log")
    return parser.parse_args()


def main() -> None:
    """Serve the Hub on one port, and its storage on another."""
    options = read_options()
    site = Site(
        load(options.models),
        WheelIndex(options.wheels),
        renamed=dict(pair.split("=", maxsplit=1) for pair in options.renamed),
        rate=options.rate,
        page_size=options.page_size,
        steerable=options.test_control,
        quiet=options.quiet,
    )
    for name, repo in site.repos.items():
        for ref, commit in repo.refs.items():
            print(f"{name} {ref} at {commit}, {len(repo.commits[commit].files)} files", flush=True)
    if options.storage_port is not None:
        storage = Server((options.address, options.storage_port), Storage, site)
        site.storage_port = storage.port
        threading.Thread(target=storage.serve_forever, daemon=True).start()
        print(f"storage on port {storage.port}", flush=True)
    server = Server((options.address, options.port), Hub, site)
    print(f"listening on port {server.port}", flush=True)
    # docker stop
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()


if __name__ == "__main__":
    main()
