/* SPDX-License-Identifier: Apache-2.0 */
/* Tables that the helper builds. */
#include "stack/tables_private.h"

static int ask(void *helper, const struct table_question *q)
{
	return helper__ask_table(helper, q);
}

static int take(void *helper, struct table_answer *a, uint64_t until_ns)
{
	return helper__take_table(helper, a, until_ns);
}

struct tables *tables__new(const struct table_memory *memory, struct helper *helper,
			   const struct tables_options *options)
{
	const struct table_builder builder = {.context = helper, .ask = ask, .take = take};

	return tables__new_from(memory, &builder, options);
}
