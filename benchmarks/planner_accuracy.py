# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Score the planner on start-up records of vLLM: what it computes beside what vLLM logged.

    python benchmarks/planner_accuracy.py RECORDS.jsonl MODELS_DIR [--json OUT] [-v]

RECORDS.jsonl has one JSON object per line. The planner is given the inputs only:

  id, model              a name for the record, and the model's
  config                 the model's file in MODELS_DIR, without .json; records without it are left out
  vllm_version           such as "0.8.5.post1 (2025-05)": what follows a blank or a dash is ignored
  gpu, gpu_mem_gib       the GPU's name, and what torch reports as its memory (null: the name decides)
  n_nodes, n_gpus_per_node, tp, pp
  quantization           null, or as option model.quantization of parallel_plan
  gpu_memory_utilization, cpu_offload_gb, enforce_eager, kv_cache_dtype
  max_model_len, max_num_seqs, max_num_batched_tokens      null for the release's default
  text_only              true: the vision tower was left out (optional)

and is compared with

  observed               weights_gib_per_gpu ("Model loading took"), kv_tokens ("GPU KV cache size"); null is not scored
  fits                   true: it started; false: it was out of memory or refused; null: not known
  score_exclude, stage   a list of figures that are not comparable; a record of one stage only (optional)

MODELS_DIR holds one file per model: {"config": {...the model's config.json...}}.

Errors are |predicted / observed - 1|. KV tokens are scored where the planner does not say that the model does not fit.
Where no GPU memory is known the planner says nothing about fitting: that counts as not right.
The exit status is 2 when lines could not be read; they are named, and the others are scored.
"""

from __future__ import annotations

import argparse
import importlib
import json
import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PLANNER = "ansible_collections.llmserve.vllm.plugins.module_utils._planner"

# Stated by their authors' measurement of 112 records, 91 of them with a known outcome. Nothing here runs them.
REFERENCES = (
    ("reference estimator", "0.25 %", "4.0 %", "7.2 %", "43 %", "88 of 91"),
    ("  of it, >= 0.8", "-", "3.6 %", "-", "-", "57 of 57"),
    ("  of it, >= 0.20", "-", "2.4 %", "14 %", "-", "-"),
    ("llm-d-planner", "-", "-", "27 %", "100 %", "79 of 91"),
    ("KAITO", "-", "-", "17 %", "100 %", "78 of 91"),
    ("GPUStack", "-", "-", "-", "-", "78 of 91"),
    ("hf-mem", "-", "-", "111 %", "12x", "71 of 91"),
)
NUMBERS = ("n_nodes", "n_gpus_per_node", "tp", "pp")


@dataclass
class Score:
    """One record: what was predicted and what was observed."""

    id: str
    version: str
    layout: str
    multimodal: bool
    fits: bool | None
    says_fits: bool | None
    weights: float | None
    weights_observed: float | None
    tokens: int | None
    tokens_observed: int | None
    message: str = ""

    @property
    def band(self) -> str:
        release = tuple(int(part) for part in self.version.split(".")[:2])
        return "vLLM < 0.8" if release < (0, 8) else "0.8 to 0.19" if release < (0, 20) else ">= 0.20"

    @property
    def weights_error(self) -> float | None:
        return error(self.weights, self.weights_observed)

    @property
    def tokens_error(self) -> float | None:
        return error(self.tokens, self.tokens_observed)


BANDS = ("all", "vLLM < 0.8", "0.8 to 0.19", ">= 0.20")


def error(predicted: float | None, observed: float | None) -> float | None:
    """Predicted over observed, less one; None where either is missing."""
    return predicted / observed - 1 if predicted and observed else None


def quantile(values: Iterable[float], part: float) -> float | None:
    """A quantile, interpolated between neighbours."""
    ordered = sorted(values)
    if not ordered:
        return None
    place = (len(ordered) - 1) * part
    low = int(place)
    return ordered[low] + (ordered[min(low + 1, len(ordered) - 1)] - ordered[low]) * (place - low)


def read_records(path: Path, models: Path) -> tuple[list[tuple[dict[str, Any], dict[str, Any]]], list[str], int]:
    """The records with their models' configs, what is wrong with lines, and how many lines name no config."""
    found, problems, left_out = [], [], 0
    configs: dict[str, dict[str, Any]] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            record = check_record(json.loads(line))
            name = record.get("config")
            if not name:
                left_out += 1
                continue
            if name not in configs:
                configs[name] = read_config(models / f"{name}.json")
            found.append((record, configs[name]))
        except (ValueError, OSError) as exc:
            problems.append(f"{path}, line {number}: {exc}")
    return found, problems, left_out


def check_record(record: Any) -> dict[str, Any]:
    """The record, if it has what scoring needs; ValueError names the field otherwise."""
    if not isinstance(record, dict):
        raise ValueError(f"must be a JSON object, not {record!r:.40}")
    for name in ("id", "model", "gpu", "vllm_version"):
        if not isinstance(record.get(name), str):
            raise ValueError(f"{name} must be a string, not {record.get(name)!r:.40}")
    for name in NUMBERS:
        value = record.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} must be a whole number of at least 1, not {value!r:.40}")
    if record["n_nodes"] * record["n_gpus_per_node"] > 100_000:
        raise ValueError("n_nodes x n_gpus_per_node is more than 100000")
    if not isinstance(record.get("observed"), dict):
        raise ValueError(f"observed must be an object, not {record.get('observed')!r:.40}")
    for name in ("weights_gib_per_gpu", "kv_tokens"):
        value = record["observed"].get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0):
            raise ValueError(f"observed.{name} must be a number or null, not {value!r:.40}")
    if record.get("fits") not in (True, False, None):
        raise ValueError(f"fits must be true, false or null, not {record['fits']!r:.40}")
    return record


