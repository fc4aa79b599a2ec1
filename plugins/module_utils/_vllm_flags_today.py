# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The flags of C(vllm serve) 0.33.0, and the releases at which each one changed: data only.

Written by tests/engine_flags/history.py from vLLM's sources: do not edit.
This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

# The releases that were read.
RELEASES = """
0.5.0 0.5.0.post1 0.5.1 0.5.2 0.5.3 0.5.3.post1 0.5.4 0.5.5 0.6.0 0.6.1 0.6.1.post1 0.6.1.post2 0.6.2 0.6.3
 0.6.3.post1 0.6.4 0.6.4.post1 0.6.5 0.6.6 0.6.6.post1 0.7.0 0.7.1 0.7.2 0.7.3 0.8.0 0.8.1 0.8.2 0.8.3 0.8.4 0.8.5
 0.8.5.post1 0.9.0 0.9.0.1 0.9.1 0.9.2 0.10.0 0.10.1 0.10.1.1 0.10.2 0.11.0 0.11.1 0.11.2 0.12.0 0.13.0 0.14.0
 0.14.1 0.15.0 0.15.1 0.16.0 0.17.0 0.17.1 0.18.0 0.18.1 0.19.0 0.19.1 0.20.0 0.20.1 0.20.2 0.21.0 0.22.0 0.22.1
 0.23.0 0.24.0 0.25.0 0.25.1 0.26.0 0.27.0 0.27.1 0.28.0 0.29.0 0.30.0 0.31.0 0.32.0 0.33.0
"""

