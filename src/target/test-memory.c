/* test-memory.c - a server that runs out of memory while it starts says so in one line, or starts all the same; in
 * both cases nothing is left of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include "log.h"
#include "server.h"
#include "torture.h"

static void make_config(struct config *c)
{
	struct fault f = {.kind = FAULT_ERROR, .ops = FAULT_FLUSH, .last = UINT64_MAX, .rate = 0};
	struct config_disk *d;
	struct io_addr a;

	config_init(c);
	TORTURE(!io_addr_parse(&a, "127.0.0.1:0", strlen("127.0.0.1:0")) &&
		!config_add_listen(c, &a));
	for (unsigned i = 0; i < 2; i++) {
		TORTURE(!config_add_disk(c, "a disk", &d));
		d->size = 1 << 20;
		if (i)
			TORTURE(!config_add_fault(d, &f));
	}
	TORTURE(!config_finish(c));
	c->threads = 2;
	c->cache = CONFIG_CACHE_MIN;
	c->engine = ENGINE_EPOLL;
}

static void start(void *ctx)
{
	struct config c;
	struct server *s = NULL;
	char err[256] = "";
	int r;

	log_level = LOG_ERROR;
	make_config(&c);
	torture_arm();
	r = server_new(&s, &c, err, sizeof(err));
	TORTURE(!r || (torture_hit() && r == -ENOMEM));
	torture_disarm();
	if (!r) {
		server_stop(s, 1000, NULL);
		server_free(s);
	}
	config_deinit(&c);
}

static void a_server_that_starts(void **state)
{
	assert_true(torture(start, NULL) > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(a_server_that_starts)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
