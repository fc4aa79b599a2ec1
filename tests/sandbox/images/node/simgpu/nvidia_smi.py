"""A stand-in for nvidia-smi, for a node and for a container that was given GPUs.

Knows the plain table, -L, -q -x, --query-gpu=… --format=csv, --query-compute-apps=…, --version and -i, in the real
tool's layouts. The GPUs are the rows of the table that the node, or the container runtime, has written.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

DRIVER = "580.95.05"
CUDA = "13.0"
NOT_AVAILABLE = "[N/A]"


@dataclass
class Gpu:
    """One row of the table. Like the real tool, it is numbered from 0 in every container."""

    index: int
    minor: int
    uuid: str
    memory: int
    capability: str
    name: str

    @property
    def bus_id(self) -> str:
        """PCI address; the slot follows the node's own numbering."""
        return f"00000000:{self.minor + 1:02X}:00.0"

    def field(self, name: str) -> tuple[str, str]:
        """Return value and unit of a --query-gpu field."""
        values = {
            "index": (str(self.index), ""),
            "name": (self.name, ""),
            "gpu_name": (self.name, ""),
            "uuid": (self.uuid, ""),
            "gpu_uuid": (self.uuid, ""),
            "pci.bus_id": (self.bus_id, ""),
            "gpu_bus_id": (self.bus_id, ""),
            "driver_version": (DRIVER, ""),
            "compute_cap": (self.capability, ""),
            "memory.total": (str(self.memory), "MiB"),
            "memory.free": (str(self.memory), "MiB"),
            "memory.used": ("0", "MiB"),
            "memory.reserved": ("0", "MiB"),
            "utilization.gpu": ("0", "%"),
            "utilization.memory": ("0", "%"),
            "temperature.gpu": ("30", ""),
            "power.draw": ("70.00", "W"),
            "power.limit": ("700.00", "W"),
            "mig.mode.current": ("Disabled", ""),
            "mig.mode.pending": ("Disabled", ""),
            "ecc.mode.current": ("Enabled", ""),
            "persistence_mode": ("Enabled", ""),
            "compute_mode": ("Default", ""),
            "pstate": ("P0", ""),
        }
        return values.get(name, (NOT_AVAILABLE, ""))

    def xml(self) -> str:
        """Return the element that `-q -x` prints for this GPU."""
        used = f"<total>{self.memory} MiB</total>\n\t\t\t<reserved>0 MiB</reserved>\n\t\t\t<used>0 MiB</used>\n"
        return f"""\t<gpu id="{self.bus_id}">
\t\t<product_name>{escape(self.name)}</product_name>
\t\t<product_brand>NVIDIA</product_brand>
\t\t<product_architecture>{"Blackwell" if self.capability.startswith("10") else "Hopper"}</product_architecture>
\t\t<display_mode>Requested functionality has been deprecated</display_mode>
\t\t<display_attached>No</display_attached>
\t\t<display_active>Disabled</display_active>
\t\t<persistence_mode>Enabled</persistence_mode>
\t\t<addressing_mode>HMM</addressing_mode>
\t\t<mig_mode>
\t\t\t<current_mig>Disabled</current_mig>
\t\t\t<pending_mig>Disabled</pending_mig>
\t\t</mig_mode>
\t\t<mig_devices>
\t\t\tNone
\t\t</mig_devices>
\t\t<accounting_mode>Disabled</accounting_mode>
\t\t<accounting_mode_buffer_size>4000</accounting_mode_buffer_size>
\t\t<driver_model>
\t\t\t<current_dm>N/A</current_dm>
\t\t\t<pending_dm>N/A</pending_dm>
\t\t</driver_model>
\t\t<serial>16500000000{self.minor:02d}</serial>
\t\t<uuid>{self.uuid}</uuid>
\t\t<minor_number>{self.minor}</minor_number>
\t\t<vbios_version>96.00.74.00.01</vbios_version>
\t\t<multigpu_board>No</multigpu_board>
\t\t<board_id>0x{(self.minor + 1) << 8:x}</board_id>
\t\t<gpu_virtualization_mode>
\t\t\t<virtualization_mode>None</virtualization_mode>
\t\t\t<host_vgpu_mode>N/A</host_vgpu_mode>
\t\t</gpu_virtualization_mode>
\t\t<gpu_recovery_action>None</gpu_recovery_action>
\t\t<pci>
\t\t\t<pci_bus>{self.minor + 1:02X}</pci_bus>
\t\t\t<pci_device>00</pci_device>
\t\t\t<pci_domain>0000</pci_domain>
\t\t\t<pci_bus_id>{self.bus_id}</pci_bus_id>
\t\t</pci>
\t\t<fan_speed>N/A</fan_speed>
\t\t<performance_state>P0</performance_state>
\t\t<fb_memory_usage>
\t\t\t{used}\t\t\t<free>{self.memory} MiB</free>
\t\t</fb_memory_usage>
\t\t<bar1_memory_usage>
\t\t\t<total>131072 MiB</total>
\t\t\t<used>1 MiB</used>
\t\t\t<free>131071 MiB</free>
\t\t</bar1_memory_usage>
\t\t<compute_mode>Default</compute_mode>
\t\t<utilization>
\t\t\t<gpu_util>0 %</gpu_util>
\t\t\t<memory_util>0 %</memory_util>
\t\t\t<encoder_util>0 %</encoder_util>
\t\t\t<decoder_util>0 %</decoder_util>
\t\t\t<jpeg_util>0 %</jpeg_util>
\t\t\t<ofa_util>0 %</ofa_util>
\t\t</utilization>
\t\t<ecc_mode>
\t\t\t<current_ecc>Enabled</current_ecc>
\t\t\t<pending_ecc>Enabled</pending_ecc>
\t\t</ecc_mode>
\t\t<ecc_errors>
\t\t\t<volatile>
\t\t\t\t<sram_correctable>0</sram_correctable>
\t\t\t\t<sram_uncorrectable_parity>0</sram_uncorrectable_parity>
\t\t\t\t<sram_uncorrectable_secded>0</sram_uncorrectable_secded>
\t\t\t\t<dram_correctable>0</dram_correctable>
\t\t\t\t<dram_uncorrectable>0</dram_uncorrectable>
\t\t\t</volatile>
\t\t</ecc_errors>
\t\t<temperature>
\t\t\t<gpu_temp>30 C</gpu_temp>
\t\t\t<memory_temp>38 C</memory_temp>
\t\t</temperature>
\t\t<gpu_power_readings>
\t\t\t<power_state>P0</power_state>
\t\t\t<average_power_draw>70.00 W</average_power_draw>
\t\t\t<instant_power_draw>70.00 W</instant_power_draw>
\t\t\t<current_power_limit>700.00 W</current_power_limit>
\t\t</gpu_power_readings>
\t\t<fabric>
\t\t\t<state>Completed</state>
\t\t\t<status>Success</status>
\t\t</fabric>
\t\t<processes>
\t\t</processes>
\t\t<accounted_processes>
\t\t</accounted_processes>
\t</gpu>
"""


