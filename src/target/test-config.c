/* test-config.c - defaults, and what does not make sense together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "config.h"
#include "sysmem.h"
#include "text.h"

#define REFUSES(c, words)                                                                          \
	do {                                                                                       \
		char err_[256] = "";                                                               \
		assert_int_equal(config_check(c, err_, sizeof(err_)), -EINVAL);                    \
		if (!strstr(err_, words))                                                          \
			fail_msg("said \"%s\", not \"%s\"", err_, words);                          \
		assert_null(strchr(err_, '\n'));                                                   \
	} while (0)
#define ACCEPTS(c)                                                                                 \
	do {                                                                                       \
		char err_[256] = "";                                                               \
		if (config_check(c, err_, sizeof(err_)))                                           \
			fail_msg("refused: %s", err_);                                             \
	} while (0)
#define IQN(host, want)                                                                            \
	do {                                                                                       \
		char iqn_[ISCSI_NAME_MAX + 1];                                                     \
		config_default_iqn(host, iqn_, sizeof(iqn_));                                      \
		assert_string_equal(iqn_, "iqn.2026-11.io.berth:" want);                           \
		assert_true(iscsi_name_valid(iqn_));                                               \
	} while (0)

static struct config c;
static struct config_disk *disk;

static int one_ram_disk(void **state)
{
	config_init(&c);
	assert_int_equal(config_add_disk(&c, "--ram 1M", &disk), 0);
	disk->size = 1 << 20;
	return config_finish(&c);
}

static int gone(void **state)
{
	config_deinit(&c);
	config_deinit(&c); /* twice is safe */
	return 0;
}

static void defaults(void **state)
{
	char text[IO_ADDR_TEXT];

	ACCEPTS(&c);
	assert_int_equal(c.n_targets, 1);
	assert_int_equal(strncmp(c.targets[0], "iqn.2026-11.io.berth:", 21), 0);
	assert_int_equal(disk->block, 512);
	assert_int_equal(disk->physical, 4096);
	assert_int_equal(c.n_listen, 1);
	assert_string_equal(io_addr_text(&c.listen[0], text), "127.0.0.1:3260");
	assert_in_range(c.threads, 1, 8);
	assert_true(c.cache >= 32 << 20 && c.cache <= 4ull << 30 && c.cache % (1 << 20) == 0);
	assert_true(c.cache == 32 << 20 || c.cache <= sysmem_total("") / 4);
	assert_false(c.cache_given || c.discard_dirty || c.adopt_anyway);
	assert_int_equal(c.memory_fd, -1);
	assert_int_equal(c.spin_us, 50);
}

static void default_names(void **state)
{
	char longest[300];

	IQN("myhost", "myhost");
	IQN("My_Host.Example.COM", "my-host.example.com");
	IQN("a b/c\xc3\xa4", "a-b-c--");
	IQN("", "localhost");
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	char iqn[ISCSI_NAME_MAX + 1];
	config_default_iqn(longest, iqn, sizeof(iqn));
	assert_int_equal(strlen(iqn), ISCSI_NAME_MAX);
}

static void luns_count_for_each_target(void **state)
{
	struct config_disk *d;

	assert_int_equal(config_add_disk(&c, "a", &d), 0);
	assert_int_equal(d->lun, 1);
	assert_int_equal(config_add_target(&c, "iqn.2026-11.com.example:two"), 0);
	assert_int_equal(config_add_disk(&c, "b", &d), 0);
	assert_int_equal(d->lun, 0);
	assert_int_equal(d->target, 1);
}

static void blocks(void **state)
{
	disk->block = 4096;
	disk->physical = 512;
	REFUSES(&c, "physical=512 is less than block=4096");
	disk->physical = 4096;
	disk->size = (1 << 20) + 512;
	REFUSES(&c, "not a multiple of the block size (4096)");
	disk->block = 520;
	REFUSES(&c, "block must be 512 or 4096");
	disk->block = 512;
	disk->physical = 8192;
	REFUSES(&c, "physical must be 512 or 4096");
	disk->physical = 512;
	ACCEPTS(&c);
}

static void ram(void **state)
{
	disk->ro = true;
	ACCEPTS(&c);
	disk->size = 0;
	REFUSES(&c, "needs a size");
}

static void targets(void **state)
{
	struct config_disk *d;

	assert_int_equal(config_add_target(&c, "iqn.2026-11.com.example:two"), 0);
	REFUSES(&c, "--target iqn.2026-11.com.example:two: no disk follows it");
	assert_int_equal(config_add_disk(&c, "--ram 1M", &d), 0);
	d->size = 1 << 20;
	ACCEPTS(&c);
	assert_int_equal(config_add_target(&c, "iqn.2026-11.com.example:two"), 0);
	REFUSES(&c, "given twice");
	assert_int_equal(config_add_target(&c, "Not a name"), 0);
	free(c.targets[2]);
	c.targets[2] = c.targets[3];
	c.n_targets--;
	REFUSES(&c, "--target Not a name: not an iSCSI name");
}

static void one_image_once(void **state)
{
	struct config_disk *d;

	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(config_add_disk(&c, "x.img", &d), 0);
		d->path = strdup("x.img");
		if (i == 0)
			ACCEPTS(&c);
	}
	REFUSES(&c, "x.img: given twice");
}

static void numbers(void **state)
{
	c.threads = 0;
	REFUSES(&c, "--threads 0");
	c.threads = CONFIG_THREADS_MAX + 1;
	REFUSES(&c, "--threads 65");
	c.threads = 1;
	c.cache = 1 << 20;
	REFUSES(&c, "--cache 1M: must be at least 32M");
	c.cache = 64 << 20;
	c.dirty_limit = 60 << 20;
	REFUSES(&c, "--dirty-limit 60M: must be at most 48M, three quarters of --cache");
	c.dirty_limit = 0;
	c.discard_dirty = c.adopt_anyway = true;
	REFUSES(&c, "--discard-dirty and --adopt-anyway: only one of them");
	c.discard_dirty = c.adopt_anyway = false;
}

static void no_disk(void **state)
{
	struct config empty;

	config_init(&empty);
	assert_int_equal(config_finish(&empty), 0);
	REFUSES(&empty, "no disk to serve");
	config_deinit(&empty);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, one_ram_disk, gone)
	const struct CMUnitTest tests[] = {T(defaults), T(default_names),
		T(luns_count_for_each_target), T(blocks), T(ram), T(targets), T(one_image_once),
		T(numbers), T(no_disk)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
