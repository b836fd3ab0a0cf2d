#!/usr/bin/env bash
# scripts/check_symbols.sh PRESET: no room but those at the gate imports I/O, process or thread-creation symbols (law 11). Reads the built libraries.
set -euo pipefail
cd "$(dirname "$0")/.."
preset=${1:-release}
# os is the gate, httpd serves HTTP by its library, the helper is a program of its own with a gate of its own.
gate='os|httpd'
forbidden='open|open64|openat|openat64|creat|close|read|pread|pread64|write|pwrite|pwrite64|readv|writev|fopen|fopen64|fdopen|fread|fwrite|fclose|freopen|popen|pclose|opendir|readdir|readdir64|closedir'
forbidden+='|pipe|pipe2|socket|socketpair|connect|bind|listen|accept|accept4|send|sendto|sendmsg|recv|recvfrom|recvmsg|shutdown|poll|ppoll|select|pselect|epoll_create1|epoll_wait|eventfd|timerfd_create|inotify_init1'
forbidden+='|fork|vfork|execve|execv|execvp|execl|posix_spawn|posix_spawnp|system|waitpid|wait4|kill|clone|unshare|mount|umount2|syscall|getaddrinfo|gethostbyname'
forbidden+='|pthread_create|unlink|unlinkat|rename|renameat|renameat2|mkdir|mkdirat|rmdir|stat|stat64|lstat|fstat|fstatat|chmod|chown|lchown|symlink|link|readlink|realpath|truncate|ftruncate|fsync|fdatasync|flock|mkstemp|mkdtemp'
forbidden+='|usleep|nanosleep|sleep|atexit|getenv|setenv|signal|sigaction|setrlimit|getrlimit'
bad=0
for library in build/"$preset"/src/*/libawm_*.a; do
  room=$(basename "$library" .a)
  room=${room#libawm_}
  if [[ $room =~ ^($gate)$ ]]; then continue; fi
  found=$(nm -u --demangle "$library" 2>/dev/null | awk '/^[^ ].*:$/ {file=$1} /^ +U / {sub(/^ +U /, ""); sub(/@.*/, ""); print file " " $0}' |
    grep -E " (($forbidden)|std::thread::_M_start_thread.*|std::basic_[io]*f(stream|ilebuf)<.*|std::filesystem::.*|std::(async|this_thread)::?.*)$" || true)
  if [ -n "$found" ]; then
    sed "s/^/$room: /" <<<"$found"
    bad=1
  fi
done
# What is shipped must not listen to the orders of tests.
if grep -qa -e AWM_FAULT -e AWM_CRASH build/"$preset"/bin/awm; then
  echo "awm: it holds the tests' fault injection" >&2
  bad=1
fi
[ "$bad" = 0 ] || { echo "check_symbols.sh: these go through src/os (sys::…), where a test can make them fail" >&2; exit 1; }
