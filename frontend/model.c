/* model.c: opening a model. Its structure is unpacked into the model's arena, its weights stay in the mapped file. */
#include "frontend/frontend.h"

#include <limits.h>
#include <stdlib.h>

static char *dir_of(WqArena *a, const char *path)
{
	const char *slash = strrchr(path, '/');
	if (!slash)
		return wq_strdup(a, ".");
	return wq_strndup(a, path, slash == path ? 1 : (size_t)(slash - path));
}

/* What people hand over by mistake. */
static void check_magic(const OnnxModel *m)
{
	static const char lfs[] = "version https://git-lfs";
	if (m->file.n == 0)
		wq_fail(WQ_EINPUT, "%s: the file is empty", m->path);
	if (m->file.n >= sizeof lfs && !memcmp(m->file.p, lfs, sizeof lfs - 1))
		wq_fail(WQ_EINPUT,
			"%s: a Git LFS pointer, not a model: the file itself was not downloaded (git lfs pull)",
			m->path);
	if (m->file.n >= 8 && !memcmp(m->file.p + 4, "ORTM", 4))
		wq_fail(WQ_EINPUT, "%s: a model in ONNX Runtime's own format; convert it to ONNX first", m->path);
}

static void unpack(OnnxModel *m)
{
	check_magic(m);
	m->externals = wq_map_new(m->arena);
	m->proto = (Onnx__ModelProto *)wire_unpack(m->arena, &onnx__model_proto__descriptor, m->file.p, m->file.n,
						   m->path);
	if (!m->proto->graph)
		wq_fail(WQ_EINPUT, "%s: not an ONNX model: it has no graph", m->path);
}

static OnnxModel *open_file(WqArena *a, const char *path)
{
	OnnxModel *m = WQ_NEW(a, OnnxModel);
	m->arena = a;
	m->path = wq_strdup(a, path);
	m->file = wq_file_map(a, path);
	m->dir = dir_of(a, path);
	char real[PATH_MAX];
	if (realpath(path, real))
		m->real_dir = dir_of(a, real);
	unpack(m);
	return m;
}

static OnnxModel *open_memory(WqArena *a, const void *p, size_t n, const char *dir)
{
	OnnxModel *m = WQ_NEW(a, OnnxModel);
	m->arena = a;
	m->path = "<memory>";
	m->file = (WqMapped){ p, n };
	m->dir = dir ? wq_strdup(a, dir) : NULL;
	unpack(m);
	return m;
}

OnnxModel *onnx_open(const char *path)
{
	WqArena *a = wq_arena_new();
	WqTry t;
	if (WQ_TRY(&t)) {
		OnnxModel *m = open_file(a, path);
		wq_try_end(&t);
		return m;
	}
	wq_arena_free(a);
	wq_fail(t.err.code, "%s", t.err.text);
}

OnnxModel *onnx_open_memory(const void *p, size_t n, const char *dir)
{
	WqArena *a = wq_arena_new();
	WqTry t;
	if (WQ_TRY(&t)) {
		OnnxModel *m = open_memory(a, p, n, dir);
		wq_try_end(&t);
		return m;
	}
	wq_arena_free(a);
	wq_fail(t.err.code, "%s", t.err.text);
}

void onnx_close(OnnxModel *m)
{
	if (m)
		wq_arena_free(m->arena);
}
