/* file.c: mapped input files, and output files that appear whole or not at all. */
#include "ir/base.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- input ---------------------------------------------------------------------------------------- */

static void unmap(void *p)
{
	WqMapped *m = p;
	if (m->n)
		munmap((void *)m->p, m->n);
}

/* Maps fd; NULL or what went wrong. */
static const char *map_fd(int fd, WqMapped *m)
{
	struct stat st;
	if (fstat(fd, &st))
		return strerror(errno);
	if (S_ISDIR(st.st_mode))
		return strerror(EISDIR);
	if (!S_ISREG(st.st_mode))
		return "not a regular file";
	m->p = (const uint8_t *)"";
	if (st.st_size == 0)
		return NULL;
	void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return strerror(errno);
	m->p = p;
	m->n = (size_t)st.st_size;
	return NULL;
}

WqMapped wq_file_map(WqArena *a, const char *path)
{
	WqMapped *m = WQ_NEW(a, WqMapped);
	wq_defer(a, unmap, m);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not hang us */
	if (fd < 0)
		wq_fail(WQ_EINPUT, "%s: %s", path, strerror(errno));
	const char *bad = map_fd(fd, m);
	close(fd);
	if (bad)
		wq_fail(WQ_EINPUT, "%s: %s", path, bad);
	return *m;
}

/* ---- output --------------------------------------------------------------------------------------- */

enum { BUF = 1 << 16 };

struct WqFileOut {
	const char *path; /* the final name, symbolic links resolved */
	char *real;       /* where path came from malloc */
	char *temp;       /* NULL: written in place (standard output, devices) */
	int fd;           /* -1 when closed */
	size_t n;
	uint8_t buf[BUF];
};

static void drop(void *p)
{
	WqFileOut *f = p;
	if (f->fd >= 0 && f->temp)
		unlink(f->temp);
	if (f->fd >= 0 && f->fd != STDOUT_FILENO)
		close(f->fd);
	free(f->real);
}

WQ_NORETURN static void fail_errno(const char *path, const char *verb)
{
	wq_fail(WQ_EINPUT, "%s: cannot %s: %s", path, verb, strerror(errno));
}

/* A temporary file beside the target, with the target's permissions if it exists. */
static void open_temp(WqArena *a, WqFileOut *f)
{
	static atomic_uint serial;
	struct stat st;
	for (int tries = 0; f->fd < 0; tries++) {
		char *temp = wq_sprintf(a, "%s.tmp%ld-%u", f->path, (long)getpid(), atomic_fetch_add(&serial, 1));
		f->fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		if (f->fd >= 0)
			f->temp = temp;
		else if (errno != EEXIST || tries == 100)
			fail_errno(f->path, "create");
	}
	if (!stat(f->path, &st) && fchmod(f->fd, st.st_mode & 0777))
		fail_errno(f->path, "set permissions of");
}

WqFileOut *wq_file_create(WqArena *a, const char *path)
{
	WqFileOut *f = WQ_NEW(a, WqFileOut);
	struct stat st;
	f->path = path;
	f->fd = -1;
	wq_defer(a, drop, f);
	if (!strcmp(path, "-")) {
		(void)fflush(stdout); /* what was printed comes first */
		f->fd = STDOUT_FILENO;
		return f;
	}
	f->real = realpath(path, NULL); /* renaming over a link would replace the link */
	f->path = f->real ? f->real : wq_strdup(a, path);
	if (!stat(f->path, &st) && !S_ISREG(st.st_mode)) {
		f->fd = open(f->path, O_WRONLY | O_CLOEXEC);
		if (f->fd < 0)
			fail_errno(path, "write");
		return f;
	}
	open_temp(a, f);
	return f;
}

static void write_all(WqFileOut *f, const uint8_t *p, size_t n)
{
	while (n) {
		ssize_t k = write(f->fd, p, n < 1u << 30 ? n : 1u << 30);
		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			fail_errno(f->path, "write");
		p += k;
		n -= (size_t)k;
	}
}

static void flush(WqFileOut *f)
{
	write_all(f, f->buf, f->n);
	f->n = 0;
}

void wq_file_write(WqFileOut *f, const void *p, size_t n)
{
	WQ_ASSERT(f->fd >= 0);
	if (f->n + n > BUF)
		flush(f);
	if (n >= BUF) {
		write_all(f, p, n);
	} else if (n) {
		memcpy(f->buf + f->n, p, n);
		f->n += n;
	}
}

void wq_file_commit(WqFileOut *f)
{
	WQ_ASSERT(f->fd >= 0);
	flush(f);
	bool bad = f->fd != STDOUT_FILENO && close(f->fd);
	f->fd = -1;
	if (f->temp && (bad || rename(f->temp, f->path))) {
		int e = errno;
		unlink(f->temp);
		errno = e;
		bad = true;
	}
	if (bad)
		fail_errno(f->path, "write");
}
