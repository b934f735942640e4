/* SPDX-License-Identifier: MIT */
#ifndef BASE_LIST_H
#define BASE_LIST_H

/**
 * @file base/list.h
 * @brief Doubly linked ring with the links inside the members.
 *
 *     struct adxi_list head;                      adxi_list_init(&head);
 *     struct item { struct adxi_list link; };     adxi_list_append(&head, &item->link);
 *     struct item *i, *next;
 *     ADXI_LIST_EACH_SAFE(i, next, &head, link) adxi_list_remove(&i->link);
 *
 * A link that is in no list points at itself, so removing twice is harmless.
 */

#include <stdbool.h>
#include <stddef.h>

struct adxi_list {
	struct adxi_list *prev;
	struct adxi_list *next;
};

#define ADXI_LIST_INIT(head)                                                                       \
	{                                                                                          \
		&(head), &(head)                                                                   \
	}

#define adxi_container_of(pointer, type, member)                                                   \
	((type *)(void *)((char *)(pointer)-offsetof(type, member)))

static inline void
adxi_list_init(struct adxi_list *link)
{
	link->prev = link;
	link->next = link;
}

static inline bool
adxi_list_is_empty(const struct adxi_list *head)
{
	return head->next == head;
}

/** Put @p link (in no list) after @p where. After the head: first. */
static inline void
adxi_list_insert(struct adxi_list *where, struct adxi_list *link)
{
	link->prev = where;
	link->next = where->next;
	where->next->prev = link;
	where->next = link;
}

static inline void
adxi_list_append(struct adxi_list *head, struct adxi_list *link)
{
	adxi_list_insert(head->prev, link);
}

static inline void
adxi_list_remove(struct adxi_list *link)
{
	link->prev->next = link->next;
	link->next->prev = link->prev;
	adxi_list_init(link);
}

/** Move all members of @p from to the end of @p to; @p from is empty afterwards. */
static inline void
adxi_list_splice(struct adxi_list *to, struct adxi_list *from)
{
	if (adxi_list_is_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	adxi_list_init(from);
}

static inline size_t
adxi_list_count(const struct adxi_list *head)
{
	const struct adxi_list *link;
	size_t n = 0;

	for (link = head->next; link != head; link = link->next)
		n++;
	return n;
}

/** First member, or NULL. */
#define ADXI_LIST_FIRST(head, type, member)                                                        \
	(adxi_list_is_empty(head) ? NULL : adxi_container_of((head)->next, type, member))

#define ADXI_LIST_EACH(item, head, member)                                                         \
	for ((item) = adxi_container_of((head)->next, __typeof__(*(item)), member);                \
	     &(item)->member != (head);                                                            \
	     (item) = adxi_container_of((item)->member.next, __typeof__(*(item)), member))

/** The body may remove @p item. */
#define ADXI_LIST_EACH_SAFE(item, after, head, member)                                             \
	for ((item) = adxi_container_of((head)->next, __typeof__(*(item)), member),                \
	    (after) = adxi_container_of((item)->member.next, __typeof__(*(item)), member);         \
	     &(item)->member != (head); (item) = (after),                                          \
	    (after) = adxi_container_of((after)->member.next, __typeof__(*(after)), member))

#endif /* BASE_LIST_H */
