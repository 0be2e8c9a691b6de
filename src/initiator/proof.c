/* proof.c - see proof.h. */
#include "proof.h"

#include <errno.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

enum { AUTH_CHAP = 1 }; /* the words of key.tbl's AuthMethod */

void proof_init(
	struct proof *p, const struct proof_secrets *with, const uint8_t random[PROOF_RANDOM_LEN])
{
	*p = (struct proof){.with = *with, .id = random[0]};
	memcpy(p->challenge, random + 1, sizeof(p->challenge));
}

static bool byte_of(const char *text, uint8_t *vp)
{
	char *end;
	unsigned long v = strtoul(text, &end, 0);

	if (end == text || *end || v > 255)
		return false;
	*vp = (uint8_t)v;
	return true;
}

/* begin - the target has chosen a method. */
static int begin(struct proof *p, struct nego *n, struct text *out, const char **whyp)
{
	char list[CHAP_LIST_LEN];

	if (!nego_heard(n, KEY_AUTH_METHOD) || n->params.auth_method != AUTH_CHAP) {
		*whyp = "the target does not prove who it is";
		if (proof_is_mutual(p))
			return PROOF_REFUSED;
		p->state = PROOF_DONE;
		return PROOF_READY;
	}
	p->state = PROOF_ASKED;
	chap_list(list, p->short_hashes ? CHAP_SHA1 : UINT_MAX);
	*whyp = "this machine's crypto library has no hash of CHAP";
	if (!*list)
		return PROOF_REFUSED;
	return nego_say(n, KEY_CHAP_A, list, out) ? -ENOMEM : PROOF_WAIT;
}

/* ask_it - our own challenge, for mutual authentication. */
static int ask_it(struct proof *p, struct text *out)
{
	p->state = PROOF_ANSWERED;
	return text_addf(out, "CHAP_I", "%u", p->id) ||
			       chap_say(out, KEY_CHAP_C, p->challenge, sizeof(p->challenge))
		       ? -ENOMEM
		       : PROOF_READY;
}

static int answer(struct proof *p, const struct nego *n, struct text *out, const char **whyp)
{
	const char *algorithm = nego_value(n, KEY_CHAP_A), *id_text = nego_value(n, KEY_CHAP_I);
	const char *challenge_text = nego_value(n, KEY_CHAP_C);
	uint8_t challenge[CHAP_BINARY_MAX], response[64], which, id;
	unsigned n_response;
	int len;

	*whyp = "the target does not challenge us";
	if (!algorithm || !id_text || !challenge_text)
		return PROOF_REFUSED;
	*whyp = "the target's challenge makes no sense";
	len = chap_binary(challenge_text, challenge, sizeof(challenge));
	if (!byte_of(algorithm, &which) || !byte_of(id_text, &id) || len <= 0)
		return PROOF_REFUSED;
	p->algorithm = which;
	n_response = chap_response(which, id, p->with.password, challenge, (size_t)len, response);
	*whyp = "the target chose a hash that was not offered";
	if (!n_response)
		return PROOF_REFUSED;
	if (text_add(out, "CHAP_N", p->with.user) ||
		chap_say(out, KEY_CHAP_R, response, n_response))
		return -ENOMEM;
	if (proof_is_mutual(p))
		return ask_it(p, out);
	p->state = PROOF_DONE;
	return PROOF_READY;
}

static int verify(struct proof *p, const struct nego *n, const char **whyp)
{
	const char *name = nego_value(n, KEY_CHAP_N), *text = nego_value(n, KEY_CHAP_R);
	uint8_t response[64], want[64];
	int len = text ? chap_binary(text, response, sizeof(response)) : -1;
	unsigned n_want = chap_response(p->algorithm, p->id, p->with.target_password, p->challenge,
		sizeof(p->challenge), want);

	*whyp = "the target does not prove who it is";
	if (!name || !text)
		return PROOF_REFUSED;
	*whyp = "the target has another name or secret than it should";
	if (!n_want || len != (int)n_want || CRYPTO_memcmp(response, want, n_want) ||
		(p->with.target_user && *p->with.target_user && strcmp(name, p->with.target_user)))
		return PROOF_REFUSED;
	p->state = PROOF_DONE;
	return PROOF_READY;
}

int proof_step(struct proof *p, struct nego *n, struct text *out, const char **whyp)
{
	switch (p->state) {
	case PROOF_BEGIN:
		return begin(p, n, out, whyp);
	case PROOF_ASKED:
		return answer(p, n, out, whyp);
	case PROOF_ANSWERED:
		return verify(p, n, whyp);
	default:
		return PROOF_READY;
	}
}
