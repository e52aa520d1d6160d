/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cimfsd - mount a directory of images, or one image.
 *
 * This file is the program: options, mounting, becoming a daemon, and taking everything down again
 * in the opposite order.  The source is opened before anything is mounted, because the mount point
 * may be the source itself, and is never opened by its path again.
 */
#include "config.h"

#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon.h"
#include "error.h"
#include "log.h"
#include "loop.h"
#include "mounts.h"
#include "ops.h"
#include "util.h"
#include "view-options.h"

#define EXIT_USAGE 2

/* Two that serve, and a third, because a commit may occupy one for long. */
#define MAX_THREADS 3

struct options {
	int foreground, debug, single, help, version;
	struct cim_view_options view;
	bool shared; /* allow_other */
	bool unsafe; /* suid or dev */
	char *source, *mountpoint;
};

enum { KEY_DISCARD = FUSE_OPT_KEY_DISCARD, KEY_SHARED = 1, KEY_UNSAFE };

#define OPTION(t, p)                              \
	{                                         \
		t, offsetof(struct options, p), 1 \
	}

static const struct fuse_opt option_list[] = {
	OPTION("-f", foreground), OPTION("-d", debug), OPTION("debug", debug), OPTION("-s", single),
	OPTION("-h", help), OPTION("--help", help), OPTION("-V", version),
	OPTION("--version", version), FUSE_OPT_KEY("allow_other", KEY_SHARED),
	FUSE_OPT_KEY("suid", KEY_UNSAFE), FUSE_OPT_KEY("dev", KEY_UNSAFE),
	/* Of fstab, and meant for others. */
	FUSE_OPT_KEY("defaults", KEY_DISCARD), FUSE_OPT_KEY("auto", KEY_DISCARD),
	FUSE_OPT_KEY("noauto", KEY_DISCARD), FUSE_OPT_KEY("user", KEY_DISCARD),
	FUSE_OPT_KEY("user=", KEY_DISCARD), FUSE_OPT_KEY("nouser", KEY_DISCARD),
	FUSE_OPT_KEY("users", KEY_DISCARD), FUSE_OPT_KEY("nofail", KEY_DISCARD),
	FUSE_OPT_KEY("_netdev", KEY_DISCARD), FUSE_OPT_KEY("comment=", KEY_DISCARD), FUSE_OPT_END
};

static void print_usage(void)
{
	printf("usage: cimfsd [options] DIR [MOUNTPOINT]\n"
	       "       cimfsd [options] DIR/NAME MOUNTPOINT\n"
	       "\n"
	       "Mounts the directory of images DIR at MOUNTPOINT, or over itself; or one image of it,\n"
	       "read-only.  Unmount with: fusermount3 -u MOUNTPOINT\n"
	       "\n"
	       "    -f                  stay in the foreground\n"
	       "    -d                  the same, and print every request\n"
	       "    -s                  serve one request at a time\n"
	       "    -h, --help          this text\n"
	       "    -V, --version       the version\n"
	       "    -o allow_other      let other users in; permissions are checked then\n"
	       "    -o auto_unmount     unmount also when the daemon is killed\n"
	       "\n"
	       "How files are shown, above all those from Windows:\n"
	       "    -o uid=N,gid=N      owner of files that come without one\n"
	       "    -o forceuid,forcegid  ... and of all others\n"
	       "    -o umask=M          permissions taken from files without a mode (octal; 022)\n"
	       "    -o fmask=M,dmask=M  the same, of files and of directories\n"
	       "    -o nometadata       as if no file had an owner and a mode of Linux\n"
	       "    -o ignore_case      find a name in another case if it is not there in this one\n"
	       "    -o hide_hid_files   do not list hidden files\n"
	       "    -o windows_names    refuse new names that Windows forbids\n"
	       "    -o streams_interface=HOW\n"
	       "                        alternate data streams: xattr (user.S), windows (FILE:S),\n"
	       "                        openxattr (S), none\n"
	       "    -o abslinks=HOW     links to a drive of Windows: root (of the image), raw\n"
	       "    -o symlinkroot=DIR  ... lead to DIR/c for C:\n"
	       "    -o list_ntfs_xattrs  list the attributes system.ntfs_*, not only answer them\n"
	       "    -o dosattrib        answer user.DOSATTRIB, as Samba and Wine want it\n"
	       "    -o special_files=wsl  devices and pipes are made as WSL does, as always\n");
}

