"""runc with the sandbox's two shims; both end in the real runc.

It takes out of a container's specification what a node without CAP_SYS_RESOURCE may not grant (`--privileged`,
`--ulimit memlock=-1`, a negative OOM score), and it plays the NVIDIA container runtime: a container that asked for
GPUs gets nvidia-smi, NVML and the table of its GPUs; one that did not ask gets nothing.
dockerd knows it as runtime "runc-sandbox" (the default) and, by the name nvidia-container-runtime, as "nvidia".
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

RUNC = "/usr/sbin/runc"
HOOK = "nvidia-container-runtime-hook"
SIMGPU = Path("/opt/simgpu")
LIBRARY = "libnvidia-ml.so.1"


def clamp(process: dict[str, Any]) -> None:
    """Lower what the kernel would refuse to what it grants."""
    for names in (process.get("capabilities") or {}).values():
        names[:] = [name for name in names if name != "CAP_SYS_RESOURCE"]
    for limit in process.get("rlimits") or []:
        ceiling = resource.getrlimit(getattr(resource, limit["type"]))[1]
        if ceiling != resource.RLIM_INFINITY:
            limit["hard"] = min(limit["hard"], ceiling)
            limit["soft"] = min(limit["soft"], limit["hard"])
    process["oomScoreAdj"] = max(process.get("oomScoreAdj") or 0, 0)


def wanted_gpus(spec: dict[str, Any]) -> str:
    """Return the devices asked for by --gpus (a hook) or --runtime nvidia (an environment variable)."""
    env = dict(entry.split("=", 1) for entry in spec["process"].get("env", []) if "=" in entry)
    hooks = spec.get("hooks") or {}
    prestart = hooks.get("prestart") or []
    asked = Path(sys.argv[0]).name == "nvidia-container-runtime" or any(
        hook["path"].endswith(HOOK) for hook in prestart
    )
    if prestart:
        hooks["prestart"] = [hook for hook in prestart if not hook["path"].endswith(HOOK)]
    wanted = env.get("NVIDIA_VISIBLE_DEVICES", "") if asked else ""
    return "" if wanted in ("none", "void") else wanted


def option(arguments: list[str], *names: str) -> str | None:
    """Return the value after the first of these options."""
    for index, argument in enumerate(arguments[:-1]):
        if argument in names:
            return arguments[index + 1]
    return None


def refuse(arguments: list[str], message: str) -> NoReturn:
    """Fail as runc does: containerd reads the reason from the last line of runc's log."""
    log = option(arguments, "--log")
    if log:
        entry = {"level": "error", "msg": f"container init: {message}", "time": time.strftime("%Y-%m-%dT%H:%M:%SZ")}
        with Path(log).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(entry) + "\n")
    sys.exit(message)


def give_gpus(arguments: list[str], spec: dict[str, Any], bundle: Path, wanted: str) -> None:
    """Mount the simulated driver and the rows of the wanted GPUs."""
    try:
        rows = (SIMGPU / "gpus.tsv").read_text(encoding="utf-8").splitlines(keepends=True)
    except OSError:
        rows = []
    if wanted != "all":
        names = wanted.split(",")
        rows = [row for row in rows if set(row.split("\t")[:2]) & set(names)]
        if len(rows) < len(names):
            refuse(arguments, f"nvidia-container-cli: device error: {wanted}: unknown device")
    if not rows:
        refuse(arguments, "nvidia-container-cli: initialization error: nvml error: driver not loaded")
    table = bundle / "gpus.tsv"
    table.write_text("".join(rows), encoding="utf-8")
    mounts = {
        str(SIMGPU / "gpus.tsv"): table,
        "/usr/bin/nvidia-smi": SIMGPU / "nvidia-smi",
        f"/usr/lib/{os.uname().machine}-linux-gnu/{LIBRARY}": SIMGPU / LIBRARY,
    }
    for target, source in mounts.items():
        options = ["bind", "ro", "rprivate"]
        spec["mounts"].append({"type": "bind", "source": str(source), "destination": target, "options": options})


def rewrite(path: Path, spec: dict[str, Any]) -> None:
    """Replace a JSON file of containerd's."""
    path.write_text(json.dumps(spec), encoding="utf-8")


def main() -> None:
    """Rewrite the specification where runc will read one, then become runc."""
    arguments = sys.argv[1:]
    if "exec" in arguments:
        # docker exec repeats the container's limits
        process = option(arguments, "--process", "-p")
        if process:
            spec = json.loads(Path(process).read_text(encoding="utf-8"))
            clamp(spec)
            rewrite(Path(process), spec)
    elif "create" in arguments or "run" in arguments:
        bundle = Path(option(arguments, "--bundle", "-b") or ".").resolve()
        spec = json.loads((bundle / "config.json").read_text(encoding="utf-8"))
        clamp(spec["process"])
        wanted = wanted_gpus(spec)
        if wanted:
            give_gpus(arguments, spec, bundle, wanted)
        rewrite(bundle / "config.json", spec)
    os.execv(RUNC, [RUNC, *arguments])


if __name__ == "__main__":
    main()
