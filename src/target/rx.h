/* rx.h - the receive side of a connection: a row of opcode.tbl, then a small handler that can trust it.
 *
 * Each opcode has two moments: `header`, when its header is in (where does the payload go?), and `payload`, when
 * the whole PDU is. The dispatcher has checked phase, lengths and numbers by then. */
#pragma once

#include "conn.h"

extern const struct framer_ops rx_framer_ops;

struct rx_handler {
	void (*header)(struct conn *c, struct rx_target *t); /* NULL: by the row's data rule */
	void (*payload)(struct conn *c);
};

void rx_scsi_command_header(struct conn *c, struct rx_target *t);
void rx_scsi_command(struct conn *c);
void rx_data_out_header(struct conn *c, struct rx_target *t);
void rx_data_out(struct conn *c);
void rx_nop_out(struct conn *c);
void rx_task_mgmt(struct conn *c);
void rx_login_request(struct conn *c);
void rx_text_request(struct conn *c);
void rx_logout_request(struct conn *c);
void rx_snack_request(struct conn *c);

/* rx_login_step - send what login has to say and go where it says. */
void rx_login_step(struct conn *c, enum login_step step);

void rx_tmf_response(struct tx *tx, uint32_t itt, uint8_t response);
uint16_t rx_tmf_functions(unsigned level); /* nexus.functions, at this iSCSIProtocolLevel */
void rx_tmf_answer(struct conn *c, uint32_t itt, uint8_t response); /* nothing when the connection is ending */

/* tx_reply - a numbered answer to the PDU under way: opcode and ITT set, F set; NULL (and the connection has
 * ended) when there is no memory. */
struct tx *rx_reply(struct conn *c, enum opcode op);
