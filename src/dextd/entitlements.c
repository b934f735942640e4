/* SPDX-License-Identifier: MIT */
/* What macOS's entitlements allow: told in any realm, and enforced in strict ones. */

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/rules.h"
#include "dextd/entitlements.h"
#include "dextd/plistfile.h"
#include "dextd/realm.h"

#define LOG_TOPIC "dextd.entitlements"
#include "base/log.h"

#define DRIVERKIT "com.apple.developer.driverkit."
#define DECLARED                                                                                   \
	"IOUserClientEntitlementsDeclared" /* ours, among a client's entitlements: it has some */

/* ---------------------------------------------------------------------------------------------
 * Whose
 */

/* +1, or NULL. */
static OSDictionary *
program_entitlements(const struct connection *connection)
{
	OSDictionary *entitlements = NULL;
	char link[32], path[PATH_MAX + 16], why[256];
	ssize_t len;

	(void)snprintf(link, sizeof link, "/proc/%d/exe", connection->pid);
	len = readlink(link, path, PATH_MAX - 1);
	/* The number may be another process's by now; that the first one still lives says that it
	 * was not. */
	if (len <= 0 || !connection_peer_lives(connection))
		return NULL;
	strcpy(path + len, ".entitlements");
	if (access(path, F_OK) == 0 && plistfile_read(path, &entitlements, why, sizeof why) < 0)
		log_warning("%s %s", path, why);
	return entitlements;
}

OSDictionary *
entitlements_of_client(const struct connection *connection, const OSDictionary *info)
{
	value_auto OSDictionary *given = program_entitlements(connection);
	const char *name = value_get_cstr(info, "procname");
	OSDictionary *copy = given ? value_deep_copy(given) : value_dict_new();
	char text[160];

	if (given)
		value_set_bool(copy, DECLARED, true);
	(void)snprintf(text, sizeof text, "pid %d, %s", connection->pid, name ? name : "?");
	if (value_set_cstr(copy, "IOUserClientCreator", text) &&
	    (connection->uid != 0 || value_set_bool(copy, DRIVERKIT "administrator", true)))
		return copy;
	return value_unref(copy);
}

/* ---------------------------------------------------------------------------------------------
 * What is wanted
 */

static bool
is_missing(void *context, const OSObject *value)
{
	const OSDictionary *entitlements = context;
	const char *key = value_cstr(value);

	return !key || !value_get(entitlements, key);
}

static bool
is_satisfied(void *context, const OSObject *value)
{
	return value_as(OSArray, value) ? !value_each_member(value, is_missing, context)
					: !is_missing(context, value);
}

bool
entitlements_satisfy(const OSDictionary *entitlements, const OSObject *wanted)
{
	if (!value_as(OSArray, wanted))
		return !is_missing((void *)entitlements, wanted);
	return value_each_member(wanted, is_satisfied, (void *)entitlements);
}

static bool
is_id(void *context, const OSObject *value)
{
	const char *text = value_cstr(value), *id = context;

	return text && !strcmp(text, id);
}

/* ---------------------------------------------------------------------------------------------
 * Clients
 */

/* What macOS answers; elsewhere it is only told. */
static IOReturn
verdict(const struct realm *realm, IOReturn status)
{
	return realm->config.strict ? status : kIOReturnSuccess;
}

static bool
client_declares(const OSDictionary *entitlements)
{
	return value_is_true(value_get(entitlements, DECLARED));
}

static IOReturn
check_bundle_access(const struct connection *connection, const struct service *service,
		    const OSDictionary *entitlements)
{
	const struct bundle *bundle = service->server->bundle;
	const char *id = entry_property_cstr(service->entry, "CFBundleIdentifier");
	const OSDictionary *own = bundle ? bundle_entitlements(bundle) : NULL;

	if (value_get(own, DRIVERKIT "allow-any-userclient-access"))
		return kIOReturnSuccess;
	if (!own && !client_declares(entitlements)) {
		if (connection->realm->config.strict)
			adxi_tell(
				ADXI_RULE_T62,
				"neither pid %d nor %s declares entitlements "
				"(PROGRAM.entitlements, Entitlements.plist in the bundle); it may "
				"open it",
				connection->pid, id ? id : entry_text(service->entry));
		return kIOReturnSuccess;
	}
	if (id && value_each_member(value_get(entitlements, DRIVERKIT "userclient-access"), is_id,
				    (void *)id))
		return kIOReturnSuccess;
	adxi_tell(ADXI_RULE_T62, "pid %d has no " DRIVERKIT "userclient-access for %s",
		  connection->pid, id ? id : entry_text(service->entry));
	return verdict(connection->realm, kIOReturnNotPermitted);
}

/* IOUserClientEntitlements: the name of one that has to be true; false asks for nothing. */
static IOReturn
check_named(const struct connection *connection, const struct entry *entry,
	    const OSDictionary *entitlements)
{
	const char *wanted = entry_property_cstr(entry, "IOUserClientEntitlements");

	if (!wanted || value_is_true(value_get(entitlements, wanted)))
		return kIOReturnSuccess;
	adxi_tell(ADXI_RULE_T62, "pid %d has no entitlement %s, which %s asks for", connection->pid,
		  wanted, entry_text(entry));
	return verdict(connection->realm, kIOReturnNotPrivileged);
}

IOReturn
entitlements_check_open(const struct connection *connection, const struct service *service,
			const OSDictionary *entitlements)
{
	IOReturn status = check_bundle_access(connection, service, entitlements);

	if (status == kIOReturnSuccess)
		status = check_named(connection, service->entry, entitlements);
	return status;
}

IOReturn
entitlements_check_client(const struct connection *connection, const struct entry *client,
			  const OSDictionary *entitlements)
{
	const OSObject *wanted = entry_property(client, "IOServiceDEXTEntitlements");
	char text[160];

	if (wanted && !entitlements_satisfy(entitlements, wanted)) {
		adxi_tell(ADXI_RULE_T62, "pid %d has not the entitlements %s, which %s asks for",
			  connection->pid, value_text(wanted, text, sizeof text),
			  entry_text(client));
		if (connection->realm->config.strict)
			return kIOReturnNotPermitted;
	}
	return check_named(connection, client, entitlements);
}

/* ---------------------------------------------------------------------------------------------
 * Drivers
 */

static bool
driver_has(const struct personality *personality, const OSObject *wanted, const char *who)
{
	char text[160];

	if (!wanted || entitlements_satisfy(bundle_entitlements(personality->bundle), wanted))
		return true;
	adxi_tell(ADXI_RULE_ACC002, "%s has not the entitlements %s, which %s asks for",
		  personality->bundle->id, value_text(wanted, text, sizeof text), who);
	return false;
}

IOReturn
entitlements_check_driver(const struct realm *realm, const struct entry *provider,
			  const struct personality *personality)
{
	static const char key[] = "IOServiceDEXTEntitlements";
	char who[200];

	if (!bundle_entitlements(personality->bundle))
		return kIOReturnSuccess;
	(void)snprintf(who, sizeof who, "its own personality '%s'", personality->name);
	if (driver_has(personality, entry_property(provider, key), entry_text(provider)) &&
	    driver_has(personality, value_get(personality->dict, key), who))
		return kIOReturnSuccess;
	return verdict(realm, kIOReturnNotPermitted);
}
