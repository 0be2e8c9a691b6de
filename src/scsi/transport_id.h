/* transport_id.h - initiator ports by name, as persistent reservations write them: iSCSI
 * TransportIDs (SPC-4 7.6.4.6) and the names of nexuses ("iqn...,i,0x0123456789ab"). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* transport_id_put - the TransportID of a port; its length, a multiple of four. */
size_t transport_id_put(uint8_t *p, const char *name);
enum { TRANSPORT_ID_MAX = 4 + 244 };
/* transport_id_get - one TransportID of [p, p + len): its length, or 0 when it is none. name (244
 * bytes) is the port's, or the device's alone when *portp is false. */
size_t transport_id_get(const uint8_t *p, size_t len, char *name, bool *portp);
/* transport_id_of - does the port belong to this device? */
bool transport_id_of(const char *port, const char *device);
