/* dummy.h - a target for tests whose every word is the test's: one connection at a time over loopback, no thread.
 *
 * While it waits for the initiator it serves the session under test, so that both ends run in turn. */
#pragma once

#include "berth/initiator.h"
#include "pdu.h"

struct dummy {
	int listen_fd, fd;
	uint16_t port;
	struct berth_session *s; /* served while waiting */
	uint32_t statsn, expcmdsn;
	uint32_t window;         /* commands offered beyond expcmdsn */
	struct pdu rx;           /* heard last */
	uint8_t data[1 << 20];
	uint32_t max_recv_data;  /* what it takes; to be set before dummy_login() */
	bool initial_r2t;
	uint32_t crumb;          /* what it says is sent in pieces of so many bytes; 0: whole */
};

void dummy_init(struct dummy *d);
void dummy_deinit(struct dummy *d);
void dummy_url(const struct dummy *d, struct berth_url *u);

void dummy_login(struct dummy *d);      /* takes the next connection through its login */
void dummy_hang_up(struct dummy *d);
/* dummy_hear - the next PDU, which must have this opcode; &d->rx, its data in d->data. */
struct pdu *dummy_hear(struct dummy *d, uint8_t opcode);
bool dummy_silence(struct dummy *d);    /* nothing comes for a while */
/* dummy_say - numbers are filled in; data is p->data_len bytes. */
void dummy_say(struct dummy *d, struct pdu *p, const void *data);
void dummy_serve(struct dummy *d, unsigned turns);

/* Common words; itt as heard. */
void dummy_status(struct dummy *d, uint32_t itt, uint8_t status);
void dummy_data_in(struct dummy *d, uint32_t itt, uint32_t datasn, uint32_t offset, const void *data,
	uint32_t len, bool with_status);
