#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Hostile neighbours: what other users and processes of the machine do to an image directory, to a
# mount and to the daemon.  docs/reliability.md has the list of threats; each group below is one.
set -u

. "${top_srcdir:=.}/tests/lib.sh"
need_fuse
neighbour=$top_builddir/tests/neighbour

# What daemons are started with, which is no concern of theirs.
ours=$(readlink /proc/$$/fd/*; echo "$scratch/log"; echo /dev/null)

new_dir; d=$dir
new_dir; m=$dir

tree=$tmp/tree
mkdir -p "$tree/dir"
echo text >"$tree/file"
head -c 100000 /dev/urandom >"$tree/dir/large"
"$CIMFS" import -q "$d" base.cim "$tree"

# state_ok - the daemon answers, shows its image, and has nothing else
state_ok()
{
	[ "$(cd "$m" && echo *)" = "base.cim control" ] && cmp -s "$tree/file" "$m/base.cim/file" &&
		grep -q '^writer: none$' "$m/control"
}

# rss PID - its memory, in KiB, of which it shares nothing with a file
rss()
{
	awk '$1 == "RssAnon:" { print $2 }' "/proc/$1/status"
}

n_fds()
{
	find "/proc/$1/fd" -mindepth 1 | wc -l
}

# guid_of IMAGE - of its own region set
guid_of()
{
	image_files "$d" "$1" | sed -n 's/^region_\(.*\)_0$/\1/p' | head -n 1
}

# ---- names that are planted: links, FIFOs, sockets, devices, directories ----

victim=$tmp/victim
echo precious >"$victim"
inode=$(stat -c '%i %Y %s' "$victim")

# plant KIND PATH
plant()
{
	case $1 in
	symlink) ln -s "$victim" "$2" ;;
	loop) ln -s "${2##*/}" "$2" ;;
	fifo) mkfifo "$2" ;;
	socket) perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local => shift, Listen => 1)' "$2" ;;
	device) mknod "$2" c 1 5 ;;
	directory) mkdir "$2" ;;
	esac
}

