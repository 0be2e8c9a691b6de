/* test-conntab.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "conntab.h"
#include "tag.h"

static int some, other;

static struct conntab *new_tab(void)
{
	struct conntab *t;

	assert_int_equal(conntab_new(&t), 0);
	return t;
}

#define ADD(t, index)                                                                              \
	do {                                                                                       \
		uint16_t got;                                                                      \
		assert_int_equal(conntab_add(t, &some, &got), 0);                                  \
		assert_int_equal(got, index);                                                      \
	} while (0)

static void found_or_nothing(void **state)
{
	struct conntab *t = new_tab();
	uint16_t i, j;

	assert_null(conntab_find(t, 0));
	assert_int_equal(conntab_add(t, &some, &i), 0);
	assert_int_equal(conntab_add(t, &other, &j), 0);
	assert_int_not_equal(i, j);
	assert_ptr_equal(conntab_find(t, i), &some);
	assert_ptr_equal(conntab_find(t, j), &other);
	assert_null(conntab_find(t, 0xfffe));
	assert_null(conntab_find(t, 0xffff));
	assert_int_equal(conntab_n(t), 2);
	conntab_remove(t, i);
	assert_null(conntab_find(t, i));
	assert_ptr_equal(conntab_find(t, j), &other);
	conntab_remove(t, j);
	assert_int_equal(conntab_n(t), 0);
	t = conntab_free(t);
	assert_null(conntab_free(t));
}

static void index_asked_for(void **state)
{
	struct conntab *t = new_tab();

	assert_int_equal(conntab_add_at(t, &other, 1), 0);
	assert_int_equal(conntab_add_at(t, &some, 1), CONNTAB_FULL);
	assert_int_equal(conntab_add_at(t, &other, 0xfffe), 0);
	ADD(t, 0);
	ADD(t, 2); /* 1 is not given twice */
	assert_ptr_equal(conntab_find(t, 1), &other);
	for (uint16_t i = 0; i < 3; i++)
		conntab_remove(t, i);
	conntab_remove(t, 0xfffe);
	conntab_free(t);
}

static void oldest_first(void **state)
{
	struct conntab *t = new_tab();

	for (unsigned i = 0; i < TAG_CONNS; i++)
		ADD(t, i);
	conntab_remove(t, 500);
	conntab_remove(t, 7);
	conntab_remove(t, 65534);
	ADD(t, 500);
	conntab_remove(t, 500);
	ADD(t, 7);
	ADD(t, 65534);
	ADD(t, 500);
	for (unsigned i = 0; i < TAG_CONNS; i++)
		conntab_remove(t, (uint16_t)i);
	conntab_free(t);
}

static void full(void **state)
{
	struct conntab *t = new_tab();
	uint16_t index = 9;

	for (unsigned i = 0; i < TAG_CONNS; i++)
		ADD(t, i); /* up to 0xfffe: 0xffff is never given out */
	assert_int_equal(conntab_n(t), 0xffff);
	assert_int_equal(conntab_add(t, &some, &index), CONNTAB_FULL);
	assert_int_equal(index, 9);
	conntab_remove(t, 1234);
	ADD(t, 1234);
	for (unsigned i = 0; i < TAG_CONNS; i++)
		conntab_remove(t, (uint16_t)i);
	conntab_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(found_or_nothing),
		cmocka_unit_test(index_asked_for),
		cmocka_unit_test(oldest_first),
		cmocka_unit_test(full),
	};

	return cmocka_run_group_tests_name("conntab", tests, NULL, NULL);
}
