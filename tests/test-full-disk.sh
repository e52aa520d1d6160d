#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Full disks, quotas of files, limits of a file's size: what is refused for want of something says so
# and changes nothing, and succeeds as soon as it is there.
#
# A piece of work is tried with nothing left, then with a little more each time, until it goes
# through: so each of its steps is the first that fails once.  After each failure the directory has
# the images that it had, byte for byte, and no other file.
set -u

. "${top_srcdir:=.}/tests/lib.sh"

full="No space left on device"
large="File too large"
step=$(rounds 160 8) # KiB that the next try has more

# ---- what images are made of ----

tree=$tmp/tree
more=$tmp/more
sample_tree "$tree"
mkdir -p "$more/etc"
head -c 700000 /dev/urandom >"$more/large"
head -c 9000 /dev/urandom >"$more/small"
truncate -s 200000 "$more/holes"
head -c 100000 /dev/urandom >>"$more/holes"
echo changed >"$more/etc/motd"
find "$more" -exec touch -h -d '2001-02-03 04:05:06' {} +
tar -C "$more" -cf "$tmp/more.tar" .

# ---- the directory, before and after ----

# remember - the images that $dir has, to be compared with what it has later
remember()
{
	images=("$dir"/*.cim)
	images=("${images[@]##*/}")
	digests "$dir" | grep -v ' \./filler' >"$scratch/before"
}

# as_before - whether $dir has what it had, and nothing else
as_before()
{
	digests "$dir" | grep -v ' \./filler' | diff "$scratch/before" - &&
		only_files
}

# only_files [NAME…] - that the directory has no file but those of $images, these, and the filler
only_files()
{
	rm -f "$dir"/filler*
	only_images "$dir" "${images[@]}" "$@"
}

# is_whole NAME [LIKE] - the image has no fault, and the tree of the image LIKE
is_whole()
{
	"$CIMFS" fsck -q --data "$dir/$1" &&
		[ "$("$CIMFS" hash "$dir/$1" | cut -d ' ' -f 1)" = \
			"$("$CIMFS" hash "$2" | cut -d ' ' -f 1)" ]
}

# ---- room ----

have_disks=false
if is_root; then
	new_dir
	mount -t tmpfs -o size=1m cimfs-test "$dir" 2>"$scratch/out" && umount "$dir" && have_disks=true
fi

# small_disk - $dir is a file system of its own in memory, with an image
small_disk()
{
	new_dir
	mount -t tmpfs -o size=8m,nr_inodes=2000 cimfs-test "$dir" &&
		"$CIMFS" import -q "$dir" base.cim "$tree" && remember
}

# room_for N - blocks of 1 KiB that can still be written
room_for()
{
	local free

	rm -f "$dir/filler"
	free=$(df --output=avail -k "$dir" | tail -n 1)
	fallocate -l "$(((free - $1) * 1024))" "$dir/filler"
}

# files_for N - how many files can still be made
files_for()
{
	local free i

	rm -f "$dir"/filler*
	free=$(df --output=iavail "$dir" | tail -n 1)
	for ((i = free - $1; i > 0; i--)); do
		: >"$dir/filler$i"
	done
}

# size_of N - a file may have so many KiB
size_of()
{
	size_limit=$1
}

# size_of_daemon N - … by the daemon
size_of_daemon()
{
	prlimit --pid "$daemon" --fsize="$(($1 * 1024)):unlimited"
	daemon_limited=true
}

no_limit()
{
	size_limit=unlimited
	rm -f "$dir"/filler*
	! $daemon_limited || prlimit --pid "$daemon" --fsize=unlimited:unlimited
	daemon_limited=false
}
size_limit=unlimited
daemon_limited=false

# Built for coverage, a program writes what it has run when it ends: cut off by the limit, that would
# take the place of what all others have written.
keep_profile()
{
	[ "$size_limit" = unlimited ] || export GCOV_PREFIX=$scratch/profile
}

# under_limit CMD… - under the limit of a file's size; what it prints goes to a pipe, which has none
under_limit()
{
	(ulimit -S -f "$size_limit" && keep_profile && limited "$@") 2>&1 | cat >"$scratch/out"
	return "${PIPESTATUS[0]}"
}

# ---- work that is tried until it goes through ----

