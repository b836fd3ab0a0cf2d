# The least of TAP: is NAME WANTED GOT, then done_testing.
tests=0
failed=0

is() {
  tests=$((tests + 1))
  if [ "$2" = "$3" ]; then
    echo "ok $tests $1"
  else
    failed=$((failed + 1))
    echo "not ok $tests $1"
    printf '%s\n' "wanted: $2" "got:    $3" | sed 's/^/# /'
  fi
}

done_testing() {
  echo "1..$tests"
  [ "$failed" -eq 0 ]
}
