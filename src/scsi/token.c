/* token.c - see token.h.
 *
 *   bytes    0 ROD TYPE   6 length   8 identifier   16 creator, as a CSCD descriptor   48 bytes represented
 *           96 block length of the unit   128 random
 *
 * The identifier is a counter and only finds the token; that it is the one that was given out is seen by all 512
 * bytes, compared in a time that says nothing of where they differ. */
#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>
#include "be.h"
#include "body.h"
#include "check.h"
#include "copy_job.h"
#include "copy_list.h"
#include "token.h"

enum {
	AT_TYPE = 0,
	AT_LENGTH = 6,
	AT_ID = 8,
	AT_CREATOR = 16,
	AT_BYTES = 48,
	AT_BLOCK = 96,
	AT_RANDOM = 128
};
enum { RANDOM_LEN = 32, BODY_LEN = TOKEN_LEN - 8 };

struct token {
	struct list link; /* tokens, oldest first */
	uint64_t id;
	uint8_t bytes[TOKEN_LEN];
	struct token_content content;
	struct scsi_host *host;
	uint64_t ends_ns, idle_ns, idle_ends_ns;
	enum sense ended; /* SENSE_NONE: it lives */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct list tokens = {&tokens, &tokens};
static unsigned n_tokens;
static uint64_t next_id = 1;

static void token_free(struct token *t)
{
	list_remove(&t->link);
	n_tokens--;
	watch_put(t->content.watch);
	free(t);
}

static void put_creator(uint8_t *p, const struct lu *l)
{
	uint8_t names[64] = {0};

	inquiry_names(l, names);
	p[0] = CSCD_NAMED;
	memcpy(p + 4, names, 4 + names[3]);
	put_be24(p + 29, l->block);
}

static void token_write(struct io *io, struct token *t)
{
	uint8_t *p = t->bytes;

	put_be32(p + AT_TYPE,
		t->content.upon_reference ? ROD_UPON_REFERENCE : ROD_CHANGE_VULNERABLE);
	put_be16(p + AT_LENGTH, BODY_LEN);
	put_be64(p + AT_ID, t->id);
	put_creator(p + AT_CREATOR, t->content.lu);
	put_be64(p + AT_BYTES + 8, t->content.len);
	put_be32(p + AT_BLOCK, t->content.lu->block);
	io_random(io, p + AT_RANDOM, RANDOM_LEN);
}

static struct watch *watch_content(const struct token_content *content)
{
	struct watch_range ranges[TOKEN_RANGES];

	for (unsigned i = 0; i < content->n; i++)
		ranges[i] = (struct watch_range){content->ranges[i].off, content->ranges[i].len};
	return volume_watch(content->lu->volume, ranges, content->n);
}

bool token_new(struct io *io, const struct token_content *content, uint32_t idle_s, uint8_t *p)
{
	struct token *t = calloc(1, sizeof(*t));
	const uint64_t second = 1000000000;

	if (!t)
		return false;
	list_init(&t->link);
	t->content = *content;
	t->content.watch = content->upon_reference ? NULL : watch_content(content);
	if (!content->upon_reference && !t->content.watch) {
		free(t);
		return false;
	}
	t->host = content->lu->host;
	t->idle_ns = (idle_s ? idle_s : (uint32_t)TOKEN_IDLE_DEFAULT_S) * second;
	t->idle_ends_ns = io_now(io) + t->idle_ns;
	t->ends_ns = io_now(io) + TOKEN_LIFE_S * second;
	pthread_mutex_lock(&lock);
	t->id = next_id++;
	token_write(io, t);
	memcpy(p, t->bytes, TOKEN_LEN);
	if (n_tokens == TOKENS)
		token_free(list_first(&tokens, struct token, link));
	list_push_back(&tokens, &t->link);
	n_tokens++;
	pthread_mutex_unlock(&lock);
	return true;
}

static struct token *find(const uint8_t *p)
{
	uint64_t id = get_be64(p + AT_ID);

	list_for_each(node, &tokens)
		if (list_entry(node, struct token, link)->id == id)
			return list_entry(node, struct token, link);
	return NULL;
}

static void token_end(struct token *t, enum sense why)
{
	if (t->ended == SENSE_NONE)
		t->ended = why;
}

static enum sense use(struct token *t, const struct lu *near, const uint8_t *p, uint64_t now)
{
	if (!t || t->host != near->host)
		return SENSE_TOKEN_UNKNOWN;
	if (CRYPTO_memcmp(t->bytes, p, TOKEN_LEN))
		return SENSE_TOKEN_CORRUPT;
	if (now >= t->ends_ns || now >= t->idle_ends_ns)
		token_end(t, SENSE_TOKEN_EXPIRED);
	if (t->content.watch && watch_changed(t->content.watch))
		token_end(t, SENSE_TOKEN_REVOKED);
	return t->ended;
}

enum sense token_use(
	struct io *io, const struct lu *near, const uint8_t *p, struct token_content *content)
{
	enum sense why;
	struct token *t;

	if (get_be16(p + AT_LENGTH) != BODY_LEN)
		return SENSE_TOKEN_LENGTH;
	if (get_be32(p) == ROD_ZERO) {
		*content = (struct token_content){.len = UINT64_MAX};
		return SENSE_NONE;
	}
	if (get_be32(p) != ROD_UPON_REFERENCE && get_be32(p) != ROD_CHANGE_VULNERABLE)
		return SENSE_TOKEN_UNSUPPORTED;
	pthread_mutex_lock(&lock);
	t = find(p);
	why = use(t, near, p, io_now(io));
	if (why == SENSE_NONE) {
		*content = t->content;
		watch_get(content->watch);
		t->idle_ends_ns = io_now(io) + t->idle_ns;
		atomic_fetch_add(&content->lu->n_copies, 1);
	}
	pthread_mutex_unlock(&lock);
	return why;
}

void token_used(const struct token_content *content)
{
	watch_put(content->watch);
	if (content->lu)
		atomic_fetch_sub(&content->lu->n_copies, 1);
}

void token_delete(const uint8_t *p)
{
	struct token *t;

	pthread_mutex_lock(&lock);
	t = find(p);
	if (t && !CRYPTO_memcmp(t->bytes, p, TOKEN_LEN))
		token_end(t, SENSE_TOKEN_DELETED);
	pthread_mutex_unlock(&lock);
}

void tokens_revoke(struct lu *l)
{
	pthread_mutex_lock(&lock);
	list_for_each(node, &tokens) {
		struct token *t = list_entry(node, struct token, link);

		if (t->content.lu == l)
			token_end(t, SENSE_TOKEN_REVOKED);
	}
	pthread_mutex_unlock(&lock);
}

void tokens_forget(struct lu *l)
{
	pthread_mutex_lock(&lock);
	list_for_each_safe(node, next, &tokens) {
		struct token *t = list_entry(node, struct token, link);

		if (t->content.lu == l)
			token_free(t);
	}
	pthread_mutex_unlock(&lock);
}