# A flag, the release that brought it, and what kind of value it takes since when; - is without it.
FLAGS = """
additional-config: 0.7.3 json
aggregate-engine-logging: 0.11.1 on_only
all2all-backend: 0.11.1 choice
allow-credentials: 0.5.0 on_only, 0.10.0 switch
allow-deprecated-quantization: 0.14.0 switch
allowed-headers: 0.5.0 json
allowed-local-media-path: 0.6.4 str
allowed-media-domains: 0.11.0 many
allowed-methods: 0.5.0 json
allowed-origins: 0.5.0 json
anthropic-disabled-thinking-effort: 0.31.0 str
api-key: 0.5.0 str, 0.10.1 many
api-server-count: 0.9.1 int
async-scheduling: 0.10.0 switch
attention-backend: 0.13.0 str
attention-config: 0.13.0 json
aux-output-config: 0.31.0 json
block-size: 0.5.0 choice, 0.18.0 int
chat-template: 0.5.0 str
chat-template-content-format: 0.6.5 str
code-revision: 0.5.0 str
cohere-format: 0.27.0 str
cohere-is-reasoning-model: 0.27.0 switch
collect-detailed-traces: 0.5.5 str, 0.9.0 many
compilation-config: 0.6.5 json
config: 0.6.0 str
config-format: 0.6.1 choice, 0.10.2 str
convert: 0.10.1 choice
cp-kv-cache-interleave-size: 0.12.0 int
cpu-distributed-timeout-seconds: 0.22.0 int
cpu-offload-gb: 0.5.3 float
cpu-offload-params: 0.17.0 many
cudagraph-capture-sizes: 0.11.1 many
cudagraph-metrics: 0.13.0 switch
custom-histogram-buckets: 0.32.0 json
data-parallel-address: 0.9.0 str
data-parallel-backend: 0.9.1 str
data-parallel-external-lb: 0.11.1 switch
data-parallel-hybrid-lb: 0.10.0 switch
data-parallel-multi-port-external-lb: 0.22.0 on_only
data-parallel-rank: 0.9.2 int
data-parallel-rpc-port: 0.9.0 int
data-parallel-size: 0.8.3 int
data-parallel-size-local: 0.9.0 int
data-parallel-start-rank: 0.9.0 int
data-parallel-supervisor-port: 0.22.0 int
dbo-decode-token-threshold: 0.11.0 int
dbo-prefill-token-threshold: 0.11.0 int
dcp-comm-backend: 0.18.0 choice
dcp-kv-cache-interleave-size: 0.11.1 int
dcp-q-replicate: 0.29.0 switch
decode-context-parallel-size: 0.10.2 int
default-chat-template-kwargs: 0.14.0 json
default-mm-loras: 0.10.0 json
device-ids: 0.24.0 comma
device-memory-utilization: 0.31.0 float
diffusion-config: 0.24.0 json
disable-access-log-for-endpoints: 0.16.0 comma
disable-cascade-attn: 0.8.2 on_only, 0.9.0 switch
disable-chunked-mm-input: 0.8.4 boolean, 0.8.5 switch
disable-custom-all-reduce: 0.5.0 on_only, 0.8.5 switch
disable-fastapi-docs: 0.6.2 on_only, 0.10.0 switch
disable-hybrid-kv-cache-manager: 0.9.1 switch
disable-log-stats: 0.5.0 on_only
disable-nccl-for-dp-synchronization: 0.11.1 switch
disable-sliding-window: 0.5.0 on_only, 0.9.0 switch
disable-uvicorn-access-log: 0.8.2 on_only, 0.10.0 switch
distributed-executor-backend: 0.5.0 choice, 0.10.2 str
distributed-timeout-seconds: 0.18.0 int
download-dir: 0.5.0 str
dp-supervisor-probe-failure-threshold: 0.22.0 int
dp-supervisor-probe-interval-s: 0.22.0 float
dp-supervisor-probe-timeout-s: 0.22.0 float
dp-sync-interval: 0.30.0 int
dtype: 0.5.0 choice
ec-manager-config: 0.28.0 json
ec-transfer-config: 0.11.1 json
elastic-ep-max-dp-size: 0.30.0 int
enable-auto-tool-choice: 0.6.0 on_only, 0.10.0 switch
enable-batch-sharded-sampling: 0.29.0 switch
enable-chunked-prefill: 0.5.0 on_only, 0.5.3 boolean, 0.8.5 switch
enable-cumem-allocator: 0.22.0 switch
enable-dbo: 0.11.0 switch
enable-elastic-ep: 0.17.0 switch
enable-ep-weight-filter: 0.18.0 switch
enable-eplb: 0.9.2 switch
enable-expert-parallel: 0.8.0 on_only, 0.8.5 switch
enable-fault-tolerance: 0.27.0 switch
enable-flash-late-interaction: 0.20.0 switch
enable-flashinfer-autotune: 0.16.0 switch
enable-force-include-usage: 0.9.2 on_only, 0.10.0 switch
enable-hc-sp: 0.32.0 switch
enable-layerwise-nvtx-tracing: 0.13.0 switch
enable-log-deltas: 0.14.0 switch
enable-log-outputs: 0.10.1 switch
enable-log-requests: 0.10.1 switch
enable-logging-iteration-details: 0.14.0 switch
enable-lora: 0.5.0 on_only, 0.8.5 switch
enable-mamba-cache-stochastic-rounding: 0.20.0 switch
enable-mamba-shared-prefix-checkpoint: 0.31.0 switch
enable-mfu-metrics: 0.14.0 switch
enable-mixed-moe-lora-format: 0.22.0 switch
enable-mm-embeds: 0.11.1 switch
enable-moe-shared-loras: 0.26.0 switch
enable-nccl-comm-suspend: 0.30.0 switch
enable-offline-docs: 0.14.0 switch
enable-per-request-metrics: 0.25.0 switch
enable-prefix-caching: 0.5.0 on_only, 0.6.5 switch
enable-prompt-embeds: 0.9.0 switch
enable-prompt-tokens-details: 0.6.4 on_only, 0.10.0 switch
enable-request-id-headers: 0.6.6 on_only, 0.10.0 switch
enable-return-routed-experts: 0.14.0 switch
enable-scale-out: 0.30.0 switch
enable-server-load-tracking: 0.8.0 on_only, 0.10.0 switch
enable-shm-tensor-arena: 0.32.0 switch
enable-sleep-mode: 0.7.0 on_only, 0.9.0 switch
enable-ssl-refresh: 0.8.0 on_only, 0.10.0 switch
enable-tokenizer-info-endpoint: 0.10.0 switch
enable-tower-connector-lora: 0.14.0 switch
enable-trace-replay: 0.29.0 switch
enforce-eager: 0.5.0 on_only, 0.9.0 switch
engram-config: 0.30.0 json
eplb-config: 0.10.2 json
exclude-tools-when-tool-choice-none: 0.10.1 switch
expert-placement-strategy: 0.11.0 choice
fail-on-environ-validation: 0.17.0 switch
fault-tolerance-config: 0.27.0 json
fingerprint-mode: 0.21.0 choice
fingerprint-value: 0.21.0 str
fully-sharded-loras: 0.5.0 on_only, 0.8.5 switch
gdn-prefill-backend: 0.18.0 choice
generation-config: 0.6.6 str
gpu-memory-utilization: 0.5.0 float
grpc: 0.18.0 on_only
grpc-port: 0.32.0 int
h11-max-header-count: 0.10.1.1 int
h11-max-incomplete-event-size: 0.10.1.1 int
headless: 0.9.0 on_only
hf-config-path: 0.8.0 str
hf-overrides: 0.6.4 json
hf-token: 0.8.4 optional
host: 0.5.0 str
ignore-patterns: 0.5.3 repeated, 0.9.0 many
interleave-mm-strings: 0.10.0 switch
io-processor-plugin: 0.10.2 str
ir-op-priority: 0.20.0 json
jit-monitor-mode: 0.25.0 choice
jit-monitor-verbose: 0.24.0 switch
kda-decode-backend: 0.30.0 choice
kda-prefill-backend: 0.27.0 choice
kernel-config: 0.16.0 json
kv-cache-dtype: 0.5.0 choice, 0.33.0 str
kv-cache-dtype-skip-layers: 0.19.0 many
kv-cache-memory-bytes: 0.10.2 int, 0.26.0 human
kv-cache-metrics: 0.12.0 switch
kv-cache-metrics-sample: 0.12.0 float
kv-events-config: 0.9.0 json
kv-offloading-backend: 0.11.1 choice
kv-offloading-size: 0.11.1 float
kv-sharing-fast-prefill: 0.10.1 switch
kv-transfer-config: 0.6.5 json
language-model-only: 0.17.0 switch
limit-mm-per-prompt: 0.5.5 pairs, 0.8.5 json
linear-backend: 0.22.0 choice
load-format: 0.5.0 choice, 0.10.1 str
log-config-file: 0.9.1 str
log-error-stack: 0.10.2 switch
log-level: 0.31.0 choice
logging-config: 0.31.0 json
logits-processors: 0.10.1 many
logprobs-mode: 0.10.0 choice
long-prefill-token-threshold: 0.7.3 float, 0.8.5 int
long-prefill-token-threshold-adaptive: 0.31.0 switch
lora-dtype: 0.5.0 choice
lora-modules: 0.5.0 many
lora-target-modules: 0.19.0 many
mamba-backend: 0.20.0 str
mamba-block-size: 0.11.1 int
mamba-cache-dtype: 0.10.1 choice
mamba-cache-mode: 0.15.0 choice
mamba-cache-philox-rounds: 0.20.0 int
mamba-ssm-cache-dtype: 0.10.1 choice
mamba-ssu-algorithm: 0.27.0 choice
master-addr: 0.11.1 str
master-port: 0.11.1 int
max-cpu-loras: 0.5.0 int
max-cudagraph-capture-size: 0.11.1 int
max-log-len: 0.5.0 int
max-logprobs: 0.5.0 int
max-lora-cls-labels: 0.31.0 int
max-lora-rank: 0.5.0 int, 0.11.1 choice
max-loras: 0.5.0 int
max-model-len: 0.5.0 int, 0.8.4 human, 0.14.0 length
max-num-active-seqs: 0.31.0 int
max-num-batched-tokens: 0.5.0 int, 0.26.0 human
max-num-queued-reqs: 0.29.0 int
max-num-queued-tokens: 0.29.0 human
max-num-scheduled-tokens: 0.26.0 human
max-num-seqs: 0.5.0 int
max-parallel-loading-workers: 0.5.0 int
media-io-kwargs: 0.9.2 json
middleware: 0.5.0 repeated
mm-device-do-normalize: 0.28.0 switch
mm-encoder-attn-backend: 0.11.1 str
mm-encoder-attn-dtype: 0.21.0 choice
mm-encoder-fp8-scale-path: 0.21.0 str
mm-encoder-fp8-scale-save-margin: 0.21.0 float
mm-encoder-fp8-scale-save-path: 0.21.0 str
mm-encoder-only: 0.15.0 switch
mm-encoder-tp-mode: 0.10.2 choice
mm-hasher-algorithm: 0.27.0 choice
mm-ipc-gpu-memory-gb: 0.25.0 float
mm-processor-cache-gb: 0.10.1 int, 0.10.2 float
mm-processor-cache-type: 0.11.0 choice
mm-processor-device: 0.28.0 str
mm-processor-kwargs: 0.6.2 json
mm-shm-cache-max-object-size-mb: 0.11.0 int
mm-tensor-ipc: 0.19.0 choice
model: 0.5.0 str
model-class-overrides: 0.25.0 json
model-impl: 0.7.2 choice, 0.11.0 str
model-loader-extra-config: 0.5.0 str, 0.8.4 json
moe-backend: 0.17.0 choice
monokernel: 0.33.0 switch
nnodes: 0.11.1 int
node-rank: 0.11.1 int
num-gpu-blocks-override: 0.5.0 int
numa-bind: 0.20.0 switch
numa-bind-cpus: 0.20.0 many
numa-bind-nodes: 0.20.0 many
offload-backend: 0.17.0 choice
offload-group-size: 0.17.0 int
offload-num-in-group: 0.17.0 int
offload-params: 0.17.0 many
offload-prefetch-step: 0.17.0 int
optimization-level: 0.12.0 str
otlp-traces-endpoint: 0.5.1 str
override-generation-config: 0.7.1 json
per-request-spec-decode-metrics: 0.29.0 choice
performance-mode: 0.17.0 choice
pipeline-parallel-size: 0.5.0 int
pooler-config: 0.11.0 json
port: 0.5.0 int
prefill-context-parallel-size: 0.12.0 int
prefill-schedule-interval: 0.24.0 int
prefix-cache-retention-interval: 0.29.0 int
prefix-caching-hash-algo: 0.8.3 choice
prefix-match-unit: 0.26.0 int
profiler-config: 0.13.0 json
pt-load-map-location: 0.9.0 json
quantization: 0.5.0 choice, 0.10.1 str
quantization-config: 0.22.0 json
ray-workers-use-nsight: 0.5.0 on_only, 0.8.5 switch
reasoning-config: 0.19.0 json
reasoning-effort-map: 0.33.0 json
reasoning-parser: 0.7.1 str, 0.8.0 choice, 0.8.3 str
reasoning-parser-plugin: 0.11.1 str
renderer-num-workers: 0.19.0 int
replayssm-buffer-len: 0.27.0 int
response-role: 0.5.0 str
return-sampling-mask: 0.28.0 switch
return-tokens-as-token-ids: 0.5.4 on_only, 0.10.0 switch
revision: 0.5.0 str
root-path: 0.5.0 str
runner: 0.10.1 choice
safetensors-load-strategy: 0.10.2 str, 0.24.0 choice
safetensors-prefetch-block-size: 0.21.0 int, 0.26.0 human
safetensors-prefetch-num-threads: 0.21.0 int
scheduler-cls: 0.7.3 str
scheduler-reserve-full-isl: 0.19.0 switch
scheduling-policy: 0.6.3 choice
seed: 0.5.0 int
served-model-name: 0.5.0 many
show-hidden-metrics-for-version: 0.8.0 str
shutdown-timeout: 0.18.0 int
skip-mm-profiling: 0.10.1 switch
skip-tokenizer-init: 0.5.0 on_only, 0.9.0 switch
sleep-mode-backend: 0.33.0 str
sleep-mode-offload-cudagraph: 0.32.0 switch
sleep-preserve-parameter-names: 0.31.0 many
sparse-indexer-topk-backend: 0.30.0 choice
spec-method: 0.22.0 choice
spec-model: 0.22.0 str
spec-tokens: 0.22.0 int
specialize-active-lora: 0.16.0 switch
speculative-config: 0.8.2 str, 0.8.3 json
sse-keep-alive-interval: 0.29.0 int
ssl-ca-certs: 0.5.0 str
ssl-cert-reqs: 0.5.0 int
ssl-certfile: 0.5.0 str
ssl-ciphers: 0.15.0 str
ssl-keyfile: 0.5.0 str
stream-interval: 0.11.1 int
structured-outputs-config: 0.11.0 json
swa-bounded-replay: 0.31.0 switch
tensor-parallel-size: 0.5.0 int
tokenizer: 0.5.0 str
tokenizer-mode: 0.5.0 choice, 0.12.0 str
tokenizer-revision: 0.5.0 str
tokens-only: 0.11.1 switch
tool-call-parser: 0.6.0 choice, 0.6.3 str
tool-parser-plugin: 0.6.3 str
tool-server: 0.10.1 str
tool-strict-level: 0.31.0 str
trust-remote-code: 0.5.0 on_only, 0.9.0 switch
trust-request-chat-template: 0.11.0 switch
trust-request-mm-kwargs: 0.31.0 switch
ubatch-size: 0.14.0 int
uds: 0.10.1 str
use-fp64-gumbel: 0.22.0 switch
use-replayssm: 0.27.0 switch
use-tqdm-on-load: 0.8.0 switch
uvicorn-log-level: 0.5.0 choice
video-pruning-method: 0.27.0 choice
video-pruning-rate: 0.11.0 float
watchdog-config: 0.33.0 json
watermark: 0.24.0 float
watermark-config: 0.30.0 json
weight-transfer-config: 0.16.0 json
worker-cls: 0.6.5 str
worker-extension-cls: 0.8.0 str
"""
