# SPDX-License-Identifier: GPL-3.0-or-later
"""The secret of one run of ansible-playbook, which its workers share."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from multiprocessing.queues import SimpleQueue

from ansible_collections.llmserve.vllm.plugins.plugin_utils import _run_key
from ansible_collections.llmserve.vllm.plugins.plugin_utils._run_key import run_key


def _tell(said: SimpleQueue[str]) -> None:
    said.put(run_key("one"))


def test_workers_share_it_and_its_purposes_do_not() -> None:
    context = multiprocessing.get_context("fork")
    said = context.SimpleQueue()
    workers = [context.Process(target=_tell, args=(said,)) for _worker in range(2)]
    for worker in workers:
        worker.start()
    assert {said.get() for _worker in workers} == {run_key("one")}
    for worker in workers:
        worker.join(10)
    assert run_key("one") != run_key("other")
    assert len(run_key("one")) == 64


def test_another_run_has_another() -> None:
    program = f"import runpy; print(runpy.run_path({_run_key.__file__!r})['run_key']('one'))"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()
    assert len(said) == 64
    assert said != run_key("one")