/* ---- options ---- */

static int take_word(struct options *o, const char *word)
{
	char **place = !o->source ? &o->source : !o->mountpoint ? &o->mountpoint : NULL;

	if (!place) {
		cim_log(LOG_ERR, "\"%s\" is one argument too many", word);
		return -1;
	}
	*place = g_strdup(word);
	return 0;
}

/* Returns 1 to leave an option to libfuse, 0 when it is dealt with, -1 when it is wrong. */
static int take_option(void *data, const char *arg, int key, struct fuse_args *args)
{
	struct options *o = data;
	int r;

	switch (key) {
	case FUSE_OPT_KEY_NONOPT:
		return take_word(o, arg);
	case KEY_SHARED:
		o->shared = true;
		return 1;
	case KEY_UNSAFE:
		o->unsafe = true;
		/* mount.fuse3 gives these as root by itself, so they are no reason to fail. */
		cim_log(LOG_INFO, "option \"%s\" is not supported; mounting with no%s", arg, arg);
		return 0;
	case FUSE_OPT_KEY_OPT:
		if (g_str_has_prefix(arg, "x-"))
			return 0;
		if (arg[0] == '-') {
			cim_log(LOG_ERR, "option \"%s\" is unknown", arg);
			return -1;
		}
		r = cim_view_options_take(&o->view, arg);
		return r <= 0 ? r : 1; /* the last word is fuse_session_new()'s */
	default:
		return 1;
	}
}

/* Whether the command line can be worked with; it has been said if not. */
static bool parse_options(struct fuse_args *args, struct options *o)
{
	if (fuse_opt_parse(args, o, option_list, take_option) < 0)
		return false;
	if (o->help || o->version)
		return true;
	if (!o->source) {
		cim_log(LOG_ERR, "what to mount is missing");
		return false;
	}
	if (o->debug)
		o->foreground = 1;
	cim_view_options_end(&o->view);
	return true;
}

/* ---- what is mounted, and where ---- */

static int refuse_own_mount(const char *path, dev_t dev)
{
	if (!cim_mounts_is_ours(dev))
		return 0;
	return cim_fail(EBUSY,
			"\"%s\" is in a mount of cimfsd already; unmount that first, or name the "
			"directory behind it",
			path);
}

/* The image mount: one image, open as long as the mount is there. */
static int open_image(struct cim_daemon *d, const char *path)
{
	g_autofree char *dir = g_path_get_dirname(path), *name = g_path_get_basename(path);
	int r = cim_store_open(AT_FDCWD, dir, &d->store);

	if (r < 0)
		return r;
	r = cim_slots_open_image(&d->slots, d->store, name, &d->view, &d->only);
	if (r == -ENOENT)
		return cim_fail(EINVAL, "\"%s\" is no image", path);
	return r;
}

/* A mount point that the caller has made, of which only the descriptor is known to us. */
static bool is_passed_on(const char *mountpoint)
{
	return g_str_has_prefix(mountpoint, "/dev/fd/");
}

