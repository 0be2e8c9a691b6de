/* transport_id.c - see transport_id.h. */
#include <string.h>
#include "be.h"
#include "check.h"
#include "transport_id.h"

enum {
	ID_HEAD = 4,
	ID_LEAST = 24,
	NAME_ROOM = 244,
	ISCSI = 0x05,
	OF_DEVICE = 0x00,
	OF_PORT = 0x40
};
static const char separator[] = ",i,0x";

/* SPC-4 7.6.4.6: the name ends in NUL and is filled with NULs to a multiple of four, no less than
 * twenty bytes. */
size_t transport_id_put(uint8_t *p, const char *name)
{
	size_t len = strnlen(name, NAME_ROOM - 1);
	size_t room = MAX(round_up(len + 1, 4), (uint64_t)ID_LEAST - ID_HEAD);

	memset(p, 0, ID_HEAD + room);
	p[0] = OF_PORT | ISCSI;
	put_be16(p + 2, (uint16_t)room);
	memcpy(p + ID_HEAD, name, len);
	return ID_HEAD + room;
}

/* Names are compared as they are; only the hexadecimal digits of the ISID may come in either case,
 * and nexuses have them in lower case. */
static void lower_isid(char *name)
{
	for (char *at = strstr(name, separator); at && *at; at++)
		if (*at >= 'A' && *at <= 'F')
			*at = (char)(*at - 'A' + 'a');
}

size_t transport_id_get(const uint8_t *p, size_t len, char *name, bool *portp)
{
	size_t room, name_len;

	if (len < ID_LEAST || (p[0] & 0x3f) != ISCSI)
		return 0;
	room = get_be16(p + 2);
	if (room % 4 || room < ID_LEAST - ID_HEAD || room > len - ID_HEAD)
		return 0;
	name_len = strnlen((const char *)p + ID_HEAD, room);
	if (name_len == 0 || name_len >= NAME_ROOM || name_len == room)
		return 0;
	memcpy(name, p + ID_HEAD, name_len);
	name[name_len] = '\0';
	lower_isid(name);
	*portp = (p[0] & 0xc0) == OF_PORT;
	if ((p[0] & 0x80) || (*portp != (strstr(name, separator) != NULL)))
		return 0;
	return ID_HEAD + room;
}

bool transport_id_of(const char *port, const char *device)
{
	size_t len = strlen(device);

	return strncmp(port, device, len) == 0 &&
	       strncmp(port + len, separator, sizeof(separator) - 1) == 0;
}
