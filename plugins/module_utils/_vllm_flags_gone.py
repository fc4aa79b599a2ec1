# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The flags of C(vllm serve) that 0.33.0 no longer has, abbreviations and deprecations: data only.

Written by tests/engine_flags/history.py from vLLM's sources: do not edit.
This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

# As in _vllm_flags_today.
FLAGS = """
calculate-kv-scales: 0.7.0 on_only, 0.8.5 switch, 0.28.0 -
chat-template-text-format: 0.6.4 choice, 0.6.5 -
cuda-graph-sizes: 0.9.0 many, 0.13.0 -
device: 0.5.0 choice, 0.10.0 -
disable-async-output-proc: 0.6.0 on_only, 0.11.0 -
disable-frontend-multiprocessing: 0.5.4 on_only, 0.10.0 switch, 0.19.0 -
disable-log-requests: 0.5.0 on_only, 0.10.1 switch, 0.17.0 -
disable-logprobs-during-spec-decoding: 0.5.3 boolean, 0.8.3 -
disable-mm-preprocessor-cache: 0.6.6 on_only, 0.9.0 switch, 0.10.1 on_only, 0.13.0 -
enable-bf16x3-router-gemm: 0.26.0 switch, 0.30.0 -
enable-lora-bias: 0.6.4 on_only, 0.8.5 switch, 0.11.1 -
enable-mamba-fine-grained-prefix-cache: 0.30.0 switch, 0.31.0 -
enable-multimodal-encoder-data-parallel: 0.9.1 switch, 0.10.2 on_only, 0.13.0 -
enable-prompt-adapter: 0.5.2 on_only, 0.8.5 switch, 0.10.0 on_only, 0.10.2 -
enable-reasoning: 0.7.1 on_only, 0.9.0 switch, 0.10.0 -
engine-use-ray: 0.5.0 on_only, 0.6.1.post1 -
eplb-log-balancedness: 0.9.2 switch, 0.12.0 -
eplb-step-interval: 0.9.2 int, 0.12.0 -
eplb-window-size: 0.9.2 int, 0.12.0 -
expand-tools-even-if-tool-choice-none: 0.9.2 on_only, 0.10.0 -
guided-decoding-backend: 0.5.0 choice, 0.8.0 str, 0.8.5 choice, 0.11.0 -
guided-decoding-disable-additional-properties: 0.9.0 switch, 0.11.0 -
guided-decoding-disable-any-whitespace: 0.9.0 switch, 0.11.0 -
guided-decoding-disable-fallback: 0.9.0 switch, 0.11.0 -
logits-processor-pattern: 0.6.5 str, 0.17.0 -
long-lora-scaling-factors: 0.5.0 str, 0.8.5 many, 0.10.0 -
lora-extra-vocab-size: 0.5.0 int, 0.11.1 choice, 0.12.0 -
max-context-len-to-capture: 0.5.0 int, 0.6.4 -
max-long-partial-prefills: 0.7.3 int, 0.27.0 -
max-num-partial-prefills: 0.7.3 int, 0.27.0 -
max-prompt-adapter-token: 0.5.2 int, 0.10.0 -
max-prompt-adapters: 0.5.2 int, 0.10.0 -
max-seq-len-to-capture: 0.5.0 int, 0.11.0 -
mm-cache-preprocessor: 0.6.5 on_only, 0.6.6 -
multi-step-stream-outputs: 0.6.2 on_only, 0.6.3 boolean, 0.8.5 switch, 0.10.1 -
ngram-prompt-lookup-max: 0.5.0 int, 0.8.3 -
ngram-prompt-lookup-min: 0.5.0 int, 0.8.3 -
num-lookahead-slots: 0.5.0 int, 0.12.0 -
num-redundant-experts: 0.9.2 int, 0.12.0 -
num-scheduler-steps: 0.5.5 int, 0.10.1 -
num-speculative-tokens: 0.5.0 int, 0.8.3 -
override-attention-dtype: 0.9.2 str, 0.28.0 -
override-neuron-config: 0.6.0 str, 0.6.3 json, 0.10.2 -
override-pooler-config: 0.6.4 json, 0.12.0 -
preemption-mode: 0.5.0 str, 0.8.5 choice, 0.11.0 -
prompt-adapters: 0.5.2 many, 0.10.0 -
qlora-adapter-name-or-path: 0.5.0 str, 0.10.0 -
quantization-param-path: 0.5.0 str, 0.7.0 -
rope-scaling: 0.5.0 json, 0.11.1 -
rope-theta: 0.5.0 float, 0.11.1 -
scheduler-delay-factor: 0.5.0 float, 0.11.0 -
spec-decoding-acceptance-method: 0.5.1 choice, 0.8.3 -
speculative-disable-by-batch-size: 0.5.0 int, 0.8.3 -
speculative-disable-mqa-scorer: 0.6.3 on_only, 0.8.3 -
speculative-draft-tensor-parallel-size: 0.5.1 int, 0.8.3 -
speculative-max-model-len: 0.5.0 int, 0.8.3 -
speculative-model: 0.5.0 str, 0.8.3 -
speculative-model-quantization: 0.5.5 choice, 0.8.3 -
swap-space: 0.5.0 int, 0.5.5 float, 0.18.0 -
task: 0.6.4 choice, 0.13.0 -
tokenizer-pool-extra-config: 0.5.0 str, 0.8.5 json, 0.10.0 -
tokenizer-pool-size: 0.5.0 int, 0.10.0 -
tokenizer-pool-type: 0.5.0 str, 0.10.0 -
typical-acceptance-sampler-posterior-alpha: 0.5.1 float, 0.8.3 -
typical-acceptance-sampler-posterior-threshold: 0.5.1 float, 0.8.3 -
use-gpu-for-pooling-score: 0.17.0 switch, 0.18.0 -
use-v2-block-manager: 0.5.0 on_only, 0.10.0 -
worker-use-ray: 0.5.0 on_only, 0.7.0 -
"""

