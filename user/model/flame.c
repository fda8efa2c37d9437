// SPDX-License-Identifier: Apache-2.0
#include "model/flame.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

struct node_key {
	const struct flame_node *parent;
	const char *name; /* each name is stored once, so the pointer is the name */
	uint64_t kind;	  /* as a plain folded line tells it */
};

const char *flame__plain_suffix(enum frame_kind kind)
{
	return kind == FRAME_LIBRARY ? "" : frame__suffixes[kind];
}

static enum frame_kind plain_kind(enum frame_kind kind)
{
	return *flame__plain_suffix(kind) ? kind : FRAME_USER;
}

void flame__init(struct flame *f)
{
	memset(f, 0, sizeof(*f));
	f->root.name = "";
	strings__init(&f->strings);
	table__init(&f->index, sizeof(struct node_key), sizeof(struct flame_node *));
}

void flame__free(struct flame *f)
{
	const void *key;
	void *value;

	for (size_t i = 0; table__next(&f->index, &i, &key, &value);)
		free(*(struct flame_node **)value);
	table__free(&f->index);
	strings__free(&f->strings);
	memset(&f->root, 0, sizeof(f->root));
}

static struct flame_node *child_of(struct flame *f, struct flame_node *parent, const char *name,
				   enum frame_kind kind)
{
	struct node_key key = {parent, name, plain_kind(kind)};
	struct flame_node **slot, *n;
	bool is_new;

	slot = table__add(&f->index, &key, &is_new);
	if (!slot)
		return NULL;
	if (!is_new) {
		/* Any order of the same stacks must give the same tree. */
		if (kind > (*slot)->kind)
			(*slot)->kind = kind;
		return *slot;
	}
	n = calloc(1, sizeof(*n));
	if (!n) {
		table__remove(&f->index, &key);
		return NULL;
	}
	*slot = n;
	n->name = name;
	n->kind = kind;
	n->parent = parent;
	n->depth = parent->depth + 1;
	n->next = parent->child;
	parent->child = n;
	f->nodes++;
	if (n->depth > f->depth)
		f->depth = n->depth;
	return n;
}

/* The last space before a number at the end of the text, or NULL: "a b 12.5" -> " 12.5". */
static const char *last_number(const char *text, size_t len)
{
	const char *p = text + len;

	while (p > text && isdigit((unsigned char)p[-1]))
		p--;
	if (p > text && p[-1] == '.' && p - 1 > text && isdigit((unsigned char)p[-2])) {
		p--;
		while (p > text && isdigit((unsigned char)p[-1]))
			p--;
	}
	if (p == text + len || p == text || !isspace((unsigned char)p[-1]))
		return NULL;
	return p - 1;
}

/*
 * The name as folded lines carry it. Two things would be read back as something else: a line that begins like
 * metadata, and a last frame that ends like a weight ("worker 3"); one character of them is written by its
 * number.
 */
static const char *stored_name(struct flame *f, const struct frame *frame, bool is_first, bool is_last)
{
	struct buf b = {0}, label = {0};
	const char *name = frame__label(frame, &label), *number = NULL, *stored = NULL;

	if (is_last && !*flame__plain_suffix(frame->kind))
		number = last_number(name, strlen(name));
	if (is_first && *name == '#') {
		buf__puts(&b, "\\x23");
		name++;
	}
	if (number) {
		text__add(&b, name, (size_t)(number - name), TEXT_FOLDED);
		buf__puts(&b, "\\x20");
		name = number + 1;
	}
	text__puts(&b, name, TEXT_FOLDED);
	if (!b.failed)
		stored = strings__add(&f->strings, buf__text(&b), b.len);
	buf__free(&label);
	buf__free(&b);
	return stored;
}

static void add_weight(struct flame_node *leaf, uint64_t weight, bool second)
{
	if (second)
		leaf->other_self += weight;
	else
		leaf->self += weight;
	for (struct flame_node *n = leaf; n; n = n->parent) {
		if (second)
			n->other_total += weight;
		else
			n->total += weight;
	}
}

