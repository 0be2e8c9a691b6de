/* flush.h - inside the backend room: one flush of a backend at a time. */
#pragma once

#include "backend.h"

/* flush_submit - r->disk is set up as IO_FLUSH; end(r, res) comes on r->io's reactor, not from inside. */
void flush_submit(struct backend_req *r, void (*end)(struct backend_req *, int64_t res));
