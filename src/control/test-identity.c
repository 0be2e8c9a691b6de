/* test-identity.c - a disk keeps its name through restart and rename, and no two have the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "identity.h"

static char dir[] = "/tmp/berth-identity-XXXXXX";
static bool attributes; /* the file system of dir has them */

static int make_dir(void **state)
{
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	attributes = !setxattr(".", IDENTITY_XATTR ".probe", "x", 1, 0);
	return 0;
}

static int remove_dir(void **state)
{
	static const char *const names[] = {"a", "b", "c", "link"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlink(names[i]);
	assert_int_equal(chdir("/"), 0);
	return rmdir(dir);
}

static void make(const char *path)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	close(fd);
}

/* name_of - what a server started now would call this disk. */
static int name_of(const char *path, uint64_t size, bool ro, char text[UUID_TEXT])
{
	struct config c;
	struct config_disk *d;
	char err[256] = "";
	int r;

	config_init(&c);
	assert_int_equal(config_add_disk(&c, path ? path : "--ram", &d), 0);
	d->path = path ? strdup(path) : NULL;
	d->size = size;
	d->ro = ro;
	r = identity_fill(&c, err, sizeof(err));
	assert_int_equal(r < 0, err[0] != '\0');
	if (!r)
		uuid_text(c.disks[0].uuid, text);
	config_deinit(&c);
	return r;
}

#define SAME(a, b)      assert_string_equal(a, b)
#define DIFFERENT(a, b) assert_string_not_equal(a, b)

static void uuids_as_text(void **state)
{
	static const char *const good = "00112233-4455-6677-8899-aabbccddeeff";
	static const char *const bad[] = {"", "0", "00112233-4455-6677-8899-aabbccddeef",
		"00112233-4455-6677-8899-aabbccddeefff", "00112233-4455-6677-8899-aabbccddeefg",
		"0011223344-55-6677-8899-aabbccddeeff", "00112233445566778899aabbccddeefg"};
	uint8_t uuid[16];
	char text[UUID_TEXT];

	assert_true(uuid_parse(good, uuid));
	assert_string_equal(uuid_text(uuid, text), good);
	assert_true(uuid_parse("00112233445566778899AABBCCDDEEFF", uuid));
	assert_string_equal(uuid_text(uuid, text), good);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(uuid_parse(bad[i], uuid));
	assert_string_equal(uuid_text(uuid, text), good); /* a refused text changes nothing */
}

/* RFC 9562 appendix A.4: the DNS name space and www.example.com. */
static void version_5(void **state)
{
	uint8_t dns[16], uuid[16];
	char text[UUID_TEXT];

	assert_true(uuid_parse("6ba7b810-9dad-11d1-80b4-00c04fd430c8", dns));
	assert_int_equal(uuid_v5(uuid, dns, "www.example.com", 15), 0);
	assert_string_equal(uuid_text(uuid, text), "2ed6657d-e927-568b-95e1-2665a8aea6a2");
}

static void ram_by_target_and_lun(void **state)
{
	uint8_t a[16], b[16];

	assert_int_equal(identity_of_ram(a, "iqn.a", 0), 0);
	assert_int_equal(identity_of_ram(b, "iqn.a", 0), 0);
	assert_memory_equal(a, b, 16);
	assert_int_equal(identity_of_ram(b, "iqn.a", 1), 0);
	assert_memory_not_equal(a, b, 16);
	assert_int_equal(identity_of_ram(b, "iqn.b", 0), 0);
	assert_memory_not_equal(a, b, 16);
}

static void path_by_machine_and_path(void **state)
{
	uint8_t a[16], b[16];

	assert_int_equal(identity_of_path(a, "m1", "/x"), 0);
	assert_int_equal(identity_of_path(b, "m1", "/x"), 0);
	assert_memory_equal(a, b, 16);
	assert_int_equal(identity_of_path(b, "m2", "/x"), 0);
	assert_memory_not_equal(a, b, 16);
	assert_int_equal(identity_of_path(b, "m1", "/y"), 0);
	assert_memory_not_equal(a, b, 16);
}

static void an_image_keeps_its_name(void **state)
{
	char first[UUID_TEXT], again[UUID_TEXT];

	make("a");
	assert_int_equal(name_of("a", 0, false, first), 0);
	assert_int_equal(name_of("a", 0, false, again), 0);
	SAME(first, again);
	assert_int_equal(symlink("a", "link"), 0);
	assert_int_equal(name_of("link", 0, false, again), 0);
	SAME(first, again);
	assert_int_equal(name_of("a", 0, true, again), 0);
	SAME(first, again);
}

