// SPDX-License-Identifier: Apache-2.0
#include "probe/sched_strata.h"

#include <errno.h>
#include <string.h>

/* A wait that ends just at a cut may fall on one side in the account and on the other as a wait. */
#define NOT_WORTH_A_ROW 1000

struct stratum_key {
	uint64_t start_ns; /* of the process */
	char comm[COMM_LEN];
	uint64_t state;
};

static struct stratum_key key_of(const struct who *who, unsigned state)
{
	struct stratum_key key = {.start_ns = who->start_ns, .state = state};

	memcpy(key.comm, who->comm, strnlen(who->comm, COMM_LEN));
	return key;
}

static int add_thread(struct strata *x, const struct thread_seen *t)
{
	for (unsigned state = STATE_FIRST_BLOCKED; state < STATE_COUNT; state++) {
		struct stratum_key key = key_of(&t->who, state);
		struct stratum *stratum;
		bool is_new;

		if (!t->delta[state])
			continue;
		stratum = table__add(&x->table, &key, &is_new);
		if (!stratum)
			return -ENOMEM;
		stratum->who = t->who;
		stratum->state = state;
		stratum->exact_ns += t->delta[state];
	}
	return 0;
}

int strata__open(struct strata *x, const struct sched *s)
{
	const void *key;
	size_t i = 0;
	void *value;
	int err = 0;

	table__init(&x->table, sizeof(struct stratum_key), sizeof(struct stratum));
	while (!err && table__next(&s->threads, &i, &key, &value))
		err = add_thread(x, value);
	return err;
}

static struct stratum *find(const struct strata *x, const struct who *who, unsigned state)
{
	struct stratum_key key = key_of(who, state);

	return table__find(&x->table, &key);
}

void strata__estimate(struct strata *x, const struct who *who, unsigned state, uint64_t sure_ns,
		      uint64_t sampled_ns)
{
	struct stratum *stratum = find(x, who, state);

	if (!stratum)
		return;
	stratum->sure_ns += sure_ns;
	stratum->sampled_ns += sampled_ns;
}

static uint64_t left_of(const struct stratum *stratum)
{
	return stratum->exact_ns > stratum->sure_ns ? stratum->exact_ns - stratum->sure_ns : 0;
}

uint64_t strata__scale(const struct strata *x, const struct who *who, unsigned state, uint64_t ns)
{
	const struct stratum *stratum = find(x, who, state);

	if (!stratum || !stratum->sampled_ns)
		return ns;
	return (uint64_t)((double)ns * left_of(stratum) / stratum->sampled_ns + 0.5);
}

bool strata__next_unsampled(const struct strata *x, size_t *cursor, const struct stratum **stratum,
			    uint64_t *left_ns)
{
	const void *key;
	void *value;

	while (table__next(&x->table, cursor, &key, &value)) {
		*stratum = value;
		*left_ns = left_of(value);
		if (!(*stratum)->sampled_ns && *left_ns > (*stratum)->exact_ns / NOT_WORTH_A_ROW)
			return true;
	}
	return false;
}

void strata__close(struct strata *x)
{
	table__free(&x->table);
}
