/* runtime: writes the runtime's sources, which the program carries, into a directory. */
#include "cli/cli.h"
#include "cli/cross.h"

#include <errno.h>
#include <sys/stat.h>

static void write_file(WqArena *a, const char *dir, const char *name)
{
	size_t n;
	const char *p = cli_file(name, &n);
	WqFileOut *f = wq_file_create(a, wq_sprintf(a, "%s/%s", dir, strrchr(name, '/') + 1));
	wq_file_write(f, p, n);
	wq_file_commit(f);
}

int verb_runtime(int argc, char **argv)
{
	if (argc != 2 || argv[1][0] == '-')
		wq_fail(WQ_EINPUT, "runtime: which directory? One name is expected");
	WqArena *a = cli_arena();
	if (mkdir(argv[1], 0777) && errno != EEXIST)
		wq_fail(WQ_EINPUT, "%s cannot be made: %s", argv[1], strerror(errno));
	const char *name;
	for (int i = 0; (name = cli_file_name("runtime/", i)); i++)
		write_file(a, argv[1], name);
	write_file(a, argv[1], "include/wqrt.h");
	cli_arena_done(a);
	return WQ_OK;
}
