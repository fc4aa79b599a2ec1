# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All failures that are provoked on the sandbox, in the order of the table."""

from __future__ import annotations

from ansible_collections.llmserve.vllm.tests.failures import failures_cluster, failures_host, failures_model

AREAS = {
    "Arguments and sizes": failures_model.ARGUMENTS,
    "Files of the model": failures_model.FILES,
    "The Hub": failures_model.HUB,
    "Host and image": failures_host.HOST,
    "Processes": failures_host.PROCESSES,
    "Ray": failures_cluster.ON_RAY,
    "Ranks without Ray": failures_cluster.ON_RANKS,
}
FAILURES = tuple(failure for area in AREAS.values() for failure in area)
BY_NAME = {failure.name: failure for failure in FAILURES}