def read_gpus() -> list[Gpu]:
    """Return the GPUs that this place has."""
    try:
        rows = Path("/opt/simgpu/gpus.tsv").read_text(encoding="utf-8").splitlines()
    except OSError:
        rows = []
    gpus = []
    for index, row in enumerate(rows):
        minor, uuid, memory, capability, name = row.split("\t")
        gpus.append(Gpu(index, int(minor), uuid, int(memory), capability, name))
    return gpus


def xml_log(gpus: list[Gpu]) -> str:
    """Return what `-q -x` prints."""
    return f"""<?xml version="1.0" ?>
<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v13.dtd">
<nvidia_smi_log>
\t<timestamp>{time.strftime("%a %b %e %H:%M:%S %Y")}</timestamp>
\t<driver_version>{DRIVER}</driver_version>
\t<cuda_version>{CUDA}</cuda_version>
\t<attached_gpus>{len(gpus)}</attached_gpus>
{"".join(gpu.xml() for gpu in gpus)}</nvidia_smi_log>
"""


def csv(gpus: list[Gpu], fields: list[str], options: list[str]) -> str:
    """Return what `--query-gpu` prints."""
    lines = []
    header_units = {name: gpus[0].field(name)[1] if gpus else "" for name in fields}
    if "noheader" not in options:
        lines.append(", ".join(f"{name} [{unit}]" if unit else name for name, unit in header_units.items()))
    for gpu in gpus:
        cells = [
            value if not unit or "nounits" in options else f"{value} {unit}"
            for value, unit in (gpu.field(name) for name in fields)
        ]
        if "count" in fields:
            cells[fields.index("count")] = str(len(gpus))
        lines.append(", ".join(cells))
    return "".join(f"{line}\n" for line in lines)


