#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Whatever fails under the cimfs tool: each system call that a command makes, the tool's own and
# those of the libraries, fails once.  Either the command says so, and ends with 1, or it does all
# that it should; the images that were there are whole, and the next writer finds nothing in its way.
set -u

. "${top_srcdir:=.}/tests/lib.sh"
have strace || skip_all "there is no strace"
strace -qq -o "$scratch/trace" true 2>"$scratch/err" || skip_all "strace cannot trace: $(cat "$scratch/err")"

# Built for coverage, a program writes what it has run when it ends, by such calls: what fails there
# takes the place of all that others have written.
export GCOV_PREFIX=$scratch/profile

# What fails; not memory, of which GLib's programs have enough or end.
calls=openat,open,read,pread64,write,pwrite64,fstat,newfstatat,statx,getdents64,lseek,fallocate
calls=$calls,ftruncate,fsync,fdatasync,linkat,renameat,renameat2,unlink,unlinkat,flock,copy_file_range
calls=$calls,sync_file_range,faccessat,faccessat2,readlink,readlinkat,close,memfd_create,clone,clone3
calls=$calls,listxattr,llistxattr,flistxattr,getxattr,lgetxattr,fgetxattr,getrandom
every=$(rounds 12 1) # one call in so many is tried

# ---- what images are made of, and the images that each command finds ----

tree=$tmp/tree
more=$tmp/more
mkdir -p "$tree/etc" "$tree/empty" "$more/etc"
echo welcome >"$tree/etc/motd"
head -c 60000 /dev/urandom >"$tree/large"
ln "$tree/etc/motd" "$tree/etc/issue"
ln -s ../etc/motd "$tree/link"
setfattr -n user.name -v value "$tree/large" 2>"$scratch/err"
echo changed >"$more/etc/motd"
truncate -s 200000 "$more/holes"
head -c 1200000 /dev/urandom >>"$more/holes"
tar -C "$more" -czf "$tmp/more.tar.gz" .

new_dir
had=$dir
"$CIMFS" import -q "$had" base.cim "$tree"
"$CIMFS" import -q --from=base.cim "$had" fork.cim "$more"
echo garbage >"$had/region_01234567-89ab-cdef-0123-456789abcdef_0"
echo garbage >"$had/.cimfs-scratch-0123"
work=$tmp/work

# fresh - $work is a directory like $had; region files do not change, so they can be the same
fresh()
{
	rm -rf "$work"
	cp -al "$had" "$work"
}

# state - the images of $work with their digests
state()
{
	local image

	for image in "$work"/*.cim; do
		[ ! -e "$image" ] || echo "${image##*/} $("$CIMFS" hash "$image" 2>&1 | cut -d ' ' -f 1)"
	done
}

# is_usable - a writer has nothing in its way, and the directory is whole when it has been there
is_usable()
{
	local images

	"$CIMFS" gc "$work" >"$scratch/gc" 2>&1 && images=$(cd "$work" && echo *.cim) &&
		"$CIMFS" fsck -q --data "$work" >>"$scratch/gc" 2>&1 &&
		{ [ "$images" = "*.cim" ] || eval "only_images \"\$work\" $images"; } >>"$scratch/gc" 2>&1
}

# ---- faults ----

