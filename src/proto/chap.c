/* chap.c - see chap.h. */
#include "chap.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "check.h"

/* clang-format off */
static const struct { unsigned number; const char *hash; } algorithms[] = { /* RFC 7143 12.1.3, IANA's registry */
	{ 8, "SHA3-256" },
	{ 7, "SHA256"   },
	{ 6, "SHA1"     },
	{ 5, "MD5"      },
};
/* clang-format on */

/* --- values --- */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* An odd number of digits has a leading zero that was left out (RFC 7143 6.1, large-numerical-value). */
static int from_hex(const char *s, uint8_t *out, size_t max)
{
	size_t n = strlen(s), len = (n + 1) / 2, at = 0;

	if (!n || len > max)
		return -1;
	memset(out, 0, len);
	for (size_t i = n % 2; i < n + n % 2; i++, at++) {
		int d = hex_digit(s[at]);

		if (d < 0)
			return -1;
		out[i / 2] |= (uint8_t)(i % 2 ? d : d << 4);
	}
	return (int)len;
}

static int base64_digit(char c)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

static int from_base64(const char *s, uint8_t *out, size_t max)
{
	size_t n = strcspn(s, "="), len = n * 6 / 8;
	uint32_t bits = 0;
	size_t at = 0;

	if (!n || n % 4 == 1 || len > max || strspn(s + n, "=") != strlen(s + n) ||
		strlen(s + n) > 2)
		return -1;
	for (size_t i = 0; i < n; i++) {
		int d = base64_digit(s[i]);

		if (d < 0)
			return -1;
		bits = bits << 6 | (uint32_t)d;
		if (i % 4)
			out[at++] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
	}
	return (int)len;
}

int chap_binary(const char *text, uint8_t *out, size_t max)
{
	if (text[0] != '0' || !text[1])
		return -1;
	switch (text[1] | 0x20) {
	case 'x':
		return from_hex(text + 2, out, max);
	case 'b':
		return from_base64(text + 2, out, max);
	default:
		return -1;
	}
}

int chap_say(struct text *out, enum key k, const uint8_t *bytes, size_t len)
{
	char hex[2 + 2 * 64 + 1] = "0x";

	check(len <= 64);
	for (size_t i = 0; i < len; i++)
		snprintf(hex + 2 + 2 * i, 3, "%02x", bytes[i]);
	return text_add(out, key_rows[k].name, hex);
}

static const char *hash_of(unsigned algorithm)
{
	for (size_t i = 0; i < ARRAY_LEN(algorithms); i++) {
		if (algorithms[i].number == algorithm)
			return algorithms[i].hash;
	}
	return NULL;
}

unsigned chap_response(unsigned algorithm, uint8_t id, const char *secret, const uint8_t *challenge,
	size_t len, uint8_t out[64])
{
	const char *hash = hash_of(algorithm);
	EVP_MD *md = hash ? EVP_MD_fetch(NULL, hash, NULL) : NULL;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned n = 0;

	if (!md || !ctx || !EVP_DigestInit_ex2(ctx, md, NULL) || !EVP_DigestUpdate(ctx, &id, 1) ||
		!EVP_DigestUpdate(ctx, secret, strlen(secret)) ||
		!EVP_DigestUpdate(ctx, challenge, len) || !EVP_DigestFinal_ex(ctx, out, &n))
		n = 0;
	EVP_MD_CTX_free(ctx);
	EVP_MD_free(md);
	return n;
}

bool chap_can(unsigned algorithm)
{
	uint8_t out[64];

	return chap_response(algorithm, 0, "", (const uint8_t *)"", 0, out) > 0;
}

void chap_list(char list[CHAP_LIST_LEN], unsigned most)
{
	size_t at = 0;

	list[0] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(algorithms); i++) {
		if (algorithms[i].number <= most && chap_can(algorithms[i].number))
			at += (size_t)snprintf(list + at, CHAP_LIST_LEN - at, "%s%u", at ? "," : "",
				algorithms[i].number);
	}
}

/* --- the exchange --- */

void chap_init(struct chap *c, const struct chap_db *db, uint8_t id,
	const uint8_t challenge[CHAP_CHALLENGE_LEN])
{
	*c = (struct chap){.db = db, .id = id};
	memcpy(c->challenge, challenge, sizeof(c->challenge));
}

