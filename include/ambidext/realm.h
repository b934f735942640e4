/* SPDX-License-Identifier: MIT */
#ifndef AMBIDEXT_REALM_H
#define AMBIDEXT_REALM_H

/**
 * @file ambidext/realm.h
 * @brief What tools ask of a realm's dextd: bundles, processes, devices, log. Ours; macOS has other ways.
 *
 * The realm is the directory in $AMBIDEXT_REALM, /run/ambidext without it. No dextd there: kIOReturnNoDevice.
 * Objects that are returned are +1. Threads: [any]; all calls block until dextd has answered.
 */

#include <IOKit/IOKitLib.h>

ADX_BEGIN_DECLS

/** Take a bundle into the catalogue; its drivers are matched at once. @p problems: sentences, all of them; kIOReturnBadArgument
 *  when there are any that forbid loading. */
ADX_API kern_return_t adx_bundle_load(CFStringRef path, CFStringRef *bundleID, CFArrayRef *problems);
/** Take it out again and end its drivers; answered when they are gone. kIOReturnNotFound. */
/** As load, for another version of a bundle that is loaded: returns when a driver of it runs. When it does not start the old version
 *  is started again, and @p problems say so. */
ADX_API kern_return_t adx_bundle_upgrade(CFStringRef path, CFStringRef *bundleID, CFArrayRef *problems);
ADX_API kern_return_t adx_bundle_unload(CFStringRef bundleID);
/** End quarantines of a bundle id or personality, or (NULL) all. @p count: personalities that have another chance. */
ADX_API kern_return_t adx_unquarantine(CFStringRef name, uint32_t *count);
/** Arrays of dictionaries, as `dext list --json` prints them. */
ADX_API kern_return_t adx_copy_bundles(CFArrayRef *bundles);
ADX_API kern_return_t adx_copy_servers(CFArrayRef *servers);
/** "model:sensor,serial=7". @p problem: a sentence when it failed, else NULL. */
ADX_API kern_return_t adx_device_attach(CFStringRef what, uint64_t *entryID, CFStringRef *problem);
ADX_API kern_return_t adx_device_detach(CFStringRef what, CFStringRef *problem);
/** Lines with a sequence number above @p after, of one server or (NULL) all: dictionaries sequence, time, pid, server, rule, text.
 *  @p next: what to pass as @p after the next time. */
ADX_API kern_return_t adx_copy_log(uint64_t after, CFStringRef server, CFArrayRef *lines, uint64_t *next);
/** Who opened, loaded or attached what, or was refused: lines as above, where server is the user. kIOReturnNotPrivileged: only
 *  the realm's user and root may read it. */
ADX_API kern_return_t adx_copy_audit(uint64_t after, CFArrayRef *lines, uint64_t *next);
/** What went wrong with drivers' processes since the realm began: dictionaries id, time, noticed (CLOCK_MONOTONIC), pid, server,
 *  bundle, how, fault, signal, status, ran, text, folder. Those with a number above @p after. */
ADX_API kern_return_t adx_copy_incidents(uint64_t after, CFArrayRef *incidents);
ADX_API kern_return_t adx_realm_shutdown(void);

/** dextd's description of an entry, as `ioreg` prints it: id, class, classes, name, location, userClass, bundle, registered, matched,
 *  inactive, busy, retain, server (pid), serverName, state. MACH_SEND_INVALID_DEST, kIOReturnBadArgument. */
ADX_API kern_return_t adx_entry_copy(io_registry_entry_t entry, CFDictionaryRef *description);

/** JSON text of a property object (dictionary, array, string, number, boolean, data as base64), UTF-8, free() it. NULL: no memory. */
ADX_API char *adx_json(CFTypeRef object);

/* A rule's row, as `dext explain` prints it. */
struct adx_rule {
	const char *id, *title, *wanted, *fix;
	const char *verdict; /* what macOS does; NULL: the same, or the rule is ours */
	int strict;          /* AMBIDEXT_STRICT=macos makes it fail here too */
};
/** Row of that id, any case. 0, or -1: there is none. */
ADX_API int adx_rule_find(const char *id, struct adx_rule *ret_rule);
/** Row number @p index of all. 0, or -1 after the last. */
ADX_API int adx_rule_at(unsigned index, struct adx_rule *ret_rule);

ADX_END_DECLS
#endif /* AMBIDEXT_REALM_H */
