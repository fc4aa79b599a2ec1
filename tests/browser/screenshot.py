#!/usr/bin/env python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take a picture of a page: screenshot.py PLAN.html OUT.png [--width 1200] [--dark]"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.browser.chromium import ChromiumMissing, chromium


def main() -> None:
    parser = argparse.ArgumentParser(description="Take a picture of a whole page with headless Chromium.")
    parser.add_argument("page", type=Path, help="an HTML file")
    parser.add_argument("picture", type=Path, help="the PNG to write")
    parser.add_argument("--width", type=int, default=1200, help="of the window, in pixels (default: 1200)")
    parser.add_argument("--dark", action="store_true", help="as with a dark colour scheme")
    args = parser.parse_args()
    if not args.page.is_file():
        parser.error(f"there is no file {args.page}")
    try:
        with chromium() as page:
            page.open(args.page, args.width, args.dark)
            args.picture.parent.mkdir(parents=True, exist_ok=True)
            args.picture.write_bytes(page.screenshot())
    except ChromiumMissing as exc:
        sys.exit(str(exc))


if __name__ == "__main__":
    main()
