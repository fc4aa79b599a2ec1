# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter llmserve.vllm.preflight_report."""

from __future__ import annotations

DOCUMENTATION = r"""
name: preflight_report
short_description: Judge all hosts together before anything is deployed
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Runs all checks of preflight over what M(llmserve.vllm.preflight_host) and M(llmserve.vllm.preflight_reach) have
    read on all hosts, over the inventory's wishes and over the plan, and returns every finding at once. The page
    C(docs/preflight.md) of the collection lists the checks.
  - Chooses the network interface and the RDMA ports for NCCL and Gloo as well, since that takes all hosts, too.
positional: _input
options:
  _input:
    description:
      - "The hosts. Each has C(name); C(wish), what the inventory says of it, with C(node_ip), C(is_head),
        C(allow_public), C(gpus_per_node), C(ports), C(image), C(ray_version), C(hf_home), C(variables) (the names that
        are set), C(texts) (values to look for placeholders in) and C(network_env); C(facts), as
        RV(llmserve.vllm.preflight_host#module:facts); C(hub), on the host that asked, with C(reason) and
        C(reason_kind) where M(llmserve.vllm.hub_model_info) failed; C(reach), as
        RV(llmserve.vllm.preflight_reach#module:failed_connections); C(versions) inside its image; and C(unreachable),
        a message. All but the name may be missing."
    type: list
    elements: dict
    required: true
  wishes:
    description:
      - What is wanted of all hosts together, with C(engine_args), C(vllm_version), C(tensor_parallel_size),
        C(pipeline_parallel_size), C(secrets) (values by variable, of which none is ever shown), C(clock_seconds) and
        C(image_gib).
    type: dict
    default: {}
  plan:
    description: The plan of M(llmserve.vllm.parallel_plan) as far as there is one.
    type: dict
    default: {}
  plan_error:
    description: Why there is none.
    type: str
    default: ''
  checks:
    description:
      - How serious checks are where it is not as usual, by name, each with C(severity), one of V(error), V(warning)
        and V(off), and a C(reason), which V(off) needs.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Judge
  ansible.builtin.set_fact:
    report: "{{ nodes | llmserve.vllm.preflight_report(checks={'swap': {'severity': 'off', 'reason': 'lab hosts'}}) }}"

- name: Show it
  llmserve.vllm.show:
    text: "{{ report | llmserve.vllm.preflight_table }}"
"""

RETURN = r"""
_value:
  description:
    - "C(rows), the findings, errors first, each with C(host) (V(cluster) for what concerns all), C(check),
      C(severity), C(found), C(wanted) and C(mend); C(errors) and C(warnings), their numbers; C(off), the checks that
      are switched off with C(reason) and the number of C(findings) that are not shown; C(network), by host, with
      C(interface), C(hcas), the environment C(env) for the containers, and C(why); C(hosts), all names."
  type: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.llmserve.vllm.plugins.plugin_utils._checks.judge import cluster_from, judge
from ansible_collections.llmserve.vllm.plugins.plugin_utils._checks.selection import choose
from ansible_collections.llmserve.vllm.plugins.plugin_utils._checks.settings import SettingsError


def preflight_report(
    nodes: Any, wishes: Any = None, plan: Any = None, plan_error: Any = "", checks: Any = None
) -> dict[str, Any]:
    """Everything that is wrong, and the choice of the network."""
    if not isinstance(nodes, list) or not all(isinstance(node, Mapping) and node.get("name") for node in nodes):
        raise AnsibleFilterError("llmserve.vllm.preflight_report needs a list of dictionaries with a name each.")
    cluster = cluster_from(nodes, **{**(wishes or {}), "plan": plan, "plan_error": plan_error})
    try:
        report = judge(cluster, checks).as_dict()
    except SettingsError as exc:
        raise AnsibleFilterError(str(exc)) from exc
    network = {name: choice.as_dict() for name, choice in choose(cluster).items()}
    return {**report, "network": network, "hosts": [host.name for host in cluster.hosts]}


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"preflight_report": preflight_report}
