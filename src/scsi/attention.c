/* attention.c - see attention.h. */
#include <errno.h>
#include <stdlib.h>
#include "attention.h"
#include "check.h"

struct attention {
	struct list link;
	const struct lu *lu;
	enum sense why;
};

int attention_raise(struct nexus *n, const struct lu *lu, enum sense why)
{
	struct attention *a;

	list_for_each (l, &n->ua) {
		a = list_entry(l, struct attention, link);
		if (a->lu == lu && a->why == why)
			return 0;
	}
	a = malloc(sizeof(*a));
	if (!a)
		return -ENOMEM;
	*a = (struct attention){.lu = lu, .why = why};
	list_push_back(&n->ua, &a->link);
	return 0;
}

static enum sense report(struct attention *a)
{
	enum sense why = a->why;

	list_remove(&a->link);
	free(a);
	return why;
}

enum sense attention_take(struct nexus *n, const struct lu *lu)
{
	list_for_each (l, &n->ua) {
		struct attention *a = list_entry(l, struct attention, link);

		if (a->lu == lu)
			return report(a);
	}
	return SENSE_NONE;
}

unsigned attention_pending(const struct nexus *n, const struct lu *lu, enum sense *whyp)
{
	unsigned count = 0;

	*whyp = SENSE_NONE;
	list_for_each (l, &n->ua) {
		const struct attention *a = list_entry(l, struct attention, link);

		if (a->lu == lu && !count++)
			*whyp = a->why;
	}
	return count;
}

void scsi_nexus_lost(struct nexus *n)
{
	for (unsigned i = 0; i < n->luns->n; i++) {
		if (n->luns->lu[i])
			(void)attention_raise(n, n->luns->lu[i], SENSE_NEXUS_LOSS);
	}
}

void attention_clear(struct nexus *n)
{
	while (!list_empty(&n->ua))
		report(list_first(&n->ua, struct attention, link));
}
