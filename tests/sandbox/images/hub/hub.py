"""Start the sandbox's Hub: `python3 hub.py --help`. What it can do is told in sandbox_hub/__init__.py."""

from __future__ import annotations

import runpy
import sys

if __name__ == "__main__":
    # this folder is what the image is made from: nothing may appear in it
    sys.dont_write_bytecode = True
    runpy.run_module("sandbox_hub", run_name="__main__", alter_sys=True)
