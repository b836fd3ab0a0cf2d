#!/usr/bin/env bash
cd "$(dirname "$0")/.." && . t/tap.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cat > "$work/noon.log" <<'LOG'
2024-05-06 11:59:59 INFO before
2024-05-06 12:00:00 INFO at
2024-05-06 12:30:15 WARN after
LOG

is "lines since a time are shown" "2024-05-06 12:00:00 INFO at
2024-05-06 12:30:15 WARN after" "$(bin/logsift since 12:00 "$work/noon.log" 2>&1)"
is "seconds count" "2024-05-06 12:30:15 WARN after" "$(bin/logsift since 12:30:15 "$work/noon.log" 2>&1)"
done_testing
