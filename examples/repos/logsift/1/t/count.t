#!/usr/bin/env bash
cd "$(dirname "$0")/.." && . t/tap.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cat > "$work/a.log" <<'LOG'
2024-04-08 07:59:10 INFO started
2024-04-08 08:00:02 WARN slow disk
2024-04-08 08:00:03 INFO ready
LOG

is "levels are counted" "INFO 2
WARN 1" "$(bin/logsift count "$work/a.log" 2>&1)"
is "files are counted together" "INFO 4
WARN 2" "$(bin/logsift count "$work/a.log" "$work/a.log" 2>&1)"
done_testing
