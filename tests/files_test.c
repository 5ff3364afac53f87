/* Input files are mapped, output files appear whole or not at all. */
#include <sys/stat.h>
#include <unistd.h>

#include "tests/test.h"

static char *in_tmp(WqArena *a, const char *name) { return wq_sprintf(a, "%s/%s", test_dir(), name); }

static int entries(const char *dir)
{
	char cmd[256];
	snprintf(cmd, sizeof cmd, "ls -A '%s' | wc -l", dir);
	FILE *p = popen(cmd, "r");
	int n = -1;
	if (!p)
		return -1;
	if (fscanf(p, "%d", &n) != 1)
		n = -1;
	pclose(p);
	return n;
}

TEST(a_file_appears_whole_or_not_at_all)
{
	WqArena *a = wq_arena_new(), *b = wq_arena_new();
	const char *path = in_tmp(b, "out");
	WqFileOut *f = wq_file_create(a, path);
	wq_file_write(f, "hello", 5);
	CHECK(access(path, F_OK) != 0);
	wq_arena_free(a); /* dropped */
	CHECK_EQ(entries(test_dir()), 0);

	a = wq_arena_new();
	f = wq_file_create(a, path);
	char *big = wq_alloc(a, 200000);
	memset(big, 'x', 200000);
	wq_file_write(f, "hello", 5);
	wq_file_write(f, big, 200000);
	wq_file_write(f, "end", 3);
	wq_file_commit(f);
	wq_arena_free(a);
	CHECK_EQ(entries(test_dir()), 1);
	WqMapped m = wq_file_map(b, path);
	CHECK_EQ(m.n, 200008);
	CHECK(!memcmp(m.p, "hellox", 6) && !memcmp(m.p + 200005, "end", 3));
	wq_arena_free(b);
}

TEST(links_and_permissions_stay)
{
	WqArena *a = wq_arena_new();
	char *real = in_tmp(a, "real"), *link = in_tmp(a, "link");
	struct stat st;
	WqFileOut *f = wq_file_create(a, real);
	wq_file_commit(f);
	CHECK(!chmod(real, 0600) && !symlink(real, link));
	f = wq_file_create(a, link);
	wq_file_write(f, "new", 3);
	wq_file_commit(f);
	CHECK(!lstat(link, &st) && S_ISLNK(st.st_mode));
	CHECK(!stat(real, &st) && st.st_size == 3 && (st.st_mode & 0777) == 0600);
	wq_arena_free(a);
}

TEST(what_cannot_be_opened)
{
	WqArena *a = wq_arena_new();
	CHECK_ERROR(WQ_EINPUT, "No such file", wq_file_map(a, "/nonexistent/x"));
	CHECK_ERROR(WQ_EINPUT, "directory", wq_file_map(a, test_dir()));
	CHECK_ERROR(WQ_EINPUT, "cannot create", wq_file_create(a, "/nonexistent/x"));
	wq_file_commit(wq_file_create(a, in_tmp(a, "empty")));
	CHECK_EQ(wq_file_map(a, in_tmp(a, "empty")).n, 0);
	wq_arena_free(a);
}

TEST_MAIN(TEST_RUN(a_file_appears_whole_or_not_at_all)
	  TEST_RUN(links_and_permissions_stay)
	  TEST_RUN(what_cannot_be_opened))
