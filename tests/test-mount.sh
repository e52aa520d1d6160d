#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The mount as users see it: images that come and go, the control file, what cannot be changed, and
# a daemon that starts, stops and survives.
set -u

. "${top_srcdir:=.}/tests/lib.sh"
need_fuse

# ---- a tree to make images of ----

tree=$tmp/tree
sample_tree "$tree"
echo root:x:0:0 >"$tree/etc/passwd"
touch -d '2001-02-03 04:05:06.1234567' "$tree/etc/passwd"

# listing DIR - what must be equal of a file wherever it is: of a directory that is not its size,
# nor its count of links; of times what the format holds
listing()
{
	(cd "$1" && find . \( -type d -printf '%P %y %m %U %G - - %T@\n' \) -o \
		-printf '%P %y %m %U %G %n %s %T@ %l\n' | sed 's/\(\.[0-9]\{7\}\)[0-9]*/\1/' | sort)
}

import()
{
	"$CIMFS" import -q "$@"
}

# names DIR - what is in it, on one line
names()
{
	ls -A "$1" | tr '\n' ' '
}

# ---- a directory mounted over itself: the session of the manual ----

new_dir
d=$dir
ok "cimfsd mounts a directory over itself, and returns when it is mounted" \
	"$CIMFSD" "$d"
ok "it answers then" answers "$d"
is "a directory without images has the control file alone" "$(names "$d")" "control "
pid=$(pgrep -f "^$CIMFSD $d\$")
like "its process is there" "$pid" '^[0-9]+$'
# ticks - of CPU time that it has had
ticks()
{
	awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$pid/stat"
}
before=$(ticks)
sleep 1
ok "it takes no time while nobody asks for anything" test $(($(ticks) - before)) -lt 10
like "before any request the state says so" "$(cat "$d/control")" '^writer: none$'
is "the state has three keys" "$(cut -d: -f1 "$d/control" | tr '\n' ' ')" "writer last result "

cp -a "$tree" "$tmp/rootfs"
session()
{
	cd "$d" || return
	echo 'create new=base.cim' > control &&
	cp -a "$tmp"/rootfs/. writer/ &&
	echo commit > control &&
	echo 'create existing=base.cim new=app.cim' > control &&
	echo hello > writer/etc/motd && echo commit > control
}
ok "the session of the manual goes through" bash -ec "d='$d' tmp='$tmp'; $(declare -f session); session"
(cd "$d" && diff -r base.cim app.cim) >"$scratch/diff"
cat >"$scratch/want" <<-'END'
	diff -r base.cim/etc/issue app.cim/etc/issue
	1c1
	< welcome
	---
	> hello
	diff -r base.cim/etc/motd app.cim/etc/motd
	1c1
	< welcome
	---
	> hello
END
# motd has a second name, so one change shows twice; usr/motd points there from either image
sed -i '/usr.motd/,$d' "$scratch/diff"
same "and diff shows what was changed, and nothing else" "$scratch/diff" "$scratch/want"
is "the directory has both images" "$(names "$d")" "app.cim base.cim control "
ok "fusermount3 -u unmounts it" fusermount3 -u "$d"
ok "the directory holds both images' files and nothing else" \
	wait_for only_images "$d" app.cim base.cim
ok "nobody holds its lock" wait_for flock -n "$d" true

# ---- a directory mounted elsewhere ----

new_dir; d=$dir
new_dir; m=$dir
start_cimfsd "$d" "$m" || exit 1

ok "an image is imported into the directory behind the mount" import "$d" base.cim "$tree"
is "it is in the mount at once" "$(names "$m")" "base.cim control "
ok "and has the contents of its tree" diff -r --no-dereference "$tree" "$m/base.cim"
listing "$tree" >"$scratch/want"
listing "$m/base.cim" >"$scratch/got"
same "and its types, modes, owners, links, sizes and times" "$scratch/got" "$scratch/want"

echo text >"$d/notes.txt"
mkdir "$d/subdirectory"
is "files that are no image are not shown" "$(names "$m")" "base.cim control "
fails_with "and cannot be found by name" "No such file" stat "$m/notes.txt"
rm "$d/notes.txt"; rmdir "$d/subdirectory"

import "$d" second.cim "$tree/etc"
cat "$m/second.cim/motd" >"$scratch/out"
ok "an image is deleted through the control file" ctl "$m" "delete second.cim"
fails_with "it is gone from the mount" "No such file" stat "$m/second.cim"
ok "and from the directory, with its region files" only_images "$d" base.cim

