/* test-framer.c - chosen streams: every cut of one conversation, damage, what nobody wants, the end. */
#include "framertest.h"
#include "effort.h"

/* --- one conversation, cut everywhere --- */

/* Commands with and without immediate data, unsolicited data, windows side by side, odd sizes,
 * pads, AHS on several opcodes, a text, a task that is aborted with its data on the way, a refused
 * tag. */
static void say_conversation(struct stream *s)
{
	say_plain(s, OP_TEXT_REQUEST, 1, 0, 333);
	say_command(s, 2, 0,
		&(struct rig_cdb){.length = 9216, .burst = 9216, .n_r2t = 1, .fragment = 4096});
	say_plain(s, OP_NOP_OUT, 3, 0, 0);
	say_data(s, 2, tag(0), 0, 9216, 2848); /* 2848 + 2848 + 2848 + 672 */
	say_command(s, 4, 777,
		&(struct rig_cdb){.length = 3001,
			.burst = 1000,
			.n_r2t = 2,
			.unasked = 1777,
			.fragment = 100});
	say_data(s, 4, TAG_NONE, 777, 1777, 333);
	say_plain(s, OP_TEXT_REQUEST, 5, 3, 21);
	say_data(s, 4, tag(1), 1777, 2777, 999);
	say_plain(s, OP_NOP_OUT, 6, 255, 0);
	say_data(s, 4, tag(2), 2777, 3001, 224);
	say_command(s, 7, 0, &(struct rig_cdb){.length = 1500, .burst = 1500, .n_r2t = 1});
	say_data(s, 7, 0x1fff0007, 0, 130, 100); /* refused: such a tag was never given */
	say_abort(s, 8, 7);
	say_data(s, 7, tag(3), 0, 1500, 1000); /* drained */
	say_plain(s, OP_LOGOUT_REQUEST, 9, 1, 0);
}

struct splits {
	const size_t *at;
	unsigned n;
	size_t every;
};

static size_t split(void *ctx, size_t at, size_t left)
{
	const struct splits *c = ctx;

	for (unsigned i = 0; i < c->n; i++) {
		if (c->at[i] > at)
			return MIN(c->at[i] - at, left);
	}
	return c->every ? MIN(c->every, left) : left;
}

static void converse(const struct stream *s, const struct rig *expected, struct splits *cuts)
{
	struct rig r;

	rig_init(&r, s->header_digest, s->data_digest);
	rig_feed(&r, s, 0, cuts ? split : NULL, cuts);
	assert_true(r.stopped);
	assert_true(rig_same(&r, expected));
	assert_int_equal(r.n_done, 2);
	assert_int_equal(r.n_refused, 2);
	assert_int_equal(r.n_drained, 2);
	assert_int_equal(r.dpt.n_granted + r.dpt.n_draining, 0);
	rig_deinit(&r);
}

/* in_every_way - whole, in equal pieces, and split in two at each byte (each fifth, say, under a checker). */
static void in_every_way(unsigned header_digest, unsigned data_digest)
{
	struct stream s = {.header_digest = header_digest, .data_digest = data_digest};
	struct rig expected;
	size_t step = 100 / effort(100);

	say_conversation(&s);
	rig_init(&expected, header_digest, data_digest);
	rig_whole(&expected, &s, 0);
	assert_int_equal(expected.n_done, 2);
	converse(&s, &expected, NULL);
	for (size_t every = 1; every < 200; every += 1 + every / 16)
		converse(&s, &expected, &(struct splits){.every = every});
	for (size_t at = 1; at < s.len; at += step)
		converse(&s, &expected, &(struct splits){.at = &at, .n = 1});
	rig_deinit(&expected);
	stream_deinit(&s);
}

static void test_every_split(void **state)
{
	in_every_way(0, 0);
}

static void test_every_split_with_header_digest(void **state)
{
	in_every_way(4, 0);
}

static void test_every_split_with_both_digests(void **state)
{
	in_every_way(4, 4);
}

/* --- damage --- */

/* One bit of the data: the PDU is told as damaged, its bytes do not count, and the stream goes on. One bit of a
 * header: no further PDU can be found. */
