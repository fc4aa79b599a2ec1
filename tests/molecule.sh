#!/bin/sh
# Every role's scenario, each on the hosts as the one before has left them: the order is that of a
# deployment. Give names to run only those, on hosts that are there: tests/molecule.sh vllm_serve
set -eu
run() {
  # Scenarios that share their hosts share one mark "prepared" too: without --force only the first is prepared.
  molecule prepare --force --scenario-name "$1"
  molecule test --scenario-name "$1" --destroy never
}
if [ $# -gt 0 ]; then
  for scenario in "$@"; do run "$scenario"; done
  exit
fi
cleanup() { molecule destroy --scenario-name default; }
trap cleanup EXIT
cleanup
molecule create --scenario-name default
for scenario in docker_nvidia hf_model vllm_image nccl_check ray_head ray_worker vllm_serve smoke_test vllm_serve_mp canary revive doctor vllm_venv; do
  run "$scenario"
done
