// SPDX-License-Identifier: Apache-2.0
/* Events: who, what and how long in a line, the stack in the next. */
#include "sink/table.h"

static void put_field(struct buf *out, const struct event_field *f)
{
	buf__putc(out, ' ');
	page__safe(out, f->name);
	buf__putc(out, '=');
	if (f->text)
		page__safe(out, f->text);
	else if (f->unit)
		page__amount(out, f->unit, f->number);
	else /* the number of a process, or such */
		buf__printf(out, "%llu", (unsigned long long)f->number);
}

static void put_stack(struct buf *out, const struct event *event)
{
	buf__puts(out, "    ");
	for (size_t i = 0; i < event->frame_count; i++) {
		if (i && page__is_start(event->frames[i].name))
			break;
		buf__puts(out, i ? " < " : "");
		page__safe(out, event->frames[i].name);
	}
	buf__putc(out, '\n');
}

void table__event(struct buf *out, const struct point *point)
{
	const struct event *event = point->event;
	size_t from;

	page__safe(out, event->type);
	buf__puts(out, ": ");
	from = out->len;
	page__who(out, &point->who);
	if (event->duration_ns) {
		buf__puts(out, out->len > from ? " " : "");
		page__amount(out, "ns", event->duration_ns);
	}
	for (size_t i = 0; i < event->count; i++)
		put_field(out, &event->fields[i]);
	buf__putc(out, '\n');
	if (event->frames)
		put_stack(out, event);
}
