// SPDX-License-Identifier: Apache-2.0
/*
 * pingpong PAIRS ROUNDS [--cpu N]: PAIRS pairs of threads; in each a byte goes ROUNDS times to and fro
 * through two pipes, in play_thread: as many switches a second as the machine makes. --cpu: all of them on
 * that CPU. main waits in pthread_join. Prints for each thread "blocks TID N" (voluntary switches in its
 * loop) and, as its last measurement, "switches TID N" (its nr_switches: voluntary and not); for main only
 * "switches"; wall_ns.
 */
#include "workload.h"
#include <pthread.h>
#include <sched.h>

struct player {
	pthread_t thread;
	long rounds;
	int from, to;
	bool serves;
	pid_t tid;
	long blocks, switches;
};

static void pass(int fd)
{
	if (work__syscall(SYS_write, fd, (long)"x", 1, 0) != 1)
		abort();
}

WORK_FN static void *play_thread(void *arg)
{
	struct player *p = arg;
	struct work__switches s = work__switches();
	char byte;

	p->tid = gettid();
	p->blocks = -s.voluntary;
	if (p->serves)
		pass(p->to);
	for (long i = 0; i < p->rounds; i++) {
		if (work__syscall(SYS_read, p->from, (long)&byte, 1, 0) != 1)
			abort();
		if (i + 1 < p->rounds || !p->serves)
			pass(p->to);
	}
	s = work__switches();
	p->blocks += s.voluntary;
	p->switches = s.voluntary + s.involuntary;
	return NULL;
}

static void pin(long cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		work__fail("sched_setaffinity");
}

static void connect_pair(struct player *a, struct player *b, long rounds)
{
	int to_b[2], to_a[2];

	if (pipe(to_b) || pipe(to_a))
		work__fail("pipe");
	*a = (struct player){.rounds = rounds, .from = to_a[0], .to = to_b[1], .serves = true};
	*b = (struct player){.rounds = rounds, .from = to_b[0], .to = to_a[1]};
}

int main(int argc, char **argv)
{
	char *cpu = work__option(&argc, argv, "--cpu");
	bool now = work__flag(&argc, argv, "--now");
	struct work__switches own;
	struct player *players;
	long n, rounds;

	if (argc != 3)
		return 2;
	n = work__number(argv[1]) * 2;
	rounds = work__number(argv[2]);
	players = calloc(n, sizeof(*players));
	if (!players)
		work__fail("players");
	if (cpu)
		pin(work__number(cpu));
	for (long i = 0; i < n; i += 2)
		connect_pair(&players[i], &players[i + 1], rounds);
	work__ready(now);
	uint64_t start_ns = work__clock_ns(CLOCK_MONOTONIC);
	for (long i = 0; i < n; i++)
		if (pthread_create(&players[i].thread, NULL, play_thread, &players[i]))
			work__fail("pthread_create");
	for (long i = 0; i < n; i++)
		pthread_join(players[i].thread, NULL);
	uint64_t wall_ns = work__clock_ns(CLOCK_MONOTONIC) - start_ns;
	for (long i = 0; i < n; i++)
		printf("blocks %d %ld\nswitches %d %ld\n", players[i].tid, players[i].blocks, players[i].tid,
		       players[i].switches);
	own = work__switches();
	printf("switches %d %ld\nwall_ns %llu\n", (int)getpid(), own.voluntary + own.involuntary,
	       (unsigned long long)wall_ns);
	free(players);
	return 0;
}
