/* roofline.h: what this machine can do, measured: the roof over a kernel's arithmetic and its traffic. */
#ifndef WQ_ROOFLINE_H
#define WQ_ROOFLINE_H

#include <stdint.h>

enum { ROOF_LEVELS = 4 };

typedef struct Roofline {
	int threads;
	double flops; /* f32 multiply-adds, two each, a second */
	int n;
	struct {
		const char *name; /* "L1", "L2", "L3", "DRAM" */
		int64_t bytes;    /* of a cache, for one thread; INT64_MAX: memory */
		double read;      /* bytes a second */
	} level[ROOF_LEVELS];
} Roofline;

void roofline_measure(Roofline *r, int threads); /* some tenths of a second */
/* Seconds that arithmetic and traffic take at least, were all of the traffic in the nearest level that holds it. */
double roofline_seconds(const Roofline *r, int64_t flops, int64_t bytes);

#endif
