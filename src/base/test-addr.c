/* test-addr.c */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "io.h"

#define SAME(in, out)                                                                              \
	do {                                                                                       \
		struct io_addr got;                                                                \
		char buf[IO_ADDR_TEXT];                                                            \
		assert_int_equal(io_addr_parse(&got, in, strlen(in)), 0);                          \
		assert_string_equal(io_addr_text(&got, buf), out);                                 \
	} while (0)
#define BAD(in)                                                                                    \
	do {                                                                                       \
		struct io_addr got;                                                                \
		assert_int_equal(io_addr_parse(&got, in, sizeof(in) - 1), -EINVAL);                \
	} while (0)

static void v4(void **state)
{
	struct io_addr a;

	SAME("127.0.0.1:3260", "127.0.0.1:3260");
	SAME("0.0.0.0:0", "0.0.0.0:0");
	SAME("255.255.255.255:65535", "255.255.255.255:65535");
	assert_int_equal(io_addr_parse(&a, "1.2.3.4:3260,1", 12), 0);
	assert_int_equal(a.sa.sa_family, AF_INET);
	assert_int_equal(ntohs(a.in.sin_port), 3260);
	assert_int_equal(ntohl(a.in.sin_addr.s_addr), 0x01020304);
	assert_int_equal(a.len, sizeof(struct sockaddr_in));
}

static void v6(void **state)
{
	struct io_addr a;

	SAME("[::1]:3260", "[::1]:3260");
	SAME("[::]:0", "[::]:0");
	SAME("[2001:DB8:0:0:0:0:0:9]:1", "[2001:db8::9]:1");
	SAME("[fe80::1%lo]:3260", "[fe80::1%lo]:3260");
	SAME("[fe80::1%4294967295]:3260", "[fe80::1%4294967295]:3260");
	SAME("[1111:2222:3333:4444:5555:6666:7777:8888%4294967295]:65535",
		"[1111:2222:3333:4444:5555:6666:7777:8888%4294967295]:65535");
	assert_int_equal(io_addr_parse(&a, "[::1]:3260", 10), 0);
	assert_int_equal(a.sa.sa_family, AF_INET6);
	assert_int_equal(a.len, sizeof(struct sockaddr_in6));
}

static void refused(void **state)
{
	BAD("");
	BAD(":");
	BAD(":3260");
	BAD("1.2.3.4");
	BAD("1.2.3.4:");
	BAD("1.2.3.4:65536");
	BAD("1.2.3.4:-1");
	BAD("1.2.3.4:0x10");
	BAD("1.2.3.4:080");
	BAD("1.2.3:80");
	BAD("1.2.3.256:80");
	BAD("1.2.3.4 :80");
	BAD("localhost:80");
	BAD("::1:3260");
	BAD("[::1]");
	BAD("[::1:3260");
	BAD("[:3260");
	BAD("[]:3260");
	BAD("[::1]x:3260");
	BAD("[1.2.3.4]:3260");
	BAD("[fe80::1%]:3260");
	BAD("[fe80::1%0]:3260");
	BAD("[fe80::1%no-such-interface]:3260");
	BAD("1.2.3.4\0:3260");
	BAD("[0000000000000000000000000000000000000000000000000000000000000000000000000000000::1]:3");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(v4),
		cmocka_unit_test(v6),
		cmocka_unit_test(refused),
	};

	return cmocka_run_group_tests_name("addr", tests, NULL, NULL);
}
