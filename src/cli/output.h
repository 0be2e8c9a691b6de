/* output.h - standard output belongs to programs: whoever reads it must be able to trust the exit code. */
#pragma once

/* output_hold - a standard descriptor that the caller has closed would become a disk's or a socket's, and what is
 * printed would go there: whatever is closed is taken, so that using it fails as it should. First of all. */
void output_hold(void);
/* output_flush - what was printed is out: 0; or -errno, and what could not be written is forgotten. */
int output_flush(void);
/* output_end - the end of a subcommand: code; or, when not all that it printed is out, one line and an exit code that is
 * not EXIT_OK. */
int output_end(int code);
