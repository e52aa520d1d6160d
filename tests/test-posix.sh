#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# writer/ as a POSIX file system under random use: files by every way to write them, against a model;
# names, by several at a time.  Then what was there is committed, and the image must have it.
#
# The well-known suites are not part of this: docs/reliability.md says how to run them, and what of
# them passes.  CIMFS_SEED repeats a run.
set -u

. "${top_srcdir:=.}/tests/lib.sh"
need_fuse
exercise=$top_builddir/tests/exercise
seed=${CIMFS_SEED:-$$}
diag "CIMFS_SEED=$seed"

new_dir; d=$dir
new_dir; m=$dir
new_dir; model=$dir
start_cimfsd "$d" "$m" || exit 1

# listing DIR - names, types, modes, owners, links, sizes, times, targets, xattrs, contents
listing()
{
	(cd "$1" && find . \( -type d -printf '%P %y %m %U %G - - %T@\n' \) -o \
		-printf '%P %y %m %U %G %n %s %T@ %l\n' | sed 's/\(\.[0-9]\{7\}\)[0-9]*/\1/' | sort
	getfattr -Rhd -m - . 2>>"$scratch/err" | sort
	digests .)
}

# together CMD… - run it by several at once, with a number each; whether all succeed
together()
{
	local i busy=() status=0

	for i in 1 2 3 4; do
		"$@" "$i" >"$scratch/together.$i" 2>&1 &
		busy+=($!)
	done
	for i in "${!busy[@]}"; do
		wait "${busy[i]}" || status=$?
		cat "$scratch/together.$((i + 1))"
	done
	return "$status"
}

one_file()
{
	timeout "$LIMIT" "$exercise" file "$m/writer/file$1" "$model/$1" \
		"$((seed + 1000 * round + $1))" "$(rounds 1500 50000)"
}

one_tree()
{
	timeout "$LIMIT" "$exercise" tree "$m/writer/tree" \
		"$((seed + 1000 * round + 10 + $1))" "$(rounds 1500 50000)"
}

# An image, and forks of it in which the same files go on changing.
existing=
for ((round = 0; round < $(rounds 3 20); round++)); do
	ok "$round: a writer is opened" ctl "$m" "create $existing new=$round.cim"
	existing="existing=$round.cim"
	mkdir -p "$m/writer/tree"
	ok "$round: files are what was written to them" together one_file
	ok "$round: names and no fault among them" together one_tree
	listing "$m/writer" >"$scratch/want"
	ok "$round: it is committed" ctl "$m" commit
	forget_caches
	listing "$m/$round.cim" >"$scratch/got"
	same "$round: the image has what the writer had" "$scratch/got" "$scratch/want"
	for i in 1 2 3 4; do
		same "$round: and of file $i what was written" "$m/$round.cim/file$i" "$model/$i"
	done
	diag "$(wc -l <"$scratch/want") lines"
done
ok "all of it stays when it is mounted anew" stop_cimfsd "$m"
start_cimfsd "$d" "$m"
listing "$m/$((round - 1)).cim" >"$scratch/got"
same "the last image is as it was" "$scratch/got" "$scratch/want"
ok "fsck finds nothing" "$CIMFS" fsck --data "$d"
stop_cimfsd "$m"

plan
