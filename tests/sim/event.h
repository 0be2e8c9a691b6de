/* event.h - the events of event.tbl by name. */
#pragma once

enum event {
#define EVENT(e, name, text) EV_##e,
#include "event.tbl"
#undef EVENT
	N_EVENTS
};