int flame__add(struct flame *f, const struct frame *const *root_first, size_t count, uint64_t weight,
	       bool second)
{
	struct flame_node *n = &f->root;
	uint64_t sum;

	if (!count || count > FLAME_DEPTH_MAX)
		return -EINVAL;
	if (__builtin_add_overflow(second ? f->root.other_total : f->root.total, weight, &sum))
		return -EOVERFLOW;
	if (!weight)
		return 0;
	for (size_t i = 0; i < count; i++) {
		const char *name = stored_name(f, root_first[i], i == 0, i + 1 == count);

		if (!name)
			return -ENOMEM;
		n = child_of(f, n, name, root_first[i]->kind);
		if (!n)
			return -ENOMEM;
	}
	add_weight(n, weight, second);
	return 0;
}

struct flame_node *flame__next(const struct flame_node *n)
{
	if (n->child)
		return n->child;
	while (n && !n->next)
		n = n->parent;
	return n ? n->next : NULL;
}

void flame__total(struct flame *f)
{
	struct flame_node *n;

	for (n = &f->root; n; n = flame__next(n))
		n->total = n->other_total = 0;
	for (n = &f->root; n; n = flame__next(n)) {
		uint64_t self = n->self, other = n->other_self;

		n->self = n->other_self = 0;
		add_weight(n, self, false);
		add_weight(n, other, true);
	}
}

void flame__scale(struct flame *f, uint64_t mul, uint64_t div, bool nearest)
{
	for (struct flame_node *n = &f->root; n; n = flame__next(n)) {
		unsigned __int128 product = (unsigned __int128)n->self * mul;

		n->self = (uint64_t)((product + (nearest ? div / 2 : 0)) / div);
	}
	flame__total(f);
}

void flame__swap(struct flame *f)
{
	for (struct flame_node *n = &f->root; n; n = flame__next(n)) {
		uint64_t self = n->self, total = n->total;

		n->self = n->other_self;
		n->total = n->other_total;
		n->other_self = self;
		n->other_total = total;
	}
}

int flame__merge(struct flame *into, const struct flame *from, bool from_other, bool second)
{
	struct frame *frames = calloc(from->depth + 1, sizeof(*frames));
	const struct frame **order = calloc(from->depth + 1, sizeof(*order));
	int err = frames && order ? 0 : -ENOMEM;

	for (const struct flame_node *n = &from->root; n && !err; n = flame__next(n)) {
		uint64_t weight = from_other ? n->other_self : n->self;

		if (!n->parent || !weight)
			continue;
		for (const struct flame_node *p = n; p->parent; p = p->parent) {
			frames[p->depth - 1] = (struct frame){.name = p->name, .object = "", .kind = p->kind};
			order[p->depth - 1] = &frames[p->depth - 1];
		}
		err = flame__add(into, order, n->depth, weight, second);
	}
	free(order);
	free(frames);
	return err;
}

/* --- order */

static int compare_nodes(const void *left, const void *right)
{
	const struct flame_node *a = *(struct flame_node *const *)left,
				*b = *(struct flame_node *const *)right;
	int order = strcmp(a->name, b->name);

	return order ? order : strcmp(flame__plain_suffix(a->kind), flame__plain_suffix(b->kind));
}

static void sort_children(struct flame_node *parent, struct flame_node **scratch)
{
	size_t count = 0;
	struct flame_node **link = &parent->child;

	for (struct flame_node *n = parent->child; n; n = n->next)
		scratch[count++] = n;
	if (count < 2)
		return;
	qsort(scratch, count, sizeof(*scratch), compare_nodes);
	for (size_t i = 0; i < count; i++) {
		*link = scratch[i];
		link = &scratch[i]->next;
	}
	*link = NULL;
}

