/* SPDX-License-Identifier: MIT */
/* ambidext/realm.h: what tools ask dextd. */

#include <ambidext/realm.h>
#include <Ambidext/ADXRegistry.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/rules.h"
#include "iokit/iokit.h"
#include "object/containers.h"

kern_return_t
adx_bundle_load(CFStringRef path, CFStringRef *bundleID, CFArrayRef *problems)
{
	ADXRegistry *registry = iokit_registry();
	OSString *id = NULL;
	OSArray *sentences = NULL;

	if (!path || !bundleID || !problems)
		return kIOReturnBadArgument;
	if (!registry)
		return kIOReturnNoDevice;
	kern_return_t ret = ADXRegistry_LoadBundle(registry, (OSString *)path, &id, &sentences);
	if (ret == kIOReturnSuccess) {
		*bundleID = (CFStringRef)id;
		*problems = (CFArrayRef)sentences;
		/* The problems cross only with success: a bundle that was refused has no id. */
		if (!id)
			ret = kIOReturnBadArgument;
	}
	return ret;
}

kern_return_t
adx_bundle_upgrade(CFStringRef path, CFStringRef *bundleID, CFArrayRef *problems)
{
	ADXRegistry *registry = iokit_registry();
	OSString *id = NULL;
	OSArray *sentences = NULL;

	if (!path || !bundleID || !problems)
		return kIOReturnBadArgument;
	if (!registry)
		return kIOReturnNoDevice;
	kern_return_t ret = ADXRegistry_UpgradeBundle(registry, (OSString *)path, &id, &sentences);
	if (ret == kIOReturnSuccess) {
		*bundleID = (CFStringRef)id;
		*problems = (CFArrayRef)sentences;
		/* The problems cross only with success: a bundle that was refused has no id. */
		if (!id)
			ret = kIOReturnBadArgument;
	}
	return ret;
}

kern_return_t
adx_bundle_unload(CFStringRef bundleID)
{
	ADXRegistry *registry = iokit_registry();

	if (!bundleID)
		return kIOReturnBadArgument;
	return registry ? ADXRegistry_UnloadBundle(registry, (OSString *)bundleID) : kIOReturnNoDevice;
}

kern_return_t
adx_copy_incidents(uint64_t after, CFArrayRef *incidents)
{
	ADXRegistry *registry = iokit_registry();

	if (!incidents)
		return kIOReturnBadArgument;
	return registry ? ADXRegistry_CopyIncidents(registry, after, (OSArray **)incidents) : kIOReturnNoDevice;
}

kern_return_t
adx_unquarantine(CFStringRef name, uint32_t *count)
{
	ADXRegistry *registry = iokit_registry();

	if (!count)
		return kIOReturnBadArgument;
	return registry ? ADXRegistry_Unquarantine(registry, (OSString *)name, count) : kIOReturnNoDevice;
}

kern_return_t
adx_copy_bundles(CFArrayRef *bundles)
{
	ADXRegistry *registry = iokit_registry();

	if (!bundles)
		return kIOReturnBadArgument;
	return registry ? ADXRegistry_CopyBundles(registry, (OSArray **)bundles) : kIOReturnNoDevice;
}

kern_return_t
adx_copy_servers(CFArrayRef *servers)
{
	ADXRegistry *registry = iokit_registry();

	if (!servers)
		return kIOReturnBadArgument;
	return registry ? ADXRegistry_CopyServers(registry, (OSArray **)servers) : kIOReturnNoDevice;
}

kern_return_t
adx_device_attach(CFStringRef what, uint64_t *entryID, CFStringRef *problem)
{
	ADXRegistry *registry = iokit_registry();

	if (!what || !entryID || !problem)
		return kIOReturnBadArgument;
	*problem = NULL;
	kern_return_t ret = registry ? ADXRegistry_AttachDevice(registry, (OSString *)what, entryID, (OSString **)problem)
				     : kIOReturnNoDevice;
	return ret == kIOReturnSuccess && *problem ? kIOReturnNotFound : ret;
}

kern_return_t
adx_device_detach(CFStringRef what, CFStringRef *problem)
{
	ADXRegistry *registry = iokit_registry();

	if (!what || !problem)
		return kIOReturnBadArgument;
	*problem = NULL;
	kern_return_t ret = registry ? ADXRegistry_DetachDevice(registry, (OSString *)what, (OSString **)problem)
				     : kIOReturnNoDevice;
	return ret == kIOReturnSuccess && *problem ? kIOReturnNotFound : ret;
}

kern_return_t
adx_copy_log(uint64_t after, CFStringRef server, CFArrayRef *lines, uint64_t *next)
{
	ADXRegistry *registry = iokit_registry();

	if (!lines || !next)
		return kIOReturnBadArgument;
	return registry ? ADXRegistry_CopyLog(registry, after, (OSString *)server, (OSArray **)lines, next) : kIOReturnNoDevice;
}

kern_return_t
adx_copy_audit(uint64_t after, CFArrayRef *lines, uint64_t *next)
{
	ADXRegistry *registry = iokit_registry();

	if (!lines || !next)
		return kIOReturnBadArgument;
	return registry ? ADXRegistry_CopyAudit(registry, after, (OSArray **)lines, next) : kIOReturnNoDevice;
}

kern_return_t
adx_realm_shutdown(void)
{
	ADXRegistry *registry = iokit_registry();

	return registry ? ADXRegistry_Shutdown(registry) : kIOReturnNoDevice;
}

static void
give_rule(const struct adxi_rule_info *info, struct adx_rule *ret_rule)
{
	*ret_rule = (struct adx_rule){
		.id = info->id,
		.title = info->title,
		.wanted = info->wanted,
		.fix = info->fix,
		.verdict = info->verdict,
		.strict = info->strict,
	};
}

int
adx_rule_find(const char *id, struct adx_rule *ret_rule)
{
	const struct adxi_rule_info *info = id && ret_rule ? adxi_rule_find(id) : NULL;

	if (!info)
		return -1;
	give_rule(info, ret_rule);
	return 0;
}

int
adx_rule_at(unsigned index, struct adx_rule *ret_rule)
{
	if (index >= ADXI_RULE_COUNT || !ret_rule)
		return -1;
	give_rule(adxi_rule_info((enum adxi_rule)index), ret_rule);
	return 0;
}

kern_return_t
adx_entry_copy(io_registry_entry_t entry, CFDictionaryRef *description)
{
	OSDictionary *found = NULL;
	uint64_t id;

	if (!description)
		return kIOReturnBadArgument;
	kern_return_t ret = iokit_entry_id(entry, &id);
	if (ret != kIOReturnSuccess)
		return ret;
	ADXRegistry *registry = iokit_registry();
	ret = registry ? ADXRegistry_CopyEntry(registry, id, &found) : kIOReturnNoDevice;
	if (ret == kIOReturnSuccess)
		*description = (CFDictionaryRef)found;
	return ret;
}
