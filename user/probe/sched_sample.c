// SPDX-License-Identifier: Apache-2.0
/* Importance sampling while it runs: what the governor reads and tells, and the visits of blocked threads. */
#include <errno.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/units.h"
#include "probe/iterator.h"
#include "probe/sched.h"

bool sched__samples(const struct sched *s)
{
	return s->options.offcpu && s->options.sample;
}

void sched__open_sample(struct sched *s)
{
	if (!sched__samples(s))
		return;
	governor__init(&s->governor, s->options.sample_ns, sysconf(_SC_NPROCESSORS_ONLN));
	s->control->sample_us = s->governor.sample_us;
	s->control->visit_ns = s->governor.visit_ns;
}

int sched__attach_visit(struct sched *s)
{
	struct bpf_program *p = bpf_object__find_program_by_name(s->unit.object, "visit");

	if (!p || bpf_program__fd(p) < 0)
		return 0;
	s->visit_link = bpf_program__attach_iter(p, NULL);
	return s->visit_link ? 0 : -errno;
}

static uint64_t cpu_ns(void)
{
	struct timespec t = {0};

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

/* One pass; the program writes nothing into what is read. Returns how many were visited. */
static uint64_t visit_all(struct sched *s)
{
	uint64_t limit = (uint64_t)s->governor.cpus * GOVERNOR_VISITS_LIMIT;

	if (!s->visit_link)
		return 0;
	s->control->visits_left = limit;
	iterator__run(s->visit_link, 0, NULL, NULL); /* one that breaks off visited fewer */
	return limit - s->control->visits_left;
}

uint64_t sched__visit(struct probe *probe)
{
	struct sched *s = (struct sched *)probe;
	struct governor_reading now = {0};
	struct loss l = {0};
	uint64_t pass_ns;

	if (!sched__samples(s))
		return 0;
	pass_ns = cpu_ns();
	now.visits = visit_all(s);
	pass_ns = cpu_ns() - pass_ns;
	unit__losses(&s->unit, &l);
	unit__cost(&s->unit, &now.measured_ns, &now.measured_runs);
	now.now_ns = units__now_ns();
	now.runs = l.runs;
	now.sampled_out = l.count[PART_OFFCPU][OUTCOME_SAMPLED_OUT];
	now.taken = l.count[PART_OFFCPU][OUTCOME_HITS] - now.sampled_out;
	governor__step(&s->governor, &now);
	s->control->sample_us = s->governor.sample_us;
	s->control->visit_ns = s->governor.visit_ns;
	return governor__period_ns(pass_ns);
}

/* How many blocks ended since the last time for each whose stack was taken. */
double sched__mean_weight(struct sched *s)
{
	struct loss l = {0};
	uint64_t ended, taken;
	double mean;

	unit__losses(&s->unit, &l);
	ended = l.count[PART_OFFCPU][OUTCOME_HITS];
	taken = ended - l.count[PART_OFFCPU][OUTCOME_SAMPLED_OUT];
	mean = taken > s->told_taken ? (double)(ended - s->told_ended) / (taken - s->told_taken) : 1;
	s->told_ended = ended;
	s->told_taken = taken;
	return mean;
}
