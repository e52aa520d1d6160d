# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# What the shell tests share: TAP, a directory of their own, and the daemon.
#
# To be sourced, by bash.  A test makes checks and ends with plan.  It works only below $tmp,
# which is new for each run; what it has started or mounted there goes with it, however it ends.

: "${top_srcdir:=.}" "${top_builddir:=.}" "${CC:=cc}"
: "${CIMFSD:=$top_builddir/cimfsd}" "${CIMFS:=$top_builddir/cimfs}"

# Messages and the order of names do not depend on who runs the test.
export LC_ALL=C TZ=UTC
unset CDPATH GREP_OPTIONS
umask 022

# rounds USUAL LONGER - how often something is tried: as usual, or in make check-long, which sets
# CIMFS_LONG
rounds()
{
	case ${CIMFS_LONG:-0} in
	0) echo "$1" ;;
	*) echo "$2" ;;
	esac
}

LIMIT=${CIMFS_TEST_LIMIT:-$(rounds 120 600)} # seconds of one command
# $tmp is the test's; beside it are the daemon's log and what a command last printed.
scratch=$(mktemp -d "${TMPDIR:-/tmp}/cimfs-test-XXXXXX") || exit 1
scratch=$(cd -- "$scratch" && pwd -P)
tmp=$scratch/tmp
mkdir "$tmp"
: >"$scratch/log"
chmod 711 "$scratch" # other users may have to pass through

n_checks=0
n_failed=0
n_dirs=0
n_logged=0 # lines of the log that a diagnosis has shown
declare -A daemon_of # mount point -> process

# ---- TAP ----

# as_diagnosis - of whatever bytes there are, lines that TAP takes for comments
as_diagnosis()
{
	tr -c '[:print:]\n\t' '?' | cut -c 1-400 | sed "s/^/# ${1-}/"
}

diag()
{
	printf '%s\n' "$@" | as_diagnosis
}

# skip_all REASON - there is nothing to test here
skip_all()
{
	echo "1..0 # SKIP $1"
	exit 0
}

# skip DESC REASON - one check that cannot be made here
skip()
{
	n_checks=$((n_checks + 1))
	echo "ok $n_checks - $1 # SKIP $2"
}

pass()
{
	n_checks=$((n_checks + 1))
	echo "ok $n_checks - $1"
}