void flame__sort(struct flame *f)
{
	struct flame_node **scratch = calloc(f->nodes + 1, sizeof(*scratch));

	if (!scratch)
		return; /* the order of insertion is a valid one, too */
	for (struct flame_node *n = &f->root; n; n = flame__next(n))
		sort_children(n, scratch);
	free(scratch);
}

/* --- folded lines out */

static void write_path(struct buf *out, const struct flame_node **path, const struct flame_node *leaf,
		       bool all_suffixes)
{
	size_t depth = leaf->depth;

	for (const struct flame_node *n = leaf; n->parent; n = n->parent)
		path[n->depth - 1] = n;
	for (size_t i = 0; i < depth; i++) {
		if (i)
			buf__putc(out, ';');
		buf__puts(out, path[i]->name);
		buf__puts(out,
			  all_suffixes ? frame__suffixes[path[i]->kind] : flame__plain_suffix(path[i]->kind));
	}
}

void flame__write_folded(struct buf *out, const struct flame *f, bool all_suffixes)
{
	const struct flame_node **path = calloc(f->depth + 1, sizeof(*path));

	if (!path) {
		out->failed = true;
		return;
	}
	for (const struct flame_node *n = &f->root; n; n = flame__next(n)) {
		if (!n->parent || (!n->self && !(f->is_difference && n->other_self)))
			continue;
		write_path(out, path, n, all_suffixes);
		if (f->is_difference)
			buf__printf(out, " %llu %llu\n", (unsigned long long)n->self,
				    (unsigned long long)n->other_self);
		else
			buf__printf(out, " %llu\n", (unsigned long long)n->self);
	}
	free(path);
}

/* --- folded lines in */

struct line {
	const char *stack;
	size_t stack_len;
	uint64_t weight[2]; /* the second of a difference */
	size_t weights;
};

/* A weight, rounded: digits, or digits with decimals. */
static int parse_weight(const char *text, const char *end, uint64_t *weight)
{
	uint64_t value = 0;

	for (; text < end && isdigit((unsigned char)*text); text++) {
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
			return -ERANGE;
	}
	if (text + 1 < end && *text == '.' && text[1] >= '5' && __builtin_add_overflow(value, 1, &value))
		return -ERANGE;
	*weight = value;
	return 0;
}

/* Takes the last weight off the line; false: there is none. */
static bool take_weight(struct line *l, uint64_t *weight)
{
	const char *number = last_number(l->stack, l->stack_len);

	if (!number || number == l->stack || parse_weight(number + 1, l->stack + l->stack_len, weight))
		return false;
	l->stack_len = (size_t)(number - l->stack);
	return true;
}

static bool parse_line(struct line *l, const char *text, size_t len, bool two)
{
	l->stack = text;
	l->stack_len = len;
	l->weights = two ? 2 : 1;
	return take_weight(l, &l->weight[l->weights - 1]) && (!two || take_weight(l, &l->weight[0]));
}

/* The next line, without its end; false at the end of the text. */
static bool next_line(const char **cursor, const char *end, const char **line, size_t *len)
{
	const char *stop;

	if (*cursor >= end)
		return false;
	stop = memchr(*cursor, '\n', (size_t)(end - *cursor));
	*line = *cursor;
	*len = (size_t)((stop ? stop : end) - *cursor);
	*cursor = stop ? stop + 1 : end;
	while (*len && ((*line)[*len - 1] == '\r' || (*line)[*len - 1] == ' ' || (*line)[*len - 1] == '\t'))
		--*len;
	return true;
}

static bool is_comment(const char *line, size_t len)
{
	return !len || (line[0] == '#' && (len == 1 || line[1] == ' '));
}

static bool all_have_two_weights(const char *text, size_t len)
{
	const char *cursor = text, *line;
	struct line l;
	size_t n, lines = 0;

	while (next_line(&cursor, text + len, &line, &n)) {
		if (is_comment(line, n))
			continue;
		if (!parse_line(&l, line, n, true))
			return false;
		lines++;
	}
	return lines > 0;
}

