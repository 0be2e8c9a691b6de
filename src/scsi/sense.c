/* sense.c - see sense.h. */
#include <string.h>
#include "be.h"
#include "check.h"
#include "lun.h"
#include "sense.h"

struct condition {
	uint8_t key, asc, ascq;
	const char *text;
};

static const struct condition conditions[N_SENSES] = {
	[SENSE_NONE] = {KEY_NO_SENSE, 0, 0, "no sense"},
#define SENSE(e, k, a, q, t) [SENSE_##e] = {KEY_##k, a, q, t},
#include "sense.tbl"
#undef SENSE
};

/* The three bytes of a field pointer: SKSV, C/D, BPV, bit, byte (SPC-4 4.5.2.4.2); of a progress
 * indication: SKSV, progress (4.5.2.4.4). */
static void put_field(uint8_t *p, const struct sense_data *s)
{
	p[0] = 0x80;
	if (s->field == FIELD_CDB)
		p[0] |= 0x40;
	if (s->field == FIELD_SEGMENT)
		p[0] |= 0x20; /* SD: counted from the segment descriptor's first byte */
	if (s->field != FIELD_PROGRESS && s->bit >= 0)
		p[0] |= 0x08 | (uint8_t)s->bit;
	put_be16(p + 1, s->byte);
}

/* SPC-4 4.5.3 */
static size_t encode_fixed(const struct sense_data *s, uint8_t *out)
{
	const struct condition *k = &conditions[s->why];

	memset(out, 0, SENSE_FIXED_LEN);
	out[0] = s->deferred ? 0x71 : 0x70;
	out[2] = k->key;
	if (s->has_info && s->info <= UINT32_MAX) {
		out[0] |= 0x80;
		put_be32(out + 3, (uint32_t)s->info);
	}
	out[7] = SENSE_FIXED_LEN - 8;
	if (s->has_specific)
		put_be32(out + 8, s->specific);
	out[12] = k->asc;
	out[13] = k->ascq;
	if (s->field != FIELD_NONE)
		put_field(out + 15, s);
	return SENSE_FIXED_LEN;
}

/* SPC-4 4.5.2 */
static size_t encode_descriptors(const struct sense_data *s, uint8_t *out)
{
	const struct condition *k = &conditions[s->why];
	size_t len = 8;

	memset(out, 0, SCSI_SENSE_MAX);
	out[0] = s->deferred ? 0x73 : 0x72;
	out[1] = k->key;
	out[2] = k->asc;
	out[3] = k->ascq;
	if (s->has_info) {
		out[len] = 0x00;
		out[len + 1] = 0x0a;
		out[len + 2] = 0x80;
		put_be64(out + len + 4, s->info);
		len += 12;
	}
	if (s->has_specific) {
		out[len] = 0x01;
		out[len + 1] = 0x0a;
		put_be64(out + len + 4, s->specific);
		len += 12;
	}
	if (s->field != FIELD_NONE) {
		out[len] = 0x02;
		out[len + 1] = 0x06;
		put_field(out + len + 4, s);
		len += 8;
	}
	out[7] = (uint8_t)(len - 8);
	return len;
}

size_t sense_encode(const struct sense_data *s, bool descriptor, uint8_t out[SCSI_SENSE_MAX])
{
	check(s->why < N_SENSES);
	return descriptor ? encode_descriptors(s, out) : encode_fixed(s, out);
}

const char *sense_text(enum sense why)
{
	check(why < N_SENSES);
	return conditions[why].text;
}

void sense_put(struct scsi_cmd *c, const struct sense_data *s)
{
	c->status = SCSI_CHECK_CONDITION;
	c->sense_len = (uint8_t)sense_encode(s, c->lu && lu_state(c->lu) & LU_D_SENSE, c->sense);
}

void sense_set(struct scsi_cmd *c, enum sense why)
{
	sense_put(c, &(struct sense_data){.why = why});
}

void sense_deferred(struct scsi_cmd *c, enum sense why)
{
	sense_put(c, &(struct sense_data){.why = why, .deferred = true});
}

void sense_info(struct scsi_cmd *c, enum sense why, uint64_t info)
{
	sense_put(c, &(struct sense_data){.why = why, .has_info = true, .info = info});
}

void sense_progress(struct scsi_cmd *c, enum sense why, uint16_t progress)
{
	sense_put(c, &(struct sense_data){.why = why, .field = FIELD_PROGRESS, .byte = progress});
}

void sense_cdb(struct scsi_cmd *c, unsigned byte, int bit)
{
	sense_put(c, &(struct sense_data){.why = SENSE_INVALID_FIELD_IN_CDB,
			     .field = FIELD_CDB,
			     .byte = (uint16_t)byte,
			     .bit = bit});
}

void sense_list(struct scsi_cmd *c, unsigned byte, int bit)
{
	sense_put(c, &(struct sense_data){.why = SENSE_INVALID_FIELD_IN_PARAMETERS,
			     .field = FIELD_LIST,
			     .byte = (uint16_t)byte,
			     .bit = bit});
}

uint32_t sense_code(enum sense why)
{
	const struct condition *k = &conditions[why];

	return (uint32_t)k->key << 16 | (uint32_t)k->asc << 8 | k->ascq;
}
