/* SPDX-License-Identifier: MIT */
/* A bundle is checked as a whole: every problem is told at once, each as one rule. */

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/rules.h"
#include "dextd/bundle.h"
#include "dextd/matching.h"
#include "dextd/plistfile.h"

enum level { NOTE, OBSTACLE };

struct check {
	struct bundle *bundle;
	OSArray *problems; /* borrowed */
	const char *name;  /* of the bundle's directory */
	char where[200];   /* "Info.plist", "IOKitPersonalities.Foo" */
	bool unusable;
};

__attribute__((format(printf, 4, 5))) static void
problem(struct check *check, enum level level, enum adxi_rule rule, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (adxi_tell(rule, "%s: %s", check->name, text) || level == OBSTACLE)
		check->unusable = true;
	value_append_cstr(check->problems, adxi_told_last());
}

/* ---------------------------------------------------------------------------------------------
 * Keys
 */

enum key_type { STRING, NUMBER, DICTIONARY, ARRAY, BOOLEAN, ANY };
enum key_need { OPTIONAL, MACOS_WANTS, NEEDED };

struct key_row {
	const char *key;
	enum key_type type;
	enum key_need need;
};

static const struct key_row info_keys[] = {
	{ "CFBundleIdentifier", STRING, NEEDED },
	{ "CFBundleExecutable", STRING, NEEDED },
	{ "IOKitPersonalities", DICTIONARY, NEEDED },
	{ "CFBundlePackageType", STRING, MACOS_WANTS },
	{ "CFBundleVersion", STRING, MACOS_WANTS },
	{ "CFBundleShortVersionString", STRING, MACOS_WANTS },
	{ "OSBundleUsageDescription", STRING, MACOS_WANTS },
};

static const struct key_row personality_keys[] = {
	{ "IOProviderClass", STRING, NEEDED },
	{ "IOUserClass", STRING, NEEDED },
	{ "IOUserServerName", STRING, NEEDED },
	{ "IOClass", STRING, MACOS_WANTS },
	{ "CFBundleIdentifier", STRING, MACOS_WANTS },
	{ "CFBundleIdentifierKernel", STRING, OPTIONAL },
	{ "IOProbeScore", NUMBER, OPTIONAL },
	{ "IOMatchCategory", STRING, OPTIONAL },
	{ "IOMatchedServiceCountMatch", NUMBER, OPTIONAL },
	{ "IOParentMatch", DICTIONARY, OPTIONAL },
	{ "IOPathMatch", STRING, OPTIONAL },
	{ "IORegistryEntryID", NUMBER, OPTIONAL },
	{ "IOSupportedProperties", DICTIONARY, OPTIONAL },
	{ "IORegistryEntryAllowableSetProperties", ARRAY, OPTIONAL },
	{ "UserClientProperties", DICTIONARY, OPTIONAL },
};

static const char *const type_names[] = {
	[STRING] = "string", [NUMBER] = "number",   [DICTIONARY] = "dictionary",
	[ARRAY] = "array",   [BOOLEAN] = "boolean", [ANY] = "value",
};

static void
check_keys(struct check *check, const OSDictionary *dict, const struct key_row *row, size_t n)
{
	const OSObject *value;
	char text[160];

	for (; n--; row++) {
		value = value_get(dict, row->key);
		if (!value && row->need == NEEDED)
			problem(check, OBSTACLE, ADXI_RULE_CAT003, "%s has no %s", check->where,
				row->key);
		else if (!value && row->need == MACOS_WANTS)
			problem(check, NOTE, ADXI_RULE_CAT010, "%s has no %s", check->where,
				row->key);
		else if (value && row->type != ANY &&
			 strcmp(value_type(value), type_names[row->type]))
			problem(check, row->need == NEEDED ? OBSTACLE : NOTE, ADXI_RULE_CAT004,
				"%s.%s is a %s where a %s is wanted", check->where, row->key,
				value_text(value, text, sizeof text), type_names[row->type]);
		else if (value && row->type == STRING && row->need == NEEDED && !*value_cstr(value))
			problem(check, OBSTACLE, ADXI_RULE_CAT003, "%s.%s is empty", check->where,
				row->key);
	}
}

