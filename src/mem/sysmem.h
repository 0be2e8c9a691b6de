/* sysmem.h - how much memory the system, and the control group we run in, still have for us. */
#pragma once

#include <stdint.h>

/* sysmem_available - bytes; UINT64_MAX when nothing can be learnt. root: "" (tests: a directory
 * that holds proc/ and sys/ trees of their own). */
uint64_t sysmem_available(const char *root);
/* sysmem_total - what the machine, or the control group, has at most; UINT64_MAX when nothing can be learnt. */
uint64_t sysmem_total(const char *root);
uint64_t sysmem_resident(const char *root); /* this process's; 0 when it cannot be learnt */

/* sysmem_reserve - count n_bytes as ours if they are to be had beside what was reserved before and
 * has not been touched yet; -ENOMEM. Any thread. */
int sysmem_reserve(uint64_t n_bytes);
void sysmem_release(uint64_t n_bytes);
