/* medium.h - the medium of a removable unit. */
#pragma once

#include <stdbool.h>

struct lu;

void medium_allow(struct lu *l);	   /* a reset: nobody does */
