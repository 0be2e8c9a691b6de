/* spin.h - a lock for a few instructions, in one word that needs no init beyond zero. */
#pragma once

#include <sched.h>
#include <stdint.h>

static inline void spin_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

static inline void spin_lock(uint32_t *lock)
{
	for (unsigned n = 1; __atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE); n++) {
		if (n % 64 == 0)
			sched_yield(); /* the holder lost its core */
		else
			spin_pause();
	}
}

static inline void spin_unlock(uint32_t *lock)
{
	__atomic_store_n(lock, 0, __ATOMIC_RELEASE);
}
