/* framer-task.h - tasks of the rig (framer-rig.h): memory with guards between its pieces, and the windows into it.
 *
 * A task is freed when its last byte is in, and its bytes and guards are looked at then; what a window says after that
 * leads to memory of somebody else. */
#pragma once

#include "framer-rig.h"

/* Three PDUs, as the framer tells of them. */
void rig_task_command(struct rig *r, const uint8_t *bhs, struct rx_target *target);
void rig_task_data_out(struct rig *r, const uint8_t *bhs, struct rx_target *target);
void rig_task_counts(struct rig *r); /* the payload of either is in */

void rig_task_free(struct rig_task *t);
bool rig_task_owns(const struct rig *r, const struct iovec *v); /* memory of a task that is there */
void rig_note(struct rig *r, uint64_t v);                       /* in the log */
