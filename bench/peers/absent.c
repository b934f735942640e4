/* SPDX-License-Identifier: MIT */
/* Stands in for a peer that could not be built: the runner gets the reason instead of nothing. */

#include "peer.h"

int
main(void)
{
	peer_skip("%s", REASON);
}
