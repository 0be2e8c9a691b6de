/* copy_result.c - what is known of copies: RECEIVE COPY STATUS, OPERATING PARAMETERS, FAILURE DETAILS, DATA,
 * and RECEIVE ROD TOKEN INFORMATION (SPC-4 6.17 to 6.24, SBC-3 5.19). */
#include <string.h>
#include "copy_job.h"
#include "copy_list.h"
#include "check.h"

enum { UNITS_BYTES = 0x00, UNITS_KIB = 0x01, UNITS_MIB = 0x02, UNITS_BLOCKS = 0xf1 };

/* found - the copy that the CDB asks about; NULL: the command has ended. */
static struct copy_job *found(struct scsi_cmd *c, uint32_t list_id)
{
	struct copy_job *j = job_find(c, list_id);

	if (j)
		return j;
	sense_cdb(c, 2, -1);
	cmd_done(c);
	return NULL;
}

static uint32_t alloc_len(const struct scsi_cmd *c)
{
	return get_be32(c->cdb + 10);
}

/* --- one byte of list identifier --- */

/* Four bytes of TRANSFER COUNT: in the smallest unit in which it fits. */
static void put_count(uint8_t *p, uint64_t bytes)
{
	unsigned units = UNITS_BYTES;

	while (bytes > UINT32_MAX) {
		bytes >>= 10;
		units++;
	}
	p[0] = (uint8_t)units;
	put_be32(p + 1, (uint32_t)bytes);
}

/* SPC-4 table 225: in progress, ended without errors, ended with errors. */
static uint8_t status_1(const struct copy_job *j)
{
	if (job_runs(j))
		return 0x00;
	return j->status == COPY_FAILED || j->status == COPY_TERMINATED ? 0x02 : 0x01;
}

void copy_status_1_execute(struct scsi_cmd *c)
{
	struct copy_job *j = found(c, c->cdb[2]);
	uint8_t *p = j ? cmd_in(c, 12) : NULL;

	if (!j)
		return;
	if (!p) {
		cmd_done(c);
		return;
	}
	put_be32(p, 8);
	p[4] = 0x80 | status_1(j); /* HDD: there is no held data */
	put_be16(p + 5, j->segments);
	put_count(p + 7, j->bytes);
	cmd_in_done(c, 12, alloc_len(c));
}

/* No segment of ours leaves data to be received. */
void copy_data_1_execute(struct scsi_cmd *c)
{
	sense_cdb(c, 2, -1);
	cmd_done(c);
}

/* Of a copy that failed, and of no other (SPC-4 6.19). */
void copy_failure_1_execute(struct scsi_cmd *c)
{
	struct copy_job *j = found(c, c->cdb[2]);
	uint32_t len;
	uint8_t *p;

	if (!j)
		return;
	if (job_runs(j) || j->bad.why == SENSE_NONE) {
		sense_cdb(c, 2, -1);
		cmd_done(c);
		return;
	}
	p = cmd_in(c, 60 + SCSI_SENSE_MAX);
	if (!p) {
		cmd_done(c);
		return;
	}
	len = (uint32_t)sense_encode(&j->bad, lu_state(c->lu) & LU_D_SENSE, p + 60);
	put_be32(p, 56 + len);
	p[56] = SCSI_CHECK_CONDITION;
	put_be16(p + 58, (uint16_t)len);
	cmd_in_done(c, 60 + len, alloc_len(c));
}

/* --- operating parameters --- */

void copy_parameters_execute(struct scsi_cmd *c)
{
	static const uint8_t types[] = {SEGMENT_BLOCKS, CSCD_NAMED};
	uint8_t *p = cmd_in(c, 44 + sizeof(types));

	if (!p) {
		cmd_done(c);
		return;
	}
	put_be32(p, 40 + sizeof(types));
	p[4] = 0x01; /* SNLID: a copy need not have a list identifier */
	put_be16(p + 8, COPY_MAX_CSCDS);
	put_be16(p + 10, COPY_MAX_SEGMENTS);
	put_be32(p + 12, COPY_MAX_LIST);
	put_be32(p + 16, 0xffff * c->lu->block); /* what the descriptor's count can say */
	put_be16(p + 34, COPY_JOBS_RUNNING);
	p[36] = COPY_JOBS_RUNNING;
	p[37] = (uint8_t)c->lu->shift; /* data segment granularity */
	p[43] = sizeof(types);
	memcpy(p + 44, types, sizeof(types));
	cmd_in_done(c, 44 + sizeof(types), alloc_len(c));
}

/* --- four bytes of list identifier --- */

enum { HEAD = 32, SENSE_ROOM = 20, TOKEN_AT = HEAD + SENSE_ROOM + 4 };

/* The head that RECEIVE COPY STATUS(LID4) and RECEIVE ROD TOKEN INFORMATION have in common (SPC-4
 * table 231); its length with the sense data. */
static uint32_t put_head(const struct scsi_cmd *c, const struct copy_job *j, uint8_t *p)
{
	bool blocks = j->sa >= 0x10; /* the commands with tokens count those */
	size_t len = 0;

	p[4] = j->sa;
	p[5] = (uint8_t)j->status;
	put_be16(p + 6, j->operations);
	put_be32(p + 8, job_runs(j)
				? 100
				: 0xfffffffe); /* milliseconds until there is news; it has ended */
	if (!job_runs(j) && j->bad.why != SENSE_NONE) {
		p[12] = SCSI_CHECK_CONDITION;
		len = sense_encode(&j->bad, false, p + HEAD);
	}
	p[13] = len ? SENSE_ROOM : 0;
	p[14] = (uint8_t)len;
	p[15] = blocks ? UNITS_BLOCKS : UNITS_BYTES;
	put_be64(p + 16, blocks ? j->bytes >> c->lu->shift : j->bytes);
	put_be16(p + 24, j->segments);
	return HEAD + p[13];
}

void copy_status_4_execute(struct scsi_cmd *c)
{
	struct copy_job *j = found(c, get_be32(c->cdb + 2));
	uint8_t *p = j ? cmd_in(c, HEAD + SCSI_SENSE_MAX) : NULL;
	uint32_t len;

	if (!j)
		return;
	if (!p) {
		cmd_done(c);
		return;
	}
	len = put_head(c, j, p);
	put_be32(p, len - 4);
	cmd_in_done(c, len, alloc_len(c));
}

/* Only of the commands that have to do with tokens (SPC-4 6.24). */
void token_information_execute(struct scsi_cmd *c)
{
	struct copy_job *j = found(c, get_be32(c->cdb + 2));
	uint32_t len;
	uint8_t *p;

	if (!j)
		return;
	p = j->sa >= 0x10 ? cmd_in(c, TOKEN_AT + 2 + TOKEN_LEN) : NULL;
	if (!p) {
		if (j->sa < 0x10)
			sense_cdb(c, 2, -1);
		cmd_done(c);
		return;
	}
	len = put_head(c, j, p);
	if (j->token) {
		put_be32(p + len, 2 + TOKEN_LEN);
		memcpy(p + len + 6, j->token, TOKEN_LEN);
		len += 2 + TOKEN_LEN;
	}
	len += 4;
	put_be32(p, len - 4);
	cmd_in_done(c, len, alloc_len(c));
}
