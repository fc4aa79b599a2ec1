#!/bin/sh
# warm.sh MODEL: serves one completion over Ray inside the build. It proves the image, and it leaves a .pyc of
# exactly the modules that serving imports, which more than halves the first start on a node.
set -e
model=$1
export HF_HUB_OFFLINE=1 VLLM_NO_USAGE_STATS=1 VLLM_CPU_OMP_THREADS_BIND=nobind
ray start --head --num-gpus=1 --port=6379 --disable-usage-stats >/tmp/ray.log 2>&1 || { cat /tmp/ray.log; exit 1; }
vllm serve "$model" --max-model-len 512 --distributed-executor-backend ray >/tmp/vllm.log 2>&1 &
server=$!
for _ in $(seq 240); do
  curl -sf -m 2 -o /dev/null http://127.0.0.1:8000/health && break
  kill -0 "$server" || { cat /tmp/vllm.log; exit 1; }
  sleep 1
done
ask() {
  curl -sf -m 60 "http://127.0.0.1:8000/v1/$1" -H 'content-type: application/json' -d "$2" || { cat /tmp/vllm.log; exit 1; }
}
ask completions "{\"model\": \"$model\", \"prompt\": \"hello\", \"max_tokens\": 4}"
ask chat/completions "{\"model\": \"$model\", \"messages\": [{\"role\": \"user\", \"content\": \"hello\"}], \"max_tokens\": 4}"
# huggingface_hub and the token generator are imported by the playbooks' helpers, not by the server
python3 -c 'import huggingface_hub, ray.scripts.scripts' && ray status && ray get-auth-token --help >/dev/null
kill "$server" && wait "$server" || true
ray stop --force || true
rm -rf /tmp/* /root/.ray /root/.config