import "$d" third.cim "$tree/etc"
cat "$m/third.cim/motd" >"$scratch/out"
mapfile -t third < <(image_files "$d" third.cim)
rm -f "$d/third.cim"
fails_with "an image whose file is removed is gone" "No such file" stat "$m/third.cim"
is "also from the list" "$(names "$m")" "base.cim control "
(cd "$d" && rm -f "${third[@]}")

mv "$d/base.cim" "$d/renamed.cim"
is "an image whose file is renamed is there by its new name" "$(names "$m")" "control renamed.cim "
ok "and can be read by it" cmp "$tree/etc/motd" "$m/renamed.cim/etc/motd"
mv "$d/renamed.cim" "$d/base.cim"

# ---- the control file ----

is "the control file may be written by who may add files: 755" "$(stat -c %a "$m/control")" 644
chmod 775 "$d"
is "775" "$(stat -c %a "$m/control")" 664
chmod 555 "$d"
is "555" "$(stat -c %a "$m/control")" 444
chmod 755 "$d"
is "it belongs to the directory's owner" "$(stat -c %u:%g "$m/control")" "$(stat -c %u:%g "$d")"

ok "a writer is opened" ctl "$m" "create new=w.cim"
ok "writer/ is there" test -d "$m/writer"
is "and listed" "$(names "$m")" "base.cim control writer "
echo data >"$m/writer/file"
like "the state names the writer's image, since when, and for whom" "$(grep ^writer: "$m/control")" \
	"^writer: new='?w\.cim'? since .*[0-9]{4}-[0-9]{2}-[0-9]{2}.* uid $(id -u) pid [0-9]+"
like "and its files and bytes so far" "$(grep ^writer: "$m/control")" ', [0-9]+ files?, [0-9]+ bytes$'
like "last is the request, with uid and pid" "$(grep ^last: "$m/control")" \
	"^last: create new=w\.cim .*uid $(id -u),? pid [0-9]+"
like "result is an HRESULT, its symbol and a sentence" "$(grep ^result: "$m/control")" \
	'^result: 0x00000000 S_OK [a-z"].* .* '
fails_with "what is in writer/ is in no image before the commit" "No such file" stat "$m/w.cim"
ok "a writer is closed" ctl "$m" close
ok "writer/ is gone" test ! -e "$m/writer"
fails_with "with what was in it" "No such file" cat "$m/writer/file"
is "also from the list" "$(names "$m")" "base.cim control "
ok "and the directory is as before" only_images "$d" base.cim

exec 5<>"$m/control" 6<>"$m/control"
echo commit >&5 2>"$scratch/out"
echo "create new=w.cim" >&6
like "a descriptor reads the result of its own request" "$(cat <&5)" '^result: 0x80070057 E_INVALIDARG '
like "another one that of its own" "$(cat <&6)" '^result: 0x00000000 S_OK '
like "a third that of the last" "$(result "$m")" '^0x00000000 S_OK '
exec 5>&- 6>&-
ctl "$m" close

ok "several requests in one write" ctl "$m" $'# two of them\ncreate new=w.cim\n\n  close   # at once\n'
is "none is left open" "$(grep ^writer: "$m/control")" "writer: none"
ok "a name is quoted as in a shell" ctl "$m" "create new='a b'\\''s \"\$x\".cim'"
echo 1 >"$m/writer/1"
ok "and committed" ctl "$m" commit
ok "and is what a shell would have made of it" test -d "$m/a b's \"\$x\".cim"
ok "and deleted" ctl "$m" 'delete "a b'\''s \"\$x\".cim"'
ok "a commit of an empty writer makes an empty image" ctl "$m" $'create new=empty.cim\ncommit'
is "with nothing in it" "$(names "$m/empty.cim")" ""
ctl "$m" "delete empty.cim"

# One reader after the other, each closing as soon as it has its answer.
read_state()
{
	local i line

	for ((i = 0; i < 4000; i++)); do
		read -r line <"$m/control" && [ "$line" = "writer: none" ] || return
	done
}
read_state 2>"$scratch/err" &
ok "the state is read often, by two at once" read_state
wait "$!"
is "and told to both" $? 0

# ---- nothing in an image can be changed ----

