/* SPDX-License-Identifier: MIT */
#ifndef CONFORMANCE_DRIVER_PRIVATE_H
#define CONFORMANCE_DRIVER_PRIVATE_H

#include "ConformanceDriver.h"

/** What Start of @p client shall do. Before Start. */
void conformance_client_set_type(ConformanceClient *client, uint32_t type);

#endif /* CONFORMANCE_DRIVER_PRIVATE_H */
