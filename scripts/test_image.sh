#!/usr/bin/env bash
# scripts/test_image.sh [ARCHIVE]: makes a root file system for tests as a tar file, from this machine's own Debian or Ubuntu packages:
# nothing is fetched, nobody need be root. What is made stays (default build/test-image.tar) and is made anew when its packages change.
# Prints the archive's path.
#   AWM_TEST_IMAGE_PACKAGES="a b c"   besides those below; absent ones are left out
set -euo pipefail
cd "$(dirname "$0")/.."
archive=${1:-build/test-image.tar}

say() { echo "test_image.sh: $*" >&2; }
command -v dpkg-query >/dev/null || { say "this system has no dpkg, whose packages the image is made of"; exit 1; }

# What a task's commands and the example tasks use.
wanted="base-files base-passwd bash coreutils dash debianutils diffutils findutils git grep gzip hostname libc-bin login make mawk
  ncurses-base patch procps python3 python3-pytest sed tar util-linux perl-base ${AWM_TEST_IMAGE_PACKAGES:-}"

# With what they depend on, as far as it is installed: "package version" a line.
closure=$(dpkg-query -W -f '${Package}\t${Version}\t${Provides}\t${Pre-Depends}, ${Depends}\n' | awk -F '\t' -v wanted="$wanted" '
  { version[$1] = $2; needs[$1] = $4
    count = split($3, offered, /, */)
    for (i = 1; i <= count; i++) { sub(/ .*/, "", offered[i]); if (offered[i] != "" && !(offered[i] in provider)) provider[offered[i]] = $1 } }
  END {
    last = split(wanted, queue, /[ \n]+/)
    for (at = 1; at <= last; at++) {
      name = queue[at]
      if (!(name in version) && name in provider) name = provider[name]
      if (!(name in version) || name in done) continue
      done[name] = 1
      print name " " version[name]
      count = split(needs[name], parts, /[,|]/)
      for (i = 1; i <= count; i++) { gsub(/\(.*\)|\[.*\]|:any|[ \n]/, "", parts[i]); if (parts[i] != "") queue[++last] = parts[i] }
    }
  }' | sort)

# The recipe is this script itself; the same packages at the same versions give the same image.
key=$(printf '%s\n' "$closure" | cat - "$0" | sha256sum | cut -d' ' -f1)
if [ -f "$archive" ] && [ "$(cat "$archive.key" 2>/dev/null)" = "$key" ]; then echo "$archive"; exit 0; fi

mkdir -p "$(dirname "$archive")"
exec 9>"$archive.lock"
flock 9
if [ -f "$archive" ] && [ "$(cat "$archive.key" 2>/dev/null)" = "$key" ]; then echo "$archive"; exit 0; fi
stage=$(mktemp -d "${TMPDIR:-/tmp}/awm-test-image-XXXXXX")
trap 'rm -rf "$stage"' EXIT
root=$stage/root
mkdir -p "$root"/{usr/{bin,sbin,lib,lib64},dev,etc,home,proc,root,run,sys,testbed,tmp,var/tmp}
for name in bin sbin lib lib64; do ln -s "usr/$name" "$root/$name"; done
chmod 1777 "$root/tmp" "$root/var/tmp"

# Documentation, translations and what only a package manager needs stay out.
cut -d' ' -f1 <<<"$closure" | xargs dpkg-query -L | sed -E 's,^/(bin|sbin|lib|lib64)/,/usr/\1/,' |
  grep -vE '^/usr/share/(doc|man|info|locale|lintian|bash-completion|zoneinfo|perl5|bug|menu|common-licenses)/|^/usr/lib/python3[^ ]*/(test|idlelib|tkinter|lib2to3|turtledemo)/|/__pycache__/|^/(etc/init|lib/systemd|usr/lib/systemd)|^/(package|\.$)|gconv/' |
  sort -u >"$stage/names"
while IFS= read -r name; do [ -L "$name" ] || [ -f "$name" ] && printf '%s\n' "$name"; done <"$stage/names" >"$stage/files"
tar -C / --no-recursion -cf - -T <(sed 's,^/,,' "$stage/files") | tar -C "$root" --no-same-owner -xf -
cp -a /etc/alternatives "$root/etc/"
for name in awk pager which; do [ -e "/usr/bin/$name" ] && [ ! -e "$root/usr/bin/$name" ] && cp -a "/usr/bin/$name" "$root/usr/bin/"; done
[ -e "$root/usr/bin/sh" ] || ln -s dash "$root/usr/bin/sh"
printf 'root:x:0:0:root:/root:/bin/bash\nuser:x:1000:1000::/home/user:/bin/bash\nnobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n' >"$root/etc/passwd"
printf 'root:x:0:\nuser:x:1000:\nnogroup:x:65534:\n' >"$root/etc/group"
printf 'hosts: files dns\npasswd: files\ngroup: files\n' >"$root/etc/nsswitch.conf"
mkdir -p "$root/home/user"
: >"$root/etc/ld.so.conf"
ldconfig -r "$root" 2>/dev/null || true
tar -C "$root" --owner=0 --group=0 --numeric-owner --sort=name -cf "$archive.new" .
mv "$archive.new" "$archive"
echo "$key" >"$archive.key"
say "made $archive, $(du -m "$archive" | cut -f1) MB of $(wc -l <<<"$closure") packages"
echo "$archive"
