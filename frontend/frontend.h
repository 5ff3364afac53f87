/* frontend.h: ONNX files in and out. The protobuf headers stay inside this folder. */
#ifndef WQ_FRONTEND_H
#define WQ_FRONTEND_H

#include "frontend/onnx.pb-c.h"
#include "ir/ir.h"

/* ---- wire format (wire.c) ------------------------------------------------------------------------------
 * A field at a time over memory, every length checked against its message. An error names what and the offset.
 */
typedef struct WireField {
	uint32_t id;
	int type;          /* 0 varint, 1 eight bytes, 2 length and bytes, 5 four bytes */
	size_t start;      /* of the tag */
	size_t at, end;    /* the value: [at, end) of the buffer; without the length */
	uint64_t value;    /* types 0, 1, 5 */
} WireField;

typedef struct WireScan { /* a message inside of a buffer */
	const uint8_t *p;
	size_t at, end;
	const char *what;
} WireScan;

bool wire_next(WireScan *s, WireField *f); /* false at the end */
WQ_NORETURN void wire_fail(const WireScan *s, size_t at, const char *fmt, ...) WQ_PRINTF(3, 4);

/* What raw_data holds in every TensorProto that wire_unpack returns: where the payload stands. Packed float_data and
 * double_data are the same bytes and become one as well, where they are one piece and the only data. */
typedef struct WireRef {
	uint64_t offset, length; /* into the scanned buffer */
	uint64_t field;          /* 4, 9 or 10 */
} WireRef;

/* Checks a message (depth, lengths, wire types, what it will take in memory), leaves tensor payloads out, and lets
 * protobuf-c unpack the rest into the arena. */
ProtobufCMessage *wire_unpack(WqArena *a, const ProtobufCMessageDescriptor *kind, const uint8_t *p, size_t n,
			      const char *what);

/* ---- model (model.c, data.c) ---------------------------------------------------------------------------- */

typedef struct OnnxModel {
	WqArena *arena;
	const char *path; /* "<memory>" if none */
	const char *dir;  /* external data is looked for here; NULL: none allowed */
	const char *real_dir; /* where the model stands after symbolic links; external data may stand there as well */
	WqMapped file;
	Onnx__ModelProto *proto;
	WqMap *externals; /* location -> WqMapped * */
} OnnxModel;

OnnxModel *onnx_open(const char *path);
OnnxModel *onnx_open_memory(const void *p, size_t n, const char *dir); /* p outlives the model */
void onnx_close(OnnxModel *m);

/* A TensorProto's data as a view into the file (or, for varint fields, decoded into the arena a). Checks length against
 * shape. Types under 8 bits come packed; a bool is 0 or 1. */
WqTensor *onnx_tensor(OnnxModel *m, WqArena *a, const Onnx__TensorProto *t);
/* The dense tensor, unpacked. */
WqTensor *onnx_sparse_tensor(OnnxModel *m, WqArena *a, const Onnx__SparseTensorProto *t);

/* The graph inputs that are no initializers, in order (inputs.c): names, kinds and element types; shapes are not told.
 */
int onnx_inputs(const OnnxModel *m, WqArena *a, const char *const **names, const WqType **types);

/* Where a tensor with external data has them. */
typedef struct OnnxExternal {
	const char *location;
	uint64_t offset, length; /* UINT64_MAX: not given */
} OnnxExternal;
OnnxExternal onnx_external(OnnxModel *m, const Onnx__TensorProto *t);

/* ---- import (import.c): model -> core IR ----------------------------------------------------------------- */

typedef struct ImportDim { /* --dim name=value, --dim name<=value */
	const char *name;
	int64_t value;
	bool bound_only;
} ImportDim;

typedef struct ImportOptions {
	int n_dims;
	const ImportDim *dims;
	/* Types known better than the file says (of actual inputs): by graph input; kind WQ_TENSOR rank -1 dtype 0
	 * where not. NULL: none. */
	int n_types;
	const char *const *type_names;
	const WqType *types;
	/* Inputs given as constants (check --const-inputs). */
	int n_consts;
	const char *const *const_names;
	const WqTensor *consts;
	/* Becomes WqModule.fold (the engine's wq_engine_fold; a pointer, since frontend does not know the engine).
	 * NULL: no folding. */
	bool (*fold)(WqNode *n, WqTensor **out);
} ImportOptions;

/* The module's constants are views into m, which must outlive it. Fails with the list of everything unsupported. */
WqModule *onnx_import(OnnxModel *m, const ImportOptions *o);

/* Bounds sizes that only running tells by what the model's outputs declare: bounds.c */
void onnx_bound_sizes(const OnnxModel *model, WqModule *m);

/* ---- writing (build.c, write.c, external.c) ------------------------------------------------------------- */

/* Building messages, field by field. */
void wire_put_int(WqStr *b, uint32_t id, int64_t v);
void wire_put_bytes(WqStr *b, uint32_t id, const void *p, size_t n); /* also nested messages */
void wire_put_text(WqStr *b, uint32_t id, const char *s); /* nothing for NULL */
void wire_put_length(WqStr *b, uint32_t id, uint64_t n); /* of bytes that follow */
/* A NodeProto; name and domain may be NULL, an input "" or NULL is left out. Then its attributes. */
void onnx_put_node(WqStr *b, const char *op, const char *domain, const char *name, int n_in, const char *const *in,
		   int n_out, const char *const *out);
