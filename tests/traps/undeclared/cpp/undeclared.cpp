/* SPDX-License-Identifier: MIT */
/* T39 in C++: one name without _Impl, one that is not declared. */

#include <DriverKit/DriverKit.h>

#include "Undeclared.h"

kern_return_t
Undeclared::Start(IOService *provider)
{
	return Start(provider, SUPERDISPATCH);
}

kern_return_t
Undeclared::Stop_Impl(IOService *provider)
{
	return Stop(provider, SUPERDISPATCH);
}
