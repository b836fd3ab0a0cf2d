#!/usr/bin/env bash
# scripts/check_format.sh [--fix] [FILE…]: every tracked C++ file is as .clang-format wants it. --fix makes it so.
set -euo pipefail
cd "$(dirname "$0")/.."
tool=${CLANG_FORMAT:-clang-format-19}
command -v "$tool" >/dev/null || { echo "check_format.sh: $tool is missing (scripts/packages.sh ci installs it)" >&2; exit 1; }
how=(--dry-run -Werror)
if [ "${1:-}" = --fix ]; then how=(-i); shift; fi
list() {
  if [ $# -gt 0 ]; then printf '%s\0' "$@"; return; fi
  if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
    git ls-files -z -co --exclude-standard -- '*.h' '*.cpp' '*.cc' '*.hpp'
  else
    find src tests bench examples -name '*.h' -print0 -o -name '*.cpp' -print0 2>/dev/null
  fi
}
# Examples are repositories of their own, each with its own style. A file that is tracked and gone is somebody's next commit.
list "$@" | grep -zv '^examples/' | while IFS= read -r -d '' file; do [ -f "$file" ] && printf '%s\0' "$file"; done |
  xargs -0 -r -P 2 -n 20 "$tool" "${how[@]}"
