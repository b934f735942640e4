/* SPDX-License-Identifier: MIT */
/* main() of a dext: `dext build` links it into each driver's executable. */

#include "driverkit/host.h"

#define EX_SOFTWARE 70

int
main(void)
{
	if (adxi_host_start(NULL, NULL) < 0)
		return EX_SOFTWARE;
	adxi_host_exit(adxi_host_run());
}
