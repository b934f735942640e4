/* SPDX-License-Identifier: MIT */
/* A bundle's files: Info.plist, Entitlements.plist and the executable's first bytes, through everything that dextd does before
 * it trusts them, and matching with what they say. */
#include "fuzz.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/rules.h"
#include "dextd/bundle.h"
#include "dextd/catalogue.h"
#include "dextd/registry.h"

static char folder[4096];
static int folder_fd = -1;
static uint8_t program[64]; /* the beginning of one that this machine runs */

static void
remove_folder(void)
{
	(void)unlinkat(folder_fd, "Info.plist", 0);
	(void)unlinkat(folder_fd, "Entitlements.plist", 0);
	(void)unlinkat(folder_fd, "program", 0);
	(void)rmdir(folder);
}

static void
make_folder(void)
{
	const char *parent = getenv("TMPDIR");
	FILE *self = fopen("/proc/self/exe", "rbe");

	FUZZ_CHECK(self && fread(program, 1, sizeof program, self) == sizeof program);
	(void)fclose(self);
	(void)snprintf(folder, sizeof folder, "%s/ambidext-fuzz-XXXXXX", parent ? parent : "/tmp");
	FUZZ_CHECK(mkdtemp(folder));
	folder_fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	FUZZ_CHECK(folder_fd >= 0);
	(void)atexit(remove_folder);
}

static void
put(const char *name, const void *bytes, size_t size, mode_t mode)
{
	int fd = openat(folder_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	FUZZ_CHECK(fd >= 0);
	FUZZ_CHECK(write(fd, bytes, size) == (ssize_t)size);
	(void)close(fd);
}

/* A provider that has what a personality asks for, as far as it says so. */
static void
match(struct catalogue *catalogue, const struct personality *personality)
{
	const char *class_name = value_get_cstr(personality->dict, "IOProviderClass");
	struct candidate *candidates = NULL;
	struct registry *registry = NULL;
	struct entry *entry = NULL;
	struct match_miss miss;
	value_auto OSArray *classes = NULL;
	ssize_t n;

	if (!class_name)
		return;
	FUZZ_CHECK(registry_new(NULL, NULL, &registry) == 0);
	classes = class_names_new(class_name);
	FUZZ_CHECK(classes);
	if (entry_new(registry, classes, "provider", NULL, personality->dict, &entry) == 0) {
		FUZZ_CHECK(entry_attach(entry, registry_root(registry), PLANE_SERVICE) == 0);
		n = catalogue_candidates(catalogue, entry, &candidates, &miss);
		FUZZ_CHECK(n >= 0 && (n > 0) == (candidates != NULL));
		for (ssize_t i = 1; i < n; i++)
			FUZZ_CHECK(match_score_compare(candidates[i - 1].score, candidates[i].score) >= 0);
		free(candidates);
		entry_detach_all(entry);
	}
	(void)registry_free(registry);
}

static void
use(struct bundle *bundle, OSArray *problems)
{
	struct personality *personality;
	struct catalogue *catalogue;

	FUZZ_CHECK(bundle->id && bundle->path && bundle->executable);
	(void)bundle_entitlements(bundle);
	FUZZ_CHECK(catalogue_new(&catalogue) == 0);
	FUZZ_CHECK(catalogue_add(catalogue, bundle, problems) == 0);
	FUZZ_CHECK(catalogue_find(catalogue, bundle->id) == bundle);
	ADXI_LIST_EACH(personality, &bundle->personalities, link) {
		FUZZ_CHECK(personality->user_class && personality->server_name && personality->class_name);
		match(catalogue, personality);
	}
	catalogue_remove(catalogue, bundle);
	(void)catalogue_free(catalogue);
}

/* Byte 0: bit 0: the program's bytes come next, bit 1: then Entitlements.plist's; the rest is Info.plist. */
int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct fuzz in = { bytes, size };
	const uint8_t what = fuzz_uint8(&in);
	value_auto OSArray *problems = value_array_new();
	struct bundle *bundle = NULL;
	const uint8_t *part;
	size_t n;
	int r;

	if (folder_fd < 0)
		make_folder();
	part = program;
	n = sizeof program;
	if (what & 1)
		part = fuzz_bytes(&in, fuzz_uint8(&in), &n);
	put("program", part, n, what & 4 ? 0600 : 0700);
	(void)unlinkat(folder_fd, "Entitlements.plist", 0);
	if (what & 2) {
		part = fuzz_bytes(&in, fuzz_uint16(&in), &n);
		put("Entitlements.plist", part, n, 0600);
	}
	put("Info.plist", in.at, in.left, 0600);
	r = bundle_read(folder, problems, &bundle);
	FUZZ_CHECK((r == 0) == (bundle != NULL));
	/* A refusal says why. */
	FUZZ_CHECK(r == 0 || value_count(problems) > 0);
	if (bundle)
		use(bundle, problems);
	(void)bundle_unref(bundle);
	return 0;
}
