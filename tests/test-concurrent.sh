#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Many at once, and for long: readers of an image that is replaced again and again see the old one or
# the new one and never a mix; a daemon does not grow with what it has done; its end under load is
# in order.  With --enable-sanitizers=thread this is also where races would show.
set -u

. "${top_srcdir:=.}/tests/lib.sh"
need_fuse

n_readers=8
n_commits=$(rounds 30 200)
n_files=25

new_dir; d=$dir
new_dir; m=$dir
start_cimfsd "$d" "$m" || exit 1

# generation N - replace the image by one in which every file says N
generation()
{
	local i request="create existing=now.cim new=now.cim"

	[ "$1" -gt 0 ] || request="create new=now.cim"
	ctl "$m" "$request" || return
	for ((i = 0; i < n_files; i++)); do
		echo "$1" >"$m/writer/$i" || return
	done
	ctl "$m" commit
}

# One image, however often it is replaced meanwhile: all of its files say the same.  By the mount,
# from a directory that is held.
read_mounted()
{
	(cd "$m/now.cim" && cat -- *) | sort -u
}

# The same past the mount.
read_directly()
{
	local i names=()

	for ((i = 0; i < n_files; i++)); do
		names+=("$i")
	done
	"$CIMFS" cat "$d/now.cim" "${names[@]}" | sort -u
}

# reader NUMBER - read until told to stop; says what was wrong
reader()
{
	local seen last=0 n=0 how=read_mounted

	[ $(($1 % 4)) -ne 3 ] || how=read_directly
	while [ ! -e "$scratch/stop" ]; do
		seen=$($how 2>>"$scratch/reader.$1.err")
		if ! [[ "$seen" =~ ^[0-9]+$ ]]; then
			echo "reader $1 ($how) saw: ${seen//$'\n'/ }"
		elif [ "$seen" -lt "$last" ]; then
			echo "reader $1 ($how) saw $seen after $last"
		else
			last=$seen
		fi
		n=$((n + 1))
	done
	echo "$n" >"$scratch/reader.$1.n"
}

# Others who ask for the state and list what there is, all the time.
onlooker()
{
	while [ ! -e "$scratch/stop" ]; do
		grep -q '^result: ' "$m/control" || echo "no result in the state"
		stat -f "$m" >>"$scratch/out"
		(cd "$m" && ls -l >>"$scratch/out" 2>&1)
	done
}

ok "an image is made" generation 0
busy=()
for ((r = 0; r < n_readers; r++)); do
	reader "$r" >"$scratch/reader.$r" &
	busy+=($!)
done
onlooker >"$scratch/onlooker" &
busy+=($!)
failed=0
for ((g = 1; g <= n_commits; g++)); do
	generation "$g" 2>>"$scratch/err" || failed=$((failed + 1))
	# The one that was there, and nothing else, for others to read right now.
	[ "$(read_mounted)" = "$g" ] || failed=$((failed + 1))
done
touch "$scratch/stop"
wait "${busy[@]}"
is "$n_commits commits under $n_readers readers all go through, and are seen at once" "$failed" 0
is "no reader saw a mix, nor an old image after a new one" "$(cat "$scratch"/reader.[0-9])" ""
is "nor was anything refused to one" "$(cat "$scratch"/reader.*.err)" ""
is "and the state could always be read" "$(cat "$scratch/onlooker")" ""
diag "$(cat "$scratch"/reader.*.n | awk '{ n += $1 } END { print n " readings" }')"
rm -f "$scratch/stop"
ok "fsck finds nothing" "$CIMFS" fsck --data "$d"

# ---- for long ----

anon()
{
	awk '$1 == "RssAnon:" { print $2 }' "/proc/$daemon/status"
}

# What the daemon has open; of the memory it is told to let go of what only the kernel held.
n_fds()
{
	find "/proc/$daemon/fd" "/proc/$daemon/map_files" -mindepth 1 2>>"$scratch/err" | wc -l
}

# one_life NUMBER - of an image: made, read, forked, replaced, deleted; and of a writer that is closed
one_life()
{
	ctl "$m" "create new=a-$1.cim" || return
	mkdir "$m/writer/dir"
	head -c 100000 /dev/zero | tr '\0' "$(($1 % 10))" >"$m/writer/dir/large"
	echo "$1" >"$m/writer/small"
	setfattr -n user.x -v "$1" "$m/writer/small"
	ctl "$m" $'commit\ncreate existing=a-'"$1.cim new=b-$1.cim" || return
	echo more >>"$m/writer/dir/large"
	ctl "$m" $'commit\ncreate existing=b-'"$1.cim" || return
	rm "$m/writer/small"
	ctl "$m" commit || return
	cmp -n 100000 "$m/a-$1.cim/dir/large" "$m/b-$1.cim/dir/large" || return
	ctl "$m" $'create new=c.cim\nclose'
	ctl "$m" "delete a-$1.cim"$'\n'"delete b-$1.cim"
}

failed=0
warm=20
n_lives=$(rounds 60 1500)
for ((i = 0; i < n_lives; i++)); do
	if [ "$i" -eq "$warm" ]; then
		forget_caches
		before=$(anon)
		before_fds=$(n_fds)
	fi
	one_life "$i" >"$scratch/out" 2>&1 || failed=$((failed + 1))
done
forget_caches
is "$n_lives lives of images all go through" "$failed" 0
no_more_open()
{
	[ "$(n_fds)" -le "$before_fds" ]
}
ok "nothing is open or mapped that was not before ($before_fds)" wait_for no_more_open
# An inode number of each image and writer is remembered for the mount's life, with its name.
grown=$(($(anon) - before))
per_life=$((grown * 1024 / (n_lives - warm)))
diag "RssAnon grew by $grown KiB from $before KiB: $per_life bytes a life"
memory_ok "and each took less than 4 KiB of memory for good" \
	test "$grown" -lt "$((512 + 4 * (n_lives - warm)))"
ok "the directory has what it had" only_images "$d" now.cim

# ---- the end, under load ----

for signal in TERM unmount; do
	for ((r = 0; r < n_readers; r++)); do
		reader "$r" >"$scratch/reader.$r" 2>&1 &
	done
	ctl "$m" "create existing=now.cim new=half.cim"
	cp "$m/writer/0" "$m/writer/copy"
	if [ "$signal" = unmount ]; then
		timeout 20 fusermount3 -u -z "$m"
	else
		kill -s "$signal" "$daemon"
	fi
	touch "$scratch/stop"
	reap "$m"
	is "under load, by $signal: the daemon ends with 0" "$?" 0
	wait
	rm -f "$scratch/stop" "$scratch"/reader.*
	ok "under load, by $signal: nothing of its writer is left" only_images "$d" now.cim
	start_cimfsd "$d" "$m" || exit 1
	is "under load, by $signal: the image is as it was" "$(read_mounted)" "$n_commits"
done
stop_cimfsd "$m"

n_mounts=$(rounds 5 100)
failed=0
for ((i = 0; i < n_mounts; i++)); do
	start_cimfsd "$d" "$m" && [ "$(read_mounted)" = "$n_commits" ] && stop_cimfsd "$m" ||
		failed=$((failed + 1))
done
is "$n_mounts mounts one after the other" "$failed" 0

plan
