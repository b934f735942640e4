/* SPDX-License-Identifier: MIT */
#ifndef COREFOUNDATION_DISPATCH_H
#define COREFOUNDATION_DISPATCH_H

/** @file corefoundation/dispatch.h
 *  @brief Between run loops and the main queue. */

#include <stdbool.h>

/** Run what the main queue holds. False: nothing, or it is being run. [main thread] */
bool adxi_dispatch_drain_main(void);

#endif /* COREFOUNDATION_DISPATCH_H */
