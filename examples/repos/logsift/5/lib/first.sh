# first_text TEXT FILE...: of each file the first line with this text
first_text() {
  local text=$1
  shift
  awk -v text="$text" 'FNR == 1 { found = 0 } !found && $0 ~ text { print; found = 1 }' "$@"
}
