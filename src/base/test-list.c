/* test-list.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "list.h"

struct item {
	char name;
	struct list link;
};

/* check_list - both directions agree, and the names in order are `want`. */
static void check_list(const struct list *l, const char *want)
{
	size_t n = 0;

	list_for_each(at, l) {
		assert_ptr_equal(at->next->prev, at);
		assert_ptr_equal(at->prev->next, at);
		assert_int_equal(list_entry(at, struct item, link)->name, want[n]);
		n++;
	}
	assert_int_equal(n, strlen(want));
	assert_true(list_empty(l) == (n == 0));
}
#define LIST(l, want) check_list(&(l), want)

struct fixture {
	struct list l, m;
	struct item a, b, c;
};

static void setup(struct fixture *f)
{
	list_init(&f->l);
	list_init(&f->m);
	f->a = (struct item){.name = 'a'};
	f->b = (struct item){.name = 'b'};
	f->c = (struct item){.name = 'c'};
	list_init(&f->a.link);
	list_init(&f->b.link);
	list_init(&f->c.link);
}

static void push_and_pop(void **state)
{
	struct fixture f;

	setup(&f);
	LIST(f.l, "");
	assert_null(list_pop(&f.l));
	list_push_back(&f.l, &f.b.link);
	list_push_back(&f.l, &f.c.link);
	list_push_front(&f.l, &f.a.link);
	LIST(f.l, "abc");
	assert_ptr_equal(list_first(&f.l, struct item, link), &f.a);
	assert_true(list_linked(&f.a.link));
	assert_ptr_equal(list_pop(&f.l), &f.a.link);
	assert_false(list_linked(&f.a.link));
	LIST(f.l, "bc");
}

static void remove_twice(void **state)
{
	struct fixture f;

	setup(&f);
	list_push_back(&f.l, &f.a.link);
	list_push_back(&f.l, &f.b.link);
	list_push_back(&f.l, &f.c.link);
	list_remove(&f.b.link);
	list_remove(&f.b.link);
	LIST(f.l, "ac");
	list_insert_after(&f.a.link, &f.b.link);
	LIST(f.l, "abc");
}

static void remove_while_walking(void **state)
{
	struct fixture f;

	setup(&f);
	list_push_back(&f.l, &f.a.link);
	list_push_back(&f.l, &f.b.link);
	list_push_back(&f.l, &f.c.link);
	list_for_each_safe(at, next, &f.l) {
		if (at != &f.b.link)
			list_remove(at);
	}
	LIST(f.l, "b");
}

static void splice(void **state)
{
	struct fixture f;

	setup(&f);
	list_splice_back(&f.l, &f.m);
	LIST(f.l, "");
	list_push_back(&f.m, &f.b.link);
	list_push_back(&f.m, &f.c.link);
	list_push_back(&f.l, &f.a.link);
	list_splice_back(&f.l, &f.m);
	LIST(f.l, "abc");
	LIST(f.m, "");
	list_splice_back(&f.m, &f.l);
	LIST(f.m, "abc");
	LIST(f.l, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(push_and_pop),
		cmocka_unit_test(remove_twice),
		cmocka_unit_test(remove_while_walking),
		cmocka_unit_test(splice),
	};

	return cmocka_run_group_tests_name("list", tests, NULL, NULL);
}