# count_calls CMD… - a line for each system call: its name, and the number of its first and its last
# one since the program has begun; each thread counts its own, as strace does
count_calls()
{
	strace -f -qq -o "$scratch/trace" "$@" >"$scratch/want.out" 2>"$scratch/want.err" || return
	awk -v calls="$calls" '
		BEGIN { n = split(calls, list, ","); for (i = 1; i <= n; i++) known[list[i]] = 1 }
		/SIGXFSZ/ && !began { began = 1; for (c in last) first[c] = last[c]; next }
		match($2, /^[a-z0-9_]+\(/) {
			c = substr($2, 1, RLENGTH - 1)
			if (c in known && ++count[$1, c] > last[c])
				last[c] = count[$1, c]
		}
		END { for (c in last) if (last[c] > first[c]) print c, first[c] + 1, last[c] }
	' "$scratch/trace" | sort
}

# judge STATUS HOW CALL - what is wrong with what a command has left; nothing: all is well
judge()
{
	local status=$1 now

	now=$(state)
	if [ "$2" = kill ] && [ "$status" -eq 137 ]; then
		status=1
	elif [ "$status" -gt 2 ]; then
		echo "exit status $status"
	elif [ "$status" -ne 0 ] && [ "$3" != write ] && ! grep -aq '^cimfs: ' "$scratch/err" &&
		! { [ -n "$findings" ] && ! cmp -s "$scratch/got.out" "$scratch/want.out"; }; then
		echo "exit status $status, and nobody was told"
	fi
	if [ "$status" -eq 0 ] && [ "$now" != "$after" ]; then
		echo "exit status 0, and the images are not what they should be: $now"
	elif [ "$status" -eq 0 ] && ! cmp -s "$scratch/got.out" "$scratch/want.out"; then
		echo "exit status 0, and not all was printed: $(diff -a "$scratch/want.out" "$scratch/got.out" | head -n 3)"
	elif [ "$now" != "$before" ] && [ "$now" != "$after" ]; then
		echo "exit status $status, images: $now"
	fi
	[ "$now" = "$before" ] && [ -z "$changes" ] || is_usable ||
		echo "not usable: $(tail -n 3 "$scratch/gc")"
}

# fail_one HOW CALL N CMD… - with its Nth call failing
fail_one()
{
	local how=$1 call=$2 n=$3 status=0 inject=error=$1 wrong

	shift 3
	[ "$how" != kill ] || inject=signal=KILL
	[ -z "$changes" ] || fresh
	# The shell has a word for each that is killed.
	{ timeout -k 5 60 strace -f -qq -o /dev/null -e trace="$call" \
		-e inject="$call:$inject:when=$n" "$@" >"$scratch/got.out" 2>"$scratch/err" </dev/null ||
		status=$?; } 2>"$scratch/killed"
	n_faults=$((n_faults + 1))
	[ "$status" -ne 0 ] || n_unharmed=$((n_unharmed + 1))
	wrong=$(judge "$status" "$how" "$call" 2>&1)
	[ -n "$wrong" ] || return 0
	n_bad=$((n_bad + 1))
	[ "$n_bad" -gt 5 ] || diag "$call $n, $how: $wrong" "$(head -n 3 "$scratch/err")"
}

# ways CALL - how it may fail
ways()
{
	case $1 in
	write | pwrite64 | fallocate | ftruncate | openat | linkat | memfd_create) rounds ENOSPC "ENOSPC EIO" ;;
	clone | clone3) echo EAGAIN ;;
	*) echo EIO ;;
	esac
	[ -z "$changes" ] || rounds "" kill
}

# sweep DESC CHANGES CMD… - CHANGES: empty for a command that only reads
sweep()
{
	local desc=$1 changes=$2 before after call first last n how

	shift 2
	n_faults=0 n_bad=0 n_unharmed=0
	fresh
	before=$(state)
	count_calls "$@" >"$scratch/calls" || {
		fail "$desc" "$(cat "$scratch/want.err")"
		return
	}
	after=$(state)
	while read -r call first last; do
		for ((n = first + RANDOM % every; n <= last; n += every)); do
			for how in $(ways "$call"); do
				fail_one "$how" "$call" "$n" "$@"
			done
		done
	done <"$scratch/calls"
	is "$desc: a failure is told, and leaves old or new" "$n_bad" 0
	diag "$desc: $n_faults faults, $n_unharmed did no harm"
	total=$((total + n_faults))
}

: "${CIMFS_SEED:=$((RANDOM * 32768 + RANDOM))}"
RANDOM=$CIMFS_SEED
diag "CIMFS_SEED=$CIMFS_SEED"
total=0
findings=
w=$work
sweep "import" yes "$CIMFS" import -q "$w" new.cim "$tree"
sweep "import of a fork" yes "$CIMFS" import -q --from=base.cim "$w" new.cim "$more"
sweep "import over an image" yes "$CIMFS" import -q --from=fork.cim "$w" fork.cim "$tree"
sweep "consistent import" yes "$CIMFS" import -q --consistent "$w" new.cim "$more"
sweep "import of a tar" yes "$CIMFS" import -q "--tar=$tmp/more.tar.gz" "$w" new.cim
sweep "delete" yes "$CIMFS" delete "$w/base.cim"
sweep "delete of a fork" yes "$CIMFS" delete "$w/fork.cim"
sweep "gc" yes "$CIMFS" gc "$w"
sweep "export" "" "$CIMFS" export -q "$w/fork.cim"
findings=yes # what fsck cannot read is a finding, and printed
sweep "fsck" "" "$CIMFS" fsck --data "$w"
sweep "fsck of an image" "" "$CIMFS" fsck --data "$w/fork.cim"
findings=
sweep "hash" "" "$CIMFS" hash "$w/fork.cim"
sweep "ls" "" "$CIMFS" ls -lnR "$w/fork.cim"
sweep "stat" "" "$CIMFS" stat "$w/fork.cim" holes
sweep "cat" "" "$CIMFS" cat "$w/fork.cim" holes
sweep "info" "" "$CIMFS" info "$w"
diag "$total faults"
plan
