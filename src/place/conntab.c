/* conntab.c - a flat array of pointers, and the free indices in a ring of links.
 *
 * Links are indices too: next and prev of each free one, and 0xffff, which is never given out, is
 * the ring's head. Taken at the front, freed at the back. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include "check.h"
#include "conntab.h"
#include "tag.h"

enum { HEAD = TAG_CONNS };

struct conntab {
	pthread_mutex_t lock; /* for links and n; find needs none */
	unsigned n;
	void *conn[TAG_CONNS];
	struct {
		uint16_t next, prev;
	} link[TAG_CONNS + 1];
};

int conntab_new(struct conntab **tp)
{
	struct conntab *t = calloc(1, sizeof(*t));

	*tp = t;
	if (!t)
		return -ENOMEM;
	pthread_mutex_init(&t->lock, NULL);
	for (unsigned i = 0; i <= TAG_CONNS; i++) {
		t->link[i].next = (uint16_t)(i == HEAD ? 0 : i + 1);
		t->link[i].prev = (uint16_t)(i == 0 ? HEAD : i - 1);
	}
	return 0;
}

struct conntab *conntab_free(struct conntab *t)
{
	if (!t)
		return NULL;
	check(t->n == 0);
	pthread_mutex_destroy(&t->lock);
	free(t);
	return NULL;
}

static void take_locked(struct conntab *t, void *conn, uint16_t index)
{
	t->link[t->link[index].prev].next = t->link[index].next;
	t->link[t->link[index].next].prev = t->link[index].prev;
	__atomic_store_n(&t->conn[index], conn, __ATOMIC_RELEASE);
	t->n++;
}

int conntab_add(struct conntab *t, void *conn, uint16_t *indexp)
{
	int end = CONNTAB_FULL;
	uint16_t index;

	check(conn);
	pthread_mutex_lock(&t->lock);
	index = t->link[HEAD].next;
	if (index != HEAD) {
		take_locked(t, conn, index);
		*indexp = index;
		end = 0;
	}
	pthread_mutex_unlock(&t->lock);
	return end;
}

int conntab_add_at(struct conntab *t, void *conn, uint16_t index)
{
	int end = CONNTAB_FULL;

	check(conn && index < TAG_CONNS);
	pthread_mutex_lock(&t->lock);
	if (!t->conn[index]) {
		take_locked(t, conn, index);
		end = 0;
	}
	pthread_mutex_unlock(&t->lock);
	return end;
}

void conntab_remove(struct conntab *t, uint16_t index)
{
	uint16_t last;

	pthread_mutex_lock(&t->lock);
	check(index < TAG_CONNS && t->conn[index]);
	__atomic_store_n(&t->conn[index], NULL, __ATOMIC_RELEASE);
	last = t->link[HEAD].prev;
	t->link[index].next = HEAD;
	t->link[index].prev = last;
	t->link[last].next = index;
	t->link[HEAD].prev = index;
	t->n--;
	pthread_mutex_unlock(&t->lock);
}

void *conntab_find(const struct conntab *t, uint16_t index)
{
	return index < TAG_CONNS ? __atomic_load_n(&t->conn[index], __ATOMIC_ACQUIRE) : NULL;
}

unsigned conntab_n(const struct conntab *t)
{
	struct conntab *locked = (struct conntab *)t;
	unsigned n;

	pthread_mutex_lock(&locked->lock);
	n = t->n;
	pthread_mutex_unlock(&locked->lock);
	return n;
}