digests "$m/base.cim" >"$scratch/before"
i=$m/base.cim
rofs="Read-only file system"
fails_with "EROFS: touch of a new file" "$rofs" touch "$i/new"
fails_with "EROFS: touch of a file" "$rofs" touch "$i/etc/motd"
fails_with "EROFS: mkdir" "$rofs" mkdir "$i/new"
fails_with "EROFS: rmdir" "$rofs" rmdir "$i/empty"
fails_with "EROFS: rm" "$rofs" rm -f "$i/etc/motd"
fails_with "EROFS: mv" "$rofs" mv "$i/etc/motd" "$i/etc/moved"
fails_with "EROFS: ln" "$rofs" ln "$i/etc/motd" "$i/etc/linked"
fails_with "EROFS: ln -s" "$rofs" ln -s motd "$i/etc/symlink"
fails_with "EROFS: mkfifo" "$rofs" mkfifo "$i/fifo"
fails_with "EROFS: chmod" "$rofs" chmod 600 "$i/etc/motd"
fails_with "EROFS: chown" "$rofs" chown "$(id -u)" "$i/etc/motd"
fails_with "EROFS: truncate" "$rofs" truncate -s 0 "$i/etc/motd"
fails_with "EROFS: > file" "$rofs" bash -c 'echo >"$1"' sh "$i/etc/motd"
fails_with "EROFS: >> file" "$rofs" bash -c 'echo >>"$1"' sh "$i/etc/motd"
fails_with "EROFS: open for reading and writing" "$rofs" bash -c ': <>"$1"' sh "$i/etc/motd"
if have setfattr; then
	fails_with "EROFS: setfattr" "$rofs" setfattr -n user.x -v 1 "$i/etc/motd"
	fails_with "EROFS: removal of an xattr" "$rofs" setfattr -x user.x "$i/etc/motd"
else
	skip "EROFS: setfattr" "no setfattr"
fi
forget_caches
digests "$m/base.cim" >"$scratch/after"
same "and nothing is changed" "$scratch/before" "$scratch/after"

eperm="Operation not permitted"
fails_with "the root takes no new file" "$eperm" touch "$m/new"
fails_with "no new directory" "$eperm" mkdir "$m/new"
fails_with "no symlink" "$eperm" ln -s control "$m/new"
fails_with "an image cannot be removed like a directory" "$eperm" rmdir "$m/base.cim"
fails_with "nor renamed" "$eperm" mv "$m/base.cim" "$m/new"
fails_with "the control file cannot be removed" "$eperm" rm -f "$m/control"
fails_with "nor changed in mode" "$eperm" chmod 777 "$m/control"
ctl "$m" "create new=w.cim"
fails_with "writer/ cannot be removed" "$eperm" rmdir "$m/writer"
fails_with "nor renamed" "$eperm" mv "$m/writer" "$m/w"
ctl "$m" close

# ---- statfs, inode numbers, mount flags ----

is "statfs tells the directory's space" "$(stat -f -c '%b %S' "$m")" "$(stat -f -c '%b %S' "$d")"
is "also within an image" "$(stat -f -c '%b %S' "$m/base.cim/etc")" "$(stat -f -c '%b %S' "$d")"

import "$d" twin.cim "$tree"
inodes()
{
	(cd "$m" && find base.cim twin.cim -printf '%i %n %P\n' | sort -k3)
}
inodes >"$scratch/inodes"
forget_caches
inodes >"$scratch/again"
same "inode numbers are stable" "$scratch/inodes" "$scratch/again"
is "hard links have one inode number" "$(stat -c %i "$m/base.cim/etc/issue")" \
	"$(stat -c %i "$m/base.cim/etc/motd")"
is "no other two files do, whatever image they are in" \
	"$(awk '$2 == 1 || $3 == "" { print $1 }' "$scratch/inodes" | sort | uniq -d)" ""
is "ls and stat agree about them" \
	"$(cd "$m/base.cim/usr/share/doc" && ls -iU | awk '{ print $1, $2 }' | sort)" \
	"$(cd "$m/base.cim/usr/share/doc" && stat -c '%i %n' -- * | sort)"
ctl "$m" "delete twin.cim"

flags()
{
	awk -v point="$1" '$5 == point { print $6 }' /proc/self/mountinfo | tail -n 1
}
like "the mount is nosuid" "$(flags "$m")" '(^|,)nosuid(,|$)'
like "and nodev" "$(flags "$m")" '(^|,)nodev(,|$)'

