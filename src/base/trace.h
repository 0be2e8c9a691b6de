/* trace.h - the Figure 9 view of each command, for --trace FILE.
 *
 * Lines are made only while a file is open (trace_on), buffered, written by whole lines; any thread.
 * Fields are "name=value", so that a line can be read by eye and by awk. The events (arena offsets
 * and tags in hexadecimal as in the source's figures):
 *   command  conn= itt= cdb= lun= length=                   cdb: the operation code
 *   r2t      conn= itt= r2tsn= ttt= offset= length=
 *   entry    conn= itt= index= pointer= offset= length=      one line a run of the data pointer table entry
 *   data     conn= itt= ttt= offset= length= place=          one line a Data-Out (or immediate data) and run
 *   status   conn= itt= status= residual= */
#pragma once

#include <stdbool.h>

extern bool trace_on;

/* trace_open and trace_close are called while no other thread traces (before the reactors start,
 * after they ended). */
int trace_open(const char *path); /* -errno; truncates */
void trace_close(void);
void trace_flush(void); /* what is buffered goes to the file; any thread, cheap when there is nothing */
void trace_line(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#define trace(...) (__builtin_expect(trace_on, 0) ? trace_line(__VA_ARGS__) : (void)0)
