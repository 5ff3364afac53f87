/* frontend.h: ONNX files in and out. The protobuf headers stay inside this folder. */
#ifndef WQ_FRONTEND_H
#define WQ_FRONTEND_H

#include "frontend/onnx.pb-c.h"
#include "ir/ir.h"

/* ---- wire scan (wire.c) --------------------------------------------------------------------------------
 * Copies a message's structure and replaces tensor payloads (raw_data; packed float_data and double_data, which are the same
 * bytes) by a WireRef into the original buffer, so that weights are never copied. Bounds depth, lengths and the number of
 * messages before protobuf-c sees anything.
 */
typedef enum { WIRE_MODEL, WIRE_GRAPH, WIRE_NODE, WIRE_ATTR, WIRE_TENSOR, WIRE_SPARSE, WIRE_FUNCTION, WIRE_TRAINING,
	WIRE_TYPE, WIRE_VALUE_INFO, WIRE_SEQUENCE_PROTO, WIRE_MAP_PROTO, WIRE_OPTIONAL_PROTO, WIRE_LEAF } WireKind;

typedef struct WireRef { /* what raw_data holds after the scan: 16 bytes, little endian */
	uint64_t offset, length; /* into the scanned buffer */
} WireRef;

typedef struct WireSlim {
	uint8_t *p; /* in the arena */
	size_t n;
	uint64_t payload; /* bytes left where they are */
} WireSlim;

WireSlim wire_slim(WqArena *a, WireKind kind, const uint8_t *p, size_t n, const char *what);

/* ---- model (model.c) ------------------------------------------------------------------------------------ */

typedef struct OnnxModel {
	WqArena *arena;
	const char *path; /* "<memory>" if none */
	const char *dir;  /* external data is looked for here; NULL: none allowed */
	WqMapped file;
	Onnx__ModelProto *proto;
	WqMap *externals; /* location -> WqMapped * */
} OnnxModel;

OnnxModel *onnx_open(const char *path);
OnnxModel *onnx_open_memory(const void *p, size_t n, const char *dir); /* p outlives the model */
void onnx_close(OnnxModel *m);

/* A TensorProto's data as a view into the file (or, for varint fields, decoded into the arena a). Checks length against shape. */
WqTensor *onnx_tensor(OnnxModel *m, WqArena *a, const Onnx__TensorProto *t);

/* The graph inputs that are no initializers, in order (inputs.c): names, kinds and element types; shapes are not told. */
int onnx_inputs(const OnnxModel *m, WqArena *a, const char *const **names, const WqType **types);

/* ---- import (import.c): model -> core IR ----------------------------------------------------------------- */

typedef struct ImportDim { /* --dim name=value, --dim name<=value */
	const char *name;
	int64_t value;
	bool bound_only;
} ImportDim;

typedef struct ImportOptions {
	int n_dims;
	const ImportDim *dims;
	/* Types known better than the file says (of actual inputs): by graph input; kind WQ_TENSOR rank -1 dtype 0 where not. NULL: none. */
	int n_types;
	const char *const *type_names;
	const WqType *types;
	/* Inputs given as constants (check --const-inputs). */
	int n_consts;
	const char *const *const_names;
	const WqTensor *consts;
	/* Becomes WqModule.fold (the engine's wq_engine_fold; a pointer, since frontend does not know the engine). NULL: no folding. */
	bool (*fold)(WqNode *n, WqTensor **out);
} ImportOptions;

/* The module's constants are views into m, which must outlive it. Fails with the list of everything unsupported. */
WqModule *onnx_import(OnnxModel *m, const ImportOptions *o);

/* ---- tensor files (tensor_io.c, npy.c, zip.c) --------------------------------------------------------------- */

/* A value read from a file: a tensor, or a sequence/optional of them (from .pb only). */
typedef struct WqFileValue {
	const char *name; /* from the file, or NULL */
	WqType type;      /* kind; dtype and dims for a tensor */
	WqTensor *t;      /* kind WQ_TENSOR */
	int n;            /* sequences: elements; optionals: 0 or 1 */
	struct WqFileValue *elems;
} WqFileValue;

/* .pb (TensorProto, SequenceProto or OptionalProto by want->kind; want may be NULL: tensor), .npy; data may be a view of the mapped file. */
WqFileValue *wq_value_read(WqArena *a, const char *path, const WqType *want);
/* All members of an .npz. */
WqFileValue *wq_npz_read(WqArena *a, const char *path, int *n);
void wq_npy_write(WqArena *a, const char *path, const WqTensor *t);
void wq_npz_write(WqArena *a, const char *path, int n, const char *const *names, const WqTensor *const *t);
void wq_pb_write(WqArena *a, const char *path, const char *name, const WqTensor *t);
/* The parsers behind, over memory (fuzzed). */
WqTensor *wq_npy_parse(WqArena *a, const uint8_t *p, size_t n, const char *what);
WqFileValue *wq_npz_parse(WqArena *a, const uint8_t *p, size_t n, const char *what, int *count);

#endif
