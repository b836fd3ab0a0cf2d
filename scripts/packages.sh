#!/usr/bin/env bash
# scripts/packages.sh run|test|ci [docker]: installs with apt what is missing on Debian 12 or Ubuntu 24.04, and nothing else.
#   run     build and run the program      test    the same, and what the tests need      ci    the same, and format and lint
#   docker  a Docker engine besides, for those who ask for one
# Does nothing, and needs neither root nor a network, when all is there. With AWM_NO_INSTALL set it only tells.
set -euo pipefail

usage() { sed -n '2,4s/^# //p' "$0" >&2; exit 2; }
[ $# -ge 1 ] || usage

# One line a need. A|B: either will do; what is missing is installed by its first name.
build=(
  'g++' cmake ninja-build 'pkg-config|pkgconf' git ca-certificates
  'libcurl4-openssl-dev|libcurl4-gnutls-dev|libcurl4-nss-dev' nlohmann-json3-dev libtomlplusplus-dev libcli11-dev libcpp-httplib-dev libfmt-dev libpcre2-dev
  libgtest-dev libgmock-dev libbenchmark-dev
)
# What a task's commands and the example tasks use.
run=("${build[@]}" bubblewrap patch procps python3 make)
# Faster builds where they are repeated, and the peers that tests compare with.
test=("${run[@]}" ccache mold python3-pytest openssl strace)
ci=("${test[@]}" clang-format-19 clang-tidy-19)

needs=()
case "$1" in
  run) needs=("${run[@]}") ;;
  test) needs=("${test[@]}") ;;
  ci) needs=("${ci[@]}") ;;
  *) usage ;;
esac
shift
for extra in "$@"; do
  case "$extra" in
    docker) needs+=('docker.io|docker-ce') ;;
    *) usage ;;
  esac
done

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "packages.sh: this system has no apt; these must be there already: ${needs[*]%%|*}" >&2
  exit 0
fi

installed=$(dpkg-query -W -f='${db:Status-Abbrev} ${Package}\n' 2>/dev/null | sed -n 's/^.i. //p; s/^.i //p' | sort -u)
missing=()
for need in "${needs[@]}"; do
  found=
  IFS='|' read -ra names <<<"$need"
  for name in "${names[@]}"; do
    if grep -qxF -- "$name" <<<"$installed"; then found=1; break; fi
  done
  [ -n "$found" ] || missing+=("${names[0]}")
done
[ ${#missing[@]} -gt 0 ] || exit 0

say_how="apt-get install --no-install-recommends ${missing[*]}"
if [ -n "${AWM_NO_INSTALL:-}" ]; then
  echo "packages.sh: missing, and not installed because AWM_NO_INSTALL is set: ${missing[*]}" >&2
  echo "  $say_how" >&2
  exit 1
fi
as_root=()
if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null || { printf 'packages.sh: missing packages, and neither root nor sudo to install them. As root:\n  %s\n' "$say_how" >&2; exit 1; }
  as_root=(sudo)
fi

echo "installing ${#missing[@]} packages: ${missing[*]} …"
log=$(mktemp "${TMPDIR:-/tmp}/awm-packages-XXXXXX")
trap 'rm -f "$log"' EXIT
apt() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive LC_ALL=C apt-get -qq -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 \
    -o APT::Color=0 "$@" </dev/null >"$log" 2>&1
}
install() { apt install -y --no-install-recommends "${missing[@]}"; }
# The lists may be absent or stale: with them as they are first, which needs no network for them, then anew.
if ! install; then
  apt update || { tail -n 30 "$log" >&2; echo "packages.sh: the package lists could not be fetched (is there a network, are the sources right?)" >&2; exit 1; }
  install || { tail -n 30 "$log" >&2; printf 'packages.sh: not all could be installed. Try:\n  %s\n' "$say_how" >&2; exit 1; }
fi