# ---- one image mounted ----

new_dir; mi=$dir
start_cimfsd "$d/base.cim" "$mi" || exit 1
ok "an image mount has the contents of the directory mount" diff -r --no-dereference "$m/base.cim" "$mi"
listing "$m/base.cim" >"$scratch/want"
listing "$mi" >"$scratch/got"
same "and all the attributes" "$scratch/got" "$scratch/want"
fails_with "it is read-only" "$rofs" touch "$mi/new"
like "for the kernel too" "$(flags "$mi")" '^ro(,|$)'
is "it has no control file" "$(names "$mi")" "empty etc usr "
ctl "$m" $'create new=w.cim\ncommit'
ok "writers are not hindered by it" test -d "$m/w.cim"
ctl "$m" "delete w.cim"
ok "it is unmounted" stop_cimfsd "$mi"

# ---- forks ----

(cd "$d" && image_files . base.cim | xargs sha256sum) >"$scratch/base.files"
digests "$m/base.cim" >"$scratch/base.sums"
ok "a fork is opened" ctl "$m" "create existing=base.cim new=fork.cim"
ok "its writer starts as the base" diff -r --no-dereference "$tree" "$m/writer"
echo changed >"$m/writer/usr/share/doc/7"
rm "$m/writer/usr/share/doc/8"
mv "$m/writer/usr/share/doc/9" "$m/writer/usr/share/nine"
mkdir "$m/writer/new"
echo new >"$m/writer/new/file"
ok "and committed" ctl "$m" commit
diff -rq --no-dereference "$m/base.cim" "$m/fork.cim" | sed "s|$m/||g" >"$scratch/got"
cat >"$scratch/want" <<-'END'
	Only in fork.cim: new
	Files base.cim/usr/share/doc/7 and fork.cim/usr/share/doc/7 differ
	Only in base.cim/usr/share/doc: 8
	Only in base.cim/usr/share/doc: 9
	Only in fork.cim/usr/share: nine
END
same "it shows exactly the changes" "$scratch/got" "$scratch/want"
ok "not a byte of the base's files is changed" \
	bash -c 'cd "$1" && sha256sum --quiet -c "$2"' sh "$d" "$scratch/base.files"
digests "$m/base.cim" >"$scratch/got"
same "nor of what is in it" "$scratch/got" "$scratch/base.sums"
image_files "$d" base.cim | sort >"$scratch/want"
own=$(cd "$d" && image_files . fork.cim | sort | comm -13 "$scratch/want" - | xargs stat -c %s |
	awk '{ sum += $1 } END { print sum }')
ok "the fork's own files hold little more than the changes ($own bytes)" test "$own" -lt 100000
ok "the base can be deleted" ctl "$m" "delete base.cim"
ok "the fork lives on" cmp "$tree/usr/share/random" "$m/fork.cim/usr/share/random"
ctl "$m" "delete fork.cim"
ok "when both are deleted nothing is left" only_images "$d"

# ---- case ----

ctl "$m" "create new=netfilter.cim"
mkdir -p "$m/writer/linux/netfilter"
echo upper >"$m/writer/linux/netfilter/xt_TCPMSS.h"
echo lower >"$m/writer/linux/netfilter/xt_tcpmss.h"
ok "names that differ in case only are two files" ctl "$m" commit
is "in the image too" "$(cd "$m/netfilter.cim/linux/netfilter" && cat xt_TCPMSS.h xt_tcpmss.h)" \
	$'upper\nlower'

ctl "$m" "create new=ci.cim case=insensitive"
echo text >"$m/writer/README"
is "case=insensitive: a writer finds README as readme" "$(cat "$m/writer/readme")" text
fails_with "and does not take it twice" "File exists" mkdir "$m/writer/ReadMe"
mkdir "$m/writer/Docs"
mv "$m/writer/Docs" "$m/writer/between"
mv "$m/writer/BETWEEN" "$m/writer/DOCS"
ok "it is committed" ctl "$m" commit
is "the image finds it in any case" "$(cat "$m/ci.cim/readme" "$m/ci.cim/ReadMe" "$m/ci.cim/README")" \
	$'text\ntext\ntext'
