/* sysmem.c - the least of MemAvailable and what each control group above us has left.
 *
 * A group's charge contains file pages that the kernel would drop before it ends us, so inactive
 * ones count as left. Version 2 has one tree (line "0::PATH" of /proc/self/cgroup), version 1 one
 * for memory ("N:memory:PATH"). In a container the path may name groups that are not to be seen
 * from inside; then the mount's own root is our group, and the walk upwards ends there anyway. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "check.h"
#include "parse.h"
#include "sysmem.h"

enum { PATH_ROOM = 1024, TEXT_ROOM = 8192 };

/* Names of the same three things in the two versions. */
struct group_kind {
	const char *mount, *line, *limit, *usage, *inactive;
};

static const struct group_kind kinds[] = {
	{"/sys/fs/cgroup", "0::", "memory.max", "memory.current", "inactive_file "},
	{"/sys/fs/cgroup/memory", ":memory:", "memory.limit_in_bytes", "memory.usage_in_bytes",
		"total_inactive_file "},
};

static bool read_text(const char *path, char *text, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n;

	if (fd < 0)
		return false;
	while (len + 1 < room && (n = read(fd, text + len, room - 1 - len)) > 0)
		len += (size_t)n;
	close(fd);
	text[len] = '\0';
	return len > 0;
}

/* number_after - the number behind the line head `key` ("" = the text's beginning). */
static bool number_after(const char *text, const char *key, uint64_t *vp)
{
	const char *at = text;

	while (strncmp(at, key, strlen(key)) != 0) {
		at = strchr(at, '\n');
		if (!at)
			return false;
		at++;
	}
	at += strlen(key);
	at += strspn(at, " \t");
	return parse_u64(&at, UINT64_MAX, vp);
}

static bool number_in(const char *dir, const char *name, const char *key, uint64_t *vp)
{
	char path[PATH_ROOM], text[TEXT_ROOM];

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return false;
	return read_text(path, text, sizeof(text)) && number_after(text, key, vp);
}

/* group_limit - of one group; UINT64_MAX without ("max" is no number, and is none). */
static uint64_t group_limit(const struct group_kind *k, const char *dir)
{
	uint64_t limit;

	return number_in(dir, k->limit, "", &limit) ? limit : UINT64_MAX;
}

static uint64_t group_left(const struct group_kind *k, const char *dir)
{
	uint64_t limit, usage, inactive = 0;

	if (!number_in(dir, k->limit, "", &limit) || !number_in(dir, k->usage, "", &usage))
		return UINT64_MAX;
	number_in(dir, "memory.stat", k->inactive, &inactive);
	usage -= MIN(usage, inactive);
	return limit - MIN(limit, usage);
}

/* least_of_groups - the least of our group and all above it, in one tree. */
static uint64_t least_of_groups(const struct group_kind *k, const char *root,
	uint64_t (*of)(const struct group_kind *k, const char *dir))
{
	char text[TEXT_ROOM], dir[PATH_ROOM], path[PATH_ROOM];
	uint64_t left = UINT64_MAX;
	size_t mount_len;
	char *at;

	snprintf(path, sizeof(path), "%s/proc/self/cgroup", root);
	if (!read_text(path, text, sizeof(text)))
		return left;
	at = strstr(text, k->line);
	if (!at)
		return left;
	at += strlen(k->line);
	at[strcspn(at, "\n")] = '\0';
	mount_len = (size_t)snprintf(dir, sizeof(dir), "%s%s", root, k->mount);
	if (mount_len + strlen(at) >= sizeof(dir))
		return left;
	strcpy(dir + mount_len, at);
	for (;;) {
		left = MIN(left, of(k, dir));
		at = strrchr(dir, '/');
		if (!at || (size_t)(at - dir) < mount_len)
			return left;
		*at = '\0';
	}
}

/* least_of_all - the least of a line of meminfo and of every group, in both trees. */
static uint64_t least_of_all(const char *root, const char *line,
	uint64_t (*of)(const struct group_kind *k, const char *dir))
{
	uint64_t least = UINT64_MAX, kib;
	char dir[PATH_ROOM];

	snprintf(dir, sizeof(dir), "%s/proc", root);
	if (number_in(dir, "meminfo", line, &kib) && kib < UINT64_MAX / 1024)
		least = kib * 1024;
	for (unsigned i = 0; i < ARRAY_LEN(kinds); i++)
		least = MIN(least, least_of_groups(&kinds[i], root, of));
	return least;
}

uint64_t sysmem_available(const char *root)
{
	return least_of_all(root, "MemAvailable:", group_left);
}

uint64_t sysmem_total(const char *root)
{
	return least_of_all(root, "MemTotal:", group_limit);
}

uint64_t sysmem_resident(const char *root)
{
	char path[PATH_ROOM], text[TEXT_ROOM];
	const char *at = text;
	uint64_t pages;

	snprintf(path, sizeof(path), "%s/proc/self/statm", root);
	if (!read_text(path, text, sizeof(text)))
		return 0;
	at += strcspn(at, " "); /* the second field */
	at += strspn(at, " ");
	if (!parse_u64(&at, UINT64_MAX / 65536, &pages))
		return 0;
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t reserved;

int sysmem_reserve(uint64_t n_bytes)
{
	uint64_t others = __atomic_fetch_add(&reserved, n_bytes, __ATOMIC_RELAXED);
	uint64_t untouched = others - MIN(others, sysmem_resident(""));
	uint64_t available = sysmem_available("");

	/* What was reserved and touched is no longer available anyway. */
	if (n_bytes <= available - MIN(available, untouched))
		return 0;
	sysmem_release(n_bytes);
	return -ENOMEM;
}

void sysmem_release(uint64_t n_bytes)
{
	__atomic_fetch_sub(&reserved, n_bytes, __ATOMIC_RELAXED);
}
