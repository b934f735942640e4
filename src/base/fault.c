/* SPDX-License-Identifier: MIT */
#include "base/fault.h"

#include <stddef.h>

adxi_fault_fn *adxi_fault_hook;
