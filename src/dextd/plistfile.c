/* SPDX-License-Identifier: MIT */
/* libplist's tree to values. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <plist/plist.h>

#include "dextd/plistbounds.h"
#include "dextd/plistfile.h"

#define PLISTFILE_DEPTH_MAX 32

struct conversion {
	char *why;
	size_t why_size;
	unsigned depth;
	char where[256];
};

static OSMetaClassBase *convert(struct conversion *conversion, plist_t node);

static void *
cannot(struct conversion *conversion, const char *what)
{
	if (!*conversion->why)
		(void)snprintf(conversion->why, conversion->why_size, "holds %s at '%s'", what,
			       conversion->where);
	return NULL;
}

static OSMetaClassBase *
convert_dict(struct conversion *conversion, plist_t node)
{
	value_auto OSDictionary *dict = value_dict_new();
	size_t len = strlen(conversion->where);
	plist_dict_iter iter = NULL;
	OSMetaClassBase *value;
	char *key = NULL;
	plist_t child;
	bool done = dict != NULL;

	plist_dict_new_iter(node, &iter);
	while (done && iter) {
		plist_dict_next_item(node, iter, &key, &child);
		if (!key || !child) {
			free(key);
			break;
		}
		(void)snprintf(conversion->where + len, sizeof conversion->where - len, "%s%s",
			       len ? "." : "", key);
		value = convert(conversion, child);
		done = value && value_set(dict, key, value);
		value_unref(value);
		conversion->where[len] = '\0';
		free(key);
		key = NULL;
	}
	free(iter);
	return done ? (OSMetaClassBase *)TAKE(dict) : NULL;
}

static OSMetaClassBase *
convert_array(struct conversion *conversion, plist_t node)
{
	value_auto OSArray *array = value_array_new();
	uint32_t i, n = plist_array_get_size(node);
	OSMetaClassBase *value;
	bool done = array != NULL;

	for (i = 0; done && i < n; i++) {
		value = convert(conversion, plist_array_get_item(node, i));
		done = value && value_append(array, value);
		value_unref(value);
	}
	return done ? (OSMetaClassBase *)TAKE(array) : NULL;
}

static OSMetaClassBase *
convert(struct conversion *conversion, plist_t node)
{
	OSMetaClassBase *value = NULL;
	const char *text;
	uint64_t number = 0;
	uint8_t truth = 0;

	switch (plist_get_node_type(node)) {
	case PLIST_BOOLEAN:
		plist_get_bool_val(node, &truth);
		return (OSMetaClassBase *)OSBoolean_withBoolean(truth != 0);
	case PLIST_UINT:
		plist_get_uint_val(node, &number);
		return (OSMetaClassBase *)value_number_new(number);
	case PLIST_STRING:
	case PLIST_KEY:
		text = plist_get_string_ptr(node, NULL);
		return (OSMetaClassBase *)value_string_new(text ? text : "");
	case PLIST_DATA:
		text = plist_get_data_ptr(node, &number);
		return (OSMetaClassBase *)OSData_withBytes(text, number);
	case PLIST_ARRAY:
	case PLIST_DICT:
		if (conversion->depth == PLISTFILE_DEPTH_MAX)
			return cannot(conversion, "containers that are nested too deeply");
		conversion->depth++;
		value = plist_get_node_type(node) == PLIST_DICT ? convert_dict(conversion, node)
								: convert_array(conversion, node);
		conversion->depth--;
		return value;
	case PLIST_REAL:
		return cannot(conversion, "a real number, which the registry has no type for,");
	case PLIST_DATE:
		return cannot(conversion, "a date, which the registry has no type for,");
	default:
		return cannot(conversion, "a value of an unknown type");
	}
}

static int
read_file(const char *path, char **ret_data, uint32_t *ret_len)
{
	adxi_cleanup(adxi_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	adxi_cleanup(adxi_freep) char *data = NULL;
	struct stat st;
	size_t len = 0;
	ssize_t r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (st.st_size > PLIST_MAX_BYTES)
		return -EFBIG;
	data = malloc((size_t)st.st_size + 1);
	if (!data)
		return -ENOMEM;
	while (len < (size_t)st.st_size) {
		r = read(fd, data + len, (size_t)st.st_size - len);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (r == 0)
			break;
		len += (size_t)r;
	}
	data[len] = '\0';
	*ret_len = (uint32_t)len;
	*ret_data = TAKE(data);
	return 0;
}

int
plistfile_read(const char *path, OSDictionary **ret_dict, char *reterr_why, size_t why_size)
{
	struct conversion conversion = { .why = reterr_why, .why_size = why_size };
	adxi_cleanup(adxi_freep) char *data = NULL;
	OSMetaClassBase *value;
	const char *excess;
	uint32_t len = 0;
	plist_t plist = NULL;
	int r;

	reterr_why[0] = '\0';
	r = read_file(path, &data, &len);
	if (r < 0) {
		(void)snprintf(reterr_why, why_size, "cannot be read (%s)", strerror(-r));
		return r;
	}
	excess = plist_excess(data, len);
	if (excess) {
		(void)snprintf(reterr_why, why_size, "%s", excess);
		return -EINVAL;
	}
	/* By the form that was looked at: later libraries' plist_from_memory() reads more than these two. */
	if (len >= 8 && !memcmp(data, "bplist00", 8))
		plist_from_bin(data, len, &plist);
	else
		plist_from_xml(data, len, &plist);
	if (!plist || plist_get_node_type(plist) != PLIST_DICT) {
		(void)snprintf(reterr_why, why_size,
			       plist ? "holds no dictionary at its top"
				     : "is no property list (plutil -lint says where)");
		plist_free(plist);
		return -EINVAL;
	}
	value = convert(&conversion, plist);
	plist_free(plist);
	if (!value) {
		if (!*reterr_why)
			(void)snprintf(reterr_why, why_size, "does not fit in memory");
		return -EINVAL;
	}
	*ret_dict = (OSDictionary *)value;
	return 0;
}
