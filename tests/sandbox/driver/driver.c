/* SPDX-License-Identifier: MIT */
/* A driver that was taken over: it does what its client names. */

#include <stdio.h>
#include <string.h>

#include <DriverKit/DriverKit.h>

#include "Escape.h"
#include "escapes.h"

kern_return_t
Escape_Start_Impl(Escape *self, IOService *provider)
{
	kern_return_t ret = Escape_Start_super(self, provider);

	return ret == kIOReturnSuccess ? Escape_RegisterService(self) : ret;
}

kern_return_t
Escape_NewUserClient_Impl(Escape *self, uint32_t type, IOUserClient **userClient)
{
	IOService *client = NULL;
	kern_return_t ret = Escape_Create(self, (IOService *)self, "UserClientProperties", &client);

	if (ret == kIOReturnSuccess)
		*userClient = OSDynamicCast(IOUserClient, client);
	return ret;
}

static const struct escape *
find(uint64_t number, uint64_t *ret_count)
{
	const struct {
		const struct escape *list;
		size_t n;
	} kinds[] = {
		{ file_escapes, n_file_escapes },	{ socket_escapes, n_socket_escapes },
		{ process_escapes, n_process_escapes }, { kernel_escapes, n_kernel_escapes },
		{ limit_escapes, n_limit_escapes },
	};
	const struct escape *found = NULL;

	*ret_count = 0;
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		if (number >= *ret_count && number < *ret_count + kinds[i].n)
			found = &kinds[i].list[number - *ret_count];
		*ret_count += kinds[i].n;
	}
	return found;
}

static kern_return_t
describe(uint64_t number, IOUserClientMethodArguments *arguments)
{
	struct escape_row row = { 0 };
	const struct escape *escape;
	uint64_t count;

	escape = find(number, &count);
	if (!escape)
		return kIOReturnNotFound;
	(void)snprintf(row.name, sizeof row.name, "%s", escape->name);
	(void)snprintf(row.what, sizeof row.what, "%s", escape->what);
	(void)snprintf(row.rule, sizeof row.rule, "%s", escape->rule);
	row.flags = escape->flags;
	arguments->structureOutput = OSData_withBytes(&row, sizeof row);
	return arguments->structureOutput ? kIOReturnSuccess : kIOReturnNoMemory;
}

kern_return_t
EscapeClient_ExternalMethod_Impl(EscapeClient *self, uint64_t selector, IOUserClientMethodArguments *arguments,
				 const IOUserClientMethodDispatch *dispatch, OSObject *target, void *reference)
{
	const struct escape *escape;
	struct world world;
	uint64_t count;

	if (selector >= ESCAPE_NAME)
		return describe(selector - ESCAPE_NAME, arguments);
	escape = find(selector, &count);
	if (arguments->scalarOutputCount != 1)
		return kIOReturnBadArgument;
	if (selector == ESCAPE_COUNT) {
		arguments->scalarOutput[0] = count;
		return kIOReturnSuccess;
	}
	if (!escape || !arguments->structureInput || OSData_getLength(arguments->structureInput) != sizeof world)
		return kIOReturnBadArgument;
	memcpy(&world, OSData_getBytesNoCopy(arguments->structureInput), sizeof world);
	arguments->scalarOutput[0] = (uint64_t)escape->attempt(&world);
	return kIOReturnSuccess;
}
