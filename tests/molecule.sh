#!/bin/sh
# Every role's scenario, each on the hosts as the one before has left them: the order is that of a
# deployment. Give names to run only those, on hosts that are there: tests/molecule.sh vllm_serve
set -eu
if [ $# -gt 0 ]; then
  for scenario in "$@"; do molecule test --scenario-name "$scenario" --destroy never; done
  exit
fi
cleanup() { molecule destroy --scenario-name default; }
trap cleanup EXIT
cleanup
molecule create --scenario-name default
for scenario in docker_nvidia hf_model vllm_image ray_head ray_worker vllm_serve smoke_test; do
  molecule test --scenario-name "$scenario" --destroy never
done
