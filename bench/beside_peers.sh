#!/usr/bin/env bash
# Event stream, model call and local command beside OpenHands, litellm and mini-swe-agent, by turns in one run. Needs a release build and, in
# Python environments of their own, the peers:
#   python3.12 -m venv openhands && openhands/bin/pip install openhands-ai==0.62.0
#   python3.12 -m venv mini && mini/bin/pip install mini-swe-agent==2.4.6
#   bench/beside_peers.sh openhands/bin/python mini/bin/python [ROUNDS]
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit 2; }
openhands=$(realpath -s "$1")
mini=$(realpath -s "$2")
rounds=${3:-3}
cd "$(dirname "$0")/.."
bin=build/release/bin
echo "load before: $(cut -d' ' -f1-3 /proc/loadavg), $(nproc) cores"
for ((round = 1; round <= rounds; round++)); do
  echo "== round $round"
  "$bin/event_bench" --benchmark_filter=persisted_and_delivered/3 2>/dev/null | tail -n 1
  "$openhands" bench/peers/events_openhands.py 2>/dev/null
  "$bin/llm_bench" 300 | grep -E "bare exchange|call of the Llm"
  "$mini" bench/peers/model_call_litellm.py 2>/dev/null
  "$bin/sandbox_bench" | grep -E "builtin|fresh bash|holds"
  "$mini" bench/peers/command_mini.py 2>/dev/null
done
echo "load after: $(cut -d' ' -f1-3 /proc/loadavg)"