struct variable_search {
	struct check *check;
	char where[256];
};

static bool find_variables(void *context, const OSObject *value);

static bool
find_variables_pair(void *context, const char *key, const OSObject *value)
{
	struct variable_search *search = context;
	size_t len = strlen(search->where);

	(void)snprintf(search->where + len, sizeof search->where - len, ".%s", key);
	find_variables(search, value);
	search->where[len] = '\0';
	return false;
}

static bool
find_variables(void *context, const OSObject *value)
{
	struct variable_search *search = context;
	const char *text = value_cstr(value);

	if (text && (strstr(text, "$(") || strstr(text, "${")))
		problem(search->check, OBSTACLE, ADXI_RULE_CAT009, "%s is '%.100s'", search->where,
			text);
	else if (value_is(OSDictionary, value))
		value_each(value_as(OSDictionary, value), find_variables_pair, search);
	else if (value_is(OSCollection, value))
		value_each_member(value, find_variables, search);
	return false;
}

/* ---------------------------------------------------------------------------------------------
 * Classes that a personality may name as IOClass, and what they are
 */

static const char *const class_table[][5] = {
	{ "IOUserService", "IOService" },
	{ "IOUserUserClient", "IOUserClient", "IOService" },
	{ "IOUserUSBHostHIDDevice", "IOUSBHostHIDDevice", "IOHIDDevice", "IOService" },
	{ "AppleUserHIDDevice", "IOHIDDevice", "IOService" },
	{ "AppleUserHIDEventService", "IOHIDEventService", "IOService" },
	{ "IOUserHIDEventService", "IOHIDEventService", "IOService" },
	{ "IOUserSerial", "IOSerialStreamSync", "IOSerialDriverSync", "IOService" },
	{ "IOUserNetworkEthernet", "IOSkywalkEthernetInterface", "IOService" },
	{ "IOUserBlockStorageDevice", "IOBlockStorageDevice", "IOService" },
	{ "IOUserSCSIParallelInterfaceController", "IOSCSIParallelInterfaceController",
	  "IOService" },
	{ "IOUserAudioDriver", "IOService" },
	{ "IOUserMIDIDriver", "IOService" },
};

bool
class_name_is_known(const char *class_name)
{
	size_t i;

	for (i = 0; i < sizeof class_table / sizeof class_table[0]; i++)
		if (!strcmp(class_table[i][0], class_name))
			return true;
	return !strcmp(class_name, "IOService");
}

OSArray *
class_names_new(const char *class_name)
{
	OSArray *array = value_array_new();
	bool done;
	size_t i, k;

	for (i = 0; i < sizeof class_table / sizeof class_table[0]; i++) {
		if (strcmp(class_table[i][0], class_name))
			continue;
		for (k = 0, done = true; done && k < 5 && class_table[i][k]; k++)
			done = value_append_cstr(array, class_table[i][k]);
		return done ? array : value_unref(array);
	}
	done = value_append_cstr(array, class_name);
	if (done && strcmp(class_name, "IOService"))
		done = value_append_cstr(array, "IOService");
	return done ? array : value_unref(array);
}

/* ---------------------------------------------------------------------------------------------
 * The executable
 */

#if defined(__x86_64__)
#define MACHINE EM_X86_64
#elif defined(__aarch64__)
#define MACHINE EM_AARCH64
#elif defined(__riscv)
#define MACHINE EM_RISCV
#elif defined(__arm__)
#define MACHINE EM_ARM
#elif defined(__i386__)
#define MACHINE EM_386
#else
#define MACHINE EM_NONE /* not compared */
#endif

