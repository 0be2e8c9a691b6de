/* freelist.h - objects of a few fixed sizes without malloc on the path of a READ or WRITE.
 *
 * Each thread keeps a few objects of each kind; what it has too much of goes to a shared depot in
 * batches, and what it lacks comes from there, so that objects may be taken on one reactor and
 * given back on another for ever. malloc is asked only while the depot is empty. Objects come
 * uncleared. */
#pragma once

#include <stddef.h>

enum freelist {
	FREE_WORK,   /* struct vol_work */
	FREE_ARRAY,  /* ARRAY_ROOM vectors, or runs, or page numbers */
	FREE_REC,    /* struct page_rec */
	FREE_VER,    /* struct page_ver */
	FREE_WAIT,   /* struct page_wait */
	FREE_EXTENT, /* struct extent */
	FREE_COPY,   /* struct copy */
	N_FREELISTS
};

void *freelist_get(enum freelist kind); /* NULL: no memory */
void freelist_put(enum freelist kind, void *object);
/* freelist_reserve - this thread's next n freelist_get() of that kind will not fail. -ENOMEM. */
int freelist_reserve(enum freelist kind, unsigned n);
