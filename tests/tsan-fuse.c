/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the kernel orders on /dev/fuse: an answer comes before all that it makes its receiver ask.
 *
 * For builds with ThreadSanitizer alone, which link this before libfuse.  A handle of the control
 * file is opened, written to and released by requests that threads of the daemon take in turn;
 * nobody can ask for the next before the last was answered, but the sanitizer does not see that.
 */
#include "config.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#define FUSE_MAJOR 10
#define FUSE_MINOR 229

ssize_t __interceptor_read(int fd, void *buf, size_t size);
ssize_t __interceptor_writev(int fd, const struct iovec *iov, int n);
void __tsan_acquire(void *at);
void __tsan_release(void *at);

static char order; /* its address */

static int is_fuse(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) &&
	       st.st_rdev == makedev(FUSE_MAJOR, FUSE_MINOR);
}

__attribute__((visibility("default"))) ssize_t read(int fd, void *buf, size_t size)
{
	ssize_t n = __interceptor_read(fd, buf, size);

	if (n > 0 && is_fuse(fd))
		__tsan_acquire(&order);
	return n;
}

__attribute__((visibility("default"))) ssize_t writev(int fd, const struct iovec *iov, int n)
{
	if (is_fuse(fd))
		__tsan_release(&order);
	return __interceptor_writev(fd, iov, n);
}
