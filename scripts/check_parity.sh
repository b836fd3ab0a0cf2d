#!/usr/bin/env bash
# scripts/check_parity.sh: docs/parity.md names only tests that exist, each row names one or says why none applies, and no test of theirs stands there twice.
set -euo pipefail
cd "$(dirname "$0")/.."
doc=docs/parity.md
bad=0
complain() {
  echo "$doc: $1" >&2
  bad=1
}

# TEST(Suite, Name), TEST_F, TEST_P, TYPED_TEST, also where the two stand on lines of their own.
existing=$(find tests -name '*.cpp' -print0 | xargs -0 cat | tr '\n' ' ' | grep -oE '\b(TEST|TEST_F|TEST_P|TYPED_TEST)\( *[A-Za-z0-9]+, *[A-Za-z0-9]+ *\)' |
  sed -E 's/^[A-Z_]+\( *([A-Za-z0-9]+), *([A-Za-z0-9]+) *\)$/\1.\2/' | sort -u)
named=$(grep -oE '`[A-Z][A-Za-z0-9]*\.[A-Z][A-Za-z0-9]*`' "$doc" | tr -d '`' | sort -u)
[ -n "$existing" ] && [ -n "$named" ] || complain "no test is found"
while read -r test; do complain "there is no test $test"; done < <(comm -13 <(echo "$existing") <(echo "$named"))

theirs=0
while IFS='|' read -r _ name ours _; do
  theirs=$((theirs + $(grep -oE '\btest_[a-z0-9_]+' <<<"$name" | wc -l)))
  grep -qE '`[A-Z][A-Za-z0-9]*\.[A-Z]|does not apply: .' <<<"$ours" || complain "nothing holds$name"
done < <(grep -E '^\| test_' "$doc")
[ "$theirs" -gt 0 ] || complain "none of their tests is listed"
while read -r twice; do complain "$twice is listed twice"; done < <(grep -E '^\| test_' "$doc" | cut -d'|' -f2 | grep -oE '\btest_[a-z0-9_]+' | sort | uniq -d)

[ "$bad" = 0 ] || exit 1
echo "$theirs tests of theirs, $(wc -l <<<"$named") of ours"
