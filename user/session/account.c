// SPDX-License-Identifier: Apache-2.0
#include "session/account.h"

#include <math.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/fd.h"

#define WINDOW_NS 50000000ULL	/* statistics are on for this long */
#define PERIOD_NS 5000000000ULL /* and then this often */

static const char *const parts[] = {
#define X(name, word) word,
	PARTS(X)
#undef X
};

static const struct {
	const char *word;
	bool is_drop;
} outcomes[] = {
#define X(name, word, is_drop) {word, is_drop},
	OUTCOMES(X)
#undef X
};

static uint64_t own_cpu_ns(const struct account_book *a)
{
	struct rusage u;

	if (getrusage(RUSAGE_SELF, &u))
		return 0;
	return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000000ULL +
	       (u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000ULL + helper__cpu_ns(a->helper);
}

static void sum_losses(struct probe *const *probes, struct loss *sum)
{
	memset(sum, 0, sizeof(*sum));
	for (; *probes; probes++)
		unit__losses((*probes)->type->unit(*probes), sum);
}

void account__begin(struct account_book *a, const struct helper *helper, uint64_t now_ns)
{
	*a = (struct account_book){.helper = helper, .statistics_fd = -1, .next_window_ns = now_ns};
	a->base_cpu_ns = own_cpu_ns(a);
	account__tick(a, now_ns);
}

void account__tick(struct account_book *a, uint64_t now_ns)
{
	if (a->statistics_fd >= 0 && now_ns >= a->window_from_ns + WINDOW_NS) {
		fd__close(&a->statistics_fd);
		a->next_window_ns = now_ns + PERIOD_NS;
	} else if (a->statistics_fd < 0 && now_ns >= a->next_window_ns) {
		a->statistics_fd = loader__statistics();
		a->window_from_ns = now_ns;
		if (a->statistics_fd < 0) /* not permitted: the cost of BPF programs stays unknown */
			a->next_window_ns = UINT64_MAX;
	}
}

/* BPF time = runs, which are counted, times what a run cost while statistics were on. NAN: they never were.
 * 0: there are no programs. */
static double bpf_ns(struct probe *const *probes, uint64_t runs)
{
	uint64_t run_ns = 0, measured = 0;
	bool any = false;

	for (; *probes; probes++) {
		const struct unit *unit = (*probes)->type->unit(*probes);

		any |= unit != NULL;
		unit__cost(unit, &run_ns, &measured);
	}
	return measured ? (double)run_ns / measured * runs : any ? NAN : 0;
}

static void add_row(struct account_book *a, int part, int outcome, uint64_t count)
{
	a->rows[a->row_count++] = (struct loss_row){
		.part = parts[part],
		.reason = outcomes[outcome].word,
		.count = count,
		.is_drop = outcomes[outcome].is_drop,
	};
	if (outcomes[outcome].is_drop)
		a->lost += count;
}

/* One law: what came is what became of it. */
static bool close_part(struct account_book *a, const struct loss *now, int part, uint64_t in_flight)
{
	uint64_t came = now->count[part][OUTCOME_HITS] - a->base.count[part][OUTCOME_HITS], became = 0;

	if (came)
		add_row(a, part, OUTCOME_HITS, came);
	for (int o = OUTCOME_HITS + 1; o < OUTCOME_COUNT; o++) {
		uint64_t count = now->count[part][o] - a->base.count[part][o];

		became += count;
		if (count)
			add_row(a, part, o, count);
	}
	return came > became ? came - became <= in_flight : became - came <= in_flight;
}

double account__cost(const struct account_book *a, struct probe *const *probes, uint64_t elapsed_ns)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct loss now;

	sum_losses(probes, &now);
	if (!elapsed_ns || cpus < 1)
		return NAN;
	return (own_cpu_ns(a) - a->base_cpu_ns + bpf_ns(probes, now.runs - a->base.runs)) /
	       ((double)elapsed_ns * cpus);
}

void account__close(struct account_book *a, struct probe *const *probes, uint64_t elapsed_ns, bool still)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	double cost = account__cost(a, probes, elapsed_ns);
	struct loss now;

	sum_losses(probes, &now);
	a->row_count = 0;
	a->lost = 0;
	a->accounted = true;
	for (int part = 0; part < PART_COUNT; part++)
		a->accounted &= close_part(a, &now, part, still ? 0 : cpus);
	a->own_cost = cost;
	a->base = now;
	a->base_cpu_ns = own_cpu_ns(a);
}

void account__peek(const struct account_book *a, struct probe *const *probes, uint64_t *events,
		   uint64_t *lost)
{
	struct loss now;

	sum_losses(probes, &now);
	*events = *lost = 0;
	for (int part = 0; part < PART_COUNT; part++)
		for (int o = 0; o < OUTCOME_COUNT; o++) {
			uint64_t count = now.count[part][o] - a->base.count[part][o];

			*lost += outcomes[o].is_drop ? count : 0;
			if (o == OUTCOME_AGGREGATED && (part == PART_CPU || part == PART_WALL_NEXT))
				*events += count;
		}
}

void account__free(struct account_book *a)
{
	fd__close(&a->statistics_fd);
}
