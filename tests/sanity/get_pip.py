# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ansible-test runs instead of downloading pip's bootstrap script.

ensurepip runs in a process of its own, since it changes pip's environment for the rest of the process.
"""

from __future__ import annotations

import subprocess
import sys


def main() -> None:
    wanted = [arg for arg in sys.argv[1:] if arg not in ("--no-setuptools", "--no-wheel")]
    subprocess.check_call([sys.executable, "-m", "ensurepip"])
    subprocess.check_call([sys.executable, "-m", "pip", "install", *wanted])


if __name__ == "__main__":
    main()
