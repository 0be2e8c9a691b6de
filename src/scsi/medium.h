/* medium.h - the medium of a removable unit. */
#pragma once

#include <stdbool.h>

struct lu;

bool medium_prevented(const struct lu *l); /* some nexus keeps it in */
void medium_allow(struct lu *l);	   /* a reset: nobody does */
