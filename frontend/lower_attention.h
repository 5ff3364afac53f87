/* lower_attention.h: what the attention operators have in common. */
#ifndef WQ_LOWER_ATTENTION_H
#define WQ_LOWER_ATTENTION_H

#include "frontend/lower.h"

typedef struct LoAttention {
	WqValue *q, *k, *v;       /* [B,H,S,D], [B,G,T,D], [B,G,T,E] */
	WqValue *mask;            /* broadcasts to [B,H,S,T]: bool or float; NULL */
	WqValue *offset, *kv_len; /* i64: one, or one per batch; NULL */
	WqValue *sink;            /* [H] or one: a logit that takes part in the softmax and has no value; NULL */
	bool causal;
	int64_t window;        /* keys that a query sees, itself included; -1: all */
	double scale, softcap; /* 0: 1/sqrt(D); none */
	WqDtype precision;     /* of the softmax when composed; 0: q's */
} LoAttention;

/* Which intermediate lo_attention_composed gives as *qk. */
enum { LO_QK_RAW, LO_QK_CAPPED, LO_QK_BIASED, LO_QK_SOFTMAX };

WqValue *lo_attention(Lower *L, const LoAttention *a); /* [B,H,S,E] */
/* The same from MatMul and Softmax, in steps that can be looked at (qk may be NULL). */
WqValue *lo_attention_composed(Lower *L, const LoAttention *a, int mode, WqValue **qk);

/* [B,S,n*D] -> [B,n,S,D] and back. */
WqValue *lo_heads(Lower *L, WqValue *x, int64_t n);
WqValue *lo_unheads(Lower *L, WqValue *x);
/* A mask whose last axis is shorter than `keys` forbids the rest. */
WqValue *lo_mask_padded(Lower *L, WqValue *mask, WqDim keys);
/* A number of heads attribute: required, positive. */
int64_t lo_num_heads(Lower *L, const char *attr);

/* Rotates the first 2*half of the last axis of x by angles whose cosines and sines broadcast to [..., half]. */
WqValue *lo_rotate(Lower *L, WqValue *x, WqValue *cos, WqValue *sin, bool interleaved);

#endif
