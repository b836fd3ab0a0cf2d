#!/usr/bin/env bash
cd "$(dirname "$0")/.." && . t/tap.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cat > "$work/a.log" <<'LOG'
2024-04-08 07:59:10 INFO started
2024-04-08 08:00:02 WARN slow disk
LOG

is "lines of a level are shown" "2024-04-08 08:00:02 WARN slow disk" "$(bin/logsift level WARN "$work/a.log" 2>&1)"
is "a level without lines shows nothing" "" "$(bin/logsift level ERROR "$work/a.log" 2>&1)"
done_testing