/* choose - the first of the initiator's algorithms that we have; 0: none. */
static unsigned choose(const char *list)
{
	for (;;) {
		char *end;
		unsigned long n = strtoul(list, &end, 10);

		if (end != list && (*end == ',' || !*end) && n < 256 && chap_can((unsigned)n))
			return (unsigned)n;
		list = strchr(list, ',');
		if (!list)
			return 0;
		list++;
	}
}

static int challenge_it(struct chap *c, const struct nego *n, struct text *out, const char **whyp)
{
	const char *list = nego_value(n, KEY_CHAP_A);
	int r;

	if (!list)
		return CHAP_MORE; /* AuthMethod alone came first */
	c->algorithm = choose(list);
	*whyp = "no algorithm of CHAP_A is supported";
	if (!c->algorithm)
		return CHAP_REFUSED;
	c->state = CHAP_CHALLENGED;
	r = text_addf(out, "CHAP_A", "%u", c->algorithm);
	if (!r)
		r = text_addf(out, "CHAP_I", "%u", c->id);
	return r                                                               ? -ENOMEM
	       : chap_say(out, KEY_CHAP_C, c->challenge, sizeof(c->challenge)) ? -ENOMEM
									       : CHAP_MORE;
}

static const struct chap_user *find_user(const struct chap_db *db, const char *name)
{
	for (unsigned i = 0; i < db->n_users; i++) {
		if (!strcmp(db->users[i].name, name))
			return &db->users[i];
	}
	return NULL;
}

/* answer_it - the initiator challenges us (mutual). Its challenge must not be our own: it would have us do its
 * sums (12.1.3). */
static int answer_it(struct chap *c, const char *id_text, const char *challenge_text,
	struct text *out, const char **whyp)
{
	uint8_t challenge[CHAP_BINARY_MAX], response[64];
	char *end;
	unsigned long id = strtoul(id_text, &end, 0);
	int len = chap_binary(challenge_text, challenge, sizeof(challenge));
	unsigned n;

	*whyp = "CHAP_I or CHAP_C is not a value of its kind";
	if (*end || end == id_text || id > 255 || len <= 0)
		return CHAP_REFUSED;
	*whyp = "the initiator's challenge is our own";
	if (len == sizeof(c->challenge) && !memcmp(challenge, c->challenge, sizeof(c->challenge)))
		return CHAP_REFUSED;
	*whyp = "the initiator asks for mutual authentication, and the target has no secret of its own";
	if (!c->db->self.name)
		return CHAP_REFUSED;
	n = chap_response(
		c->algorithm, (uint8_t)id, c->db->self.secret, challenge, (size_t)len, response);
	if (!n || text_add(out, "CHAP_N", c->db->self.name) ||
		chap_say(out, KEY_CHAP_R, response, n))
		return -ENOMEM;
	return CHAP_VERIFIED;
}

static int verify_it(struct chap *c, const struct nego *n, struct text *out, const char **whyp)
{
	const char *name = nego_value(n, KEY_CHAP_N), *text = nego_value(n, KEY_CHAP_R);
	const char *id = nego_value(n, KEY_CHAP_I), *challenge = nego_value(n, KEY_CHAP_C);
	const struct chap_user *user = name ? find_user(c->db, name) : NULL;
	uint8_t response[64], want[64];
	int len = text ? chap_binary(text, response, sizeof(response)) : -1;
	unsigned n_want = chap_response(c->algorithm, c->id, user ? user->secret : "", c->challenge,
		sizeof(c->challenge), want);

	*whyp = "CHAP_N or CHAP_R is missing";
	if (!name && !text)
		return CHAP_MORE;
	if (!name || !text)
		return CHAP_REFUSED;
	*whyp = "unknown name or wrong response";
	if (!n_want || len != (int)n_want || CRYPTO_memcmp(response, want, n_want) || !user)
		return CHAP_REFUSED;
	c->state = CHAP_DONE;
	if (id && challenge)
		return answer_it(c, id, challenge, out, whyp);
	*whyp = "CHAP_I and CHAP_C belong together";
	return id || challenge ? CHAP_REFUSED : CHAP_VERIFIED;
}

int chap_step(struct chap *c, const struct nego *n, struct text *out, const char **whyp)
{
	switch (c->state) {
	case CHAP_BEGIN:
		return challenge_it(c, n, out, whyp);
	case CHAP_CHALLENGED:
		return verify_it(c, n, out, whyp);
	default:
		return CHAP_VERIFIED;
	}
}

/* --- the file --- */

static void user_deinit(struct chap_user *u)
{
	if (u->secret)
		OPENSSL_cleanse(u->secret, strlen(u->secret));
	free(u->name);
	free(u->secret);
	*u = (struct chap_user){NULL, NULL};
}

