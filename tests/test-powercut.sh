# SPDX-License-Identifier: LGPL-2.1-or-later
# Power cuts on real file systems: what the disk has at a random moment is mounted, its journal
# replayed, and the images in it are looked at.
#
# The file system under test lies in a file, behind a loop device, on an XFS that can clone files.
# A clone is made at one instant, and has what the file system had given to its disk until then: what
# a power cut leaves on a disk that keeps its write cache.  Writes that such a cache would lose or
# reorder are test-crash.c's.
#
# A writer makes, forks, replaces and deletes images, and says after each what the directory has. The
# images of a cut must be those of a moment between its last word before the clone and the operation
# that was under way when the clone was there.
#
# That these checks can fail is seen on a writer whose fsync does nothing.

. "${top_srcdir:=.}/tests/lib.sh"

is_root || skip_all "only root mounts file systems"
for tool in mkfs.ext4 mkfs.xfs mkfs.btrfs strace; do
	have "$tool" || skip_all "there is no $tool"
done

cuts=$(rounds 12 300)
unsafe_cuts=$(rounds 12 40)
: "${CIMFS_SEED:=$((RANDOM * 32768 + RANDOM))}"
RANDOM=$CIMFS_SEED
diag "$cuts cuts, CIMFS_SEED=$CIMFS_SEED"

said=$scratch/said     # the directory after each operation: "NAME=DIGEST …", a line each
stop=$scratch/stop     # it is time for the writer to end
disk=$tmp/outer/disk   # the file system under test
live=$tmp/live
cut=$tmp/cut

# The disk's file is in memory, so that the moments between two writes are short.
prepare_outer()
{
	mkdir "$tmp/ram" "$tmp/outer" "$live" "$cut"
	mount -t tmpfs -o size=4g none "$tmp/ram" &&
		truncate -s 3g "$tmp/ram/outer" &&
		mkfs.xfs -q -m reflink=1 "$tmp/ram/outer" &&
		mount -o loop "$tmp/ram/outer" "$tmp/outer" &&
		touch "$tmp/outer/a" && cp --reflink=always "$tmp/outer/a" "$tmp/outer/b"
}

make_disk()
{
	rm -f "$disk"
	truncate -s 400m "$disk"
	case $1 in
	ext4) mkfs.ext4 -q "$disk" ;;
	xfs) mkfs.xfs -q -f "$disk" ;;
	btrfs) mkfs.btrfs -q -f "$disk" ;;
	esac
}

# contents DIR - the images of a directory and their digests, in one line
contents()
{
	(cd -- "$1" && for image in *.cim; do
		[ -e "$image" ] || continue
		printf '%s=%s ' "$image" "$("$CIMFS" hash "$PWD/$image" | cut -d ' ' -f 1)"
	done)
	echo
}

# write_images DIR [PREFIX…] - one operation after the other, each followed by what is there then
write_images()
{
	local dir=$1 k tree=$scratch/tree

	shift
	mkdir -p "$tree/sub"
	for ((k = 0; ; k++)); do
		[ ! -e "$stop" ] || return 0
		head -c $((RANDOM % 60000)) /dev/urandom >"$tree/sub/data"
		echo "$k" >"$tree/file$((k % 7))"
		case $((k % 5)) in
		0) "$@" "$CIMFS" import -q "$dir" "i$k.cim" "$tree" ;;
		1) "$@" "$CIMFS" import -q --from="i$((k - 1)).cim" "$dir" "i$k.cim" "$tree" ;;
		2) "$@" "$CIMFS" import -q --from="i$((k - 1)).cim" "$dir" "i$((k - 1)).cim" "$tree" ;;
		3) "$@" "$CIMFS" delete "$dir/i$((k - 3)).cim" ;; # the base of the other
		4) [ "$k" -lt 5 ] || "$@" "$CIMFS" delete "$dir/i$((k - 8)).cim" ;;
		esac || return 1
		contents "$dir" >>"$said"
	done
}

n_said()
{
	wc -l <"$said"
}

# take_cuts N - clones of the disk while the writer works; "BEFORE AFTER" is beside each
take_cuts()
{
	local n before

	for ((n = 1; n <= $1; n++)); do
		sleep "0.0$((RANDOM % 90 + 10))"
		before=$(n_said)
		cp --reflink=always "$disk" "$tmp/outer/cut$n" || return 1
		echo "$before $(n_said)" >"$scratch/cut$n"
	done
}

# is_allowed STATE BEFORE AFTER - whether it is one of those lines, or of the operation after them
is_allowed()
{
	sed -n "$(($2 > 0 ? $2 : 1)),$(($3 + 1))p" "$said" >"$scratch/allowed"
	[ "$2" -gt 0 ] || echo >>"$scratch/allowed"
	grep -qxF -- "$1" "$scratch/allowed"
}

# check_cut N - 0 when what the cut left is whole and one of the states that it may be
check_cut()
{
	local before after state

	read -r before after <"$scratch/cut$1"
	mount -o loop "$tmp/outer/cut$1" "$cut" || return 1
	state=$(contents "$cut/images" 2>&1)
	if ! "$CIMFS" fsck -q -d "$cut/images" >"$scratch/fsck"; then
		diag "cut $1: $(cat "$scratch/fsck")"
		umount "$cut"
		return 1
	fi
	if ! is_allowed "$state" "$before" "$after"; then
		diag "cut $1 has $state" "and may have" "$(cat "$scratch/allowed")"
		umount "$cut"
		return 1
	fi
	# Nothing is to be repaired: the next writer just writes.
	"$CIMFS" import -q "$cut/images" next.cim "$scratch/tree" &&
		"$CIMFS" fsck -q "$cut/images" >"$scratch/fsck" &&
		[ "$(contents "$cut/images" | sed 's/next.cim=[^ ]* //')" = "$state" ]
	local status=$?
	umount "$cut"
	return "$status"
}

# cut_power FS N [PREFIX…] - sets $n_bad and $counted, or fails
cut_power()
{
	local fs=$1 n=$2 k writer

	shift 2
	make_disk "$fs" && mount -o loop "$disk" "$live" || return 1
	mkdir "$live/images"
	sync -f "$live"
	rm -f "$stop"
	: >"$said"
	write_images "$live/images" "$@" >>"$scratch/log" 2>&1 &
	writer=$!
	take_cuts "$n" || return 1
	touch "$stop"
	wait "$writer" || return 1
	umount "$live" || return 1
	n_bad=0
	for ((k = 1; k <= n; k++)); do
		# btrfs knows a disk by its ID, and all of these have the same.
		[ "$fs" != btrfs ] || btrfs device scan --forget >>"$scratch/log" 2>&1
		check_cut "$k" || n_bad=$((n_bad + 1))
		rm -f "$tmp/outer/cut$k"
	done
	counted="$fs: $n cuts in $(n_said) operations, $n_bad bad"
}

prepare_outer 2>"$scratch/out" ||
	skip_all "no file system that clones files: $(tail -n 1 "$scratch/out")"
for fs in ext4 xfs btrfs; do
	ok "power is cut on $fs" cut_power "$fs" "$cuts"
	is "each cut leaves whole images, and all that were committed ($fs)" "$n_bad" 0
	diag "$counted"
done

ok "power is cut under a writer whose fsync does nothing" cut_power ext4 "$unsafe_cuts" \
	strace -f -qq -o "$scratch/strace" -e trace=fsync,fdatasync,sync_file_range \
	-e inject=fsync,fdatasync,sync_file_range:retval=0
ok "which shows" test "$n_bad" -gt 0
plan