# Abbreviations, of any release, to name the flag in messages.
ALIASES = """
O: compilation-config
ac: attention-config
asc: api-server-count
cc: compilation-config
dc: diffusion-config
dcp: decode-context-parallel-size
device-memory-utilization: gpu-memory-utilization
dp: data-parallel-size
dpa: data-parallel-address
dpb: data-parallel-backend
dpe: data-parallel-external-lb
dph: data-parallel-hybrid-lb
dpl: data-parallel-size-local
dpm: data-parallel-multi-port-external-lb
dpn: data-parallel-rank
dpp: data-parallel-rpc-port
dpr: data-parallel-start-rank
ep: enable-expert-parallel
n: nnodes
pcp: prefill-context-parallel-size
pp: pipeline-parallel-size
q: quantization
r: node-rank
sc: speculative-config
spec-draft-tp: speculative-draft-tensor-parallel-size
tp: tensor-parallel-size
"""

# Flags that vLLM itself calls deprecated, and since when.
DEPRECATED = """
calculate-kv-scales: 0.19.0
cuda-graph-sizes: 0.11.1
device: 0.9.0
disable-cascade-attn: 0.32.0
disable-log-requests: 0.10.1
disable-mm-preprocessor-cache: 0.10.1
enable-lora-bias: 0.10.2
enable-multimodal-encoder-data-parallel: 0.10.2
enable-prompt-adapter: 0.10.0
enable-reasoning: 0.9.0
engine-use-ray: 0.5.5
eplb-log-balancedness: 0.10.2
eplb-step-interval: 0.10.2
eplb-window-size: 0.10.2
log-config-file: 0.31.0
lora-extra-vocab-size: 0.10.2
mamba-cache-mode: 0.33.0
num-redundant-experts: 0.10.2
override-pooler-config: 0.11.0
qlora-adapter-name-or-path: 0.9.0
task: 0.10.1
tokenizer-pool-extra-config: 0.8.5
tokenizer-pool-size: 0.8.5
tokenizer-pool-type: 0.8.5
use-v2-block-manager: 0.6.3.post1
worker-use-ray: 0.5.0
"""