static void test_damage_is_told(void **state)
{
	struct rig_cdb cdb = {.length = 8192, .burst = 8192, .n_r2t = 1};

	for (unsigned header = 0; header < 2; header++) {
		struct rig *r = setup();
		struct stream s = {.header_digest = 4, .data_digest = 4};

		framer_digests(&r->f, true, true);
		say_command(&s, 1, 0, &cdb);
		hear(r, &s);
		say_data(&s, 1, tag(0), 0, 8192, 8192);
		s.bytes[s.len - 8192 / 2 - (header ? 8192 / 2 + 4 + 4 + 40 : 0)] ^= 1;
		hear(r, &s);
		assert_int_equal(r->n_damaged, 1);
		assert_int_equal(r->n_done, 0);
		assert_int_equal(r->stopped, header);
		teardown(r, &s);
	}
}

/* --- payload that nobody wants --- */

static void test_refused_payload_is_drained(void **state)
{
	struct rig *r = setup();
	struct stream s = {0};

	say_data(&s, 1, tag(5), 0, 300000, 300000);
	say_plain(&s, OP_NOP_OUT, 2, 0, 70001);
	say_plain(&s, OP_NOP_OUT, 3, 0, 0);
	hear(r, &s);
	assert_int_equal(r->n_pdus, 3);
	COUNTS(r, DRAINED_BYTES, 300000 + 70001);
	COUNTS(r, PLACED_BYTES, 0);
	teardown(r, &s);
}

/* More unasked data comes than the command has memory for, in one PDU and over several. */
static void test_place_that_ends_early(void **state)
{
	struct rig *r = setup();
	struct stream s = {0};

	say_command(&s, 1, 5000, &(struct rig_cdb){.length = 5000, .half = true});
	say_command(&s, 2, 100,
		&(struct rig_cdb){
			.length = 10000, .unasked = 10000, .half = true, .fragment = 700});
	hear(r, &s);
	say_data(&s, 2, TAG_NONE, 100, 10000, 1100);
	hear(r, &s);
	assert_int_equal(r->n_done, 2);
	COUNTS(r, DRAINED_BYTES, 2500 + 5000);
	teardown(r, &s);
}

/* --- the end --- */

static void test_nothing_is_parsed_behind_a_stop(void **state)
{
	struct rig *r = setup();
	struct stream s = {0};

	say_plain(&s, OP_NOP_OUT, RIG_STOP_ITT, 0, 8);
	say_plain(&s, OP_NOP_OUT, 2, 0, 0);
	hear(r, &s);
	assert_int_equal(r->n_pdus, 1);
	assert_int_equal(framer_unread(&r->f), BHS_LEN);
	assert_true(framer_idle(&r->f));
	teardown(r, &s);
}

/* due_until_all_is_in - the stream a byte at a time; what is due is what is left of it, but for headers. */
static void due_until_all_is_in(struct rig *r, struct stream *s, uint32_t left)
{
	assert_int_equal(framer_due(&r->f, 1 << 30), left);
	for (size_t at = 0; at < s->len; at++) {
		uint32_t due;

		rig_receive(r, s->bytes + at, 1);
		due = framer_due(&r->f, 1 << 30);
		assert_true(due <= left && left - due <= 1);
		left = due;
	}
	assert_int_equal(left, 0);
	s->len = 0;
}

static void test_due(void **state)
{
	struct rig *r = setup();
	struct stream s = {0};

	say_command(&s, 1, 0, &(struct rig_cdb){.length = 20000, .burst = 10000, .n_r2t = 2});
	hear(r, &s);
	assert_int_equal(framer_due(&r->f, 300), 300);
	say_data(&s, 1, tag(0), 0, 10000, 3000);
	say_data(&s, 1, tag(1), 10000, 20000, 3000);
	due_until_all_is_in(r, &s, 20000);
	say_command(&s, 2, 0, &(struct rig_cdb){.length = 5000, .unasked = 5000});
	hear(r, &s);
	say_data(&s, 2, TAG_NONE, 0, 5000, 3000);
	due_until_all_is_in(r, &s, 5000);
	teardown(r, &s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_split),
		cmocka_unit_test(test_every_split_with_header_digest),
		cmocka_unit_test(test_every_split_with_both_digests),
		cmocka_unit_test(test_damage_is_told),
		cmocka_unit_test(test_refused_payload_is_drained),
		cmocka_unit_test(test_place_that_ends_early),
		cmocka_unit_test(test_nothing_is_parsed_behind_a_stop),
		cmocka_unit_test(test_due),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
