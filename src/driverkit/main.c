/* SPDX-License-Identifier: MIT */
/* main() of a dext: `dext build` links it into each driver's executable. */

#include <errno.h>

#include "base/log.h"
#include "driverkit/host.h"

#define EX_SOFTWARE 70

int
main(void)
{
	adxi_log_setup(program_invocation_short_name, ADXI_LOG_WARNING);
	if (adxi_host_start(NULL, NULL) < 0)
		return EX_SOFTWARE;
	adxi_host_exit(adxi_host_run());
}
