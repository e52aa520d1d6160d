# SPDX-License-Identifier: LGPL-2.1-or-later
# What the shell tests share: TAP, one line a check, and a directory that goes when they end.
# To be sourced, by bash.  A test ends with plan, which tells how many checks there were.

checks=0
failures=0

# A directory of the test's own; it is removed at the end.
tmp=$(mktemp -d "${TMPDIR:-/tmp}/cimfs-test-XXXXXX")
trap 'rm -rf -- "$tmp"' EXIT

# ok DESCRIPTION COMMAND… - passes when the command does; what it prints is the diagnosis when not
ok()
{
	local description=$1 output status=0

	shift
	checks=$((checks + 1))
	output=$("$@" 2>&1 | tail -n 50; exit "${PIPESTATUS[0]}") || status=$?
	if [ "$status" -eq 0 ]; then
		echo "ok $checks - $description"
	else
		failures=$((failures + 1))
		echo "not ok $checks - $description"
		printf '# exit status %s of: %s\n' "$status" "$*"
		[ -z "$output" ] || printf '%s\n' "$output" | sed 's/^/#   /'
	fi
}

# skip DESCRIPTION REASON - a check that cannot be made here
skip()
{
	checks=$((checks + 1))
	echo "ok $checks - $1 # SKIP $2"
}

# plan - the end: how many checks there were, and the exit status
plan()
{
	echo "1..$checks"
	[ "$failures" -eq 0 ]
	exit
}
