#!/usr/bin/env bash
# check_install.sh BUILD: installs the build into a folder of its own, runs the installed program from there, then builds examples/library against the
# installed package, as a stranger would, and runs it.
set -euo pipefail
[ $# -eq 1 ] || { echo "usage: $0 BUILD" >&2; exit 2; }
build=$(cd "$1" && pwd)
source=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/awm-install-XXXXXX")
server=
finish() {
  if [ -n "$server" ]; then
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
  fi
  rm -rf "$work"
}
trap finish EXIT
fail() { echo "check_install: $*" >&2; exit 1; }
quietly() { "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2; fail "failed: $*"; }; }

quietly cmake --install "$build" --prefix "$work/prefix"
awm=$work/prefix/bin/awm
"$awm" --version

# The installed program finds its helper.
quietly "$source/examples/make_repos.sh" "$work/repos"
export XDG_CACHE_HOME=$work/cache
"$awm" run --gold --instance example__logsift-1 --dataset "$source/examples/tasks.jsonl" --sandbox local --repos "$work/repos" \
  --output-dir "$work/run" >"$work/log" 2>&1 || { cat "$work/log" >&2; fail "the installed program could not judge a gold patch"; }

# Nothing of the source or the build is in what is installed for others.
if grep -rIlF -e "$build" -e "$source" "$work/prefix/lib" "$work/prefix/include"; then fail "these files name the folders they were built in"; fi

quietly cmake -G Ninja -S "$source/examples/library" -B "$work/mine" -DCMAKE_PREFIX_PATH="$work/prefix" -DCMAKE_BUILD_TYPE=Release
quietly cmake --build "$work/mine" -j 2

exec 3< <(exec "$awm" replay serve --script "$source/examples/library/script.json" --port 0 2>/dev/null)
server=$!
read -r -u 3 _ _ url || fail "the scripted model did not start"
mkdir "$work/out"
"$work/mine/awm-example" "$url" "$work/out" >"$work/said" || { cat "$work/said" >&2; fail "the example program failed"; }
cat "$work/said"
for line in "GET /models: 200" "the model says: echo hello" "the sandbox says: hello from /testbed" "nothing leaked"; do
  grep -qF "$line" "$work/said" || fail "the example program did not say: $line"
done
[ "$(wc -l <"$work/out/events.jsonl")" -ge 2 ] || fail "the events are not in their file"