static void hand_over_meta(const char *line, size_t len, void (*meta)(void *, const char *, const char *),
			   void *context)
{
	const char *colon = len > 2 ? memmem(line + 2, len - 2, ": ", 2) : NULL;
	char *copy;

	if (!meta || !colon || memchr(line, '\0', len) || memchr(line + 2, ' ', (size_t)(colon - line - 2)))
		return;
	copy = strndup(line + 2, len - 2);
	if (!copy)
		return;
	copy[colon - line - 2] = '\0';
	meta(context, copy, copy + (colon - line));
	free(copy);
}

static bool is_mark(const char *name, size_t len)
{
	if (len == 2 && !memcmp(name, "--", 2))
		return true;
	return len > 2 && name[0] == '[' && name[len - 1] == ']' &&
	       !(len == 9 && !memcmp(name, "[unknown]", 9));
}

/* Cuts the suffix off a frame's text and says what it is. */
static enum frame_kind kind_of(const char *name, size_t *len)
{
	for (int kind = 0; kind < FRAME_KINDS; kind++) {
		size_t n = strlen(frame__suffixes[kind]);

		if (n && *len > n && !memcmp(name + *len - n, frame__suffixes[kind], n)) {
			*len -= n;
			return kind;
		}
	}
	return is_mark(name, *len) ? FRAME_MARK : FRAME_USER;
}

struct parser {
	struct flame *flame;
	struct frame *frames; /* FLAME_DEPTH_MAX of them, and pointers to them */
	const struct frame **order;
	struct buf text; /* the line, cut into strings */
	bool second;
};

static int add_line(struct parser *p, const struct line *l)
{
	size_t count = 0, len = l->stack_len;
	char *name, *semicolon;
	int err;

	while (len && l->stack[len - 1] == ';')
		len--;
	buf__clear(&p->text);
	buf__add(&p->text, l->stack, len);
	if (p->text.failed)
		return -ENOMEM;
	if (!len || memchr(p->text.data, '\0', len))
		return -EINVAL;
	for (name = p->text.data; name; name = semicolon ? semicolon + 1 : NULL) {
		size_t n;

		if (count == FLAME_DEPTH_MAX)
			return -EINVAL;
		semicolon = strchr(name, ';');
		n = semicolon ? (size_t)(semicolon - name) : strlen(name);
		p->frames[count] = (struct frame){.name = name, .object = "", .kind = kind_of(name, &n)};
		name[n] = '\0';
		p->order[count] = &p->frames[count];
		count++;
	}
	err = flame__add(p->flame, p->order, count, l->weight[0], p->second);
	if (!err && l->weights == 2)
		err = flame__add(p->flame, p->order, count, l->weight[1], true);
	return err;
}

int flame__add_folded(struct flame *f, const char *text, size_t len, bool second,
		      void (*meta)(void *, const char *key, const char *value), void *context, size_t *line)
{
	bool two = all_have_two_weights(text, len);
	struct parser p = {.flame = f, .second = second};
	const char *cursor = text, *start;
	struct line l;
	size_t n;
	int err = 0;

	*line = 1;
	if (two && second)
		return -EINVAL;
	f->is_difference |= two;
	p.frames = calloc(FLAME_DEPTH_MAX, sizeof(*p.frames));
	p.order = calloc(FLAME_DEPTH_MAX, sizeof(*p.order));
	if (!p.frames || !p.order)
		err = -ENOMEM;
	for (; !err && next_line(&cursor, text + len, &start, &n); *line += !err) {
		if (is_comment(start, n))
			hand_over_meta(start, n, meta, context);
		else
			err = parse_line(&l, start, n, two) ? add_line(&p, &l) : -EINVAL;
	}
	buf__free(&p.text);
	free(p.order);
	free(p.frames);
	return err;
}
