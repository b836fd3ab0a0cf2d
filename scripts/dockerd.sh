#!/usr/bin/env bash
# scripts/dockerd.sh: a private Docker engine in a folder of its own, for tests. Needs root and dockerd; touches no other engine.
#   dockerd.sh start FOLDER     starts one: socket FOLDER/docker.sock, data, containerd and log below FOLDER; prints its address
#   dockerd.sh stop FOLDER      stops it, its containers too, and removes FOLDER and the engine's bridge
#   dockerd.sh with COMMAND…    runs COMMAND with AWM_TEST_DOCKER_HOST set, and leaves nothing behind. Where it is set already, or where
#                               no engine can be started, COMMAND runs as it is: its tests say what is missing
# AWM_DOCKERD_LIVE_RESTORE=true: containers outlive the engine (a containerd that still runs is used again).
# AWM_DOCKERD_FOLDER: where `with` makes its folder (default $TMPDIR or /tmp; a socket's path is at most 107 characters).
set -euo pipefail

usage() { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }
say() { echo "dockerd.sh: $*" >&2; }

# Name of the engine's bridge, from the folder's name: short enough for the kernel, the same at start and stop.
bridge_of() { printf 'awm%s' "$(printf %s "$1" | cksum | cut -d' ' -f1 | tail -c 9)"; }

# Whether this process runs; one that nobody has reaped yet does not.
running() { [ -n "$1" ] && kill -0 "$1" 2>/dev/null && ! grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null; }
# Whether the process does whose id the file holds.
alive() { running "$(cat "$1" 2>/dev/null)"; }

# Waits at most $2 tenths of a second until `$1` holds.
wait_until() { for ((i = 0; i < $2; i++)); do eval "$1" && return 0; sleep 0.1; done; return 1; }

# A bridge of its own where the kernel lets us; it leads nowhere but to this host, and no packet filter is touched.
network_options() {
  local bridge octet
  bridge=$(bridge_of "$1")
  octet=$(($(printf %s "$1" | cksum | cut -d' ' -f1) % 200 + 20))
  if command -v ip >/dev/null && { ip link show "$bridge" >/dev/null 2>&1 || ip link add "$bridge" type bridge 2>/dev/null; }; then
    if ip addr replace "10.213.$octet.1/24" dev "$bridge" && ip link set "$bridge" up; then echo "--bridge=$bridge"; return; fi
    ip link del "$bridge" || true
  fi
  echo "--bridge=none"
}