is "and keeps the case it was given" "$(names "$m/ci.cim")" "DOCS README "
fails_with "what is not there is not found in any case" "No such file" stat "$m/ci.cim/readme2"
ctl "$m" "create existing=ci.cim new=ci2.cim"
is "a fork keeps its base's case" "$(cat "$m/writer/rEADME")" text
ctl "$m" $'close\ndelete ci.cim\ndelete netfilter.cim'

# ---- what is open stays as it was ----

import "$d" base.cim "$tree"
exec 7<"$m/base.cim/usr/share/random"
cd "$m/base.cim/etc" || exit 1
ctl "$m" "create existing=base.cim"
head -c 300000 /dev/zero >"$m/writer/usr/share/random"
echo new >"$m/writer/etc/motd"
rm "$m/writer/etc/passwd"
touch "$m/writer/etc/added"
ok "an image is overwritten while it is read" ctl "$m" commit
forget_caches
ok "an open file reads as when it was opened" cmp - "$tree/usr/share/random" <&7
is "a shell that stands in it lists what was there" "$(ls | tr '\n' ' ')" "issue motd passwd "
is "and reads what was there" "$(cat motd passwd)" $'welcome\nroot:x:0:0'
is "by its name there is the new one" "$(cat "$m/base.cim/etc/motd")" new
is "with the new names" "$(names "$m/base.cim/etc")" "added issue motd "
exec 7<&- 7<"$m/base.cim/usr/share/random"
ok "an image is deleted while it is read" ctl "$m" "delete base.cim"
ok "its files are gone from the directory" only_images "$d"
forget_caches
ok "an open file reads to its end" cmp -n 300000 - /dev/zero <&7
is "and a shell in the one before it still lists it" "$(ls | tr '\n' ' ')" "issue motd passwd "
exec 7<&-
cd /
ok "the daemon has nothing of it open in the end" \
	wait_for bash -c "! ls -l /proc/$daemon/fd /proc/$daemon/map_files 2>&1 | grep -q 'region_.*deleted'"

# ---- damage ----

import "$d" good.cim "$tree"
import "$d" bad.cim "$tree"
cp "$d/bad.cim" "$tmp/bad.cim"
chmod u+w "$d/bad.cim"
printf '\377\377\377\377' | dd of="$d/bad.cim" bs=1 seek=56 conv=notrunc status=none
fails_with "an image whose header is damaged gives an error" "Structure needs cleaning" ls "$m/bad.cim"
is "it stays in the list" "$(names "$m")" "bad.cim control good.cim "
ok "the others can be read" diff -r --no-dereference "$tree" "$m/good.cim"
ok "an image that is truncated gives an error" \
	bash -c 'truncate -s 50 "$1/bad.cim"; ! ls "$2/bad.cim" 2>"$3" && test -s "$3"' \
	sh "$d" "$m" "$scratch/errors"
cp "$tmp/bad.cim" "$d/bad.cim"
ok "when it is repaired it can be read without a remount" cmp "$tree/etc/motd" "$m/bad.cim/etc/motd"

# Region files are the image's metadata, its data, and its small data.
for n in 0 1 2; do
	import "$d" cut.cim "$tree"
	mapfile -t files < <(image_files "$d" cut.cim)
	region=$(printf '%s\n' "${files[@]}" | grep "region_.*_$n\$")
	stat "$m/cut.cim" >"$scratch/out"
	chmod u+w "$d/$region"
	truncate -s 48 "$d/$region"
	forget_caches
	ok "region $n truncated under a live mount: an error to who reads" \
		bash -c '{ ls -lR "$1"; cat "$1/usr/share/random" "$1"/usr/share/doc/*; } 2>&1 |
			grep -aqE "Input/output error|Structure needs cleaning"' sh "$m/cut.cim"
	ok "region $n: the daemon lives, and reads other images" diff -r --no-dereference "$tree" "$m/good.cim"
	ok "region $n: the damaged image can be deleted" ctl "$m" "delete cut.cim"
	(cd "$d" && rm -f "${files[@]}")
done
ctl "$m" "delete bad.cim"

ctl "$m" "delete good.cim"
stop_cimfsd "$m"

# ---- the daemon's end, and its next beginning ----

new_dir; d=$dir
import "$d" base.cim "$tree"

