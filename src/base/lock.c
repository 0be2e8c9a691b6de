/* lock.c - what to do when a lock is taken: look again for about a microsecond, then sleep in the kernel
 * until its owner leaves. A word of 2 tells the owner that waking is due; whoever has slept leaves it
 * at 2, since there may be others. */
#include "lock.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "counter.h"

enum { LOOKS = 100 };

static void pause_a_little(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

void lock_wait(struct lock *l)
{
	count(CTR_LOCK_SPINS, 1);
	for (int i = 0; i < LOOKS; i++) {
		uint32_t none = 0;

		pause_a_little();
		if (!__atomic_load_n(&l->word, __ATOMIC_RELAXED) &&
			__atomic_compare_exchange_n(
				&l->word, &none, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			return;
	}
	count(CTR_LOCK_SLEEPS, 1);
	while (__atomic_exchange_n(&l->word, 2, __ATOMIC_ACQUIRE))
		syscall(SYS_futex, &l->word, FUTEX_WAIT_PRIVATE, 2, NULL, NULL, 0);
}

void lock_wake(struct lock *l)
{
	syscall(SYS_futex, &l->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}
