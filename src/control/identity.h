/* identity.h - the name by which initiators know a disk again, after a restart and after a rename.
 *
 * A disk's UUID is, in this order: what its uuid= option says; the extended attribute user.berth.uuid of
 * its image, written when the image is first served; where there can be none (block devices, file systems
 * without attributes, images served read-only), UUIDv5 of the machine and the real path. A RAM
 * disk's is UUIDv5 of target name and LUN. Thread: main, before the server starts. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "config.h"

enum { UUID_TEXT = 37 };
#define IDENTITY_XATTR "user.berth.uuid"

/* uuid_parse - 8-4-4-4-12 hexadecimal digits, or the 32 digits alone. */
bool uuid_parse(const char *text, uint8_t uuid[16]);
const char *uuid_text(const uint8_t uuid[16], char buf[UUID_TEXT]);
/* uuid_v5 - the UUID of a name within a name space (RFC 9562 5.5). -ENOMEM when libcrypto cannot. */
int uuid_v5(uint8_t uuid[16], const uint8_t space[16], const void *name, size_t len);

int identity_of_ram(uint8_t uuid[16], const char *target, unsigned lun);
int identity_of_path(uint8_t uuid[16], const char *machine, const char *real_path);

/* identity_fill - every disk that has no UUID gets its own; an image that size= asks for and that is not
 * there is made, so that it can carry its name from the first day. 0, or -errno with one line in err. */
int identity_fill(struct config *c, char *err, size_t err_len);
/* identity_undo - the start is refused: images that identity_fill() has made are removed, but for those that somebody has
 * by now, or has written to. */
void identity_undo(struct config *c);
