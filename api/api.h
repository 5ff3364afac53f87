/* api.h: behind wqcc.h; the program reaches through it for what only it needs (run lists, progress). */
#ifndef WQ_API_H
#define WQ_API_H

#include "codegen/codegen.h"
#include "engine/engine.h"
#include "frontend/frontend.h"
#include "wqcc.h"

struct wqcc_model {
	WqArena *arena;
	OnnxModel *onnx; /* NULL: from the text form */
	WqModule *module;
	WqEngine *engine; /* made at the first evaluation, gone after passes */
	WqEngineOptions engine_options;
	WqEngineStat stat;
};

ImportDim api_parse_dim(WqArena *a, const char *s); /* "name=8" or "name<=8"; fails on anything else */

/* What a program in memory is called with, from the engine's values, which must stay: call.c. Buffers of outputs have the largest sizes
 * and go with the arena. */
typedef struct ApiCall {
	const WqModule *mod;
	const void **in;
	void **out;
	int64_t *in_dims, *out_dims;
	size_t *out_bytes;
} ApiCall;
ApiCall *api_call_new(const WqModule *m, WqRt *const *in, WqArena *a); /* m: as it was compiled */
int api_call_jit(const ApiCall *c, WqJit *j, int threads);             /* returns a WQRT code */
WqRt *api_call_result(const ApiCall *c, int i);                        /* a copy; a new reference */
const char *api_wqrt_text(int code);

/* Everything of `inspect` about a module: inspect.c */
void inspect_text(const wqcc_model *m, WqStr *out);
void inspect_json(const wqcc_model *m, WqStr *out);

/* JSON, written: json.c. Commas and nesting are its business. */
typedef struct Json {
	WqStr *out;
	int depth;
	bool first[32];
} Json;
void json_begin(Json *j, const char *key, char open); /* '{' or '['; key NULL inside arrays */
void json_end(Json *j, char close);
void json_str(Json *j, const char *key, const char *v);
void json_int(Json *j, const char *key, int64_t v);
void json_num(Json *j, const char *key, double v);
void json_bool(Json *j, const char *key, bool v);

#endif
