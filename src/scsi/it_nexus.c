/* it_nexus.c - the nexuses of a target, and what of them the units must know: who is to be told of
 * conditions, who prevents removal, who holds a reservation until it goes away. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "attention.h"
#include "body.h"
#include "check.h"
#include "copy_job.h"
#include "lun.h"
#include "reserve.h"

void lu_map_init(struct lu_map *m)
{
	pthread_mutex_init(&m->lock, NULL);
	list_init(&m->nexuses);
}

void lu_map_deinit(struct lu_map *m)
{
	check(list_empty(&m->nexuses));
	pthread_mutex_destroy(&m->lock);
}

void lu_map_add(struct lu_map *m, struct lu *l)
{
	check(!m->lu[l->lun]);
	m->lu[l->lun] = l;
	m->n = MAX(m->n, l->lun + 1);
	l->map = m;
}

void nexus_init(struct nexus *n)
{
	list_init(&n->link);
	list_init(&n->waiting);
	list_init(&n->spare);
	list_init(&n->copies);
	n->lus = NULL;
	n->n_lus = 0;
}

/* Whether a nexus was lost and comes again or was never there before is not known: what peers call themselves is not
 * remembered. SAM-5 6.2 has 29h/00h for that, which outweighs all others, and it is what initiators expect: Linux's
 * ALUA handler repeats commands that met it, where I_T NEXUS LOSS OCCURRED would fail those of a removable disk as if
 * its medium had been changed. */
int nexus_open(struct nexus *n)
{
	struct lu_map *m = n->luns;
	struct nexus_lu *lus = calloc(MAX(m->n, 1u), sizeof(*lus));

	if (!lus)
		return -ENOMEM;
	pthread_mutex_lock(&m->lock);
	for (unsigned i = 0; i < m->n; i++) {
		if (i < n->n_lus)
			lus[i] = n->lus[i];
		else if (m->lu[i])
			lus[i].attentions = 1u << ATTENTION_POWER_ON;
	}
	free(n->lus);
	n->lus = lus;
	n->n_lus = m->n;
	if (!list_linked(&n->link))
		list_push_back(&m->nexuses, &n->link);
	pthread_mutex_unlock(&m->lock);
	return 0;
}

void nexus_leave(struct nexus *n)
{
	struct lu_map *m = n->luns;

	if (!n->lus)
		return;
	copy_forget(n);
	for (unsigned i = 0; i < n->n_lus; i++)
		if (m->lu[i])
			reserve_forget(m->lu[i], n);
	pthread_mutex_lock(&m->lock);
	for (unsigned i = 0; i < n->n_lus; i++)
		n->lus[i].prevents = false;
	pthread_mutex_unlock(&m->lock);
}

void scsi_nexus_lost(struct nexus *n)
{
	nexus_leave(n);
	for (unsigned i = 0; i < n->n_lus; i++)
		if (n->luns->lu[i])
			attention_raise(n, n->luns->lu[i], ATTENTION_NEXUS_LOSS);
}

/* Its share of the statistics becomes the unit's own. */
static void leave_counts(struct nexus *n)
{
	for (unsigned i = 0; i < n->n_lus; i++) {
		struct nexus_lu *from = &n->lus[i], *to;

		if (!n->luns->lu[i])
			continue;
		to = &n->luns->lu[i]->past;
		to->n_reads += from->n_reads;
		to->n_writes += from->n_writes;
		to->blocks_read += from->blocks_read;
		to->blocks_written += from->blocks_written;
	}
}

void nexus_deinit(struct nexus *n)
{
	struct list *l;

	if (!n->spare.next)
		return; /* never initialised */
	check(list_empty(&n->waiting));
	nexus_leave(n);
	if (n->lus) { /* its own word: the link's neighbours change without us */
		pthread_mutex_lock(&n->luns->lock);
		list_remove(&n->link);
		leave_counts(n);
		pthread_mutex_unlock(&n->luns->lock);
	}
	free(n->lus);
	n->lus = NULL;
	n->n_lus = 0;
	while ((l = list_pop(&n->spare)))
		free(list_entry(l, struct scsi_body, link));
}
