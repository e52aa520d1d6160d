/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One digest of a whole tree: equal trees have equal digests, however they were made and stored.
 *
 * The digest is the SHA-256 of the text "cimtree1\n" and the records of all names, which follow the
 * tree: a directory's record, then those of what is in it, by name, then its end.  Numbers are
 * little-endian; a *string* is a u32 length and the bytes; names are compared as bytes, unsigned.
 *
 *	u8      'n'                 a name
 *	string  the name            empty for the root of the walk
 *	u8      type                'd' directory, 'f' file, 'l' symlink, 'p' FIFO, 's' socket,
 *	                            'c' character device, 'b' block device;
 *	                            'h' a file that has been met under another name
 *
 * of 'h' then, and nothing else:
 *
 *	u64     where               its record: 0 is the first of the walk, the root
 *
 * of all others:
 *
 *	u32     mode                permissions, set-ID and sticky bits: 07777
 *	u32     owner, u32 group
 *	u64     modification time   100 ns since 1601-01-01 UTC
 *	'l':    string target       'c', 'b': u32 major, u32 minor       'f': content
 *	u32     number of extended attributes, and for each by name:
 *	          string name, content
 *	'd':    the records of what is in it, and a u8 'e'
 *
 * A *content* is u64 size and 32 bytes, the SHA-256 of its blocks of 65536 bytes (the last may be
 * shorter), those that are all zeros run by run:
 *
 *	u8 'z', u64 number of blocks     or     u8 'b', the bytes of the block
 *
 * Extended attributes are all that the image has, under their Linux names, whether they are stored
 * as EAs or as streams, of any size.  A file without Linux' metadata has owner and group 0, and
 * 0777 less 022 as permissions.
 *
 * With Windows' metadata the text is "cimtree1w\n", and behind its extended attributes each file
 * has also
 *
 *	u32     flags of the file entry
 *	u64     creation, u64 change, u64 last access time
 *	string  security descriptor, string reparse buffer
 *	u32     number of the other EAs, and for each in stored order: u8 flags, string name, string
 * value
 */
#ifndef CIM_TREEHASH_H
#define CIM_TREEHASH_H

#include "objects.h"

struct cim_tree_hash_options {
	bool windows; /* also what only Windows sees */
	/* NULL, or called now and then; a negative errno ends the work and is returned. */
	int (*progress)(void *arg, uint64_t n_files, uint64_t n_bytes);
	void *arg;
};

/**
 * cim_tree_hash - the digest of a tree of an image
 * @root_id: where it begins: any file; img->fs.root_id for all of the image
 * @opt: NULL: the defaults
 *
 * Reads all data, contents that several files share once where it can remember them.  Memory: 11 to
 * 21 bytes a file, and the names of the directories from the root to where it is.
 *
 * Returns 0; -CIM_ECORRUPT (anything of the tree is damaged: there is no digest of a part); -EIO;
 * -ENOMEM; what @opt->progress returned.
 */
int cim_tree_hash(const struct cim_image *img, uint32_t root_id,
		  const struct cim_tree_hash_options *opt, uint8_t ret[CIM_SHA256_SIZE]);

#endif