void onnx_put_attr_int(WqStr *node, const char *name, int64_t v);
void onnx_put_attr_float(WqStr *node, const char *name, float v);
void onnx_put_attr_string(WqStr *node, const char *name, const char *s);
void onnx_put_attr_ints(WqStr *node, const char *name, int n, const int64_t *v);
void onnx_put_attr_tensor(WqStr *node, const char *name, const WqTensor *t);
/* A TensorProto but for its data, which stand at the returned address (a view of t's, or packed into b's arena) and are
 * to be written right behind: they are the end of the message. */
const void *onnx_put_tensor(WqStr *b, const char *name, const WqTensor *t, size_t *n);
void onnx_put_value_info(WqStr *b, const char *name, const WqTensor *t);

typedef struct OnnxNamed {
	const char *name;
	const WqTensor *t;
} OnnxNamed;

/* A value of one graph is replaced: the initializer of this name (with the graph input that repeats it), sparse
 * initializer or Constant node goes; new nodes stand before all others, new initializers behind. */
typedef struct OnnxEdit {
	const Onnx__GraphProto *graph; /* a graph of the model; NULL: the main one */
	const char *drop;              /* NULL: nothing goes */
	int n_nodes;
	const WqStr *nodes; /* NodeProtos */
	int n_tensors;
	const OnnxNamed *tensors;
} OnnxEdit;

typedef struct OnnxPair {
	const char *key, *value;
} OnnxPair;

typedef struct OnnxImport {
	const char *domain;
	int64_t version;
} OnnxImport;

typedef struct OnnxChange {
	int n_edits;
	const OnnxEdit *edits;
	int n_functions;
	const WqStr *functions; /* FunctionProtos */
	int n_imports;
	const OnnxImport *imports; /* of operator sets, added where the model has none; an older one fails */
	int n_meta;
	const OnnxPair *meta; /* metadata_props; replace those of the same key */
	int64_t ir_version;   /* at least */
	uint64_t external;    /* new tensors of so many bytes go to OUT.data; 0: only where the model would pass 2 GB */
} OnnxChange;

/* The model with the changes (NULL: none) and nothing else touched: unknown fields, order, weights. Streams from the
 * mapped file. Into another directory, external data files are copied along, without the bytes that only dropped
 * tensors had. */
void onnx_write(OnnxModel *m, const OnnxChange *c, const char *path);

/* ---- tensor files (tensor_io.c, npy.c, zip.c) ---------------------------------------------------------------
 * numpy has no name for some of our types. Files hold what np.save writes for an array of ml_dtypes: bf16 is '<V2', an
 * 8 or 4-bit float is one '|V1' code an element; integers below 8 bits are '|i1' and '|u1' by value. Reading, '<V2' is
 * bf16, and a file of bytes (V1, u1, i1) or words (V2, u2) becomes the type that the reader wants. Strings are '<U'
 * (UTF-8 inside), or
 * '|S' where they are not UTF-8.
 */

/* A value read from a file: a tensor, or a sequence/optional of them (from .pb only). */
typedef struct WqFileValue {
	const char *name; /* from the file, or NULL */
	WqType type;      /* kind; dtype and dims for a tensor */
	WqTensor *t;      /* kind WQ_TENSOR */
	int n;            /* sequences: elements; optionals: 0 or 1 */
	struct WqFileValue *elems;
} WqFileValue;

/* By content: .npy, .npz with one member, or a TensorProto, SequenceProto or OptionalProto by want->kind (want may be
 * NULL: a tensor). Data may be a view of the mapped file; types under 8 bits come unpacked. */
WqFileValue *wq_value_read(WqArena *a, const char *path, const WqType *want);
/* All arrays of an .npz. */
WqFileValue *wq_npz_read(WqArena *a, const char *path, int *n);
void wq_npy_write(WqArena *a, const char *path, const WqTensor *t);
void wq_npz_write(WqArena *a, const char *path, int n, const char *const *names, const WqTensor *const *t);
void wq_pb_write(WqArena *a, const char *path, const char *name, const WqTensor *t);
/* The parsers behind, over memory (fuzzed). */
WqTensor *wq_npy_parse(WqArena *a, const uint8_t *p, size_t n, const char *what);
WqFileValue *wq_npz_parse(WqArena *a, const uint8_t *p, size_t n, const char *what, int *count);
WqFileValue *wq_pb_parse(WqArena *a, const uint8_t *p, size_t n, const WqType *want, const char *what);
/* A tensor of bytes or words as the type that they are known to be (see above); t itself where nothing is to be done.
 */
WqTensor *wq_tensor_as(WqArena *a, WqTensor *t, WqDtype want, const char *what);

/* zip archives: stored and deflated members, zip64, checksums verified. Stored members are views. */
typedef struct ZipMember {
	const char *name;
	const uint8_t *p;
	size_t n;
} ZipMember;
ZipMember *zip_read(WqArena *a, const uint8_t *p, size_t n, const char *what, int *count);
typedef struct ZipOut ZipOut;
ZipOut *zip_create(WqArena *a, const char *path);
void zip_add(ZipOut *z, const char *name, const void *head, size_t n_head, const void *data,
	     size_t n_data); /* stored */
void zip_commit(ZipOut *z);

#endif
