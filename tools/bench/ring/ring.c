// SPDX-License-Identifier: Apache-2.0
/*
 * ring small|event|shown MASK COMMAND [ARG...]: a sonde with one probe, which sends a record for each
 * getppid(2) whose number has no bit of MASK, until COMMAND ends. Its ring, its loop and its drain are
 * sonde's.
 *
 * small: records of 48 bytes, counted; event: of struct event_record, counted; shown: these all the way
 * through the tracer and the JSON sink. Prints on stderr: records that came and were lost, seconds, the
 * reader's CPU seconds.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "base/msg.h"
#include "base/units.h"
#include "probe/tracer.h"
#include "session/session.h"
#include "sink/sink.h"

#include "ring.h"

/* In the place of all of sonde's images. */
__asm__(".pushsection .rodata\n.balign 8\nimage_ring:\n.incbin \"" SONDE_BUILD
	"/bench/ring.bpf.o\"\nimage_ring_end:\n.byte 0\n.popsection\n");
extern const char image_ring[], image_ring_end[];

const struct loader_image loader__images[] = {
	{"ring", image_ring, image_ring_end, false},
	{"ring_raw", image_ring, image_ring_end, false},
	{"ring_plain", image_ring, image_ring_end, false},
	{NULL},
};

struct ring_options {
	struct ring_config config;
	bool shown;
	unsigned bytes;				 /* of the ring */
	uint64_t came, lost, elapsed_ns, cpu_ns; /* results */
};

struct flood {
	struct tracer tracer;
	struct ring_options *options;
	uint64_t read, start_ns, start_cpu_ns;
};

static const struct metric metric_calls = {
	.name = "bench_calls",
	.unit = "{call}",
	.help = "Calls",
	.kind = POINT_EVENT,
	.shape = SHAPE_VALUE,
};
static const struct metric *const metrics[] = {&metric_calls, NULL};
static const struct hook hooks[] = {{"sys_enter", "tp_btf", "everything"}, {NULL}};

static const struct tracer_program programs[] = {{"on_call", tracer__always}, {NULL}};

static int flood__prepare(struct tracer *t, struct unit *u, int attempt)
{
	const uint64_t no_gap = 0; /* no bucket holds anything back */

	(void)attempt;
	unit__set(u, "event_gap_ns", &no_gap, sizeof(no_gap));
	return unit__set(u, "config", &((struct flood *)t)->options->config, sizeof(struct ring_config));
}

static int flood__event(struct tracer *t, const struct event_record *e)
{
	const struct event_field field = {.name = "name", .text = "getppid"};

	((struct flood *)t)->read++;
	return tracer__send(t, e, &metric_calls, "call", &field, 1);
}

static const struct tracer_type type = {
	.image = "ring",
	.what = "the program on system calls",
	.part = PART_EVENT,
	.programs = programs,
	.prepare = flood__prepare,
	.event = flood__event,
};

static uint64_t own_cpu_ns(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000000ULL +
	       (u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000ULL;
}

static const struct probe_type probe_flood;

static void flood__set(struct tracer *t, const void *options)
{
	((struct flood *)t)->options = *(struct ring_options *const *)options;
}

/* In the place of the one that the loader has made. */
static int resize_ring(struct loader *l, unsigned bytes)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "ring", 0, 0, bytes, NULL);

	if (fd < 0)
		return -errno;
	close(l->ring_fd);
	l->ring_fd = fd;
	l->ring_bytes = bytes;
	return 0;
}

static struct probe *flood__open(struct probe_context *context, const void *options)
{
	unsigned bytes = (*(struct ring_options *const *)options)->bytes;
	int err = bytes ? resize_ring(context->loader, bytes) : 0;
	struct tracer *t;

	if (err) {
		msg__error("cannot make a ring of %u bytes: %s", bytes, strerror(-err));
		errno = -err;
		return NULL;
	}
	t = tracer__open(sizeof(struct flood), &type, &probe_flood, context, BY_NONE, flood__set, options);
	return t ? &t->probe : NULL;
}

static int flood__begin(struct probe *probe, uint64_t start_ns)
{
	struct flood *r = (struct flood *)probe;

	r->start_ns = units__now_ns();
	r->start_cpu_ns = own_cpu_ns();
	return tracer__begin(probe, start_ns);
}

/* What is in the ring is read after that, and not part of the measured time: a few thousandths of it. */
static void flood__detach(struct probe *probe)
{
	struct flood *r = (struct flood *)probe;

	r->options->elapsed_ns = units__now_ns() - r->start_ns;
	r->options->cpu_ns = own_cpu_ns() - r->start_cpu_ns;
	tracer__detach(probe);
}

static int flood__record(struct probe *probe, const void *record, size_t size)
{
	struct flood *r = (struct flood *)probe;

	if (r->options->shown)
		return tracer__record(probe, record, size);
	r->read++;
	return 0;
}

static int flood__drain(struct probe *probe, struct point_stream *out, struct drain *d)
{
	struct flood *r = (struct flood *)probe;
	struct loss sum = {0};

	(void)out;
	(void)d;
	unit__losses(&r->tracer.unit, &sum);
	r->options->came = sum.count[PART_EVENT][OUTCOME_HITS];
	r->options->lost = sum.count[PART_EVENT][OUTCOME_RING_FULL];
	if (r->read != sum.count[PART_EVENT][OUTCOME_EMITTED])
		msg__error("%" PRIu64 " records were read, %llu were sent", r->read,
			   (unsigned long long)sum.count[PART_EVENT][OUTCOME_EMITTED]);
	return r->read == sum.count[PART_EVENT][OUTCOME_EMITTED] ? 0 : -EIO;
}

static const struct probe_type probe_flood = {
	.name = "ring",
	.summary = "records as fast as they come",
	.metrics = metrics,
	.hooks = hooks,
	.open = flood__open,
	.attach = tracer__attach,
	.begin = flood__begin,
	.cut = tracer__cut,
	.detach = flood__detach,
	.record = flood__record,
	.drain = flood__drain,
	.unit = tracer__unit,
	.close = tracer__close,
};

static int json_format(void)
{
	int i = 0;

	while (strcmp(sink__types[i]->name, "json"))
		i++;
	return i + 1;
}

static int run(struct ring_options *ring, char **command)
{
	const struct options options = {.quiet = true, .format = json_format()};
	const struct cli_rest rest = {.command = command};
	const struct session_plan plan = {
		.options = &options,
		.rest = &rest,
		.probes = {{&probe_flood, &ring}},
		.pipe_format = "json",
	};

	return session__run(&plan);
}

int main(int argc, char **argv)
{
	struct ring_options ring = {.config.number = SYS_getppid};
	long long mask, bytes;
	int code;

	if (argc < 5 || units__parse_int(argv[2], 0, 1LL << 40, &mask) ||
	    units__parse_int(argv[3], 0, 1LL << 30, &bytes)) {
		msg__error("usage: ring small|event|shown MASK BYTES COMMAND [ARG...]");
		return EXIT_USAGE;
	}
	ring.config.mask = mask;
	ring.bytes = bytes;
	ring.config.event = strcmp(argv[1], "small");
	ring.shown = !strcmp(argv[1], "shown");
	code = run(&ring, argv + 4);
	fprintf(stderr, "{\"came\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"seconds\":%.6f,\"cpu_seconds\":%.6f}\n",
		ring.came, ring.lost, ring.elapsed_ns / 1e9, ring.cpu_ns / 1e9);
	return code;
}
