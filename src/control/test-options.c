/* test-options.c - arguments in, values or one line of reason out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "options.h"

enum { ARGS_MAX = 24 };

static struct config c;
static char err[512];

/* parse - the arguments as a shell would split them: by spaces, a vertical bar stands for a space. */
static int parse(const char *line)
{
	char *copy = strdup(line), *save = NULL, *argv[ARGS_MAX];
	int argc = 0, r;

	assert_non_null(copy);
	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		assert_true(argc < ARGS_MAX);
		argv[argc++] = w;
		for (; *w; w++)
			*w = *w == '|' ? ' ' : *w;
	}
	config_deinit(&c);
	err[0] = '\0';
	r = options_parse(&c, argc, argv, err, sizeof(err));
	free(copy);
	return r;
}

#define TAKES(line)                                                                                \
	do {                                                                                       \
		if (parse(line))                                                                   \
			fail_msg("\"%s\" was refused: %s", line, err);                             \
	} while (0)
#define REFUSES(line, why)                                                                         \
	do {                                                                                       \
		assert_int_equal(parse(line), -EINVAL);                                            \
		if (strcmp(err, why))                                                              \
			fail_msg("\"%s\"\nsaid \"%s\"\n not \"%s\"", line, err, why);              \
	} while (0)

static int gone(void **state)
{
	config_deinit(&c);
	return 0;
}

static void check_addr(const struct io_addr *a, const char *want)
{
	char text[IO_ADDR_TEXT];

	assert_string_equal(io_addr_text(a, text), want);
}

static void one_file(void **state)
{
	TAKES("disk.img");
	assert_int_equal(c.n_disks, 1);
	assert_string_equal(c.disks[0].path, "disk.img");
	assert_int_equal(c.disks[0].size, 0);
	assert_false(c.disks[0].ro);
	assert_int_equal(c.n_listen, 1);
	check_addr(&c.listen[0], "127.0.0.1:3260");
}

static void disk_words(void **state)
{
	TAKES("a.img,size=10G,block=4096,ro,removable,"
	      "uuid=00112233-4455-6677-8899-aabbccddeeff");
	assert_string_equal(c.disks[0].path, "a.img");
	assert_int_equal(c.disks[0].size, 10ull << 30);
	assert_int_equal(c.disks[0].block, 4096);
	assert_true(c.disks[0].ro && c.disks[0].removable && c.disks[0].has_uuid);
	assert_int_equal(c.disks[0].uuid[15], 0xff);
	TAKES("--ram 1M,physical=512");
	assert_null(c.disks[0].path);
	assert_int_equal(c.disks[0].size, 1 << 20);
	assert_int_equal(c.disks[0].physical, 512);
	TAKES("a.img,error=read:lba=7:errno=ENXIO,delay=any:3us,power=forget");
	assert_int_equal(c.disks[0].n_faults, 3);
	assert_int_equal(c.disks[0].faults[0].error, -ENXIO);
	assert_int_equal(c.disks[0].faults[1].delay_ns, 3000);
	assert_int_equal(c.disks[0].faults[2].kind, FAULT_POWER);
}

static void commas_in_names(void **state)
{
	TAKES("a\\,b.img,ro");
	assert_string_equal(c.disks[0].path, "a,b.img");
	assert_true(c.disks[0].ro);
	TAKES("back\\\\,ro");
	assert_string_equal(c.disks[0].path, "back\\");
	assert_true(c.disks[0].ro);
	TAKES("a\\b");
	assert_string_equal(c.disks[0].path, "a\\b");
	TAKES("-- --ram");
	assert_string_equal(c.disks[0].path, "--ram");
}

static void order_makes_luns(void **state)
{
	TAKES("--ram 1M a.img --target iqn.2026-11.com.example:b b.img --ram=2M --target "
	      "iqn.2026-11.com.example:c c.img");
	assert_int_equal(c.n_targets, 3);
	assert_int_equal(c.n_disks, 5);
	static const unsigned want[5][2] = {{0, 0}, {0, 1}, {1, 0}, {1, 1}, {2, 0}};
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(c.disks[i].target, want[i][0]);
		assert_int_equal(c.disks[i].lun, want[i][1]);
	}
	assert_string_equal(c.targets[2], "iqn.2026-11.com.example:c");
}

static void a_target_first_leaves_no_default(void **state)
{
	TAKES("--target iqn.2026-11.com.example:b --ram 1M");
	assert_int_equal(c.n_targets, 1);
	assert_string_equal(c.targets[0], "iqn.2026-11.com.example:b");
}