# sweep DESC ROOM MESSAGE STEP WORK… - WORK makes new.cim, from nothing, or fails with the message
#
# Sets n_refused.
sweep()
{
	local desc=$1 room=$2 message=$3 by=$4 n wrong=

	shift 4
	n_refused=0
	for ((n = 0; n < 4000; n += by)); do
		$room "$n"
		if under_limit "$@"; then
			break
		fi
		n_refused=$((n_refused + 1))
		# All of it: what a sanitizer has to say is long, and may not come again.
		grep -qF -- "$message" "$scratch/out" || wrong="with $n: $(tail -n 100 "$scratch/out")"
		as_before >"$scratch/diff" 2>&1 || wrong="with $n: $(head -n 5 "$scratch/diff")"
		[ -z "$wrong" ] || break
		no_limit
	done
	no_limit
	is "$desc: refused, and nothing is changed" "$wrong" ""
	ok "$desc: that was tried at every step" test "$n_refused" -ge 2
	ok "$desc: with enough it goes through" is_whole new.cim "$want"
	ok "$desc: and leaves nothing else" only_files new.cim
	diag "$desc: refused $n_refused times"
	"$CIMFS" delete "$dir/new.cim"
	ok "$desc: the others are as they were" as_before
}

# sweep_all ROOM MESSAGE STEP WHAT - each kind of import
sweep_all()
{
	want=$wanted/tree.cim
	sweep "an image from scratch, $4" "$1" "$2" "$3" "$CIMFS" import -q "$dir" new.cim "$tree"
	want=$wanted/more.cim
	sweep "a consistent image, $4" "$1" "$2" "$3" \
		"$CIMFS" import -q --consistent "$dir" new.cim "$more"
	sweep "a tar, $4" "$1" "$2" "$3" "$CIMFS" import -q "--tar=$tmp/more.tar" "$dir" new.cim
	want=$wanted/fork.cim
	sweep "a fork, $4" "$1" "$2" "$3" \
		"$CIMFS" import -q --from=base.cim "$dir" new.cim "$more"
}

# ---- the same through a mount ----

# attempt CMD… - now or, if that is refused, when there is room; 2: wrongly
attempt()
{
	"$@" >"$scratch/out" 2>&1 && return
	refused="$refused $1"
	grep -qF -- "$message" "$scratch/out" || {
		wrong="wanted \"$message\", got $(tail -n 3 "$scratch/out")"
		return 2
	}
	if [ "$1" = ctl ]; then
		grep -q '^0x80070070 ERROR_DISK_FULL .*, then try again$' <<<"$(result "$m")" || {
			wrong="result: $(result "$m")"
			return 2
		}
	fi
	"$CIMFS" fsck -q --data "$dir/base.cim" || return 2
	no_limit
	"$@" >"$scratch/out" 2>&1 || {
		wrong="again, with room: $(tail -n 3 "$scratch/out") $(result "$m")"
		return 2
	}
}

# through_mount - create, copy, commit; in $refused what was refused and then went through
through_mount()
{
	refused=
	[ "$when" = commit ] || $room "$n"
	attempt ctl "$m" "$request" || return
	attempt cp -a "$source/." "$m/writer/" || return
	[ "$when" = start ] || $room "$n"
	attempt ctl "$m" commit || return
	is_whole new.cim "$want" && only_files new.cim && "$CIMFS" fsck -q "$dir"
}

# sweep_mount DESC WHEN ROOM MESSAGE STEP REQUEST SOURCE - what is refused is repeated, with room
sweep_mount()
{
	local desc=$1 when=$2 room=$3 message=$4 by=$5 request=$6 source=$7 n refused wrong=

	n_refused=0
	for ((n = 0; n < 4000; n += by)); do
		through_mount >"$scratch/diff" 2>&1 || wrong="with $n: $wrong $(head -n 5 "$scratch/diff")"
		no_limit
		ctl "$m" "delete new.cim"
		as_before >"$scratch/diff" 2>&1 || wrong="with $n: $(head -n 5 "$scratch/diff")"
		[ -z "$wrong" ] && [ -n "$refused" ] || break
		n_refused=$((n_refused + 1))
	done
	is "$desc: what was refused succeeds with room" "$wrong" ""
	ok "$desc: something was" test "$n_refused" -ge 1
	diag "$desc: refused $n_refused times"
}

# sweep_mounted ROOM MESSAGE STEP WHAT [STEP OF COMMITS] - of $dir, that is mounted
sweep_mounted()
{
	want=$wanted/more.cim
	sweep_mount "an image from scratch by the daemon, $4" start "$1" "$2" "$3" \
		"create new=new.cim" "$more"
	want=$wanted/fork.cim
	sweep_mount "a fork by the daemon, $4" start "$1" "$2" "$3" \
		"create existing=base.cim new=new.cim" "$more"
	sweep_mount "a commit, $4" commit "$1" "$2" "${5:-$3}" \
		"create existing=base.cim new=new.cim" "$more"
}

