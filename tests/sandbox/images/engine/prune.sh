#!/bin/sh
# What serving never touches. Of vLLM's three CPU kernel libraries the AVX2 one runs on every x86 host;
# the platform plugin always loads it. ray/dashboard has to stay whole: without it the head dies.
set -e
cd /usr/local/lib/python3.11/dist-packages
rm -rf torch/test torch/include torch/share/cmake ray/jars ray/rllib
rm -f vllm/_C.abi3.so vllm/_C_AVX512.abi3.so
rm -f torch/lib/libtorchbind_test.so torch/lib/libjitbackend_test.so torch/lib/libbackend_with_compiler.so
find torch/bin -type f ! -name torch_shm_manager -delete
find torch/lib -name '*.a' -delete
