/* SPDX-License-Identifier: MIT */
#ifndef DRIVERKIT_USER_CLIENT_H
#define DRIVERKIT_USER_CLIENT_H

#include <DriverKit/IOUserClient.h>

struct adxi_channel;

/** What dextd told of the caller before the client starts. Retained; may be NULL. */
void adxi_user_client_set_entitlements(IOUserClient *client, OSDictionary *entitlements);
/** The client's process is introduced: its channel (a reference is taken), and what is known of it.
 */
void adxi_user_client_connect(IOUserClient *client, struct adxi_channel *channel,
			      OSDictionary *info);

#endif /* DRIVERKIT_USER_CLIENT_H */
