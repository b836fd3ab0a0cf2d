# seconds_of HH:MM[:SS]: seconds since midnight
seconds_of() {
  local hours minutes seconds
  IFS=: read -r hours minutes seconds <<< "$1"
  echo $((hours * 3600 + minutes * 60 + ${seconds:-0}))
}

# since_time HH:MM[:SS] FILE...: the lines at or after this time of day
since_time() {
  local from line day time rest
  from=$(seconds_of "$1")
  shift
  cat $@ | while IFS= read -r line; do
    read -r day time rest <<< "$line"
    if [ "$(seconds_of "$time")" -ge "$from" ]; then
      printf '%s\n' "$line"
    fi
  done
}
