# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the tables of docs/planner.md that are data of the planner: GPUs, formats, families, defaults.

With --check nothing is written and a stale table is an error.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "planner.md"
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / ".ansible" / "collections"))

from ansible_collections.llmserve.vllm.plugins.module_utils._planner import families, formats, gpus  # noqa: E402
from ansible_collections.llmserve.vllm.tests.generated_page import update  # noqa: E402 the path comes first

LOG = "start-up log, vLLM #{0}"
LESS = "nvidia-smi's {0} MiB less 0.6 GiB; no log seen"
LESS_SMALL = "nvidia-smi's {0} MiB less 0.42 GiB; no log seen"
ORIGINS = {
    "B300": "aiconfigurator's 275,040 MiB, less the driver's share; no log seen",
    "B200": "log in unsloth #3411",
    "GH200 144 GB": "nvidia-smi's about 147,000 MiB, less the driver's share; no log seen",
    "GH200 96 GB": "nvidia-smi's 97,871 MiB, less the driver's share; no log seen",
    "H200": "logs, vLLM #10702 and #15394 (139.72 to 139.81)",
    "H100 NVL": "derived: KAITO's figures at 0.70 and 0.75 differ by 4.66 GiB = 5 % of it",
    "H100 PCIe": "as the SXM card",
    "H100 80 GB": "85,017,493,504 bytes in the llm-d and Apron measurements",
    "H20": "derived from the cache sizes in vLLM #12245 and #16668",
    "A100 40 GB PCIe": LOG.format(16378),
    "A100 40 GB": "as the PCIe card",
    "A100 80 GB PCIe": "as the SXM card",
    "A100 80 GB": "logs, vLLM #7992 and #8903 (79.14 to 79.25)",
    "RTX PRO 6000": LESS.format("97,887"),
    "RTX 6000 Ada": LESS.format("49,140"),
    "L40S": "logs, vLLM #15196 and #16141 (44.31 to 44.42)",
    "L4": "logs, vLLM #11899 (a 24 GB card without a name) and #16348",
    "A40": "logs, vLLM #15196 and #16141",
    "RTX A6000": LESS.format("49,140") + " (with ECC on 44.55: vLLM #16141)",
    "A10G": LOG.format(15360),
    "A10": LOG.format(10034),
    "A30": LESS_SMALL.format("24,576"),
    "A16": LESS_SMALL.format("15,356"),
    "V100 32 GB": LOG.format(9356),
    "V100 16 GB": "nvidia-smi's 16,384 MiB less 0.23 GiB; no log seen",
    "T4": LOG.format(15766),
    "RTX 5090": "vLLM's recipe for Qwen3.8 27B",
    "RTX 5080": LESS_SMALL.format("16,303"),
    "RTX 4090": "issue reports (23.08 to 23.5)",
    "RTX 4080": LESS_SMALL.format("16,376"),
    "RTX 3090": LOG.format(10517),
    "RTX 3080": LESS_SMALL.format("10,240"),
    "RTX 2080 Ti": LESS_SMALL.format("11,264"),
    "MI300X": "logs, vLLM #20069 and #53961 (191.45 to 191.98)",
    "MI300A": "the card's 128 GiB less 0.5; no log seen",
    "MI325X": "the card's 256 GiB less 0.5; no log seen",
}


def gpu_rows() -> list[str]:
    rows = ["| GPU | GiB for CUDA | NVLink | Origin |", "| --- | ---: | --- | --- |"]
    for _pattern, model in gpus._MODELS:
        origin = ORIGINS.get(model.title, "MISSING: add it to tests/planner_tables.py")
        rows.append(f"| {model.title} | {model.total_gib:.2f} | {'yes' if model.nvlink else 'no'} | {origin} |")
    return rows


def _bytes(form: formats.Format) -> str:
    side = 128 * 128
    each = form.matrix_bytes(side, side) / side**2
    scale = ""
    if form.block:
        scale = f" (1 and a 4-byte scale for each {form.block} x {form.block})"
    elif form.group:
        scale = f" ({form.value:g} and {form.scale:.6g} for each {form.group})"
    return f"{each:.6g}{scale}"


def format_rows() -> list[str]:
    rows = [
        "| Format | Bytes per parameter | Quantized | Oldest GPU | Native from |",
        "| --- | --- | --- | --- | --- |",
    ]
    scopes = {"all": "linear layers", "mlp": "MLPs", "experts": "experts"}
    for name, form in formats._NAMED.items():
        scope = "nothing" if form.plain else scopes[form.scope] + (", not the first and last layer" * form.spares_ends)
        oldest = "{}.{}".format(*form.oldest) if any(form.oldest) else "any"
        native = "{}.{}".format(*form.native) if any(form.native) else "-"
        rows.append(f"| `{name}` | {_bytes(form)} | {scope} | {oldest} | {native} |")
    return rows


def _differences(traits: families.Traits) -> str:
    llama = families.Traits()
    found = [(name, getattr(traits, name)) for name in traits._fields if getattr(traits, name) != getattr(llama, name)]
    return ", ".join(f"`{name}={value!r}`" for name, value in found) or "nothing"


def family_rows() -> list[str]:
    groups: dict[str, list[str]] = {}
    for name, traits in families._TRAITS.items():
        groups.setdefault(_differences(traits), []).append(f"`{name}`")
    rows = ["| Differs from a llama by | model_type |", "| --- | --- |"]
    return rows + [f"| {what} | {', '.join(names)} |" for what, names in groups.items()]


def default_rows() -> list[str]:
    rows = ["| model_type | Assumed where config.json is silent |", "| --- | --- |"]
    for name, values in families._DEFAULTS.items():
        rows.append(f"| `{name}` | {', '.join(f'`{key}={_plain(value)}`' for key, value in values.items())} |")
    return rows


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {item}" for key, item in value.items()) + "}"
    return str(value)


TABLES = {"gpus": gpu_rows, "formats": format_rows, "families": family_rows, "defaults": default_rows}


if __name__ == "__main__":
    sys.exit(update(PAGE, TABLES))