wanted=$tmp/wanted
mkdir "$wanted"
"$CIMFS" import -q "$wanted" tree.cim "$tree"
"$CIMFS" import -q "$wanted" more.cim "$more"
"$CIMFS" import -q --from=tree.cim "$wanted" fork.cim "$more"

have_fuse=false
[ -r /dev/fuse ] && [ -w /dev/fuse ] && have fusermount3 && have_fuse=true
m=$tmp/m
mkdir "$m"

# ---- everywhere ----

new_dir
"$CIMFS" import -q "$dir" base.cim "$tree"
remember
if sanitized; then
	skip "files limited" "ThreadSanitizer writes one of its own at a program's start"
else
	sweep_all size_of "$large" "$step" "files limited"
fi
if $have_fuse; then
	start_cimfsd "$dir" "$m" || exit 1
	sweep_mounted size_of_daemon "$large" "$step" "files limited"
	stop_cimfsd "$m"
	# What no signal may end.
	(size_limit=10 && ulimit -S -f "$size_limit" && keep_profile && exec "$CIMFSD" "$dir" "$m") ||
		exit 1
	ctl "$m" "create new=new.cim"
	fails_with "a daemon under a limit from its start tells who writes" "$large" \
		cp "$more/large" "$m/writer/large"
	ok "and serves on" cmp "$tree/usr/share/random" "$m/base.cim/usr/share/random"
	fusermount3 -u "$m"
else
	skip "a daemon under limits" "/dev/fuse cannot be used"
fi
if ! $have_disks; then
	skip "full disks" "a tmpfs cannot be mounted"
	plan
fi

# ---- full disks ----

n_sets()
{
	"$CIMFS" info "$dir/$1" | awk '$1 == "region" { print $3 }'
}

