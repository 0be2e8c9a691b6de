/* thread.h - a thread with a name, which no signal of the process is ever sent to. */
#pragma once

#include <pthread.h>

int thread_start(pthread_t *tp, const char *name, void *(*fn)(void *), void *arg); /* -errno */