static void addresses(void **state)
{
	TAKES("--listen 127.0.0.2:0 --listen=[::1]:3261 --advertise 192.0.2.7 --advertise "
	      "[2001:db8::1] --advertise 192.0.2.8:99 x");
	assert_int_equal(c.n_listen, 2);
	check_addr(&c.listen[0], "127.0.0.2:0");
	check_addr(&c.listen[1], "[::1]:3261");
	assert_int_equal(c.n_advertise, 3);
	check_addr(&c.advertise[0], "192.0.2.7:0");
	check_addr(&c.advertise[1], "[2001:db8::1]:0");
	check_addr(&c.advertise[2], "192.0.2.8:99");
}

static void the_rest(void **state)
{
	TAKES("--threads 3 --engine epoll --r2t line --spin 0 --cache 64M --trace t --state-dir s "
	      "--run-dir r -v x");
	assert_int_equal(c.threads, 3);
	assert_int_equal(c.engine, ENGINE_EPOLL);
	assert_true(c.r2t_line && c.verbose);
	assert_int_equal(c.spin_us, 0);
	assert_int_equal(c.cache, 64 << 20);
	assert_string_equal(c.trace, "t");
	assert_string_equal(c.state_dir, "s");
	assert_string_equal(c.run_dir, "r");
	TAKES("--r2t line --r2t burst --engine uring --trace a --trace b x");
	assert_false(c.r2t_line);
	assert_int_equal(c.engine, ENGINE_URING);
	assert_string_equal(c.trace, "b");
	TAKES("--engine=auto x");
	assert_int_equal(c.engine, ENGINE_AUTO);
	TAKES("--cache 64M --dirty-limit 8M --discard-dirty x,mode=write-through y,mode=write-back z");
	assert_true(c.cache_given && c.discard_dirty && !c.adopt_anyway);
	assert_int_equal(c.dirty_limit, 8 << 20);
	assert_int_equal(c.disks[0].mode, MODE_THROUGH);
	assert_int_equal(c.disks[1].mode, MODE_BACK);
	assert_int_equal(c.disks[2].mode, MODE_DEFAULT);
	TAKES("--ram 1M,error=read,mode=write-back");
	TAKES("--adopt-anyway x");
	assert_true(c.adopt_anyway && !c.cache_given);
}

static void keys(void **state)
{
	TAKES("--param MaxBurstLength=65536 --param=InitialR2T=Yes x");
	assert_int_equal(c.offer.v.max_burst, 65536);
	assert_true(c.offer.v.initial_r2t);
	REFUSES("--param MaxBurstLength x",
		"--param MaxBurstLength: not KEY=VALUE (try MaxBurstLength=262144)");
	assert_int_equal(parse("--param NoSuchKey=1 x"), -EINVAL);
	assert_int_equal(strncmp(err, "--param NoSuchKey=1: ", 21), 0);
	assert_true(strlen(err) > 21);
	assert_int_equal(parse("--param MaxBurstLength=1 x"), -EINVAL);
}

static void asked_for(void **state)
{
	assert_int_equal(parse("--help"), OPTIONS_HELP);
	assert_int_equal(parse("-h"), OPTIONS_HELP);
	assert_int_equal(parse("x --version --nonsense"), OPTIONS_VERSION);
}

