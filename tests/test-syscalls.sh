#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The tests that see the core's system calls see all of them: whatever the core calls in another
# library is wrapped (tests/syscalls.wrap), or is known here not to matter to a directory of images.
set -u

. "${top_srcdir:=.}/tests/lib.sh"

: "${NM:=nm}"
core=$top_builddir/.libs/libcimcore.a
[ -e "$core" ] || skip_all "there is no $core"

# Memory, text, numbers, threads; who we are; a mapping's end, and advice on it.
harmless='
	__ctype_b_loc __ctype_tolower_loc __ctype_toupper_loc __errno_location __isoc99_sscanf __stack_chk_fail __tls_get_addr abort free
	getegid geteuid getgid getuid gmtime_r localtime_r
	__popcountdi2 bsearch memchr memcmp memcpy memmove memrchr memset qsort snprintf sprintf strcasecmp strcat strchr strcmp strcpy strcspn
	strlen strncasecmp strncmp strnlen strrchr strspn strstr strtol strtoul strtoull vsnprintf
	pthread_once
	closedir madvise munmap rewinddir sigaction sigemptyset signal sysconf'
# /proc/locks, to tell who holds a lock.
harmless="$harmless fclose fgets fopen fopen64"
# Which file system it is: where that cannot be told it is one that can do less.
harmless="$harmless fstatfs fstatfs64"
# Of the checker of images, which only reads.
harmless="$harmless fstatat fstatat64 posix_fadvise posix_fadvise64"
# GLib does no I/O in functions with other names than these; the one is of /proc.
glib_io='^g_(file_|dir_|open|fopen|creat|unlink|remove|rename|rmdir|mkdir|stat|lstat|access|spawn)'
harmless="$harmless g_file_get_contents"

# shellcheck disable=SC2086
$NM -u "$core" | awk '$1 == "U" { print $2 }' | sort -u >"$scratch/called"
# shellcheck disable=SC2086
$NM --defined-only "$core" | awk 'NF == 3 { print $3 }' | sort -u >"$scratch/own"
sed -n 's/^--wrap=//p' "$top_srcdir/tests/syscalls.wrap" | sort -u >"$scratch/wrapped"
# shellcheck disable=SC2086
printf '%s\n' $harmless | sort -u >"$scratch/harmless"

# Sanitizers and coverage bring calls of their own; with one, GLib's locks are here (tsan-glib.c).
sort -u "$scratch/own" "$scratch/wrapped" "$scratch/harmless" | comm -23 "$scratch/called" - |
	grep -Ev '^(__(asan|ubsan|tsan|sanitizer|gcov)_|pthread_(mutex|cond|condattr)_|_GLOBAL_OFFSET_TABLE_|EVP_|SHA)' |
	grep -E "^[^g]|^g[^_]|$glib_io" >"$scratch/unknown"
is "every call of the core is wrapped or known" "$(tr '\n' ' ' <"$scratch/unknown")" ""
ok "that was a list of the core's calls" grep -qx fsync "$scratch/called"

plan