start_cimfsd "$d" "$m" || exit 1
spare=12345678-1234-4234-8234-123456789abc
for kind in symlink loop fifo socket device directory; do
	planted=()
	for name in planted.cim "region_${spare}_0" "objectid_${spare}_0" .cimfs-image \
		".cimfs-$spare" ".cimfs-${spare}_r0" .cimfs control writer; do
		plant "$kind" "$d/$name" 2>"$scratch/err" && planted+=("$d/$name")
	done
	if [ ${#planted[@]} -lt 9 ]; then
		skip "planted: $kind" "cannot be made: $(tail -n 1 "$scratch/err")"
		rm -rf "${planted[@]}"
		continue
	fi
	ok "planted: a $kind under every name: the mount shows what it did" state_ok
	fails_with "planted: a $kind is no image" "No such file" stat "$m/planted.cim"
	ok "planted: a $kind does not keep the next writer out" \
		ctl "$m" $'create existing=base.cim new=new.cim\ncommit'
	ok "planted: a $kind does not get in the way of what is made" \
		diff -r --no-dereference "$m/base.cim" "$m/new.cim"
	fails_with "planted: a $kind is not taken for an image to fork" "Structure needs cleaning" \
		ctl "$m" "create existing=planted.cim new=x.cim"
	fails_with "planted: nor is a $kind overwritten by a new image" "File exists" \
		ctl "$m" "create new=planted.cim"
	fails_with "planted: nor is a $kind deleted as one" "Structure needs cleaning" \
		ctl "$m" "delete planted.cim"
	exits_with "planted: cimfs does not read a $kind" 1 "$CIMFS" ls "$d/planted.cim"
	ok "planted: cimfs looks at the directory" "$CIMFS" info "$d"
	ctl "$m" "delete new.cim"
	rm -rf "${planted[@]}"
done
is "planted: no link was followed" "$(cat "$victim"; stat -c '%i %Y %s' "$victim")" \
	"precious"$'\n'"$inode"
ok "planted: and nothing is left of it all" only_images "$d" base.cim

# The name that an image is about to get, planted while it is made.
for kind in symlink fifo directory; do
	ctl "$m" "create new=late.cim"
	plant "$kind" "$d/late.cim"
	fails_with "planted: a $kind where the image is to be: the commit is refused" "File exists" \
		ctl "$m" commit
	rm -rf "$d/late.cim"
	ok "planted: and can be repeated without it" ctl "$m" commit
	ctl "$m" "delete late.cim"
done
is "planted: the victim is as it was" "$(cat "$victim")" precious

# Region files that are not what they should be.
"$CIMFS" import -q "$d" victim.cim "$tree"
guid=$(guid_of victim.cim)
for n in 0 1 2; do
	for kind in symlink fifo directory; do
		mv "$d/region_${guid}_$n" "$tmp/kept"
		plant "$kind" "$d/region_${guid}_$n"
		if [ "$kind" = symlink ]; then
			ln -sfn "$tmp/kept" "$d/region_${guid}_$n"
		fi
		fails_with "planted: region file $n is a $kind: an error, and no wait" \
			"Structure needs cleaning" cat "$m/victim.cim/file" "$m/victim.cim/dir/large"
		rm -rf "$d/region_${guid}_$n"
		mv "$tmp/kept" "$d/region_${guid}_$n"
		forget_caches
	done
done
ok "planted: with its own files it can be read again" \
	diff -r --no-dereference "$tree" "$m/victim.cim"
ctl "$m" "delete victim.cim"

# Images that are named as the mount names its own.
cp "$d/base.cim" "$d/control"
cp "$d/base.cim" "$d/writer"
cp "$d/base.cim" "$d/.cimfs-hidden"
ok "an image called control or writer is not shown in their place" state_ok
like "control is the control file" "$(head -n 1 "$m/control")" '^writer: none$'
rm -f "$d/control" "$d/writer" "$d/.cimfs-hidden"

# ---- who may write the control file, and what ----

for size in 4097 131072 1048576; do
	is "one write of $size bytes is refused as a whole" \
		"$("$neighbour" write "$m/control" "$size")" "Invalid argument"
done
is "a write in pieces by writev is one request" \
	"$("$neighbour" writev "$m/control" "create ne" "w=p.cim" $'\n' "clo" "se")" Success
ok "which leaves nothing" state_ok
exec 3>"$m/control" 4>"$m/control"
fails_with "half a request is none" "Invalid argument" bash -c 'printf "create " >&3'
fails_with "nor is its other half" "Invalid argument" bash -c 'printf "new=half.cim\n" >&3'
fails_with "halves of two handles do not meet" "Invalid argument" \
	bash -c 'printf cl >&3 || printf ose >&4'
exec 3>&- 4>&-
ok "nothing has come of them" state_ok
fails_with "an offset is not a way around it" "Invalid argument" \
	dd if=/dev/zero of="$m/control" bs=4097 count=1 seek=3 conv=notrunc status=none

n=10000
before=$(rss "$daemon")
is "flood: $n handles at a time, each with half a request" \
	"$("$neighbour" hold "$n" "$m/control" "create new=x")" "$n open, 1 written, $((n - 1)) refused"
ok "flood: the daemon goes on" ctl "$m" close
ok "flood: as before" state_ok
grown=$(($(rss "$daemon") - before))
memory_ok "flood: and has not grown by more than 8 MiB ($grown KiB)" \
	test "$grown" -lt 8192
is "flood: $n handles of the root directory" "$("$neighbour" readdir "$m" 5000)" "5000 open"
ok "flood: the daemon goes on after those too" state_ok

# ---- interrupted requests ----

n=$(rounds 2000 50000)
for file in base.cim/dir/large control; do
	like "interrupts: $file reads the same under a storm of signals" \
		"$("$neighbour" interrupt "$n" "$m/$file")" "^$n read, 0 wrong; "
done
ok "interrupts: nothing has come of them" state_ok
ctl "$m" "create new=killed.cim"
cp -a "$tree/." "$m/writer/"
for ((i = 0; i < 200; i++)); do
	head -c 3000 /dev/urandom >"$m/writer/$i"
done
digests "$m/writer" >"$scratch/want"
(echo commit >"$m/control") 2>"$scratch/err" &
busy=$!
sleep 0.01
kill -9 "$busy" 2>"$scratch/err"
wait "$busy" 2>"$scratch/err"
# It was asked for or it was not; what is not there yet is committed now.
wait_for grep -q '^writer: none$\|since.*bytes$' "$m/control"
grep -q '^writer: none$' "$m/control" || ctl "$m" commit
digests "$m/killed.cim" >"$scratch/got"
same "interrupts: a commit whose asker is killed is done as a whole" "$scratch/got" "$scratch/want"
ctl "$m" "delete killed.cim"

# Somebody who holds a file and reads no further, and one who is stopped in the middle.
exec 3<"$m/base.cim/dir/large"
head -c 1 <&3 >"$scratch/out"
bash -c 'exec 5>"$1"; kill -STOP $BASHPID; echo close >&5' sh "$m/control" &
stopped=$!
wait_for grep -q "^State:.*stopped" "/proc/$stopped/status"
ok "slow readers: others are served" ctl "$m" $'create existing=base.cim new=slow.cim\ncommit'
ok "slow readers: an image that they hold can be deleted" ctl "$m" "delete slow.cim"
kill -9 "$stopped"
wait "$stopped" 2>"$scratch/err"
exec 3<&-
ok "slow readers: none is left" state_ok

# ---- the lock ----

# inherited PID - what a program that it executes would have of it, but for what it was started with
inherited()
{
	local info fd

	for info in "/proc/$1/fdinfo/"*; do
		fd=$(readlink "${info/fdinfo/fd}")
		grep -qxF -- "$fd" <<<"$ours" ||
			(($(sed -n 's/^flags:[[:space:]]*/0/p' "$info") & 02000000)) || echo "$fd"
	done
}
ctl "$m" "create new=x.cim"
is "lock: every descriptor of the daemon is closed on exec" "$(inherited "$daemon")" ""
ctl "$m" close

# A directory that goes away from under its writer, with another in its place.
"$CIMFS" import -q "$d" other.cim "$tree"
ctl "$m" "create existing=base.cim new=moved.cim"
mv "$d" "$d.away"
mkdir "$d"
ok "swapped: the other directory has a writer of its own" "$CIMFS" import -q "$d" own.cim "$tree"
echo late >"$m/writer/late"
ok "swapped: the writer goes on in the one that it locked" ctl "$m" commit
is "swapped: which is where its image is" "$(cat "$m/moved.cim/late")" late
ok "swapped: and whose files it makes" only_images "$d.away" base.cim other.cim moved.cim
ok "swapped: the other directory has none of them" only_images "$d" own.cim
rm -rf "$d"
mv "$d.away" "$d"
ctl "$m" $'delete moved.cim\ndelete other.cim'
ok "swapped: put back, all is as it was" state_ok
stop_cimfsd "$m"

ok "daemonised: cimfsd returns" "$CIMFSD" "$d" "$m"
ok "daemonised: a writer is opened" ctl "$m" "create new=x.cim"
exits_with "daemonised: its lock is held" 1 flock -n "$d" true
ok "daemonised: unmounted with the writer open" fusermount3 -u "$m"
ok "daemonised: the lock is free when it has gone" wait_for flock -n "$d" true
ok "daemonised: nothing is left of the writer" only_images "$d" base.cim

for errno in EBADF ENOLCK EOPNOTSUPP; do
	desc="no locks: flock that fails with $errno: no image is made, and why is said"
	if have strace; then
		fails_with "$desc" "cannot lock a directory" strace -f -o "$scratch/trace" \
			-e trace=flock -e "inject=flock:error=$errno" \
			"$CIMFS" import -q "$d" unlocked.cim "$tree"
	else
		skip "$desc" "no strace"
	fi
done
ok "no locks: nothing is left" only_images "$d" base.cim

plan
