/* wqcc.h: the library.
 *
 *   wqcc_error err;
 *   wqcc_model *m = wqcc_load_file("model.onnx", NULL, &err);      NULL on failure: err.message says why
 *   wqcc_run_passes(m, "clean", &err);
 *   wqcc_values *y = wqcc_evaluate(m, inputs, n, &err);
 *   ... wqcc_values_tensor(y, 0) ...
 *   wqcc_values_free(y);
 *   wqcc_free(m);
 *
 * Objects are independent of each other: different threads may use different models at once. One model is used by one thread
 * at a time. Nothing here exits or prints.
 */
#ifndef WQCC_H
#define WQCC_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define WQCC_API __attribute__((visibility("default")))
#else
#define WQCC_API
#endif

/* ---- errors ------------------------------------------------------------------------------------- */

enum { /* the program exits with the same numbers (a lack of memory with 1) */
	WQCC_OK = 0,
	WQCC_INPUT = 1,       /* the model, a tensor or an option is wrong */
	WQCC_UNSUPPORTED = 2, /* valid, but not handled: the message lists everything that is not */
	WQCC_BUDGET = 3,
	WQCC_CHECK = 4,
	WQCC_MEMORY = 5
};

typedef struct wqcc_error {
	int code;
	char message[8192];
} wqcc_error;

WQCC_API const char *wqcc_version(void);

/* ---- models ------------------------------------------------------------------------------------- */

typedef struct wqcc_model wqcc_model;

/* Zero is the default of every field. */
typedef struct wqcc_options {
	const char *const *dims; /* "batch=1" fixes a symbolic dimension, "seq<=2048" bounds it */
	int n_dims;
	int threads; /* of evaluation; 0: the machine's */
	int plain;   /* evaluate in plain C only: the definition, slow */
} wqcc_options;

/* The file is mapped, not read: it stays as it is until wqcc_free. External data is looked for beside it. */
WQCC_API wqcc_model *wqcc_load_file(const char *path, const wqcc_options *options, wqcc_error *err);
/* `data` must live until wqcc_free. External data is looked for in base_dir (NULL: refused). */
WQCC_API wqcc_model *wqcc_load_memory(const void *data, size_t size, const char *base_dir, const wqcc_options *options,
				      wqcc_error *err);
/* The text form, as wqcc_emit(WQCC_IR) writes it. */
WQCC_API wqcc_model *wqcc_load_ir(const char *path, const wqcc_options *options, wqcc_error *err);
WQCC_API void wqcc_free(wqcc_model *model); /* NULL is fine */

/* ---- inputs and outputs --------------------------------------------------------------------------- */

#define WQCC_MAX_RANK 16

typedef struct wqcc_port {
	const char *name;
	int dtype; /* ONNX TensorProto.DataType; 0 for sequences and optionals */
	int rank;  /* -1: not known */
	int64_t dim[WQCC_MAX_RANK]; /* -1: not a number */
	const char *type; /* as text: f32[N,3,224,224] */
} wqcc_port;

WQCC_API int wqcc_num_inputs(const wqcc_model *model);
WQCC_API int wqcc_num_outputs(const wqcc_model *model);
WQCC_API int wqcc_input(const wqcc_model *model, int index, wqcc_port *port); /* 0, or -1 if there is no such input */
WQCC_API int wqcc_output(const wqcc_model *model, int index, wqcc_port *port);

/* ---- passes ----------------------------------------------------------------------------------------- */

/* A pipeline such as "clean" or "fold,cse,dce". 0 on success. After a failure the model can only be freed. */
WQCC_API int wqcc_run_passes(wqcc_model *model, const char *pipeline, wqcc_error *err);

/* ---- evaluation ------------------------------------------------------------------------------------- */

typedef struct wqcc_tensor {
	const char *name; /* of the input; ignored if all names are NULL: then the order counts */
	int dtype;
	int rank;
	int64_t dim[WQCC_MAX_RANK];
	const void *data; /* row-major; types under 8 bits one element a byte */
	size_t bytes;
} wqcc_tensor;

typedef struct wqcc_values wqcc_values;

WQCC_API wqcc_values *wqcc_evaluate(wqcc_model *model, const wqcc_tensor *inputs, int n, wqcc_error *err);
WQCC_API int wqcc_values_count(const wqcc_values *values);
/* NULL if that output is no tensor. The memory belongs to `values`, which may outlive the model and the inputs. */
WQCC_API const wqcc_tensor *wqcc_values_tensor(const wqcc_values *values, int index);
WQCC_API void wqcc_values_free(wqcc_values *values);
/* Of the last evaluation: the most memory its tensors took, and what the largest set of live ones needs. */
WQCC_API void wqcc_memory(const wqcc_model *model, int64_t *peak_bytes, int64_t *live_bytes);

/* ---- output ------------------------------------------------------------------------------------------- */

enum { WQCC_IR, WQCC_ONNX };

/* Writes the model; "-" is standard output. The file appears complete or not at all. 0 on success. */
WQCC_API int wqcc_emit(wqcc_model *model, int what, const char *path, wqcc_error *err);

/* What is in the model: operators, parameters, work, weights. Text for people, or JSON. Free with wqcc_text_free. */
WQCC_API char *wqcc_inspect(wqcc_model *model, int json, wqcc_error *err);
WQCC_API void wqcc_text_free(char *text);

#ifdef __cplusplus
}
#endif
#endif