/* clang-format off */
static void refusals(void **state)
{
	REFUSES("", "no disk to serve (give a FILE or --ram SIZE)");
	REFUSES("--ram 12x", "--ram 12x: not a size (try 512M, 1G)");
	REFUSES("--ram", "--ram: needs SIZE[,option...]");
	REFUSES("--ram=", "--ram=: needs SIZE[,option...]");
	REFUSES("--ram 0", "--ram 0: a disk of no size");
	REFUSES("--ram ,ro", "--ram ,ro: needs a size");
	REFUSES("--ram 1G,size=2G", "--ram 1G,size=2G: size=2G: --ram has its size in front");
	REFUSES("--ram 99999999P", "--ram 99999999P: not a size (try 512M, 1G)");
	REFUSES(",ro", ",ro: needs a file name");
	REFUSES("x,block=513", "x,block=513: block=513: must be 512 or 4096");
	REFUSES("x,block=4096,physical=512", "x,block=4096,physical=512: physical=512 is less than block=4096");
	REFUSES("x,size=1000", "x,size=1000: the size, 1000 bytes, is not a multiple of the block size (512)");
	REFUSES("x,size=", "x,size=: size needs a value");
	REFUSES("x,size", "x,size: size needs a value");
	REFUSES("x,ro=1", "x,ro=1: ro takes no value");
	REFUSES("x,wo", "x,wo: 'wo' is no option of a disk (size=, block=, physical=, uuid=, mode=, ro, "
		"removable, error=, delay=, power=; a comma in a file name is written \\,)");
	REFUSES("x,error=erase", "x,error=erase: error=erase: 'erase' is no operation (read, write, unmap, flush, any, "
		"joined by +)");
	REFUSES("x,power=tear,power=tear", "x,power=tear,power=tear: power=tear: was given twice");
	REFUSES("x,uuid=123", "x,uuid=123: uuid=123: not a UUID (32 hexadecimal digits, 8-4-4-4-12)");
	REFUSES("x,size=12x", "x,size=12x: size=12x: not a size (try 512M, 1G)");
	REFUSES("x,size=0,ro", "x,size=0,ro: size=0: a disk of no size");
	REFUSES("--ram 1M,ro,physical=1K,removable", "--ram 1M,ro,physical=1K,removable: physical=1K: must be 512 or 4096");
	REFUSES("x --chap-file a --chap-file b", "--chap-file b: was given twice");
	REFUSES("x x", "x: given twice");
	REFUSES("--target Iqn|x x", "--target Iqn x: not an iSCSI name (iqn.2026-11.com.example:name, lower case)");
	REFUSES("x --target iqn.2026-11.com.example:b", "--target iqn.2026-11.com.example:b: no disk follows it");
	REFUSES("--listen 3260 x", "--listen 3260: not ADDR:PORT (try 127.0.0.1:3260, [::1]:3260, 0.0.0.0:3260)");
	REFUSES("--listen localhost:3260 x", "--listen localhost:3260: not ADDR:PORT (try 127.0.0.1:3260, [::1]:3260, 0.0.0.0:3260)");
	REFUSES("--advertise ::1 x", "--advertise ::1: not ADDR[:PORT] (try 192.0.2.1, 192.0.2.1:3260, [2001:db8::1])");
	REFUSES("--threads 0 x", "--threads 0: must be a number from 1 to 64");
	REFUSES("--threads 2x x", "--threads 2x: must be a number from 1 to 64");
	REFUSES("--threads 65 x", "--threads 65: must be a number from 1 to 64");
	REFUSES("--engine select x", "--engine select: must be epoll, uring or auto");
	REFUSES("--r2t page x", "--r2t page: must be burst or line");
	REFUSES("--spin -1 x", "--spin -1: must be a number from 0 to 1000000");
	REFUSES("--cache 1M x", "--cache 1M: must be at least 32M");
	REFUSES("--dirty-limit 1K x", "--dirty-limit 1K: must be at least 1M");
	REFUSES("x,mode=slow", "x,mode=slow: mode=slow: must be write-back or write-through");
	REFUSES("--ram 1M,mode=write-back", "--ram 1M,mode=write-back: mode= is for files and devices");
	REFUSES("--verbose=yes x", "--verbose=yes: takes no value");
	REFUSES("--nonsense x", "--nonsense: no such option (see berth serve --help)");
	REFUSES("--thread 1 x", "--thread: no such option (see berth serve --help)");
	REFUSES("-x", "-x: no such option (see berth serve --help)");
	REFUSES("-vv x", "-vv: no such option (see berth serve --help)");
}
/* clang-format on */

static void help_names_every_option(void **state)
{
	static const char *const names[] = {"--ram", "--target", "--listen", "--advertise",
		"--threads", "--engine", "--r2t", "--spin", "--cache", "--trace", "--state-dir",
		"--run-dir", "--param", "--verbose", "--dirty-limit", "--discard-dirty",
		"--adopt-anyway", "mode=", "size=", "block=", "physical=", "uuid=", "removable",
		"error=", "delay=", "power="};
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	assert_non_null(f);
	options_help(f);
	fclose(f);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_non_null(strstr(text, names[i]));
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		assert_true(strlen(line) <= 100);
	free(text);
}

int main(void)
{
#define T(fn) cmocka_unit_test_teardown(fn, gone)
	const struct CMUnitTest tests[] = {T(one_file), T(disk_words), T(commas_in_names),
		T(order_makes_luns), T(a_target_first_leaves_no_default), T(addresses), T(the_rest),
		T(keys), T(asked_for), T(refusals), T(help_names_every_option)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