# fail DESC [DIAGNOSIS…] - with what the daemons have said since the last failure
fail()
{
	n_checks=$((n_checks + 1))
	n_failed=$((n_failed + 1))
	echo "not ok $n_checks - $1"
	shift
	[ $# -eq 0 ] || diag "$@"
	tail -n "+$((n_logged + 1))" "$scratch/log" | tail -n 10 | as_diagnosis 'log: '
	n_logged=$(wc -l <"$scratch/log")
}

# limited CMD… - a program gets a time limit; a function sees to itself
limited()
{
	if [ "$(type -t -- "$1")" = file ]; then
		timeout -k 5 "$LIMIT" "$@"
	else
		"$@"
	fi
}

# ok DESC CMD… - the command succeeds
ok()
{
	local desc=$1 status=0

	shift
	limited "$@" >"$scratch/out" 2>&1 || status=$?
	if [ "$status" -eq 0 ]; then
		pass "$desc"
	else
		fail "$desc" "exit status $status of: $*" "$(tail -n 20 "$scratch/out")"
	fi
	return "$status"
}

# exits_with DESC STATUS CMD… - the command fails in this way
exits_with()
{
	local desc=$1 want=$2 status=0

	shift 2
	limited "$@" >"$scratch/out" 2>&1 || status=$?
	if [ "$status" -eq "$want" ]; then
		pass "$desc"
	else
		fail "$desc" "exit status $status, not $want, of: $*" "$(tail -n 20 "$scratch/out")"
	fi
}

# fails_with DESC TEXT CMD… - the command fails, and its message has the text of an errno
fails_with()
{
	local desc=$1 text=$2 status=0

	shift 2
	limited "$@" >"$scratch/out" 2>&1 || status=$?
	if [ "$status" -ne 0 ] && [ "$status" -ne 124 ] && grep -qF -- "$text" "$scratch/out"; then
		pass "$desc"
	else
		fail "$desc" "wanted \"$text\", got exit status $status of: $*" \
			"$(tail -n 20 "$scratch/out")"
	fi
}

# is DESC GOT WANT - two strings are equal
is()
{
	if [ "$2" = "$3" ]; then
		pass "$1"
	else
		fail "$1" "got:  $2" "want: $3"
	fi
}

# like DESC GOT REGEX - a line matches an extended regular expression
like()
{
	if grep -Eq -- "$3" <<<"$2"; then
		pass "$1"
	else
		fail "$1" "got:   $2" "want /$3/"
	fi
}

# same DESC FILE1 FILE2 - two files are equal
same()
{
	if cmp -s -- "$2" "$3"; then
		pass "$1"
	else
		fail "$1" "$(diff -a -- "$2" "$3" 2>&1 | head -n 20)"
	fi
}

# plan - the end: how many checks there were, and the exit status
plan()
{
	echo "1..$n_checks"
	[ "$n_failed" -eq 0 ]
	exit
}

# ---- what is needed ----

is_root()
{
	[ "$(id -u)" -eq 0 ]
}

have()
{
	command -v "$1" >"$scratch/have"
}

# sanitized - whether the programs are built with a sanitizer
sanitized()
{
	grep -qaE '__(asan|tsan)_init' "$CIMFSD"
}

# memory_ok DESC CMD… - a check of how much memory the daemon has; that of a sanitizer is not its own
memory_ok()
{
	if sanitized; then
		skip "$1" "built with a sanitizer"
	else
		ok "$@"
	fi
}

# need_fuse - skip the test as a whole where nothing can be mounted
need_fuse()
{
	[ -r /dev/fuse ] && [ -w /dev/fuse ] || skip_all "/dev/fuse cannot be used"
	have fusermount3 || skip_all "there is no fusermount3"
}

# ---- files ----

# new_dir - sets $dir to a new directory below $tmp
new_dir()
{
	n_dirs=$((n_dirs + 1))
	dir=$tmp/$n_dirs
	mkdir "$dir"
}

# sample_tree DIR - a system in small: a file with two names and a link to it, an empty directory,
# many small files, and one that is not; 300,000 bytes that do not repeat
sample_tree()
{
	local i

	mkdir -p "$1"/{etc,empty,usr/share/doc}
	echo welcome >"$1/etc/motd"
	ln "$1/etc/motd" "$1/etc/issue"
	ln -s ../etc/motd "$1/usr/motd"
	head -c 300000 /dev/urandom >"$1/usr/share/random"
	for i in {1..50}; do
		seq "$((i * 1000))" "$((i * 1000 + i * 20))" >"$1/usr/share/doc/$i"
	done
}

# digests DIR - a line for each regular file below it
digests()
{
	(cd -- "$1" && find . -type f -print0 | sort -z | xargs -0r sha256sum)
}

# image_files DIR NAME - the files of an image, by its header: itself and those of its region sets
image_files()
{
	local at guid i n p

	echo "$2"
	n=$(od -An -tu2 -j70 -N2 "$1/$2")
	for ((i = -1; i < n; i++)); do
		at=$((i < 0 ? 32 : 72 + 24 * i))
		p=$(od -An -tx1 -v -j$at -N16 "$1/$2" | tr -d ' \n')
		guid=${p:6:2}${p:4:2}${p:2:2}${p:0:2}-${p:10:2}${p:8:2}-${p:14:2}${p:12:2}
		guid=$guid-${p:16:4}-${p:20:12}
		printf '%s\n' {region,objectid}_"$guid"_{0,1,2}
	done
}

# only_images DIR NAME… - that the directory has the files of these images and no others
only_images()
{
	local where=$1 name

	shift
	for name; do
		image_files "$where" "$name"
	done | sort -u >"$scratch/files.want"
	find "$where" -mindepth 1 -printf '%P\n' | sort >"$scratch/files.got"
	diff "$scratch/files.want" "$scratch/files.got"
}

# forget_caches - let the kernel ask again, where it lets itself be told so
forget_caches()
{
	sync
	[ ! -w /proc/sys/vm/drop_caches ] || echo 3 >/proc/sys/vm/drop_caches
}

# ---- the daemon ----

# mounted MOUNTPOINT - whether a cimfsd is mounted there, dead or alive
mounted()
{
	awk -v point="$1" '
		$5 == point { type = $0; sub(/.* - /, "", type) }
		END { exit type !~ /^fuse\.cimfsd / }' /proc/self/mountinfo
}

# answers MOUNTPOINT - whether there is somebody behind it
answers()
{
	# Once more at the end: a dead mount may go between the two, and what is below it answers.
	mounted "$1" && timeout -k 1 10 stat "$1" >"$scratch/out" 2>&1 && mounted "$1"
}

# wait_for CMD… - until it succeeds, half a minute at most
wait_for()
{
	local i

	for ((i = 0; i < 1500; i++)); do
		"$@" && return 0
		sleep 0.02
	done
	return 1
}

is_up_or_over()
{
	answers "$1" || ! kill -0 "$2" 2>"$scratch/err"
}

# start_cimfsd [OPTION…] SOURCE [MOUNTPOINT] - in the foreground of a process of its own, which
# writes to $scratch/log; $daemon is its number.  Returns when the mount is there.
start_cimfsd()
{
	local point=${!#}

	"$CIMFSD" -f "$@" >>"$scratch/log" 2>&1 </dev/null &
	daemon=$!
	daemon_of[$point]=$daemon
	if wait_for is_up_or_over "$point" "$daemon" && answers "$point"; then
		return 0
	fi
	diag "cimfsd $* did not mount:" "$(tail -n 5 "$scratch/log")"
	return 1
}

# reap MOUNTPOINT - wait for its daemon to end; gives its exit status, 124 if it would not
reap()
{
	local pid=${daemon_of[$1]} i status=0

	unset "daemon_of[$1]"
	for ((i = 0; i < 1500; i++)); do
		kill -0 "$pid" 2>>"$scratch/err" || break
		sleep 0.02
	done
	if [ "$i" -eq 1500 ]; then
		kill -9 "$pid"
		status=124
	fi
	{ wait "$pid" || status=$((status ? status : $?)); } 2>"$scratch/err"
	return "$status"
}

# stop_cimfsd MOUNTPOINT - unmount, and wait until the daemon is gone
stop_cimfsd()
{
	timeout -k 1 20 fusermount3 -u -- "$1" && reap "$1"
}

# kill_cimfsd MOUNTPOINT - as a crash would; the dead mount stays
kill_cimfsd()
{
	kill -9 "${daemon_of[$1]}"
	reap "$1" 2>"$scratch/err"
	return 0
}

# ctl MOUNTPOINT REQUEST - write it to the control file; fails as the write does
ctl()
{
	# shellcheck disable=SC2016
	timeout -k 5 "$LIMIT" bash -c 'printf "%s\n" "$1" >"$2"' control "$2" "$1/control"
}

# result MOUNTPOINT - what the control file says of the last request
result()
{
	sed -n 's/^result: //p' "$1/control"
}

# ---- the end ----

clean_up()
{
	local status=$? pid point i

	[ "$BASHPID" -eq $$ ] || return # a child that got a signal before it was itself
	trap '' INT TERM
	for pid in $(jobs -p); do
		kill -9 "$pid" 2>>"$scratch/log"
	done
	cd /
	# Those mounted last are above the others.
	for ((i = 0; i < 3; i++)); do
		awk -v top="$scratch/" 'index($5, top) == 1 { print $5 }' /proc/self/mountinfo | sort -r |
			while read -r point; do
				fusermount3 -u -z -- "$point" 2>>"$scratch/log" ||
					umount -l -- "$point" 2>>"$scratch/log"
			done
	done
	# rm must not go into what would not be unmounted
	rm -rf --one-file-system -- "$scratch"
	exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
