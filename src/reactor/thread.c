/* thread.c - threads are started with the process's signals blocked, so that a handler runs on the
 * main thread only. What a fault of the thread itself raises stays open. */
#include "thread.h"

#include <signal.h>

int thread_start(pthread_t *tp, const char *name, void *(*fn)(void *), void *arg)
{
	static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	for (unsigned i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		sigdelset(&all, own[i]);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(tp, NULL, fn, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc == 0)
		pthread_setname_np(*tp, name); /* cut at 15: a name is a comfort */
	return -rc;
}
