# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Causes below vLLM: driver, fabric manager, container runtime, and what a generation of GPUs can do.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from typing import Tuple

from ansible_collections.llmserve.vllm.plugins.module_utils._diagnosis.model import LIKELY, NAMED, Cause, cause, seen

_VLLM = "https://github.com/vllm-project/vllm/issues/"
_TOOLKIT = "https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/troubleshooting.html"
_COMPATIBILITY = "https://docs.nvidia.com/deploy/cuda-compatibility/"

CAUSES: Tuple[Cause, ...] = (
    cause(
        "fabric_manager_down",
        "The NVSwitch fabric is not initialized: its manager does not run or has another version than the driver.",
        "Install nvidia-fabricmanager in exactly the driver's version and start it "
        "(`systemctl enable --now nvidia-fabricmanager`).",
        seen(
            NAMED,
            # torch tells it as a warning, and then as a host without GPUs
            r"Error 802: system not yet initialized|CUDA error: system not yet initialized|cudaErrorSystemNotReady",
            r"cuda(GetDeviceCount|Init)\b.*(returned|error|failed).*\b802\b",
            r"(CUDA_ERROR_SYSTEM_NOT_READY|cuda runtime error \(802\)|Error \(.*\)) ?: system not yet initialized",
            mild=True,
            waiting=True,
        ),
        seen(
            NAMED,
            r"[Ff]abric ?[Mm]anager.*(version mismatch|different version|failed to|not running|Failed with)",
            r"nvidia-fabricmanager\.service: (Failed|(Main|Control) process exited)",
            r"NVSwitch driver failed with error:.*NV_WARN_NOTHING_TO_DO",
            r"fabric manager NVIDIA GPU driver interface version .* don't match",
            r"[Ff]ailed to start .*(NVIDIA fabric manager|nvidia-fabricmanager)",
        ),
        source="https://docs.nvidia.com/datacenter/tesla/fabric-manager-user-guide/",
    ),
    cause(
        "driver_too_old",
        "The NVIDIA driver of the host is older than the CUDA version in the image needs.",
        "Upgrade the driver (CUDA 13 images need R580 or newer), or pin a llmserve_image with an older CUDA version.",
        seen(
            NAMED,
            # torch tells the first as a warning, too
            r"NVIDIA driver on your system is too old",
            r"Error 80[34]\b",
            mild=True,
            waiting=True,
        ),
        seen(
            NAMED,
            r"CUDA driver version is insufficient for CUDA runtime version",
            r"forward compatibility was attempted on non supported HW",
            r"unsupported display driver / cuda driver combination",
            r"PTX was compiled with an unsupported toolchain",
            r"requirement error: unsatisfied condition: cuda",
            r"CUDA Driver version found is \d+\. Minimum requirement",
        ),
        source=_COMPATIBILITY,
    ),
    cause(
        "driver_library_mismatch",
        "The loaded kernel module and the driver's libraries have different versions, most often since the driver was "
        "upgraded without a restart.",
        "Restart the host (or unload and load the nvidia modules), and hold the driver's packages so that unattended "
        "upgrades leave them alone.",
        seen(
            NAMED,
            r"[Dd]river/library version mismatch",
            r"NVRM: API mismatch",
            r"nvml error: driver/library version mismatch",
            r"NVMLError_LibRmVersionMismatch|NVML_ERROR_LIB_RM_VERSION_MISMATCH",
        ),
        source="https://github.com/NVIDIA/nvidia-container-toolkit/issues/394",
    ),
    cause(
        "driver_not_loaded",
        "The NVIDIA driver is installed but its kernel module does not run.",
        "Look at `dmesg | grep -i nvrm` and `modprobe nvidia`; after a kernel upgrade the module has to be "
        "built again, "
        "and Secure Boot refuses an unsigned one.",
        seen(
            NAMED,
            r"NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver",
            r"nvml error: driver not loaded",
            r"Failed to initialize NVML: Driver Not Loaded|NVML_ERROR_DRIVER_NOT_LOADED",
            r"modprobe: FATAL: Module nvidia",
            r"NVRM: The NVIDIA probe routine failed|NVRM: No NVIDIA (GPU|graphics adapter)",
            r"nvidia: Loading of (module|unsigned module) .*rejected|Key was rejected by service",
        ),
        source=_TOOLKIT,
    ),
    cause(
        "driver_not_installed",
        "The host has no NVIDIA driver.",
        "Install the driver and restart the host; the collection refuses to guess which one.",
        seen(
            NAMED,
            r"load library failed: libnvidia-ml\.so\.1",
            r"nvidia-smi: (command )?not found|\"nvidia-smi\": executable file not found",
        ),
        source="https://docs.nvidia.com/datacenter/tesla/driver-installation-guide/",
    ),
    cause(
        "nvidia_runtime_not_configured",
        "Docker knows no way to give a container GPUs: the NVIDIA container toolkit is missing or was never set up.",
        "Run the role docker_nvidia, or by hand install nvidia-container-toolkit, then "
        "`nvidia-ctk runtime configure --runtime=docker` and restart Docker.",
        seen(
            NAMED,
            r"could not select device driver",
            r"nvidia-container-runtime-hook.*(not found|no such file)",
            r"nvidia-container-cli\"?: executable file not found",
        ),
        source=_TOOLKIT,
    ),
    cause(
        "nvidia_runtime_not_registered",
        "The container is to run with a runtime called nvidia, which Docker does not know.",
        "Run the role docker_nvidia: it writes the runtime into /etc/docker/daemon.json and restarts Docker.",
        seen(NAMED, r"[Uu]nknown (or invalid )?runtime( name|:)? ?:? ?(specified )?nvidia"),
        source=_TOOLKIT,
    ),
    cause(
        "cdi_device_missing",
        "The list of devices for containers (CDI) is missing or does not know this GPU, for example since a MIG or "
        "driver change.",
        "`systemctl restart nvidia-cdi-refresh` (or `nvidia-ctk cdi generate --output=/var/run/cdi/nvidia.yaml`), then "
        "`nvidia-ctk cdi list`.",
        seen(NAMED, r"unresolvable CDI devices|CDI device injection failed|failed to (inject|resolve) CDI devices"),
        source="https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/cdi-support.html",
    ),
    cause(
        "nvidia_container_cli_failed",
        "NVIDIA's container toolkit could not prepare the container's GPUs.",
        "Read the evidence; `nvidia-container-cli -k -d /dev/tty info` on the host says more.",
        seen(
            LIKELY,
            r"nvidia-container-cli: (initialization|detection|mount|device|ldcache|container) error",
            r"nvidia-container-cli\.real: ",
        ),
        source=_TOOLKIT,
    ),
    cause(
        "gpu_not_visible/cgroup_lost",
        "The container has lost its GPUs while it ran, as happens when `systemctl daemon-reload` resets the devices "
        "that it may use.",
        "Restart the container; GPUs given by CDI or with their device nodes, as the role docker_nvidia sets up, stay.",
        seen(LIKELY - 1, r"Failed to initialize NVML: Unknown Error|NVMLError_Unknown: Unknown Error"),
        source="https://github.com/NVIDIA/nvidia-container-toolkit/issues/48",
    ),
    cause(
        "gpu_not_visible",
        "The process sees no usable GPU, or fewer than it was told to use.",
        "Check `nvidia-smi` on the host and inside the container, that the container got its GPUs, and that "
        "CUDA_VISIBLE_DEVICES names existing ones; llmserve_gpus_per_node makes preflight count them.",
        seen(
            LIKELY,
            r"No CUDA GPUs are available",
            r"no CUDA-capable device is detected",
            r"(CUDA|HIP) error: invalid device ordinal",
            r"NVML_ERROR_(NO_PERMISSION|GPU_NOT_FOUND)|NVMLError_\w*(NotFound|InvalidArgument|NoPermission)",
            r"INTERNAL ASSERT FAILED at .*CUDAContext\.cpp",
            r"(device_id|visible device ordinal) \d+ is out of range",
            r"^No devices were found|CUDA_ERROR_NO_DEVICE|cudaErrorNoDevice",
            r"CUDA-capable device(\(s\)|s)? (is/)?are busy or unavailable|CUDA unknown error - this may be due to",
        ),
        source=_VLLM + "6056",
    ),
    cause(
        "no_gpu_platform",
        "vLLM found no GPU platform at all: no driver library in the container, or a build for another kind of device.",
        "Start the container with its GPUs (NVIDIA container toolkit installed), and use the llmserve_image of this "
        "CPU architecture and GPU vendor.",
        seen(
            LIKELY,
            r"Failed to infer device type",
            r"Device string must not be empty",
            r"libcuda\.so(\.1)?: cannot open shared object file|libcuda\.so cannot found|libcuda\.so\.1 not found",
            r"Found no NVIDIA driver on your system",
            r"Torch not compiled with CUDA enabled",
            r"0 active drivers \(\[\]\)\. There should only be one",
        ),
        source=_VLLM + "8863",
    ),
    cause(
        "gpu_arch_unsupported/no_kernel",
        "The image or wheel was not built for this generation of GPUs.",
        "Use a llmserve_image whose CUDA version knows this GPU (Blackwell wants CUDA 12.8 or newer), or build vLLM "
        "with its TORCH_CUDA_ARCH_LIST.",
        seen(
            NAMED - 1,
            r"no kernel image is available for execution on the device",
            r"device kernel image is invalid|CUDA_ERROR_(NO_BINARY_FOR_GPU|INVALID_IMAGE)",
            r"No compiled \w+ for (a compute capability less than )?CUDA device capability",
            r"with CUDA capability sm_\d+ is not compatible with the current PyTorch installation",
        ),
        source=_VLLM + "5547",
    ),
    cause(
        "gpu_arch_unsupported/ptxas",
        "Triton's assembler does not know this generation of GPUs.",
        "Use a newer llmserve_image, or set TRITON_PTXAS_PATH in vllm_serve_env to the ptxas of a CUDA toolkit that "
        "knows the GPU.",
        seen(
            NAMED - 1,
            r"ptxas fatal.*sm_\d+|ptxas .*PTX \.version .* does not support \.target sm_",
            r"Value 'sm_\w+' is not defined for option 'gpu-name'",
            r"PTXAS error: Internal Triton PTX codegen error",
        ),
        source="https://github.com/vllm-project/vllm/pull/31338",
    ),
    cause(
        "gpu_arch_unsupported/dtype",
        "This GPU generation has no bfloat16.",
        "Set dtype: half in llmserve_engine_args.",
        seen(NAMED - 1, r"Bfloat16 is only supported on GPUs with compute capability"),
        source="https://docs.vllm.ai/en/latest/getting_started/installation/gpu/",
    ),
    cause(
        "gpu_arch_unsupported/quantization",
        "This GPU generation cannot compute with the quantization of the model.",
        "Serve a model in another format (AWQ or GPTQ run on Turing and Ampere, FP8 wants Ada or Hopper, NVFP4 "
        "Blackwell); the plan's table of formats names the oldest GPU of each.",
        seen(
            NAMED - 1,
            r"quantization method .* is not supported for the current GPU",
            r"Quantization scheme is not supported for the current GPU",
            r"(fp8e4nv|FP8|fp8).* not supported (in|on) this architecture",
            r"torch\._scaled_mm.*only supported on|requires GPU compute capability >= \d",
        ),
        source="https://docs.vllm.ai/en/latest/features/quantization/",
    ),
    cause(
        "gpu_arch_unsupported",
        "This GPU generation cannot run the kernels, the data type or the quantization asked for.",
        "Set dtype: half in llmserve_engine_args on GPUs without bfloat16, use another quantization of the model, or a "
        "llmserve_image built for this GPU.",
        seen(
            NAMED,
            r"only supports? Ampere GPUs or newer",
            r"Requires compute capability of \d|does not support compute capability",
            r"[Nn]ot supported on (this|your) GPU( architecture)?|unsupported GPU architecture",
            r"requires? (a )?(GPU with )?(compute|device) capability (of at least )?[>\d]",
            r"requires? GPUs? with sm_?\d+",
        ),
        source="https://docs.vllm.ai/en/latest/getting_started/installation/gpu/",
    ),
    cause(
        "mig_misuse",
        "The GPU is cut into MIG instances in a way that the engine cannot use.",
        "One instance per engine: NCCL cannot join instances, so either tensor_parallel_size: 1 or MIG off "
        "(`nvidia-smi -mig 0`).",
        seen(
            NAMED,
            r"MIG-[\w/-]+.*(invalid literal|not found|ValueError)|invalid literal for int\(\) with base 10: 'MIG-",
            r"ncclInvalidUsage.*MIG",
            r"MIG mode is (enabled|not supported)|Multiple Ranks are using the same GPU/Partition",
        ),
        source="https://docs.nvidia.com/datacenter/tesla/mig-user-guide/",
    ),
    cause(
        "duplicate_gpu",
        "Two ranks were given the same GPU.",
        "One container per GPU set: check CUDA_VISIBLE_DEVICES in vllm_serve_env and ray_node_env, and that no second "
        "engine runs on the host.",
        seen(NAMED, r"Duplicate GPU detected"),
        source="https://github.com/NVIDIA/nccl/issues/1241",
    ),
)
