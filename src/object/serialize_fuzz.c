/* SPDX-License-Identifier: MIT */
#include "object/serialize_fuzz.h"

#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "object/containers.h"
#include "object/serialize.h"

int
adxi_serialize_fuzz(const uint8_t *bytes, size_t len)
{
	OSObject *first = NULL, *second = NULL;
	struct adxi_buf buf = {0};
	int r;

	r = adxi_deserialize(bytes, len, &first);
	if (r < 0) {
		adxi_assert(r == -EBADMSG || r == -ENOMEM);
		adxi_assert(!first);
		return 0;
	}
	r = adxi_serialize(first, &buf);
	adxi_assert(r == 0);
	adxi_assert(buf.len == len && !memcmp(buf.data, bytes, len));
	r = adxi_deserialize(buf.data, buf.len, &second);
	adxi_assert(r == 0);
	adxi_release(first);
	adxi_release(second);
	adxi_buf_done(&buf);
	return 1;
}
