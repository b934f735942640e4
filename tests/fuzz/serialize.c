/* SPDX-License-Identifier: MIT */
/* The decoder of serialized containers, and everything that reads what it made. */
#include "fuzz.h"

#include "base/buf.h"
#include "object/containers.h"
#include "object/serialize.h"
#include "object/serialize_fuzz.h"

/* What a registry does with a stranger's value: copies, compares, prints. */
static void
use(const OSObject *object)
{
	OSObject *copy = adxi_copy_deep(object);
	struct adxi_buf buf = { 0 };

	/* Deeper than 64 is not decoded, so it is copied. */
	FUZZ_CHECK(copy || !object);
	FUZZ_CHECK(adxi_equal(object, copy));
	FUZZ_CHECK(adxi_equal(copy, object));
	FUZZ_CHECK(!object || adxi_hash(object) == adxi_hash(copy));
	adxi_release(copy);
	FUZZ_CHECK(adxi_object_describe(object, &buf) == 0);
	adxi_buf_done(&buf);
	FUZZ_CHECK(adxi_object_json(object, &buf, 0) == 0);
	adxi_buf_done(&buf);
	(void)adxi_object_plist(object, &buf);
	adxi_buf_done(&buf);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	uint8_t *copy = fuzz_exact(bytes, size);
	OSObject *object = NULL;

	if (adxi_serialize_fuzz(copy, size) && adxi_deserialize(copy, size, &object) == 0) {
		use(object);
		adxi_release(object);
	}
	free(copy);
	return 0;
}
