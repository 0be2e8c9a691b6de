/* freelist.c - a thread's few objects and the shared depot (see freelist.h). */
#include "freelist.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include "copywork.h"
#include "extent.h"

struct free_node {
	struct free_node *next;
};

/* size of an object, and how many go between a thread and the depot at a time */
static const struct {
	size_t size;
	unsigned batch;
} kinds[N_FREELISTS] = {
	[FREE_WORK] = {sizeof(struct vol_work), 32},
	[FREE_ARRAY] = {ARRAY_ROOM * sizeof(struct iovec), 4},
	[FREE_REC] = {sizeof(struct page_rec), 512},
	[FREE_VER] = {sizeof(struct page_ver), 512},
	[FREE_WAIT] = {sizeof(struct page_wait), 512},
	[FREE_EXTENT] = {sizeof(struct extent), 16},
	[FREE_COPY] = {sizeof(struct copy), 4},
};

static struct depot {
	pthread_mutex_t lock;
	struct free_node *first;
} depots[N_FREELISTS] = {
	[0 ... N_FREELISTS - 1] = {.lock = PTHREAD_MUTEX_INITIALIZER},
};

struct stack {
	struct free_node *first;
	unsigned n;
};
static _Thread_local struct stack stacks[N_FREELISTS];
static _Thread_local bool registered;
static pthread_key_t leave_key;
static pthread_once_t leave_once = PTHREAD_ONCE_INIT;

static struct free_node *pop(struct stack *s)
{
	struct free_node *node = s->first;

	s->first = node->next;
	s->n--;
	return node;
}

static void push(struct stack *s, struct free_node *node)
{
	node->next = s->first;
	s->first = node;
	s->n++;
}

static void to_depot(enum freelist kind, unsigned n)
{
	struct stack *s = &stacks[kind];
	struct depot *d = &depots[kind];

	pthread_mutex_lock(&d->lock);
	while (n-- && s->n) {
		struct free_node *node = pop(s);

		node->next = d->first;
		d->first = node;
	}
	pthread_mutex_unlock(&d->lock);
}

static void from_depot(enum freelist kind, unsigned n)
{
	struct stack *s = &stacks[kind];
	struct depot *d = &depots[kind];

	pthread_mutex_lock(&d->lock);
	while (n-- && d->first) {
		struct free_node *node = d->first;

		d->first = node->next;
		push(s, node);
	}
	pthread_mutex_unlock(&d->lock);
}

static void thread_leaves(void *unused)
{
	for (int kind = 0; kind < N_FREELISTS; kind++)
		to_depot(kind, stacks[kind].n);
	registered = false;
}

static void leave_key_new(void)
{
	check(!pthread_key_create(&leave_key, thread_leaves));
}

/* A thread that ends leaves its objects to the others. */
static void thread_registers(void)
{
	pthread_once(&leave_once, leave_key_new);
	pthread_setspecific(leave_key, stacks);
	registered = true;
}

int freelist_reserve(enum freelist kind, unsigned n)
{
	struct stack *s = &stacks[kind];

	if (likely(s->n >= n))
		return 0;
	if (!registered)
		thread_registers();
	from_depot(kind, MAX(n - s->n, kinds[kind].batch));
	while (s->n < n) {
		/* Cache lines are whole: two threads never write into one. */
		struct free_node *node = aligned_alloc(64, round_up(kinds[kind].size, 64));

		if (!node)
			return -ENOMEM;
		push(s, node);
	}
	return 0;
}

void *freelist_get(enum freelist kind)
{
	if (freelist_reserve(kind, 1))
		return NULL;
	return pop(&stacks[kind]);
}

void freelist_put(enum freelist kind, void *object)
{
	struct stack *s = &stacks[kind];

	if (!registered)
		thread_registers();
	push(s, object);
	if (s->n > 2 * kinds[kind].batch)
		to_depot(kind, s->n - kinds[kind].batch);
}