# A commit that would make many sets one does without, rather than ask for the room.
mkdir "$tmp/merged"
new_dir
mount -t tmpfs -o size=24m cimfs-test "$dir"
"$CIMFS" import -q "$dir" base.cim "$tree"
for i in {1..7}; do
	head -c 1000000 /dev/urandom | split -b 10000 - "$tmp/merged/$i-"
	"$CIMFS" import -q --from=base.cim "$dir" base.cim "$tmp/merged"
	rm "$tmp/merged"/*
done
room_for 2500
ok "a fork of many sets takes no more room than its changes" \
	"$CIMFS" import -q --from=base.cim "$dir" new.cim "$tmp/merged"
rm "$dir/filler"
ok "and more when there is some" "$CIMFS" import -q --from=base.cim "$dir" new2.cim "$tmp/merged"
ok "as it should" is_whole new.cim "$dir/new2.cim"
is "the sets of the one are all there" "$(n_sets new.cim)" 9
is "those of the other are merged" "$(n_sets new2.cim)" 1
umount "$dir"

small_disk
sweep_all room_for "$full" "$step" "disk full"
sweep_all files_for "$full" 1 "no inodes left"
if $have_fuse; then
	start_cimfsd "$dir" "$m" || exit 1
	sweep_mounted room_for "$full" "$step" "disk full" 4
	sweep_mounted files_for "$full" 1 "no inodes left"

	ctl "$m" "create existing=base.cim new=new.cim"
	fails_with "a full disk is told to who writes" "$full" \
		bash -c 'head -c 16M /dev/urandom >"$1"' sh "$m/writer/big"
	ok "the committed image can be read" diff -r --no-dereference "$tree" "$m/base.cim"
	ok "the writer can be closed" ctl "$m" close
	ok "which makes room again, and leaves nothing" as_before
	stop_cimfsd "$m"
fi
umount "$dir"

# ---- removing, on a file system that is full ----

# big_disk TYPE OPTION… - $dir is one on a disk in $ram, a file in memory
big_disk()
{
	have "mkfs.$1" || return
	new_dir
	truncate -s 300m "$ram/disk" &&
		"mkfs.$1" -q "${@:2}" "$ram/disk" >"$scratch/err" 2>&1 &&
		mount -o loop "$ram/disk" "$dir" 2>"$scratch/err" &&
		mkdir "$dir/images" && dir=$dir/images
}

end_disk()
{
	umount "${dir%/images}"
	rm -f "$ram"/*
}

# fill_up - so that not even a name, nor a block of a directory, can be added
fill_up()
{
	local i

	dd if=/dev/zero of="$dir/../filler" bs=64k status=none 2>"$scratch/err"
	dd if=/dev/zero of="$dir/../filler2" bs=1k status=none 2>"$scratch/err"
	for ((i = 0; i < 3000; i++)); do
		: 2>"$scratch/err" >"$dir/../filler-with-a-long-name-$i" || break
	done
	sync -f "$dir"
}

# gone - whether $dir has the images that are left, and no other file
gone()
{
	only_images "$dir" "$@" && "$CIMFS" fsck -q --data "$dir"
}

# remove_on TYPE - delete and gc need no room; or if they do, all is as it was
remove_on()
{
	local type=$1

	"$CIMFS" import -q "$dir" base.cim "$tree"
	"$CIMFS" import -q --from=base.cim "$dir" fork.cim "$more"
	"$CIMFS" import -q "$dir" other.cim "$more"
	echo x >"$dir/region_01234567-89ab-cdef-0123-456789abcdef_0"
	echo x >"$dir/.cimfs-image"
	fill_up
	fails_with "$type: it is full" "$full" "$CIMFS" import -q "$dir" new.cim "$tree"
	ok "$type: gc removes what nobody needs" "$CIMFS" gc "$dir"
	ok "$type: and nothing else" gone base.cim fork.cim other.cim
	ok "$type: a base is deleted, and its fork keeps what it needs" "$CIMFS" delete "$dir/base.cim"
	ok "$type: as it should" is_whole fork.cim "$wanted/fork.cim"
	ok "$type: images are deleted, which makes room" "$CIMFS" delete "$dir/other.cim" "$dir/fork.cim"
	ok "$type: nothing of them stays" gone
	rm -f "$dir"/../filler*
	sync -f "$dir"
	ok "$type: the next image is made" "$CIMFS" import -q "$dir" new.cim "$tree"
	ok "$type: and is alone" gone new.cim
}

ram=$tmp/ram
mkdir "$ram"
mount -t tmpfs -o size=400m cimfs-test "$ram"
for type in ext4 xfs btrfs; do
	if big_disk "$type"; then
		remove_on "$type"
		end_disk
	else
		skip "$type" "it cannot be made or mounted: $(tail -n 1 "$scratch/err")"
	fi
done

# ---- a disk that loses what it was given ----

# Data of a file that is changed waits in a file that is never synced.  Its blocks are written when
# the kernel likes, and here fail: the disk is sparse, and what it lies in is full.
#
# lose_on TYPE ASKS - whether somebody asks by fsync before the commit
lose_on()
{
	local type=$1 asks=$2 told

	"$CIMFS" import -q "$dir" base.cim "$tree"
	start_cimfsd "$dir" "$m" || return
	remember
	ctl "$m" "create existing=base.cim new=new.cim"
	head -c 3000000 /dev/urandom >"$m/writer/big" # stored when it is closed
	head -c 20000000 /dev/urandom >"$tmp/want"
	sync -f "$dir"
	dd if=/dev/zero of="$ram/filler" bs=64k status=none 2>"$scratch/err"
	dd if="$tmp/want" of="$m/writer/big" bs=1M conv=notrunc status=none # from now on waits
	if $asks; then
		told="Input/output error|$full"
		like "$type: lost data is told by fsync" "$(sync "$m/writer/big" 2>&1)" "$told"
		like "$type: and again" "$(sync "$m/writer/big" 2>&1)" "$told"
	fi
	sync -f "$dir" 2>"$scratch/err"
	rm "$ram/filler"
	forget_caches
	if cmp -s "$tmp/want" "$m/writer/big"; then
		skip "$type: lost data is not committed" "nothing was lost"
	else
		fails_with "$type: lost data is not committed" "Input/output error" ctl "$m" commit
		like "$type: the reason is said" "$(result "$m")" \
			"^0x8007045d ERROR_IO_DEVICE data of the image's files .* is lost: "
		fails_with "$type: nor when it is tried again" "Stale" ctl "$m" commit
	fi
	ok "$type: the writer is closed" ctl "$m" close
	ok "$type: the others are as they were" as_before
	stop_cimfsd "$m"
}

# Where data can be lost while the file system lives: ext4 would go with its journal.
for how in "ext2 false" "ext2 true" "xfs false"; do
	type=${how% *}
	if ! $have_fuse || [ ! -w /proc/sys/vm/drop_caches ]; then
		skip "$type: lost data is not committed" "/dev/fuse or drop_caches cannot be used"
	elif big_disk "$type"; then
		lose_on "$type" "${how#* }"
		end_disk
	else
		skip "$type: lost data is not committed" \
			"it cannot be made or mounted: $(tail -n 1 "$scratch/err")"
	fi
done

plan
