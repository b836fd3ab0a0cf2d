# level_lines LEVEL FILE...: the lines of this level
level_lines() {
  local level=$1
  shift
  awk -v level="$level" '$3 == level' $@
}
