/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * make-winimage DIR: write the images of winsample.h into a directory, for the shell tests.
 */
#include "config.h"

#include "winsample.h"

int main(int argc, char **argv)
{
	int dirfd = argc == 2 ? open(argv[1], O_DIRECTORY | O_RDONLY | O_CLOEXEC) : -1;

	if (dirfd < 0) {
		fprintf(stderr, "usage: make-winimage DIR\n");
		return 2;
	}
	for (size_t i = 0; i < WIN_LAYOUTS; i++)
		win_sample(dirfd, &win_layouts[i], (uint8_t)i);
	return 0;
}