start() {
  local folder=$1
  mkdir -p "$folder"
  folder=$(cd "$folder" && pwd)
  [ ${#folder} -le 80 ] || { say "$folder: too long for a socket's path"; return 1; }
  alive "$folder/docker.pid" && { echo "unix://$folder/docker.sock"; return; }
  rm -f "$folder/docker.sock" "$folder/docker.pid"  # of one that was killed
  # The engine ends with whoever started it, also when that is killed.
  local with_parent=()
  if [ -n "${AWM_DOCKERD_DIES_WITH_PARENT:-}" ] && setpriv --pdeathsig TERM true 2>/dev/null; then with_parent=(setpriv --pdeathsig TERM); fi
  with_parent=(setsid "${with_parent[@]}")  # a terminal's ^C is for the tests, which then have their engine to tidy up with
  # Who tries a download again is who is tested.
  echo "{\"max-download-attempts\": 1, \"live-restore\": ${AWM_DOCKERD_LIVE_RESTORE:-false}}" >"$folder/daemon.json"
  cat >"$folder/containerd.toml" <<END
version = 2
root = "$folder/containerd/root"
state = "$folder/containerd/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "$folder/containerd.sock"
[ttrpc]
  address = "$folder/containerd.ttrpc.sock"
END
  if ! alive "$folder/containerd.pid"; then
    rm -f "$folder/containerd.sock" "$folder/containerd.pid"
    "${with_parent[@]}" containerd --config "$folder/containerd.toml" >"$folder/containerd.log" 2>&1 </dev/null 9>&- &
    echo $! >"$folder/containerd.pid"
  fi
  wait_until "[ -S '$folder/containerd.sock' ]" 200 || { say "containerd does not start: $(tail -n 3 "$folder/containerd.log")"; return 1; }
  "${with_parent[@]}" dockerd --config-file "$folder/daemon.json" -H "unix://$folder/docker.sock" --containerd "$folder/containerd.sock" \
    --data-root "$folder/data" --exec-root "$folder/exec" --pidfile "$folder/docker.pid" \
    --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false --userland-proxy=false "$(network_options "$folder")" \
    >"$folder/dockerd.log" 2>&1 </dev/null 9>&- &
  local pid=$!
  wait_until "[ -S '$folder/docker.sock' ] && grep -q 'API listen on' '$folder/dockerd.log' || ! kill -0 $pid 2>/dev/null" 600 || true
  if ! grep -q 'API listen on' "$folder/dockerd.log"; then
    say "dockerd does not start: $(grep -v level=info "$folder/dockerd.log" | tail -n 3)"
    stop "$folder"
    return 1
  fi
  echo "unix://$folder/docker.sock"
}

# Ends the process whose id a file holds, politely first.
end_process() {
  local file=$1
  alive "$file" || { rm -f "$file"; return 0; }
  local pid
  pid=$(cat "$file" 2>/dev/null) || return 0
  kill "$pid" 2>/dev/null || true
  wait_until "! running $pid" 200 || kill -9 "$pid" 2>/dev/null || true
  rm -f "$file"
}

stop() {
  local folder=$1
  [ -d "$folder" ] || return 0
  folder=$(cd "$folder" && pwd)
  end_process "$folder/docker.pid"
  end_process "$folder/containerd.pid"
  # Shims and mounts that an engine killed by force left behind; those below our folder alone.
  local link
  for link in /proc/[0-9]*/exe; do
    case "$(readlink "$link" 2>/dev/null)" in
      */containerd-shim*) tr '\0' ' ' <"${link%/exe}/cmdline" 2>/dev/null | grep -qF -- "$folder/" && kill -9 "$(basename "${link%/exe}")" 2>/dev/null || true ;;
    esac
  done
  awk -v folder="$folder/" 'index($5, folder) == 1 { print $5 }' /proc/self/mountinfo | sort -r | while IFS= read -r mount; do umount -l "$mount" 2>/dev/null || true; done
  ! command -v ip >/dev/null || ip link del "$(bridge_of "$folder")" 2>/dev/null || true
  rm -rf --one-file-system "$folder"
}

with() {
  [ $# -ge 1 ] || usage
  if [ -z "${AWM_TEST_DOCKER_HOST:-}" ]; then
    if [ "$(id -u)" != 0 ]; then
      say "only root can start an engine of its own; tests use the one that DOCKER_HOST or /var/run/docker.sock names, or skip"
    elif ! command -v dockerd >/dev/null || ! command -v containerd >/dev/null; then
      say "dockerd or containerd is not installed (scripts/packages.sh test docker)"
    else
      local code=0
      folder=$(mktemp -d "${AWM_DOCKERD_FOLDER:-${TMPDIR:-/tmp}}/awm-dockerd-XXXXXX")
      trap 'stop "$folder"' EXIT
      trap 'exit 130' INT
      trap 'exit 143' TERM HUP
      AWM_DOCKERD_DIES_WITH_PARENT=1 start "$folder" >/dev/null || { [ -z "${CI:-}" ] || exit 1; }
      if [ -S "$folder/docker.sock" ]; then export AWM_TEST_DOCKER_HOST="unix://$folder/docker.sock"; fi
      "$@" || code=$?
      exit "$code"
    fi
  fi
  exec "$@"
}

case "${1:-}" in
  start) [ $# -eq 2 ] || usage; start "$2" ;;
  stop) [ $# -eq 2 ] || usage; stop "$2" ;;
  with) shift; with "$@" ;;
  *) usage ;;
esac
