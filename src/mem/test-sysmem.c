/* test-sysmem.c - against trees of files such as hosts and containers show them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>
#include <ftw.h>
#include <unistd.h>
#include "sysmem.h"

static char root[] = "test-sysmem-XXXXXX";

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	return remove(path);
}

static void clear(void)
{
	nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* put - a file below root, with the directories on its way. */
static void put(const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", root, name);
	mkdir(root, 0755);
	for (char *slash = path + strlen(root); (slash = strchr(slash + 1, '/'));) {
		*slash = '\0';
		mkdir(path, 0755);
		*slash = '/';
	}
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

#define AVAILABLE(bytes) assert_true(sysmem_available(root) == (bytes))

static void nothing_known(void **state)
{
	clear();
	AVAILABLE(UINT64_MAX);
	assert_true(sysmem_resident(root) == 0);
}

static void host(void **state)
{
	clear();
	put("proc/meminfo", "MemTotal: 100 kB\nMemAvailable:   64 kB\n");
	AVAILABLE(65536);
	put("proc/self/cgroup", "0::/\n");
	AVAILABLE(65536);
	put("proc/self/statm", "900 7 3 1 0 1 0\n");
	assert_true(sysmem_resident(root) == 7 * (uint64_t)sysconf(_SC_PAGESIZE));
}

static void version_two(void **state)
{
	clear();
	put("proc/meminfo", "MemAvailable:   64 kB\n");
	put("proc/self/cgroup", "0::/a/b\n");
	put("sys/fs/cgroup/a/memory.max", "50000\n");
	put("sys/fs/cgroup/a/memory.current", "30000\n");
	put("sys/fs/cgroup/a/b/memory.max", "max\n");
	put("sys/fs/cgroup/a/b/memory.current", "30000\n");
	AVAILABLE(20000);
	put("sys/fs/cgroup/a/memory.stat", "anon 7\ninactive_file 5000\nfile 6\n");
	AVAILABLE(25000);
	put("sys/fs/cgroup/a/b/memory.max", "31000\n");
	AVAILABLE(1000);
	put("sys/fs/cgroup/a/b/memory.max", "29000\n");
	AVAILABLE(0);
}

static void version_one_in_a_container(void **state)
{
	clear();
	put("proc/meminfo", "MemAvailable:   64 kB\n");
	put("proc/self/cgroup", "4:cpu:/x\n3:memory:/far/away\n0::/\n");
	put("sys/fs/cgroup/memory/memory.limit_in_bytes", "40000\n");
	put("sys/fs/cgroup/memory/memory.usage_in_bytes", "39000\n");
	put("sys/fs/cgroup/memory/memory.stat", "inactive_file 1\ntotal_inactive_file 200\n");
	AVAILABLE(1200);
}

static void this_machine(void **state)
{
	assert_true(sysmem_available("") > 0);
	assert_true(sysmem_resident("") > 0);
}

static int setup(void **state)
{
	return mkdtemp(root) ? 0 : -1;
}

static int teardown(void **state)
{
	clear();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_known),
		cmocka_unit_test(host),
		cmocka_unit_test(version_two),
		cmocka_unit_test(version_one_in_a_container),
		cmocka_unit_test(this_machine),
	};

	return cmocka_run_group_tests_name("sysmem", tests, setup, teardown);
}
