#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Hostile images through a mount: some of the corpus (test-corpus), some of the mutator's, and region
# files that are cut off or replaced while they are mounted.  Programs get errors or what was there;
# the daemon answers to the end, and ends well.
set -u

. "${top_srcdir:=.}/tests/lib.sh"
need_fuse
corpus=$top_builddir/tests/test-corpus
mutate=$top_builddir/tests/mutate

# look_around DIR - what people do with files they do not know; only a hang is a failure
look_around()
{
	local status=0

	# shellcheck disable=SC2016
	timeout -k 5 "$LIMIT" bash -c '
		cd -- "$1" || exit
		find . -maxdepth 8 -ls | head -n 2000
		find . -maxdepth 8 -type f -print0 | head -z -n 300 |
			xargs -0r -n 1 head -c 70000
		ls -lR . | head -n 2000
		find . -maxdepth 8 -print0 | head -z -n 300 | xargs -0r getfattr -d -m -
		stat -L ./*/link ./*/absolute
		true' look "$1" >"$scratch/looked" 2>&1 || status=$?
	[ "$status" -ne 124 ] && [ "$status" -ne 137 ]
}

# through_mount DESC DIR - one check: a daemon shows it, and lives
through_mount()
{
	new_dir
	if ! start_cimfsd "$2" "$dir"; then
		fail "$1: it is mounted"
	elif ! look_around "$dir"; then
		fail "$1: nothing hangs"
		kill_cimfsd "$dir"
	elif ! answers "$dir" || ! grep -q '^writer: none$' "$dir/control"; then
		fail "$1: the daemon answers"
	elif stop_cimfsd "$dir"; then
		pass "$1: it is looked at"
	else
		fail "$1: the daemon ends well"
	fi
}

# ---- the corpus ----

step=$(rounds 14 1)
n=0
while read -r name; do
	n=$((n + 1))
	case $name in
	*-deep | *-names-of-one-file)
		continue # they are about numbers, and take a while
		;;
	*loop*) ;;
	*)
		[ $((n % step)) -eq 0 ] || continue
		;;
	esac
	new_dir; d=$dir
	if "$corpus" --make "$name" "$d" >"$scratch/made" 2>&1; then
		through_mount "$name" "$d"
	else
		fail "$name is made" "$(cat "$scratch/made")"
	fi
done < <("$corpus" --list)

# ---- the mutator ----

seed=${CIMFS_SEED:-1}
diag "seed $seed"
for ((i = 0; i < $(rounds 10 500); i++)); do
	new_dir; d=$dir
	if CIMFS_SEED=$seed "$mutate" --case="$i" --keep="$d" 2>"$scratch/made"; then
		through_mount "mutated directory $i" "$d"
	else
		fail "mutated directory $i is made" "$(cat "$scratch/made")"
	fi
done

# ---- region files that change under a mount ----

tree=$tmp/tree
mkdir -p "$tree/dir"
head -c 200000 /dev/urandom >"$tree/large"
head -c 9000 /dev/urandom >"$tree/large2"
echo small >"$tree/small"
echo in >"$tree/dir/in"

# mount_tree - sets $d to a directory with the image of $tree, mounts it at $m, and opens the image
mount_tree()
{
	new_dir; d=$dir
	new_dir; m=$dir
	"$CIMFS" import -q "$d" a.cim "$tree" && start_cimfsd "$d" "$m" && stat "$m/a.cim" >"$scratch/out"
}

# still_lives DESC - the daemon answers and ends with success
still_lives()
{
	if answers "$m" && grep -q '^writer: none$' "$m/control" && stop_cimfsd "$m"; then
		pass "$1"
	else
		fail "$1"
	fi
}

eio='Input/output error'

mount_tree
truncate -s 100000 "$d"/region_*_1 # inside a page: its rest reads as zeros, without a signal
fails_with "data that is cut off inside a page is an error" "$eio" cat "$m/a.cim/large"
same "a file whose data is elsewhere can be read" "$m/a.cim/small" "$tree/small"
still_lives "the daemon lives on without its data"

mount_tree
truncate -s 44 "$d"/region_*_2 # inside the last page
fails_with "small data that is cut off inside the last page is an error" "$eio" \
	sh -c "cat '$m/a.cim/small' && cat '$m/a.cim/dir/in'"
still_lives "the daemon lives on without some small data"

mount_tree
truncate -s 0 "$d"/region_*_2
fails_with "small data that is gone is an error" "$eio" cat "$m/a.cim/small"
same "a large file can be read" "$m/a.cim/large" "$tree/large"
still_lives "the daemon lives on without small files"

mount_tree
truncate -s 0 "$d"/region_*
if ls -lR "$m/a.cim" >"$scratch/listed" 2>&1; then
	fail "metadata that is gone is an error" "$(cat "$scratch/listed")"
else
	pass "metadata that is gone is an error"
fi
still_lives "the daemon lives on without anything"

mount_tree
ls "$m/a.cim" >"$scratch/listed" # it is open
for file in "$d"/region_*; do
	head -c 50000 /dev/urandom >"$file.new"
	mv "$file.new" "$file"
done
same "a file whose region file was replaced is what it was" "$m/a.cim/large" "$tree/large"
same "and so is a small one" "$m/a.cim/dir/in" "$tree/dir/in"
still_lives "the daemon lives on with what was replaced"

mount_tree
ls "$m/a.cim" >"$scratch/listed"
echo junk >"$d/a.cim.new"
mv "$d/a.cim.new" "$d/a.cim"
ok "an image that was replaced by something else is gone" sh -c "! ls '$m/a.cim'"
still_lives "the daemon lives on without its image"

plan
