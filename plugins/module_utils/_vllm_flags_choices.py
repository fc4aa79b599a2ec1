# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words that a flag of C(vllm serve) takes, where argparse refuses every other: data only.

Written by tests/engine_flags/history.py from vLLM's sources: do not edit.
This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

# word@0.9.0 is taken from that release on, word@0.9.0-0.11.0 no longer by the last one.
CHOICES = """
all2all-backend: naive pplx deepep_high_throughput deepep_low_latency allgather_reducescatter flashinfer_all2allv
  mori@0.15.0-0.23.0 nixl_ep@0.18.0 flashinfer_nvlink_two_sided@0.18.0 flashinfer_nvlink_one_sided@0.18.0
  mori_high_throughput@0.23.0 mori_low_latency@0.23.0 deepep_v2@0.24.0 moonep@0.31.0 passthrough@0.32.0
block-size: 8 16 32 128@0.5.5-0.6.0@0.6.4-0.6.5@0.6.6 256@0.5.5-0.6.0@0.11.1 512@0.5.5-0.6.0 1024@0.5.5-0.6.0
  2048@0.5.5-0.6.0 64@0.6.4-0.6.5@0.6.6 1@0.8.5
chat-template-text-format: string openai
config-format: auto hf mistral
convert: auto none embed classify reward@0.10.1-0.16.0 mm_encoder_only@0.14.0-0.16.0
dcp-comm-backend: ag_rs a2a
device: auto cuda neuron cpu tpu@0.5.0.post1 openvino@0.5.1-0.8.2 xpu@0.5.1 hpu@0.6.4
distributed-executor-backend: ray mp uni@0.7.0 external_launcher@0.7.0
dtype: auto half float16 bfloat16 float float32
expert-placement-strategy: linear round_robin
fingerprint-mode: full hash custom none
gdn-prefill-backend: flashinfer triton cutedsl@0.22.0 aiter_flydsl@0.32.0 sycl@0.33.0
guided-decoding-backend: outlines lm-format-enforcer@0.5.0-0.10.1@0.10.2 xgrammar@0.6.5 auto@0.8.5 guidance@0.8.5
jit-monitor-mode: warn error
kda-decode-backend: auto native flashinfer triton
kda-prefill-backend: auto triton flashkda flashinfer@0.30.0 fused@0.30.0
kv-cache-dtype: auto fp8 fp8_e5m2 fp8_e4m3 fp8_inc@0.10.0 bfloat16@0.11.0 fp8_ds_mla@0.11.1 float16@0.18.0
  turboquant_k8v4@0.20.0 turboquant_4bit_nc@0.20.0 turboquant_k3v4_nc@0.20.0 turboquant_3bit_nc@0.20.0
  int8_per_token_head@0.20.0 fp8_per_token_head@0.20.0 nvfp4@0.20.0 int4_per_token_head@0.25.0 nvfp4_4over6@0.28.0
  nvfp4_ds_mla@0.30.0 ultraquant_4bit@0.32.0
kv-offloading-backend: native lmcache
linear-backend: auto cutlass flashinfer_cutlass flashinfer_trtllm flashinfer_cudnn marlin triton deep_gemm torch
  aiter machete fbgemm conch exllama emulation flashinfer_cutedsl@0.24.0 flashinfer_b12x@0.24.0 humming@0.25.0
  xpu@0.25.0 xpu_woq@0.25.0 b12x@0.28.0
load-format: auto pt safetensors npcache dummy tensorizer bitsandbytes sharded_state@0.5.5 gguf@0.5.5 mistral@0.6.1
  runai_streamer@0.6.6 fastsafetensors@0.8.2 runai_streamer_sharded@0.8.5
log-level: CRITICAL ERROR WARNING INFO DEBUG NOTSET
logprobs-mode: raw_logprobs raw_logits processed_logprobs processed_logits
lora-dtype: auto float16 bfloat16 float32@0.5.0-0.6.4.post1
lora-extra-vocab-size: 256 512
mamba-cache-dtype: auto float32 float16@0.13.0 bfloat16@0.22.0
mamba-cache-mode: all@0.15.0-0.32.0 align none
mamba-ssm-cache-dtype: auto float32 float16@0.13.0 bfloat16@0.22.0
mamba-ssu-algorithm: auto simple vertical horizontal
max-lora-rank: 1 8 16 32 64 128 256 320 512
mm-encoder-attn-dtype: fp8
mm-encoder-tp-mode: weights data
mm-hasher-algorithm: blake3 sha256 sha512
mm-processor-cache-type: shm lru
mm-tensor-ipc: direct_rpc torch_shm
model-impl: auto vllm transformers terratorch@0.10.2
moe-backend: auto triton deep_gemm cutlass flashinfer_trtllm flashinfer_cutlass flashinfer_cutedsl marlin aiter
  deep_gemm_mega_moe@0.20.0 emulation@0.20.0 humming@0.21.0 triton_unfused@0.21.0 flashinfer_b12x@0.22.0
  flydsl@0.24.0 hpc@0.25.0 batched_triton@0.27.0 b12x@0.29.0 flashinfer_moe_ep_mega_deep_gemm@0.29.0
  flashinfer_moe_ep_mega_cutedsl@0.29.0-0.32.0 aiter_triton_mxfp4_bf16@0.30.0 rdna3@0.30.0
  flashinfer_moe_ep_cutedsl@0.32.0 aiter_mega_moe@0.32.0 aiter_triton_mxfp4_mxfp4@0.33.0
offload-backend: auto uva prefetch
per-request-spec-decode-metrics: none summary detailed
performance-mode: balanced interactivity throughput
preemption-mode: swap recompute
prefix-caching-hash-algo: builtin@0.8.3-0.10.2 sha256 sha256_cbor_64bit@0.10.0-0.10.2 sha256_cbor@0.10.2
  xxhash@0.13.0 xxhash_cbor@0.13.0
quantization: aqlm awq deepspeedfp fp8 marlin gptq_marlin_24 gptq_marlin gptq squeezellm@0.5.0-0.6.1
  compressed-tensors bitsandbytes fbgemm_fp8@0.5.3 awq_marlin@0.5.3 qqq@0.5.4 tpu_int8@0.5.5 gguf@0.5.5
  experts_int8@0.5.5 neuron_quant@0.6.0 modelopt@0.6.1 ipex@0.6.3 hqq@0.6.5 quark@0.7.0 moe_wna16@0.7.1
  ptpc_fp8@0.7.3 nvfp4@0.8.0-0.9.0 torchao@0.8.4 bitblas@0.8.5 gptq_bitblas@0.8.5 modelopt_fp4@0.9.0
  auto-round@0.9.0 rtn@0.9.2 inc@0.10.0
reasoning-parser: deepseek_r1
runner: auto generate pooling draft
safetensors-load-strategy: lazy eager prefetch torchao
scheduling-policy: fcfs priority
sparse-indexer-topk-backend: auto deep_select cooperative persistent per_row flashinfer torch aiter@0.32.0
spec-decoding-acceptance-method: rejection_sampler typical_acceptance_sampler
spec-method: ngram medusa@0.22.0-0.33.0 mlp_speculator@0.22.0-0.33.0 draft_model suffix custom_class eagle eagle3
  extract_hidden_states deepseek_mtp mimo_mtp mimo_v2_mtp glm4_moe_mtp glm4_moe_lite_mtp glm_ocr_mtp ernie_mtp
  nemotron_h_mtp exaone_moe_mtp exaone4_5_mtp qwen3_next_mtp qwen3_5_mtp longcat_flash_mtp mtp pangu_ultra_moe_mtp
  step3p5_mtp hy_v3_mtp gemma4_mtp dflash ngram_gpu minimax_m3_mtp@0.24.0 bailing_hybrid_mtp@0.25.0 dspark@0.25.0
  inkling_mtp@0.26.0 kimi_k3_mtp@0.27.0 dots3_note_mtp@0.28.0 bailing_hybrid_v3_mtp@0.28.0 qwen4_exp_mtp@0.29.0
  hy_v4_mtp@0.29.0 glm5_next_mtp@0.30.0 step5_mtp@0.33.0
speculative-model-quantization: aqlm awq deepspeedfp tpu_int8 fp8 fbgemm_fp8 marlin gguf gptq_marlin_24 gptq_marlin
  awq_marlin gptq squeezellm@0.5.5-0.6.1 compressed-tensors bitsandbytes qqq experts_int8 neuron_quant@0.6.0
  modelopt@0.6.1 ipex@0.6.3 hqq@0.6.5 quark@0.7.0 moe_wna16@0.7.1 ptpc_fp8@0.7.3 nvfp4@0.8.0
task: auto generate embedding embed@0.6.5 classify@0.6.5 score@0.6.5 reward@0.6.5 transcription@0.7.3 draft@0.9.0
tokenizer-mode: auto slow mistral@0.6.0 custom@0.7.3
tool-call-parser: mistral hermes
uvicorn-log-level: debug info warning error critical trace
video-pruning-method: evs vidcom2
"""