def table(gpus: list[Gpu]) -> str:
    """Return what nvidia-smi prints without arguments."""
    rule = "+-----------------------------------------+------------------------+----------------------+\n"
    rows = [
        time.strftime("%a %b %e %H:%M:%S %Y\n"),
        "+-----------------------------------------------------------------------------------------+\n",
        f"| NVIDIA-SMI {DRIVER:<23} Driver Version: {DRIVER:<14} CUDA Version: {CUDA:<8} |\n",
        rule,
        "| GPU  Name                 Persistence-M | Bus-Id          Disp.A | Volatile Uncorr. ECC |\n",
        "| Fan  Temp   Perf          Pwr:Usage/Cap |           Memory-Usage | GPU-Util  Compute M. |\n",
        "|                                         |                        |               MIG M. |\n",
        rule.replace("-", "="),
    ]
    for gpu in gpus:
        memory = f"0MiB / {gpu.memory:>6}MiB"
        rows += [
            f"| {gpu.index:>3}  {gpu.name:<27.27}      On |   {gpu.bus_id} Off |                    0 |\n",
            f"| N/A   30C    P0              70W /  700W | {memory:>22} |      0%      Default |\n",
            "|                                         |                        |             Disabled |\n",
            rule,
        ]
    rows += [
        "\n+-----------------------------------------------------------------------------------------+\n",
        "| Processes:                                                                              |\n",
        "|  GPU   GI   CI              PID   Type   Process name                        GPU Memory |\n",
        "|        ID   ID                                                               Usage      |\n",
        "|=========================================================================================|\n",
        "|  No running processes found                                                             |\n",
        "+-----------------------------------------------------------------------------------------+\n",
    ]
    return "".join(rows)


def choose(gpus: list[Gpu], wanted: str) -> list[Gpu]:
    """Return the GPUs that -i names, by index, UUID or address."""
    chosen = []
    for name in wanted.split(","):
        found = [gpu for gpu in gpus if name in (str(gpu.index), gpu.uuid, gpu.bus_id)]
        if not found:
            print("No devices were found")
            sys.exit(6)
        chosen += found
    return chosen


def arguments() -> dict[str, str]:
    """Return the options given, in their long spelling where there are two."""
    short = {"-i": "--id", "-L": "--list-gpus", "-q": "--query", "-x": "--xml-format"}
    given: dict[str, str] = {}
    words = iter(sys.argv[1:])
    for word in words:
        name, _sign, value = word.partition("=")
        name = short.get(name, name)
        given[name] = next(words, "") if name == "--id" and not value else value
    return given


def main() -> int:
    """Answer as the real tool does."""
    given = arguments()
    if "--version" in given:
        print(f"NVIDIA-SMI version  : {DRIVER}\nNVML version        : {DRIVER[:3]}.95\nDRIVER version      : {DRIVER}")
        print(f"CUDA Version        : {CUDA}")
        return 0
    gpus = read_gpus()
    if not gpus:
        print("No devices were found")
        return 6
    if "--id" in given:
        gpus = choose(gpus, given["--id"])
    options = given.get("--format", "").split(",")
    if "--list-gpus" in given:
        print("".join(f"GPU {gpu.index}: {gpu.name} (UUID: {gpu.uuid})\n" for gpu in gpus), end="")
    elif "--query-gpu" in given:
        fields = [name.strip() for name in given["--query-gpu"].split(",")]
        print(csv(gpus, fields, options), end="")
    elif "--query-compute-apps" in given:
        if "noheader" not in options:
            print(", ".join(given["--query-compute-apps"].split(",")))
    elif "--query" in given and "--xml-format" in given:
        print(xml_log(gpus), end="")
    elif given:
        print(f"The sandbox's nvidia-smi does not know: {' '.join(sys.argv[1:])}", file=sys.stderr)
        return 2
    else:
        print(table(gpus), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
