/* outcome.c - see outcome.h. */
#include "outcome.h"

#include <inttypes.h>
#include <stdio.h>
#include "check.h"
#include "client.h"

void outcome_add(struct outcome *o, const struct job *j)
{
	histogram_merge(&o->read, &j->read);
	histogram_merge(&o->write, &j->write);
	histogram_merge(&o->read_due, &j->read_due);
	histogram_merge(&o->write_due, &j->write_due);
	o->n_checked += j->n_checked;
	o->n_reconnects += j->n_reconnects;
	o->receive_calls += j->receive_calls;
	o->send_calls += j->send_calls;
	o->placed_bytes += j->placed_bytes;
	o->copied_bytes += j->copied_bytes;
}

static const struct {
	const char *name;
	unsigned permyriad;
} percentiles[] = {{"p50", 5000}, {"p90", 9000}, {"p95", 9500}, {"p99", 9900}, {"p99.9", 9990},
	{"p99.99", 9999}};

static double per_second(uint64_t n, const struct outcome *o)
{
	return o->ns ? (double)n * 1e9 / (double)o->ns : 0;
}

static double mean(const struct histogram *h)
{
	return h->n ? (double)h->sum / (double)h->n : 0;
}

static uint64_t requests(const struct outcome *o)
{
	return o->read.n + o->write.n;
}

/* --- for people --- */

static void tell_latency(const struct histogram *h)
{
	printf("us: mean %.1f", mean(h) / 1e3);
	for (size_t i = 0; i < ARRAY_LEN(percentiles); i++)
		printf("  %s %.1f", percentiles[i].name,
			(double)histogram_percentile(h, percentiles[i].permyriad) / 1e3);
	printf("  max %.1f\n", (double)h->max / 1e3);
}

static void tell_way(const char *way, const struct outcome *o, const struct bench *b,
	const struct histogram *h, const struct histogram *due)
{
	double rate = per_second(h->n, o);
	char text[32];

	if (!h->n)
		return;
	printf("  %-6s %10.0f IOPS  %10s/s   ", way, rate,
		client_bytes(rate * (double)b->bs, text));
	tell_latency(h);
	if (b->rate) {
		printf("  %-6s %29s   ", "", "from when they were due");
		tell_latency(due);
	}
}

void outcome_tell(const struct outcome *o, const struct bench *b)
{
	double per = requests(o) ? 1e6 / (double)requests(o) : 0;

	printf("%s, %" PRIu64 " B a request, %" PRIu64 " jobs, %" PRIu64
	       " connections of depth %" PRIu64 ", %.1f s%s\n",
		b->rw, b->bs, b->n_jobs, b->n_conns, b->depth, (double)o->ns / 1e9,
		o->interrupted ? " (interrupted)" : "");
	tell_way("read", o, b, &o->read, &o->read_due);
	tell_way("write", o, b, &o->write, &o->write_due);
	if (!requests(o))
		printf("  no request was answered in this time\n");
	printf("  client %10.2f us CPU a request (%.2f user, %.2f system)\n",
		(o->cpu_user + o->cpu_system) * per, o->cpu_user * per, o->cpu_system * per);
	if (o->n_reconnects)
		printf("  lost   %10" PRIu64 " connections, and made again\n", o->n_reconnects);
	if (b->verify)
		printf("  verify %10" PRIu64 " reads checked, all as written\n", o->n_checked);
}

/* --- for programs --- */

/* json_text - what a URL's parts may hold needs no more than this (RFC 8259 chapter 7). */
static void json_text(const char *name, const char *value)
{
	printf("\"%s\": \"", name);
	for (; *value; value++) {
		unsigned char c = (unsigned char)*value;

		if (c < 0x20 || c == '"' || c == '\\')
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
}

static void json_latency(const char *name, const struct histogram *h)
{
	printf(", \"%s\": {\"min\": %" PRIu64 ", \"mean\": %.0f", name, h->min, mean(h));
	for (size_t i = 0; i < ARRAY_LEN(percentiles); i++)
		printf(", \"%s\": %" PRIu64, percentiles[i].name,
			histogram_percentile(h, percentiles[i].permyriad));
	printf(", \"max\": %" PRIu64 "}", h->max);
}

static void json_way(const char *way, const struct outcome *o, const struct bench *b,
	const struct histogram *h, const struct histogram *due)
{
	double rate = per_second(h->n, o);

	printf("  \"%s\": {\"requests\": %" PRIu64 ", \"bytes\": %" PRIu64
	       ", \"iops\": %.1f, \"bytes_per_s\": %.0f",
		way, h->n, h->n * b->bs, rate, rate * (double)b->bs);
	json_latency("latency_ns", h);
	if (b->rate)
		json_latency("latency_due_ns", due);
	printf("},\n");
}

static void json_asked(const struct bench *b)
{
	char label[CLIENT_LABEL];

	json_text("url", client_label(&b->url, label));
	printf(",\n  \"rw\": \"%s\", \"rwmixread\": %u, \"bs\": %" PRIu64 ", \"iodepth\": %" PRIu64
	       ", \"numjobs\": %" PRIu64 ", \"connections\": %" PRIu64 ", \"offset\": %" PRIu64
	       ", \"size\": %" PRIu64 ", \"rate\": %" PRIu64 ",\n",
		b->rw, b->read_percent, b->bs, b->depth, b->n_jobs, b->n_conns, b->offset, b->size,
		b->rate);
}

static const char *yes(bool v)
{
	return v ? "true" : "false";
}

void outcome_tell_json(const struct outcome *o, const struct bench *b)
{
	double cpu = o->cpu_user + o->cpu_system;
	uint64_t n = requests(o);

	printf("{\n  \"berth\": \"%s\", ", BERTH_VERSION);
	json_asked(b);
	printf("  \"seconds\": %.3f, \"interrupted\": %s, \"reconnects\": %" PRIu64 ",\n",
		(double)o->ns / 1e9, yes(o->interrupted), o->n_reconnects);
	json_way("read", o, b, &o->read, &o->read_due);
	json_way("write", o, b, &o->write, &o->write_due);
	printf("  \"client\": {\"cpu_user_s\": %.4f, \"cpu_system_s\": %.4f, \"cpu_us_per_request\": %.4f, "
	       "\"receive_calls\": %" PRIu64 ", \"send_calls\": %" PRIu64
	       ", \"placed_bytes\": %" PRIu64 ", \"copied_bytes\": %" PRIu64 "},\n",
		o->cpu_user, o->cpu_system, n ? cpu * 1e6 / (double)n : 0.0, o->receive_calls,
		o->send_calls, o->placed_bytes, o->copied_bytes);
	printf("  \"verify\": {\"on\": %s, \"checked\": %" PRIu64 "}\n}\n", yes(b->verify),
		o->n_checked);
}
