# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All faults, each with the check that has to find it and words of its advice."""

from __future__ import annotations

from ansible_collections.llmserve.vllm.tests.preflight import faults_cluster, faults_hardware, faults_inventory

FAULTS = (*faults_inventory.FAULTS, *faults_hardware.FAULTS, *faults_cluster.FAULTS)
