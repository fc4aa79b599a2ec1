# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The diagnosis as one file says what the collection itself says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.llmserve.vllm.plugins.filter import diagnosis_program as module
from ansible_collections.llmserve.vllm.plugins.module_utils._diagnose import describe, diagnose

LOG = "INFO starting\nvllm: error: unrecognized arguments: --swap-space 16\n"


def run(tmp_path: Path, log: str, most: int = 3) -> str:
    (tmp_path / "diagnosis.py").write_text(module.diagnosis_program(most))
    (tmp_path / "job.log").write_text(log)
    # -S: without this environment's packages, as on a compute node
    command = [sys.executable, "-S", "-I", str(tmp_path / "diagnosis.py"), str(tmp_path / "job.log")]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd="/").stdout


def test_it_finds_what_the_collection_finds(tmp_path: Path) -> None:
    assert run(tmp_path, LOG) == f"llmserve: CAUSE: {describe(diagnose(LOG))}\n"


def test_a_log_without_a_known_cause(tmp_path: Path) -> None:
    assert run(tmp_path, "INFO all is well\n") == "llmserve: no cause that is known was found in this log\n"


def test_it_is_the_same_every_time() -> None:
    assert module.diagnosis_program(3) == module.diagnosis_program(3)
    with pytest.raises(AnsibleFilterError, match="number of causes"):
        module.diagnosis_program("many")
