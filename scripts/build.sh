#!/usr/bin/env bash
# scripts/build.sh PRESET [TARGET…]: configures once, then builds. Quiet unless something is wrong.
set -euo pipefail
cd "$(dirname "$0")/.."
preset=$1
shift
log=$(mktemp "${TMPDIR:-/tmp}/awm-build-XXXXXX")
trap 'rm -f "$log"' EXIT
if [ ! -f "build/$preset/build.ninja" ]; then
  echo "configuring ($preset) …"
  cmake --preset "$preset" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
fi
echo "building ($preset) …"
cmake --build --preset "$preset" ${1:+--target "$@"} >"$log" 2>&1 || { tail -n 200 "$log" >&2; exit 1; }