static int open_source(struct cim_daemon *d, struct options *o)
{
	struct stat st;
	int r;

	/* To look at it would be to wait for ourselves. */
	if (o->mountpoint && is_passed_on(o->mountpoint) && cim_mounts_is_point(o->source))
		return cim_fail(EBUSY,
				"\"%s\" is mounted over itself, before its images could be opened; "
				"with drop_privileges it takes another mount point",
				o->source);
	r = cim_mounts_clear_dead(o->source);
	if (r < 0)
		return r;
	if (stat(o->source, &st) < 0)
		return cim_fail(errno, "\"%s\": %s", o->source, g_strerror(errno));
	r = refuse_own_mount(o->source, st.st_dev);
	if (r < 0)
		return r;
	if (S_ISDIR(st.st_mode))
		return cim_store_open(AT_FDCWD, o->source, &d->store);
	return open_image(d, o->source);
}

static int check_mountpoint(struct cim_daemon *d, const struct options *o)
{
	struct stat st;

	if (is_passed_on(o->mountpoint) && o->unsafe)
		return cim_fail(EPERM,
				"it has been mounted without nosuid and nodev, which is not safe; "
				"unmount it, and mount with -o nosuid,nodev");
	if (is_passed_on(o->mountpoint))
		return 0;
	int r = cim_mounts_clear_dead(o->mountpoint);
	if (r < 0)
		return r;
	if (stat(o->mountpoint, &st) < 0)
		return cim_fail(errno, "mount point \"%s\": %s", o->mountpoint, g_strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return cim_fail(ENOTDIR, "mount point \"%s\" is no directory", o->mountpoint);
	d->mountpoint = cim_mounts_resolve(o->mountpoint);
	return 0;
}

/* What the kernel and `mount` are told.  Later options win over the caller's. */
static int add_mount_options(struct fuse_args *args, const struct cim_daemon *d,
			     const struct options *o)
{
	g_autofree char *source = cim_mounts_resolve(o->source);
	char *list = NULL, *name = g_strconcat("fsname=", source ? source : o->source, NULL);
	int r = fuse_opt_add_opt_escaped(&list, name);

	if (r == 0)
		r = fuse_opt_add_opt(&list, "subtype=cimfsd");
	if (r == 0)
		r = fuse_opt_add_opt(&list, "nosuid,nodev");
	if (r == 0 && o->shared)
		r = fuse_opt_add_opt(&list, "default_permissions");
	if (r == 0 && d->only)
		r = fuse_opt_add_opt(&list, "ro");
	if (r == 0)
		r = fuse_opt_add_arg(args, "-o");
	if (r == 0)
		r = fuse_opt_add_arg(args, list);
	if (r == 0 && o->debug)
		r = fuse_opt_add_arg(args, "-d");
	free(list);
	g_free(name);
	return r;
}

/* libfuse has said what went wrong; this says what to do about it. */
static void explain_mount_failure(void)
{
	g_autofree char *helper = g_find_program_in_path("fusermount3");

	if (access("/dev/fuse", F_OK) < 0)
		cim_log(LOG_ERR,
			"there is no /dev/fuse: load the kernel module with \"modprobe fuse\", or "
			"give the container the device");
	else if (access("/dev/fuse", R_OK | W_OK) < 0)
		cim_log(LOG_ERR, "/dev/fuse cannot be opened (%s): ask for permission to use it",
			g_strerror(errno));
	else if (geteuid() != 0 && !helper)
		cim_log(LOG_ERR,
			"fusermount3, which mounts for ordinary users, was not found: install the "
			"package fuse3");
	else if (geteuid() == 0)
		cim_log(LOG_ERR, "the kernel refused the mount; \"dmesg\" may know more");
}

/* ---- the daemon's life ---- */

/* Descriptors 0 to 2 must not become files of ours, which a stray message would be written to. */
static void open_standard_fds(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		(void)close(fd);
}

/* An image has a descriptor or two, a writer a few; there may be thousands of images. */
static void raise_fd_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* Serves a mounted session to its end; returns the exit status. */
static int serve(struct cim_daemon *d, const struct options *o)
{
	if (fuse_daemonize(o->foreground) < 0)
		return EXIT_FAILURE;
	if (!o->foreground)
		cim_log_to_syslog();
	/* From here on there are threads, and a lock that is taken stays with this process. */
	if (fuse_set_signal_handlers(d->fuse) < 0)
		return EXIT_FAILURE;
	/* A file-size limit is an error of a write, not the end of all images. */
	(void)signal(SIGXFSZ, SIG_IGN);
	cim_log(LOG_INFO, "serving \"%s\"", o->source);
	int r = cim_loop(d->fuse, d->threaded ? MAX_THREADS : 1);
	if (r < 0)
		cim_log(LOG_ERR, "cannot go on serving \"%s\": %s", o->source, g_strerror(-r));
	fuse_remove_signal_handlers(d->fuse);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int mount_and_serve(struct cim_daemon *d, struct fuse_args *args, const struct options *o)
{
	if (add_mount_options(args, d, o) < 0)
		return EXIT_FAILURE;
	d->fuse = fuse_session_new(args, &cim_ops, sizeof(cim_ops), d);
	if (!d->fuse)
		return EXIT_USAGE; /* an unknown option, which libfuse has named */
	int status = EXIT_FAILURE;
	/* By the absolute path: it is unmounted from "/", where a daemon goes. */
	if (fuse_session_mount(d->fuse, d->mountpoint ? d->mountpoint : o->mountpoint) == 0) {
		status = serve(d, o);
		fuse_session_unmount(d->fuse);
	} else {
		explain_mount_failure();
	}
	fuse_session_destroy(d->fuse);
	return status;
}

static int run(struct cim_daemon *d, struct fuse_args *args, struct options *o)
{
	int r = open_source(d, o);

	if (r == 0 && !o->mountpoint) {
		if (d->only) {
			cim_log(LOG_ERR, "\"%s\" is an image, which needs a MOUNTPOINT", o->source);
			return EXIT_USAGE;
		}
		o->mountpoint = g_strdup(o->source);
	}
	if (r == 0)
		r = check_mountpoint(d, o);
	if (r < 0) {
		cim_log(LOG_ERR, "%s", *cim_reason() ? cim_reason() : g_strerror(-r));
		return EXIT_FAILURE;
	}
	return mount_and_serve(d, args, o);
}

static void init(struct cim_daemon *d, const struct options *o)
{
	d->view = o->view.view;
	d->shared = o->shared;
	d->threaded = !o->single;
	g_mutex_init(&d->told);
	g_mutex_init(&d->lock);
	cim_slots_init(&d->slots);
	cim_sessions_init(&d->sessions);
	cim_listings_init(&d->listings);
}

static void clear(struct cim_daemon *d)
{
	cim_sessions_clear(&d->sessions);
	cim_listings_clear(&d->listings);
	cim_slots_clear(&d->slots);
	g_mutex_clear(&d->lock);
	g_mutex_clear(&d->told);
	g_free(d->last_request);
	g_free(d->last_result);
	g_free(d->mountpoint);
	cim_store_unref(d->store);
}

int main(int argc, char **argv)
{
	struct fuse_args args = FUSE_ARGS_INIT(argc, argv);
	struct options o = { 0 };
	struct cim_daemon d = { 0 };
	int status = EXIT_SUCCESS;

	open_standard_fds();
	cim_log_open(LOG_NOTICE);
	cim_view_options_init(&o.view);
	bool usable = parse_options(&args, &o);
	if (o.foreground)
		cim_log_open(o.debug ? LOG_DEBUG : LOG_INFO);
	if (!usable) {
		fprintf(stderr, "Try: cimfsd --help\n");
		status = EXIT_USAGE;
	} else if (o.help) {
		print_usage();
	} else if (o.version) {
		printf("cimfsd %s, libfuse %s\n", PACKAGE_VERSION, fuse_pkgversion());
	} else {
		raise_fd_limit();
		init(&d, &o);
		status = run(&d, &args, &o);
		clear(&d);
	}
	cim_view_options_clear(&o.view);
	g_free(o.source);
	g_free(o.mountpoint);
	fuse_opt_free_args(&args);
	return status;
}
