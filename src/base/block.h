/* SPDX-License-Identifier: MIT */
#ifndef BASE_BLOCK_H
#define BASE_BLOCK_H

/**
 * @file base/block.h
 * @brief Blocks, for code that is compiled without -fblocks: the compilers' common layout.
 *
 * Call one with the function type that fits: ((bool (*)(void *, OSObject
 * *))adxi_block_invoke(b))(b, object). The runtime is there in each process that makes blocks, so
 * it is looked up weakly.
 */

#include <stddef.h>

struct adxi_block {
	void *isa;
	int flags;
	int reserved;
	void (*invoke)(void); /* (block, arguments...) */
};

extern void *_Block_copy(const void *block) __attribute__((weak));
extern void _Block_release(const void *block) __attribute__((weak));

static inline void (*adxi_block_invoke(const void *block))(void)
{
	return ((const struct adxi_block *)block)->invoke;
}

/** A copy that outlives the caller's frame. NULL: NULL was given, or no memory. */
static inline void *
adxi_block_copy(const void *block)
{
	return block && _Block_copy ? _Block_copy(block) : NULL;
}

static inline void
adxi_block_release(const void *block)
{
	if (block && _Block_release)
		_Block_release(block);
}

#endif /* BASE_BLOCK_H */