def read_config(path: Path) -> dict[str, Any]:
    """The config.json inside a model's file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as exc:
        raise ValueError(f"{path}: {exc}") from None
    if not isinstance(content, dict) or not isinstance(content.get("config"), dict):
        raise ValueError(f'{path}: must be an object with "config", the content of the model\'s config.json')
    return content["config"]


def release_of(text: str) -> str:
    """The release in a record's free text; today's where it has none."""
    first = re.split(r"[- ]", text.strip(), maxsplit=1)[0]
    return "".join(sign for sign in first if sign.isdigit() or sign == ".").strip(".") or "0.33.0"


def call_of(record: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """The options of parallel_plan that ask for what the record did, and tell nothing of what came out."""
    config = {key: value for key, value in config.items() if key != "vision_config" or not record.get("text_only")}
    gpu = {"name": record["gpu"]}
    if record.get("gpu_mem_gib"):
        gpu["total_memory_gib"] = record["gpu_mem_gib"]
    gpus = [gpu] * record["n_gpus_per_node"]
    call: dict[str, Any] = {
        "model": {"name": record["model"], "config": config, "quantization": record.get("quantization")},
        "nodes": [{"name": f"node{number}", "gpus": gpus} for number in range(record["n_nodes"])],
        "tensor_parallel_size": record["tp"],
        "pipeline_parallel_size": record["pp"],
        "vllm_version": release_of(record["vllm_version"]),
        "gpu_memory_utilization": record.get("gpu_memory_utilization"),
        "cpu_offload_gb": record.get("cpu_offload_gb") or 0,
        "enforce_eager": bool(record.get("enforce_eager")),
        "kv_cache_dtype": record.get("kv_cache_dtype") or "auto",
        "strategy": "fit",
    }
    for name in ("max_model_len", "max_num_seqs", "max_num_batched_tokens"):
        if record.get(name):
            call[name] = record[name]
    return call


def score(record: Mapping[str, Any], config: Mapping[str, Any], make_plan: Callable[..., dict[str, Any]]) -> Score:
    """Plan one record and put both sides next to each other."""
    call = call_of(record, config)
    plan: dict[str, Any] = {}
    message = ""
    try:
        plan = make_plan(call)
        message = " ".join(plan["reasons"])
    except ValueError as exc:
        message = f"no plan: {exc}"
    except Exception as exc:  # a defect of the planner is a missing answer, and the other records count
        message = f"the planner crashed: {type(exc).__name__}: {exc}"
    skipped = record.get("score_exclude") or ()
    observed = record["observed"]
    weights_count = "weights" not in skipped and "stage" not in record
    tokens_count = "kv_tokens" not in skipped and plan.get("fits") is not False
    return Score(
        id=record["id"],
        version=call["vllm_version"],
        layout=f"{record['tp']}x{record['pp']}",
        multimodal=bool(call["model"]["config"].get("vision_config")),
        fits=record.get("fits"),
        says_fits=plan.get("fits"),
        weights=plan.get("weights_gib_per_gpu"),
        weights_observed=observed.get("weights_gib_per_gpu") if weights_count else None,
        tokens=plan.get("kv_cache_tokens"),
        tokens_observed=observed.get("kv_tokens") if tokens_count else None,
        message=message,
    )


def summary(scores: Sequence[Score]) -> dict[str, Any]:
    """Medians, 90th percentiles and outcomes of some records."""
    row: dict[str, Any] = {"records": len(scores)}
    for name in ("weights", "tokens"):
        errors = [getattr(item, f"{name}_error") for item in scores]
        sizes = [abs(item) for item in errors if item is not None]
        row[name] = {
            "answered": len(sizes),
            "wanted": sum(bool(getattr(item, f"{name}_observed")) for item in scores),
            "median": quantile(sizes, 0.5),
            "p90": quantile(sizes, 0.9),
        }
    known = [item for item in scores if item.fits is not None]
    row["fits"] = {"right": sum(item.says_fits == item.fits for item in known), "known": len(known)}
    return row


def summaries(scores: Sequence[Score]) -> dict[str, dict[str, Any]]:
    """The same for all records and for each band of releases."""
    return {band: summary([item for item in scores if band in ("all", item.band)]) for band in BANDS}


def percent(value: float | None) -> str:
    """Two digits that tell something."""
    if value is None:
        return "-"
    return f"{100 * value:.2f} %" if abs(value) < 0.01 else f"{100 * value:.1f} %"


LINE = "{:<22}{:>10}{:>9}{:>9}   {:>10}{:>9}{:>9}   {:>9}"


def show(scores: Sequence[Score], table: Mapping[str, Mapping[str, Any]]) -> None:
    """Print the summary beside the reference figures."""
    print(f"{'':<22}{'weights per GPU':>28}   {'KV cache tokens':>28}   {'fits':>9}")
    print(LINE.format("", "answered", "median", "p90", "answered", "median", "p90", "right"))
    for band, row in table.items():
        weights, tokens, fits = row["weights"], row["tokens"], row["fits"]
        cells = []
        for part in (weights, tokens):
            cells += [f"{part['answered']}/{part['wanted']}", percent(part["median"]), percent(part["p90"])]
        print(LINE.format(band, *cells, f"{fits['right']} of {fits['known']}"))
    print("\nStated for a larger set (112 records), not measured in this run:")
    for name, weights50, weights90, tokens50, tokens90, right in REFERENCES:
        print(LINE.format(name, "", weights50, weights90, "", tokens50, tokens90, right))
    print()
    known = [item for item in scores if item.fits is not None]
    said = [f"{item.id}{' (multimodal)' * item.multimodal}" for item in known if item.says_fits and not item.fits]
    refused = [item.id for item in known if item.says_fits is False and item.fits]
    silent = [item.id for item in known if item.says_fits is None]
    for title, names in (
        ("said to fit, did not", said),
        ("refused, but ran", refused),
        ("nothing said (no GPU memory, or no plan)", silent),
    ):
        print(f"{title}: {', '.join(names) or 'none'}")


def show_records(scores: Sequence[Score]) -> None:
    """Print every record: predicted, observed, error."""
    line = "{:<23.22}{:<10.9}{:<6}{:>8}{:>9}{:>9}{:>10}{:>9}{:>8}  {}"
    print(line.format("record", "vLLM", "TPxPP", "weights", "logged", "error", "tokens", "logged", "error", "fit"))
    for item in sorted(scores, key=lambda one: -abs(one.tokens_error or 0)):
        print(
            line.format(
                item.id,
                item.version,
                item.layout,
                "-" if item.weights is None else f"{item.weights:.2f}",
                "-" if item.weights_observed is None else f"{item.weights_observed:.2f}",
                percent(item.weights_error),
                "-" if item.tokens is None else item.tokens,
                "-" if item.tokens_observed is None else item.tokens_observed,
                "-" if item.tokens_error is None else f"{100 * item.tokens_error:.0f} %",
                verdict(item),
            )
        )
    print()


def verdict(item: Score) -> str:
    """Whether the outcome was foreseen."""
    if item.fits is None:
        return "?"
    return "right" if item.says_fits == item.fits else "silent" if item.says_fits is None else "WRONG"


def load_planner() -> Callable[..., dict[str, Any]]:
    """make_plan of the collection that this file belongs to."""
    # a checkout links to itself there; an installed collection lies in its namespace already
    sys.path[:0] = [str(ROOT / ".ansible" / "collections"), str(ROOT / ".." / ".." / "..")]
    planner: Callable[..., dict[str, Any]] = importlib.import_module(f"{PLANNER}.plan").make_plan
    return planner


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("records", metavar="RECORDS.jsonl", type=Path)
    parser.add_argument("models", metavar="MODELS_DIR", type=Path)
    parser.add_argument("--json", metavar="OUT", type=Path, help="write all figures to this file, too")
    parser.add_argument("-v", "--verbose", action="store_true", help="show every record, and why it does not fit")
    options = parser.parse_args(arguments)
    try:
        records, problems, left_out = read_records(options.records, options.models)
    except OSError as exc:
        parser.error(f"cannot read {options.records}: {exc.strerror}")
    make_plan = load_planner()
    scores = [score(record, config, make_plan) for record, config in records]
    if options.verbose:
        show_records(scores)
        for item in scores:
            if item.message:
                print(textwrap.fill(f"{item.id}: {item.message}", 100, subsequent_indent="    "))
        print()
    table = summaries(scores)
    print(f"{len(scores)} records scored, {left_out} left out (no config), {len(problems)} not readable\n")
    show(scores, table)
    if options.json:
        each = [dict(asdict(item), weights_error=item.weights_error, tokens_error=item.tokens_error) for item in scores]
        content = {"summary": table, "records": each, "references": REFERENCES, "problems": problems}
        options.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    for problem in problems:
        print(problem, file=sys.stderr)
    return 2 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