void chap_db_deinit(struct chap_db *db)
{
	for (unsigned i = 0; i < db->n_users; i++)
		user_deinit(&db->users[i]);
	free(db->users);
	user_deinit(&db->self);
	*db = (struct chap_db){NULL, 0, {NULL, NULL}};
}

/* word - the next word of the line, ended by NUL in place; NULL: none, or a quote that does not end. */
static char *word(char **linep, bool *quotedp)
{
	char *at = *linep + strspn(*linep, " \t\r\n"), *end;

	*quotedp = *at == '"';
	if (!*at)
		return NULL;
	if (*quotedp) {
		end = strchr(++at, '"');
		if (!end)
			return NULL;
	} else {
		end = at + strcspn(at, " \t\r\n");
	}
	*linep = *end ? end + 1 : end;
	*end = '\0';
	return at;
}

static int add_user(struct chap_db *db, const char *name, const char *secret, bool self)
{
	struct chap_user u = {strdup(name), strdup(secret)}, *more;

	more = self ? NULL : realloc(db->users, (db->n_users + 1) * sizeof(*more));
	if (!u.name || !u.secret || (!self && !more)) {
		user_deinit(&u);
		if (more)
			db->users = more;
		return -ENOMEM;
	}
	if (self) {
		user_deinit(&db->self);
		db->self = u;
	} else {
		db->users = more;
		db->users[db->n_users++] = u;
	}
	return 0;
}

static const char no_memory[] = "no memory";

/* take_line - 0, or a reason. */
static const char *take_line(struct chap_db *db, char *line)
{
	bool quoted, ignored, self;
	char *name = word(&line, &quoted), *secret;

	if (!name || (!quoted && *name == '#'))
		return name || !strchr(line, '"') ? NULL : "a quote does not end";
	self = !quoted && *name == '=';
	secret = word(&line, &ignored);
	if (!secret || !*secret || !*(name + self))
		return "not NAME SECRET";
	if (strlen(secret) > CHAP_SECRET_MAX || strlen(name) > TEXT_VALUE_MAX)
		return "a name or secret of more than 255 bytes";
	if (word(&line, &ignored))
		return "more than NAME and SECRET (quote what contains blanks)";
	if (!self && find_user(db, name))
		return "this name came before";
	return add_user(db, name + self, secret, self) ? no_memory : NULL;
}

/* same_secret - one secret for both directions would let an initiator reflect a challenge (12.1.3). */
static bool same_secret(const struct chap_db *db)
{
	for (unsigned i = 0; db->self.name && i < db->n_users; i++) {
		if (!strcmp(db->users[i].secret, db->self.secret))
			return true;
	}
	return false;
}

static int load(struct chap_db *db, FILE *f, const char *path, char *err, size_t err_len)
{
	char *line = NULL;
	size_t room = 0;
	unsigned n = 0;
	const char *why = NULL;
	int error;

	while (!why && getline(&line, &room, f) >= 0) {
		n++;
		why = take_line(db, line);
	}
	error = why || feof(f) ? 0 : -errno;
	if (line)
		OPENSSL_cleanse(line, room);
	free(line);
	if (why)
		snprintf(err, err_len, "%s:%u: %s", path, n, why);
	else if (error)
		snprintf(err, err_len, "%s: %s", path, strerror(-error));
	else if (!db->n_users)
		snprintf(err, err_len, "%s: names nobody who may log in", path);
	else if (same_secret(db))
		snprintf(err, err_len, "%s: the target's own secret is also an initiator's", path);
	else
		return 0;
	return error ? error : why == no_memory ? -ENOMEM : -EUCLEAN;
}

int chap_db_load(struct chap_db *db, const char *path, char *err, size_t err_len)
{
	FILE *f = fopen(path, "re");
	struct stat st;
	int r;

	*db = (struct chap_db){NULL, 0, {NULL, NULL}};
	if (!f) {
		r = -errno;
		snprintf(err, err_len, "%s: %s", path, strerror(-r));
		return r;
	}
	if (!fstat(fileno(f), &st) && S_ISREG(st.st_mode) && st.st_mode & (S_IROTH | S_IWOTH)) {
		snprintf(err, err_len, "%s: everybody may read these secrets (chmod 600)", path);
		r = -EACCES;
	} else {
		r = load(db, f, path, err, err_len);
	}
	fclose(f);
	if (r)
		chap_db_deinit(db);
	return r;
}