# SIGINT is ignored in what a script runs in the background, unless it is told otherwise.
for signal in TERM INT HUP; do
	env --default-signal=INT "$CIMFSD" -f "$d" "$m" >>"$scratch/log" 2>&1 &
	daemon_of[$m]=$!
	wait_for answers "$m"
	ctl "$m" "create new=new.cim"
	head -c 1000000 /dev/urandom >"$m/writer/half"
	kill -s "$signal" "${daemon_of[$m]}"
	reap "$m"
	is "SIG$signal: the daemon ends with 0" $? 0
	ok "SIG$signal: and is unmounted" test ! -e "$m/control"
	ok "SIG$signal: its open writer is dropped without a trace" only_images "$d" base.cim
	ok "SIG$signal: the lock is free" flock -n "$d" true
done

for point in "$m" "$d"; do
	where=elsewhere
	[ "$point" = "$m" ] || where="over itself"
	start_cimfsd "$d" "$point"
	ctl "$point" "create new=new.cim"
	echo half >"$point/writer/half"
	kill_cimfsd "$point"
	fails_with "$where: when the daemon was killed the mount is dead" "endpoint is not connected" \
		ls "$point"
	ok "$where: the next start clears it" start_cimfsd "$d" "$point"
	ok "$where: the images are there" diff -r --no-dereference "$tree" "$point/base.cim"
	ok "$where: a writer can be opened" ctl "$point" "create new=new.cim"
	ctl "$point" close
	ok "$where: there was no second mount below it" stop_cimfsd "$point"
	ok "$where: nothing of the dead writer is left" only_images "$d" base.cim
done

# ---- the command line ----

ok "--help succeeds" bash -c '"$1" --help | grep -q "^usage: cimfsd"' sh "$CIMFSD"
ok "--version succeeds" bash -c '"$1" --version | grep -Eq "^cimfsd [0-9]+\.[0-9]+"' sh "$CIMFSD"
exits_with "no argument is wrong usage" 2 "$CIMFSD"
exits_with "an argument too many is wrong usage" 2 "$CIMFSD" "$d" "$m" "$d"
exits_with "an unknown option is wrong usage" 2 "$CIMFSD" --frobnicate "$d" "$m"
exits_with "an unknown -o option is wrong usage" 2 "$CIMFSD" -o frobnicate "$d" "$m"
exits_with "an image without a mount point is wrong usage" 2 "$CIMFSD" "$d/base.cim"
exits_with "a missing directory is a failure" 1 "$CIMFSD" "$tmp/none" "$m"
fails_with "which is said" "No such file" "$CIMFSD" "$tmp/none" "$m"
exits_with "a missing mount point is a failure" 1 "$CIMFSD" "$d" "$tmp/none"
exits_with "a file that is no image is a failure" 1 "$CIMFSD" "$tree/etc/motd" "$m"
ok "nothing was mounted by all that" bash -c "! grep -q '$m ' /proc/self/mountinfo"

ok "options of fstab are taken" start_cimfsd -o rw,noauto,user,nofail,x-systemd.automount,suid,dev "$d" "$m"
like "suid and dev are not given" "$(flags "$m")" 'nosuid,nodev'
new_dir
fails_with "a mount of cimfsd cannot be mounted again" "mount of cimfsd" "$CIMFSD" "$m" "$dir"
fails_with "cimfs names the directory behind a mount" "$d" "$CIMFS" info "$m"
stop_cimfsd "$m"

# mount(8) looks for programs in the system's directories alone: so in a mount namespace of our own
# that is where cimfsd is.
as_from_fstab()
{
	mkdir -p "$tmp/bin"
	cp "$CIMFSD" "$tmp/bin/cimfsd"
	printf '%s\n' "$2" >"$tmp/fstab"
	# shellcheck disable=SC2016
	unshare -m bash -ec '
		mount --bind "$1/bin" /usr/local/bin
		mount --bind "$1/fstab" /etc/fstab
		mount "$2"
		cmp "$3/etc/motd" "$2/base.cim/etc/motd"
		grep "$2 .*nosuid,nodev.* fuse.cimfsd " /proc/self/mountinfo
		echo "create new=fstab.cim" >"$2/control"
		echo close >"$2/control"
		umount "$2"' sh "$tmp" "$1" "$tree"
}
for form in "$d:fuse.cimfsd:defaults,noauto" "cimfsd#$d:fuse:rw,nofail,user"; do
	IFS=: read -r source type options <<<"$form"
	desc="mounts from fstab as of type $type, with options $options"
	if is_root && have mount.fuse3 && [ -w /usr/local/bin ]; then
		ok "$desc" as_from_fstab "$m" "$source $m $type $options 0 0"
	else
		skip "$desc" "not root, or no mount.fuse3"
	fi