static void a_renamed_image_keeps_its_name(void **state)
{
	char first[UUID_TEXT], moved[UUID_TEXT], next[UUID_TEXT];

	if (!attributes)
		skip();
	make("a");
	assert_int_equal(name_of("a", 0, false, first), 0);
	assert_int_equal(rename("a", "b"), 0);
	assert_int_equal(name_of("b", 0, false, moved), 0);
	SAME(first, moved);
	make("a");
	assert_int_equal(name_of("a", 0, false, next), 0);
	DIFFERENT(first, next);
}

static void read_only_images_are_not_touched(void **state)
{
	char first[UUID_TEXT], again[UUID_TEXT], value[64];

	make("a");
	removexattr("a", IDENTITY_XATTR);
	assert_int_equal(name_of("a", 0, true, first), 0);
	assert_int_equal(getxattr("a", IDENTITY_XATTR, value, sizeof(value)), -1);
	assert_int_equal(name_of("a", 0, true, again), 0);
	SAME(first, again);
}

static void size_makes_an_image(void **state)
{
	char first[UUID_TEXT], again[UUID_TEXT];
	struct stat st;

	unlink("c");
	assert_int_equal(name_of("c", 3 << 20, false, first), 0);
	assert_int_equal(stat("c", &st), 0);
	assert_int_equal(st.st_size, 3 << 20);
	assert_int_equal(st.st_blocks, 0);
	/* one that is there is not resized: the backend says whether it fits */
	assert_int_equal(name_of("c", 5 << 20, false, again), 0);
	assert_int_equal(stat("c", &st), 0);
	assert_int_equal(st.st_size, 3 << 20);
	SAME(first, again);
}

/* undo - after a start that would have made "c"; true: it is there no more. `meanwhile` has its path. */
static bool undone(void (*meanwhile)(void))
{
	struct config c;
	struct config_disk *d;
	char err[256];

	config_init(&c);
	assert_int_equal(config_add_disk(&c, "c", &d), 0);
	d->path = strdup("c");
	d->size = 3 << 20;
	assert_int_equal(identity_fill(&c, err, sizeof(err)), 0);
	assert_int_equal(access("c", F_OK), 0);
	if (meanwhile)
		meanwhile();
	identity_undo(&c);
	config_deinit(&c);
	return access("c", F_OK) < 0;
}

static void write_to_it(void)
{
	int fd = open("c", O_WRONLY | O_CLOEXEC);

	assert_int_equal(pwrite(fd, "x", 1, 1 << 20), 1);
	close(fd);
}

static int other_fd = -1;

static void have_it(void)
{
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};

	other_fd = open("c", O_RDONLY | O_CLOEXEC);
	assert_int_equal(fcntl(other_fd, F_OFD_SETLK, &lock), 0);
}

static void replace_it(void)
{
	make("b");
	assert_int_equal(rename("b", "c"), 0);
}

static void a_refused_start_removes_what_it_has_made(void **state)
{
	unlink("c");
	assert_true(undone(NULL));
	make("c");
	assert_false(undone(NULL)); /* it was there */
	unlink("c");
	assert_false(undone(write_to_it));
	unlink("c");
	assert_false(undone(have_it));
	close(other_fd);
	unlink("c");
	assert_false(undone(replace_it));
}

static void a_spoilt_attribute_is_not_used(void **state)
{
	char text[UUID_TEXT], again[UUID_TEXT];

	if (!attributes)
		skip();
	make("a");
	assert_int_equal(setxattr("a", IDENTITY_XATTR, "nonsense", 8, 0), 0);
	assert_int_equal(name_of("a", 0, false, text), 0);
	assert_int_equal(name_of("a", 0, false, again), 0);
	SAME(text, again);
}

static void what_is_not_there(void **state)
{
	char text[UUID_TEXT];

	assert_int_equal(name_of("nowhere", 0, false, text), -ENOENT);
	assert_int_equal(name_of("nowhere/x", 1 << 20, false, text), -ENOENT);
	assert_int_equal(name_of(NULL, 1 << 20, false, text), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(uuids_as_text),
		cmocka_unit_test(version_5), cmocka_unit_test(ram_by_target_and_lun),
		cmocka_unit_test(path_by_machine_and_path),
		cmocka_unit_test(an_image_keeps_its_name),
		cmocka_unit_test(a_renamed_image_keeps_its_name),
		cmocka_unit_test(read_only_images_are_not_touched),
		cmocka_unit_test(size_makes_an_image),
		cmocka_unit_test(a_refused_start_removes_what_it_has_made),
		cmocka_unit_test(a_spoilt_attribute_is_not_used),
		cmocka_unit_test(what_is_not_there)};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
