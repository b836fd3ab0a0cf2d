#!/usr/bin/env bash
# scripts/check_tidy.sh [FILE…]: clang-tidy over the product's sources. What was clean and is unchanged, headers included, is not looked at again.
set -euo pipefail
cd "$(dirname "$0")/.."
tool=${CLANG_TIDY:-clang-tidy-19}
command -v "$tool" >/dev/null || { echo "check_tidy.sh: $tool is missing (scripts/packages.sh ci installs it)" >&2; exit 1; }
build=build/${AWM_TIDY_PRESET:-release}
[ -f "$build/compile_commands.json" ] || { echo "check_tidy.sh: configure $build first (scripts/build.sh)" >&2; exit 1; }
cache=build/tidy
mkdir -p "$cache"
# One hash for everything that a finding can depend on besides the file itself: the checks and every header of ours.
common=$({ cat .clang-tidy; "$tool" --version; git ls-files -z 'src/**/*.h' 'src/*/*.h' | sort -zu | xargs -0 cat; } | sha256sum | cut -c1-16)
export tool build cache common
check() {
  local file=$1 key
  key=$(sha256sum <"$file" | cut -c1-24)-$common
  [ -f "$cache/$key" ] && return 0
  if out=$("$tool" --quiet -p "$build" "$file" 2>&1); then
    : >"$cache/$key"
  else
    printf '%s\n' "$out"
    return 1
  fi
}
export -f check
if [ $# -gt 0 ]; then files=("$@"); else mapfile -t files < <(git ls-files 'src/**/*.cpp' 'src/*/*.cpp' | sort -u); fi
known=$(grep -o '"file": "[^"]*"' "$build/compile_commands.json" | sed 's/.*"file": "//; s/"$//')
list=()
for file in "${files[@]}"; do
  if grep -qxF "$PWD/$file" <<<"$known"; then list+=("$file"); fi
done
printf '%s\0' "${list[@]}" | xargs -0 -P "$(nproc)" -n 1 bash -c 'check "$1"' _