done

# ---- an ordinary user ----
# In a mount namespace of its own /dev/fuse can be had by all without doing so to the machine.

new_dir; mine=$dir
new_dir; theirs=$dir
cp "$CIMFSD" "$tmp/cimfsd"
cat >"$tmp/as-user" <<'END'
#!/bin/bash
# prints a word for each thing that goes as it should
mine=$1 theirs=$2 m=$3 cimfsd=$4 tree=$5
wait_for()
{
	for ((i = 0; i < 500; i++)); do
		"$@" && return
		sleep 0.02
	done 2>/dev/null
}
"$cimfsd" "$mine" && echo mounts
cd "$mine" || exit
echo "create new=base.cim" >control && echo creates
cp -r "$tree/." writer && chown 0:0 writer/etc/passwd && chmod 4755 writer/etc/passwd && echo owns
echo commit >control && echo commits
[ "$(stat -c %u:%g:%a base.cim/etc/passwd)" = 0:0:4755 ] && echo keeps
diff -r --no-dereference "$tree" base.cim && echo reads
chmod 555 "$(pwd)" 2>&1 | grep -q "not permitted" && echo guards
cd /
fusermount3 -u "$mine" && echo unmounts
"$cimfsd" "$theirs" "$m" && echo elsewhere
cat "$m/theirs.cim/etc/motd" >/dev/null && echo foreign
(echo close >"$m/control") 2>&1 | grep -q "Permission denied" && echo refused
fusermount3 -u "$m"
chmod 755 "$mine"
"$cimfsd" "$mine" "$m"
exec 3<>"$m/control"
chmod 555 "$mine"
(echo "create new=x.cim" >&3) 2>&1 | grep -q "Permission denied" && echo denied
grep -q "^result: 0x80070005 E_ACCESSDENIED " <&3 && echo said
exec 3<&-
chmod 755 "$mine"
fusermount3 -u "$m"
"$cimfsd" "$mine" "$m"
daemon=$(pgrep -u "$(id -u)" -f "^$cimfsd $mine $m\$")
kill -9 "$daemon"
wait_for "$cimfsd" "$mine" "$m" && [ -e "$m/control" ] && echo recovers
fusermount3 -u "$m"
END
user=("mounts a directory over itself" mounts
	"opens a writer" creates
	"gives files to any owner in it" owns
	"commits it" commits
	"keeps owners and modes" keeps
	"reads it" reads
	"cannot change the root of the mount" guards
	"unmounts it" unmounts
	"mounts the directory of another user" elsewhere
	"reads images of another user" foreign
	"may not write the control file of a directory that is not theirs" refused
	"is denied when it is a directory no more to be written (EACCES)" denied
	"reads E_ACCESSDENIED then" said
	"clears a dead mount" recovers)
if is_root; then
	import "$theirs" theirs.cim "$tree"
	chown 65534:65534 "$mine" "$m"
	mknod "$tmp/fuse" c 10 229 2>"$scratch/out"
	chmod 666 "$tmp/fuse"
	mount=(unshare -m bash -c 'mount --bind "$0/fuse" /dev/fuse && [ -w /dev/fuse ] &&
		exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"' "$tmp")
else
	import "$theirs" theirs.cim "$tree"
	chmod 555 "$theirs"
	mount=(env)
fi
chmod 755 "$tmp/cimfsd" "$tmp/as-user"
if ! is_root || "${mount[@]}" "$tmp/cimfsd" --version >"$scratch/out" 2>&1; then
	timeout -k 5 "$LIMIT" "${mount[@]}" bash "$tmp/as-user" "$mine" "$theirs" "$m" "$tmp/cimfsd" "$tree" \
		>"$scratch/words" 2>"$scratch/errors"
	for ((i = 0; i < ${#user[@]}; i += 2)); do
		ok "an ordinary user ${user[i]}" grep -qx "${user[i + 1]}" "$scratch/words"
	done
	[ "$(wc -l <"$scratch/words")" -eq $((${#user[@]} / 2)) ] || diag "$(cat "$scratch/errors")"
else
	for ((i = 0; i < ${#user[@]}; i += 2)); do
		skip "an ordinary user ${user[i]}" "no mount namespace: $(tail -n 1 "$scratch/out")"
	done
fi
chmod 755 "$theirs"

plan
