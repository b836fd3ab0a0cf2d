#!/usr/bin/env bash
# make_repos.sh OUTDIR: builds the repositories of the example tasks from the plain trees in repos/, as OUTDIR/example__NAME.
#
# A folder repos/NAME/N is what commit N adds or changes; its file COMMIT says author, date and message. Author, dates and content are fixed, so the
# commits have the ids that tasks.jsonl names. Needs git alone.
set -euo pipefail

[ $# -eq 1 ] || { echo "usage: $0 OUTDIR" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)

# Nothing of the person's own git settings may change an id.
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null LC_ALL=C
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_OBJECT_DIRECTORY

for source in "$here"/repos/*/; do
  name=$(basename "$source")
  repo=$out/example__$name
  rm -rf "$repo"
  git init -q --initial-branch=main --object-format=sha1 --template= "$repo"
  git -C "$repo" config core.autocrlf false
  for step in "$source"[0-9]*/; do
    { read -r author; read -r date; } < "$step/COMMIT"
    (cd "$step" && find . -type f ! -name COMMIT -print0) | while IFS= read -r -d '' file; do
      mkdir -p "$repo/$(dirname "$file")"
      cp "$step/$file" "$repo/$file"
    done
    git -C "$repo" add -A
    GIT_AUTHOR_NAME=${author% <*} GIT_AUTHOR_EMAIL=$(sed 's/.*<\(.*\)>/\1/' <<< "$author") GIT_AUTHOR_DATE=$date \
      GIT_COMMITTER_NAME=${author% <*} GIT_COMMITTER_EMAIL=$(sed 's/.*<\(.*\)>/\1/' <<< "$author") GIT_COMMITTER_DATE=$date \
      git -C "$repo" -c commit.gpgsign=false commit -q --no-verify -F <(tail -n +3 "$step/COMMIT")
  done
  head=$(git -C "$repo" rev-parse HEAD)
  if [ -f "$here/tasks.jsonl" ] && ! grep -q "\"$head\"" "$here/tasks.jsonl"; then
    echo "example__$name came out as $head, which tasks.jsonl does not know: were files in repos/ changed?" >&2
    exit 1
  fi
  echo "example__$name $head"
done
