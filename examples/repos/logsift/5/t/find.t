#!/usr/bin/env bash
cd "$(dirname "$0")/.." && . t/tap.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cat > "$work/a.log" <<'LOG'
2024-05-21 09:00:00 INFO disk sda mounted
2024-05-21 09:00:07 WARN disk sdb slow
2024-05-21 09:01:00 INFO ready
LOG

is "lines with a text are shown" "2024-05-21 09:00:07 WARN disk sdb slow" "$(bin/logsift find sdb "$work/a.log" 2>&1)"
is "a text may have spaces" "2024-05-21 09:00:00 INFO disk sda mounted" "$(bin/logsift find "disk sda" "$work/a.log" 2>&1)"
is "lines without a text are shown" "2024-05-21 09:01:00 INFO ready" "$(bin/logsift without disk "$work/a.log" 2>&1)"
is "the first line of each file is shown" "2024-05-21 09:00:00 INFO disk sda mounted
2024-05-21 09:00:00 INFO disk sda mounted" "$(bin/logsift first disk "$work/a.log" "$work/a.log" 2>&1)"
done_testing
