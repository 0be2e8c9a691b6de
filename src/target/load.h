/* load.h - what each reactor has to carry, and which one a new session goes to.
 *
 * A connection moves once, at its login, so what its session will do can only be guessed then: it is taken at its
 * word that it will work. From then on it weighs what it does. A reactor of a hundred sessions that are only there
 * still gets the next one before a reactor of two that are busy.
 *
 * worker.load is the sum. Thread: raised for a session of its own by the reactor of all logins, and afterwards by the
 * session's reactor; the first one reads all of them. */
#pragma once

struct server;
struct session;
struct worker;

enum {
	LOAD_IDLE = 1,
	LOAD_NEW = 16,
	LOAD_BUSY = 64,     /* at most */
	LOAD_COMMANDS = 64, /* so many since the last look (every 5 s, conn_tick()) weigh 1 more */
};

/* load_least - the reactor that carries least; `here` when it is as good as any. */
struct worker *load_least(struct server *s, struct worker *here);
/* load_put - the session weighs so much on w from now on, and no more where it was; 0: it ends. */
void load_put(struct session *s, struct worker *w, unsigned weight);
/* load_look - how much has it done since the last look? */
void load_look(struct session *s);