static const char *
program_problem(int fd)
{
	static char text[96];
	Elf64_Ehdr header;
	ssize_t r = pread(fd, &header, sizeof header, 0);
	const unsigned char *magic = header.e_ident;

	if (r >= 4 &&
	    ((magic[0] == 0xcf && magic[1] == 0xfa) || (magic[0] == 0xca && magic[1] == 0xfe)))
		return "is a program for macOS (Mach-O)";
	if (r < (ssize_t)sizeof header || memcmp(magic, ELFMAG, SELFMAG))
		return "is no ELF program";
	if (header.e_type != ET_EXEC && header.e_type != ET_DYN)
		return "is an ELF file but no program";
	if (MACHINE != EM_NONE && header.e_machine != MACHINE) {
		(void)snprintf(text, sizeof text,
			       "is for another machine (ELF machine %u; this one is %u)",
			       header.e_machine, MACHINE);
		return text;
	}
	return NULL;
}

static int
find_executable(struct check *check, const char *name)
{
	static const char *const places[] = { "Contents/MacOS/", "" };
	adxi_cleanup(adxi_closep) int fd = -1;
	struct bundle *bundle = check->bundle;
	const char *why;
	struct stat st;
	size_t i;

	if (strchr(name, '/')) {
		problem(check, OBSTACLE, ADXI_RULE_CAT008,
			"CFBundleExecutable is '%s', which is a path", name);
		return 0;
	}
	for (i = 0; i < sizeof places / sizeof places[0] && fd < 0; i++) {
		free(bundle->executable);
		if (asprintf(&bundle->executable, "%s/%s%s", bundle->path, places[i], name) < 0) {
			bundle->executable = NULL;
			return -ENOMEM;
		}
		fd = open(bundle->executable, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	}
	if (fd < 0 || fstat(fd, &st) < 0) {
		problem(check, OBSTACLE, ADXI_RULE_CAT005,
			"there is no %s/Contents/MacOS/%s and no %s/%s (%s)", check->name, name,
			check->name, name, strerror(errno));
		return 0;
	}
	if (!S_ISREG(st.st_mode) || access(bundle->executable, X_OK) < 0) {
		problem(check, OBSTACLE, ADXI_RULE_CAT006, "%s is not executable (mode %04o)",
			bundle->executable, (unsigned)st.st_mode & 07777u);
		return 0;
	}
	why = program_problem(fd);
	if (why)
		problem(check, OBSTACLE, ADXI_RULE_CAT006, "%s %s", bundle->executable, why);
	return 0;
}

/* ---------------------------------------------------------------------------------------------
 * Personalities
 */

struct personality *
personality_ref(struct personality *personality)
{
	bundle_ref(personality->bundle);
	return personality;
}

static void
personality_free(struct personality *personality)
{
	free(personality->name);
	value_unref(personality->dict);
	free(personality);
}

struct personality *
personality_unref(struct personality *personality)
{
	if (personality)
		bundle_unref(personality->bundle);
	return NULL;
}

static size_t
organisation_len(const char *id)
{
	const char *dot = strchr(id, '.');

	dot = dot ? strchr(dot + 1, '.') : NULL;
	return dot ? (size_t)(dot - id) + 1 : 0;
}

static bool
misspelt_key(void *context, const char *key, const OSObject *value)
{
	struct check *check = context;
	const char *meant = match_misspelt(key);

	if (meant)
		problem(check, NOTE, ADXI_RULE_T51,
			"%s has the key '%s', which nobody reads; '%s' is near", check->where, key,
			meant);
	return false;
}

static void
check_one_process(struct check *check, struct personality *personality)
{
	const OSObject *value = value_get(personality->dict, "IOUserServerOneProcess");
	const char *id = check->bundle->id;
	size_t len;

	if (!value)
		return;
	personality->one_process = !value_is(OSBoolean, value) || value_is_true(value);
	if (!personality->one_process) {
		problem(check, NOTE, ADXI_RULE_T58, "%s.IOUserServerOneProcess is false",
			check->where);
		return;
	}
	len = id ? organisation_len(id) : 0;
	if (id && personality->server_name &&
	    (len == 0 || strncmp(id, personality->server_name, len))) {
		problem(check, NOTE, ADXI_RULE_T59,
			"%s.IOUserServerName '%s' must begin with '%.*s' as CFBundleIdentifier "
			"'%s' does",
			check->where, personality->server_name, (int)len, id, id);
		personality->one_process = false;
	}
}

static void
check_personality(struct check *check, struct personality *personality)
{
	OSDictionary *dict = personality->dict;
	const char *provider = value_get_cstr(dict, "IOProviderClass");
	const char *id = value_get_cstr(dict, "CFBundleIdentifier");
	char text[512];

	check_keys(check, dict, personality_keys,
		   sizeof personality_keys / sizeof personality_keys[0]);
	personality->user_class = value_get_cstr(dict, "IOUserClass");
	personality->class_name = value_get_cstr(dict, "IOClass");
	personality->server_name = value_get_cstr(dict, "IOUserServerName");
	personality->category = value_get_cstr(dict, "IOMatchCategory");
	if (!personality->class_name)
		personality->class_name = "IOUserService";
	if (!personality->category)
		personality->category = "IODefaultMatchCategory";
	if (id && check->bundle->id && strcmp(id, check->bundle->id))
		problem(check, NOTE, ADXI_RULE_CAT008,
			"%s.CFBundleIdentifier is '%s', the bundle's is '%s'", check->where, id,
			check->bundle->id);
	if (!class_name_is_known(personality->class_name))
		problem(check, NOTE, ADXI_RULE_CAT011, "%s.IOClass is '%s'", check->where,
			personality->class_name);
	if (provider && !strcmp(provider, "IOResources"))
		problem(check, OBSTACLE, ADXI_RULE_T55, "%s.IOProviderClass is 'IOResources'",
			check->where);
	if (provider && !strcmp(provider, "IOUserResources") && !value_get(dict, "IOMatchCategory"))
		problem(check, NOTE, ADXI_RULE_T54,
			"%s matches IOUserResources and has no IOMatchCategory", check->where);
	if (match_family_problem(dict, text, sizeof text))
		problem(check, NOTE, ADXI_RULE_CAT013, "%s: %s", check->where, text);
	check_one_process(check, personality);
	value_each(dict, misspelt_key, check);
}

static bool
add_personality(void *context, const char *name, const OSObject *value)
{
	struct check *check = context;
	OSDictionary *dict = value_as(OSDictionary, value);
	struct personality *personality;
	char text[160];

	(void)snprintf(check->where, sizeof check->where, "IOKitPersonalities.%s", name);
	if (!dict) {
		problem(check, OBSTACLE, ADXI_RULE_CAT004,
			"%s is a %s where a dictionary is wanted", check->where,
			value_text(value, text, sizeof text));
		return false;
	}
	personality = calloc(1, sizeof *personality);
	if (!personality)
		return true;
	personality->bundle = check->bundle;
	personality->name = strdup(name);
	personality->dict = value_deep_copy(dict);
	if (!personality->name || !personality->dict ||
	    (!value_get(dict, "CFBundleIdentifier") &&
	     !value_set_cstr(personality->dict, "CFBundleIdentifier", check->bundle->id))) {
		personality_free(personality);
		return true;
	}
	adxi_list_append(&check->bundle->personalities, &personality->link);
	check_personality(check, personality);
	return false;
}

/* ---------------------------------------------------------------------------------------------
 * The whole
 */

struct bundle *
bundle_ref(struct bundle *bundle)
{
	bundle->n_ref++;
	return bundle;
}

struct bundle *
bundle_unref(struct bundle *bundle)
{
	struct personality *personality, *next;

	if (!bundle || --bundle->n_ref)
		return NULL;
	ADXI_LIST_EACH_SAFE(personality, next, &bundle->personalities, link)
		personality_free(personality);
	free(bundle->path);
	free(bundle->id);
	free(bundle->version);
	free(bundle->executable);
	value_unref(bundle->info);
	free(bundle);
	return NULL;
}

ADXI_DEFINE_CLEANUP(struct bundle, bundle_unref)

const OSDictionary *
bundle_entitlements(const struct bundle *bundle)
{
	return value_as(OSDictionary, value_get(bundle->info, "AmbidextEntitlements"));
}

/* Entitlements live in the signature on macOS; here in a file of the bundle. */
static void
read_entitlements(struct check *check)
{
	value_auto OSDictionary *entitlements = NULL;
	adxi_cleanup(adxi_freep) char *path = NULL;
	char why[256];

	if (asprintf(&path, "%s/Entitlements.plist", check->bundle->path) < 0) {
		path = NULL;
		return;
	}
	if (access(path, F_OK) < 0)
		return;
	if (plistfile_read(path, &entitlements, why, sizeof why) < 0)
		problem(check, NOTE, ADXI_RULE_CAT002, "Entitlements.plist %s", why);
	else
		value_set(check->bundle->info, "AmbidextEntitlements", entitlements);
}

static int
read_info(struct check *check)
{
	static const char *const places[] = { "Info.plist", "Contents/Info.plist" };
	adxi_cleanup(adxi_freep) char *path = NULL;
	struct bundle *bundle = check->bundle;
	char why[320] = "";
	size_t i;
	int r = -ENOENT;

	for (i = 0; i < 2 && r == -ENOENT; i++) {
		free(path);
		if (asprintf(&path, "%s/%s", bundle->path, places[i]) < 0) {
			path = NULL;
			return -ENOMEM;
		}
		r = plistfile_read(path, &bundle->info, why, sizeof why);
	}
	if (r == -ENOENT)
		problem(check, OBSTACLE, ADXI_RULE_CAT001, "there is no %s/Info.plist",
			bundle->path);
	else if (r < 0)
		problem(check, OBSTACLE, ADXI_RULE_CAT002, "%s %s", path, why);
	return 0;
}

static int
check_info(struct check *check)
{
	struct bundle *bundle = check->bundle;
	const OSDictionary *info = bundle->info;
	const char *text = value_get_cstr(info, "CFBundleIdentifier");
	struct variable_search search = { .check = check, .where = "Info.plist" };
	const OSDictionary *personalities =
		value_as(OSDictionary, value_get(info, "IOKitPersonalities"));
	int r;

	(void)snprintf(check->where, sizeof check->where, "Info.plist");
	check_keys(check, info, info_keys, sizeof info_keys / sizeof info_keys[0]);
	value_each(info, find_variables_pair, &search);
	bundle->id = strdup(text ? text : check->name);
	if (!bundle->id)
		return -ENOMEM;
	text = value_get_cstr(info, "CFBundleShortVersionString");
	if (!text)
		text = value_get_cstr(info, "CFBundleVersion");
	if (text && !(bundle->version = strdup(text)))
		return -ENOMEM;
	text = value_get_cstr(info, "CFBundlePackageType");
	if (text && strcmp(text, "DEXT"))
		problem(check, OBSTACLE, ADXI_RULE_CAT008,
			"CFBundlePackageType is '%s', a driver's is 'DEXT'", text);
	text = value_get_cstr(info, "CFBundleExecutable");
	r = text && *text ? find_executable(check, text) : 0;
	if (r < 0)
		return r;
	if (personalities && value_count(personalities) == 0)
		problem(check, OBSTACLE, ADXI_RULE_CAT007, "IOKitPersonalities is empty");
	return value_each(personalities, add_personality, check) ? -ENOMEM : 0;
}

int
bundle_read(const char *path, OSArray *problems, struct bundle **ret_bundle)
{
	adxi_cleanup(bundle_unrefp) struct bundle *bundle = calloc(1, sizeof *bundle);
	struct check check = { .bundle = bundle, .problems = problems };
	char resolved[PATH_MAX];
	int r;

	if (!bundle)
		return -ENOMEM;
	bundle->n_ref = 1;
	adxi_list_init(&bundle->link);
	adxi_list_init(&bundle->personalities);
	bundle->path = strdup(realpath(path, resolved) ? resolved : path);
	if (!bundle->path)
		return -ENOMEM;
	check.name = strrchr(bundle->path, '/');
	check.name = check.name ? check.name + 1 : bundle->path;
	r = read_info(&check);
	if (r == 0 && bundle->info) {
		r = check_info(&check);
		read_entitlements(&check);
	}
	if (r < 0)
		return r;
	if (check.unusable)
		return -EINVAL;
	*ret_bundle = TAKE(bundle);
	return 0;
}
