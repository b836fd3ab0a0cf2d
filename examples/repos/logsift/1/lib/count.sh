# count_levels FILE...: how many lines each level has, by name
count_levels() {
  awk '{ seen[$3]++ } END { for (level in seen) printf "%s %d\n", level, seen[level] }' $@ | sort
}
