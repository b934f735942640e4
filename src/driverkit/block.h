/* SPDX-License-Identifier: MIT */
#ifndef DRIVERKIT_BLOCK_H
#define DRIVERKIT_BLOCK_H

/**
 * @file driverkit/block.h
 * @brief A block that is kept becomes a function and a context: adxi_block_run_once and the copied
 * block.
 */

#include "base/block.h"

#define ADXI_BLOCK_INVOKE(block, type) ((type)adxi_block_invoke((const void *)(block)))

/** Call a void (^)(void). */
static inline void
adxi_block_call(void *block)
{
	ADXI_BLOCK_INVOKE(block, void (*)(void *))(block);
}

/** Call a copied void (^)(void) and release it. */
static inline void
adxi_block_run_once(void *block)
{
	adxi_block_call(block);
	adxi_block_release(block);
}

static inline void
adxi_block_drop(void *block)
{
	adxi_block_release(block);
}

#endif /* DRIVERKIT_BLOCK_H */
