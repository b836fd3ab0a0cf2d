# find_text TEXT FILE...: the lines with this text
find_text() {
  local text=$1
  shift
  awk -v text="$text" '$0 ~ text' "$@"
}

# without_text TEXT FILE...: the lines without it
without_text() {
  local text=$1
  shift
  awk -v text="$text" '$0 !~ text' "$@"
}
