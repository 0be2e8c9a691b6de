/* copy_list.c - see copy_list.h. */
#include "copy_list.h"
#include <string.h>
#include "be.h"
#include "check.h"

/* A header, by where its fields are (SPC-4 tables 112 and 117). */
static const struct header {
	uint32_t len;
	uint32_t list_id, list_id_len;
	uint32_t cscds, segments, segments_len, inlined, inlined_len; /* lengths of what follows */
} headers[] = {
	{16, 0, 1, 2, 8, 4, 12, 4},
	{48, 20, 4, 42, 44, 2, 46, 2},
};

static uint32_t field(const uint8_t *p, uint32_t len)
{
	uint32_t v = 0;

	while (len--)
		v = v << 8 | *p++;
	return v;
}

static bool wrong(struct sense_data *bad, enum sense why, uint32_t byte, int bit)
{
	*bad = (struct sense_data){
		.why = why, .field = FIELD_LIST, .byte = (uint16_t)byte, .bit = bit};
	return false;
}

static bool too_short(struct sense_data *bad)
{
	*bad = (struct sense_data){.why = SENSE_PARAMETER_LIST_LENGTH};
	return false;
}

/* --- the header --- */

static bool parse_usage(
	struct copy_list *l, const uint8_t *p, const struct header *h, struct sense_data *bad)
{
	l->list_id = field(p + h->list_id, h->list_id_len);
	l->usage = p[1] >> 3 & 3;
	if (l->usage == 1)
		return wrong(bad, SENSE_INVALID_FIELD_IN_PARAMETERS, 1, 4);
	if (l->usage == USAGE_NONE && l->list_id) /* nobody could ask for it */
		return wrong(bad, SENSE_INVALID_FIELD_IN_PARAMETERS, h->list_id, -1);
	return true;
}

/* What only the longer header has: its own format, and a descriptor around the identifier. */
static bool parse_lid4(struct copy_list *l, const uint8_t *p, struct sense_data *bad)
{
	if (p[0] != 0x01)
		return wrong(bad, SENSE_INVALID_FIELD_IN_PARAMETERS, 0, -1);
	if (get_be16(p + 2) != COPY_CSCD_LEN)
		return wrong(bad, SENSE_INVALID_FIELD_IN_PARAMETERS, 2, -1);
	if (p[16] != 0xff)
		return wrong(bad, SENSE_INVALID_FIELD_IN_PARAMETERS, 16, -1);
	l->immed = p[15] & 1;
	if (l->immed && l->usage == USAGE_NONE) /* its end would be heard of by nobody */
		return wrong(bad, SENSE_INVALID_FIELD_IN_PARAMETERS, 15, 0);
	return true;
}

/* --- descriptors --- */

static bool parse_cscd(struct copy_cscd *d, const uint8_t *p, uint32_t at, struct sense_data *bad)
{
	if (p[0] != CSCD_NAMED)
		return wrong(bad, SENSE_UNSUPPORTED_TARGET_TYPE, at, -1);
	*d = (struct copy_cscd){
		.device = p[1] & 0x1f,
		.set = p[4] & 0x0f,
		.type = p[5] & 0x0f,
		.id_len = p[7],
		.id = p + 8,
		.block = get_be24(p + 29),
	};
	if (p[5] & 0x30) /* of a port or a target: not of the unit (SPC-4 6.4.5.3) */
		return wrong(bad, SENSE_INVALID_FIELD_IN_PARAMETERS, at + 5, 5);
	if (d->id_len == 0 || d->id_len > 20)
		return wrong(bad, SENSE_INVALID_FIELD_IN_PARAMETERS, at + 7, -1);
	return true;
}

static bool parse_segment(struct copy_segment *s, const uint8_t *p, uint32_t at, uint32_t left,
	struct sense_data *bad)
{
	if (p[0] != SEGMENT_BLOCKS)
		return wrong(bad, SENSE_UNSUPPORTED_SEGMENT_TYPE, at, -1);
	if (left < COPY_SEGMENT_LEN)
		return too_short(bad);
	if (get_be16(p + 2) != COPY_SEGMENT_LEN - 4)
		return wrong(bad, SENSE_INVALID_FIELD_IN_PARAMETERS, at + 2, -1);
	*s = (struct copy_segment){
		.dc = p[1] & 0x02,
		.source = get_be16(p + 4),
		.destination = get_be16(p + 6),
		.n = get_be16(p + 10),
		.source_lba = get_be64(p + 12),
		.destination_lba = get_be64(p + 20),
	};
	return true;
}

static bool parse_cscds(
	struct copy_list *l, const uint8_t *p, uint32_t from, uint32_t len, struct sense_data *bad)
{
	for (uint32_t at = from; at < from + len; at += COPY_CSCD_LEN)
		if (!parse_cscd(&l->cscds[l->n_cscds++], p + at, at, bad))
			return false;
	return true;
}

static bool parse_segments(
	struct copy_list *l, const uint8_t *p, uint32_t from, uint32_t len, struct sense_data *bad)
{
	for (uint32_t at = from; at < from + len; at += COPY_SEGMENT_LEN) {
		if (l->n_segments == COPY_MAX_SEGMENTS)
			return wrong(bad, SENSE_TOO_MANY_SEGMENTS, at, -1);
		if (!parse_segment(&l->segments[l->n_segments], p + at, at, from + len - at, bad))
			return false;
		l->n_segments++;
	}
	return true;
}

bool copy_list_parse(
	struct copy_list *l, const uint8_t *p, uint32_t len, bool lid4, struct sense_data *bad)
{
	const struct header *h = &headers[lid4];
	uint32_t n_cscds, n_segments, n_inlined;

	*l = (struct copy_list){0};
	if (len < h->len)
		return too_short(bad);
	if (!parse_usage(l, p, h, bad) || (lid4 && !parse_lid4(l, p, bad)))
		return false;
	n_cscds = get_be16(p + h->cscds);
	n_segments = field(p + h->segments, h->segments_len);
	n_inlined = field(p + h->inlined, h->inlined_len);
	if ((uint64_t)n_cscds + n_segments > COPY_MAX_LIST)
		return too_short(bad);
	if (n_inlined) /* no segment of ours has any */
		return wrong(bad, SENSE_INLINE_LENGTH_EXCEEDED, h->inlined, -1);
	if (h->len + n_cscds + n_segments > len)
		return too_short(bad);
	if (n_cscds % COPY_CSCD_LEN)
		return wrong(bad, SENSE_INVALID_FIELD_IN_PARAMETERS, h->cscds, -1);
	if (n_cscds / COPY_CSCD_LEN > COPY_MAX_CSCDS)
		return wrong(bad, SENSE_TOO_MANY_TARGETS, h->cscds, -1);
	return parse_cscds(l, p, h->len, n_cscds, bad) &&
	       parse_segments(l, p, h->len + n_cscds, n_segments, bad);
}
