#!/usr/bin/env bash
# as_user.sh PROGRAM ARGUMENT...: runs a test program as an ordinary user, who has user namespaces and no cgroups. Exit code 77: cannot.
set -eu
if [ "$(id -u)" != 0 ]; then
  echo "skipped: it is an ordinary user already who runs the tests"
  exit 77
fi
command -v setpriv >/dev/null || { echo "skipped: setpriv is missing"; exit 77; }
folder=$(mktemp -d "${TMPDIR:-/tmp}/awm-as-user-XXXXXX")
trap 'rm -rf "$folder"' EXIT
chmod 0700 "$folder"
chown nobody "$folder"
as_nobody=(setpriv --reuid=nobody --regid="$(id -g nobody)" --clear-groups env -i "PATH=$PATH" "HOME=$folder" "TMPDIR=$folder" LC_ALL=C.UTF-8)
"${as_nobody[@]}" test -x "$1" || { echo "skipped: nobody may not reach $1"; exit 77; }
"${as_nobody[@]}" "$@"
