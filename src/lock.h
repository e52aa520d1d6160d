/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The single-writer rule: one writer per image containing directory, whoever opens it.
 *
 * The lock is flock(LOCK_EX | LOCK_NB) on the directory itself, through an open file
 * description made for this writer alone, and it is released by closing it and in no other way:
 *
 * - flock belongs to the open file description.  Two opens in one process exclude each other
 *   (which is wanted: a second create in the same daemon is refused), a fork shares it.  So it
 *   is taken after daemonising, O_CLOEXEC keeps it from programs that are run, and LOCK_UN,
 *   which would unlock for all sharers, is never called.
 * - POSIX locks (F_SETLK) vanish when any descriptor of the file closes; they are not used.
 * - Only EWOULDBLOCK means "held".  File systems without flock (some network ones) are refused.
 * - After locking, the directory must still have a name: a removed one is no place for images.
 * - All work goes through the locked descriptor, so a directory swapped in at the same path
 *   later is another directory with a lock of its own.
 *
 * Readers never lock: a committed file never changes under them.
 */
#ifndef CIM_LOCK_H
#define CIM_LOCK_H

/**
 * cim_lock - become the writer of a directory
 * @dirfd: the containing directory
 * @ret_fd: a new descriptor of it; the lock is held until it is closed
 *
 * Returns 0; -CIM_ELOCKED (another writer holds it; the reason names its process where the system
 * tells); -ENOTDIR (the directory was removed); -EOPNOTSUPP (no flock here); or what open(2) says.
 */
int cim_lock(int dirfd, int *ret_fd);

#endif
