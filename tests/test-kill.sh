#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A daemon that is killed at any moment, with a half-filled writer or in the middle of a commit:
# every committed image is as it was, a commit has happened or has not, the next start clears the
# mount, and the next writer leaves nothing of the dead one behind.
#
# CIMFS_SEED repeats the choices of an earlier run, though not its timing.
set -u

. "${top_srcdir:=.}/tests/lib.sh"
need_fuse

rounds=$(rounds 10 200)
RANDOM=${CIMFS_SEED:=$(($$ % 32768))}
diag "$rounds rounds, CIMFS_SEED=$CIMFS_SEED"

new_dir; d=$dir
new_dir; m=$dir

# Two trees, so that it can be told which of them an image holds.
for name in old new; do
	mkdir "$tmp/$name"
	for ((i = 0; i < 150; i++)); do
		mkdir -p "$tmp/$name/$((i % 7))"
		head -c $((i * 397)) /dev/urandom >"$tmp/$name/$((i % 7))/$i"
	done
done
"$CIMFS" import -q "$d" base.cim "$tmp/old"
digests "$tmp/old" >"$scratch/old"
digests "$tmp/new" >"$scratch/new"
images=(base.cim)

# holds IMAGE TREE - whether the image consists of the tree, as it was
holds()
{
	digests "$m/$1" >"$scratch/got"
	cmp -s "$scratch/got" "$scratch/$2"
}

# is_either IMAGE TREE [TREE] - which one does not matter, but it is whole
is_either()
{
	holds "$1" "$2" || { [ -n "$3" ] && holds "$1" "$3"; }
}

# A moment between now and so many milliseconds.
moment()
{
	local ms=$((RANDOM % $1))

	sleep "$((ms / 1000)).$(printf %03d $((ms % 1000)))"
}

fill_writer()
{
	rm -rf "$m"/writer/* && cp -a "$tmp/new/." "$m/writer/"
}

# one_round NUMBER - open a writer, and kill the daemon while it is filled or committed
one_round()
{
	local kind=$((RANDOM % 3)) request name busy

	case $kind in
	0) name=new-$1.cim request="create new=$name" ;;
	1) name=fork-$1.cim request="create existing=base.cim new=$name" ;;
	2) name=base.cim request="create existing=base.cim" ;;
	esac
	start_cimfsd "$d" "$m" || return
	desc="$request, killed"
	committing=
	ctl "$m" "$request" || return
	if [ $((RANDOM % 2)) -eq 0 ]; then
		desc="$desc while it is filled"
		fill_writer >"$scratch/out" 2>&1 &
		busy=$!
		moment 150
	else
		desc="$desc while it is committed"
		fill_writer || return
		committing=yes
		ctl "$m" commit >"$scratch/out" 2>&1 &
		busy=$!
		moment 60
	fi
	kill_cimfsd "$m"
	wait "$busy" 2>"$scratch/err"
	killed=$name
}

n_dead=0
n_committed=0
# which of the trees base.cim is
base_is=old
for ((n = 1; n <= rounds; n++)); do
	desc="round $n"
	killed=
	one_round "$n"
	is "$desc" "$killed" "${killed:-a killed daemon}"
	timeout 10 stat "$m/control" >"$scratch/out" 2>&1 || n_dead=$((n_dead + 1))

	ok "$n: the next start clears the dead mount" start_cimfsd "$d" "$m"
	if [ "$killed" != base.cim ]; then
		ok "$n: the base is untouched" holds base.cim "$base_is"
		if [ -e "$m/$killed" ] && [ -n "$committing" ]; then
			images+=("$killed")
			n_committed=$((n_committed + 1))
			ok "$n: the image that was committed is whole" holds "$killed" new
		fi
	else
		ok "$n: the base is as it was, or committed as a whole" \
			is_either base.cim "$base_is" "${committing:+new}"
		if holds base.cim new && [ -n "$committing" ]; then
			base_is=new
		fi
	fi
	is "$n: the mount lists the committed images" "$(cd "$m" && echo *)" \
		"$(printf '%s\n' control "${images[@]}" | sort | tr '\n' ' ' | sed 's/ $//')"
	ok "$n: the next writer opens" ctl "$m" "create new=next.cim"
	ok "$n: and closes" ctl "$m" close
	ok "$n: nothing is in the directory but the files of images" only_images "$d" "${images[@]}"
	stop_cimfsd "$m"
done
diag "$n_committed of the new images were committed before the daemon was killed"
is "each killed daemon left a dead mount" "$n_dead" "$rounds"

start_cimfsd "$d" "$m"
wrong=
for name in "${images[@]}"; do
	tree=new
	[ "$name" != base.cim ] || tree=$base_is
	holds "$name" "$tree" || wrong="$wrong $name"
done
is "in the end all ${#images[@]} images are as they were committed" "$wrong" ""
for name in "${images[@]}"; do
	ctl "$m" "delete $name" || wrong="$wrong $name"
done
is "and can be deleted" "$wrong" ""
ok "and then the directory is empty" only_images "$d"
stop_cimfsd "$m"

plan
