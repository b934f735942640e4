/* SPDX-License-Identifier: MIT */
#include "object/serialize.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "object/array.h"
#include "object/containers.h"

static const uint8_t header[8] = {'A', 'd', 'x', 'S', 1, 0, 0, 0};

enum tag {
	TAG_NULL = 'z',
	TAG_TRUE = 't',
	TAG_FALSE = 'f',
	TAG_NUMBER = 'n',
	TAG_REAL = 'r',
	TAG_STRING = 's',
	TAG_DATA = 'd',
	TAG_ARRAY = 'a',
	TAG_SET = 'e',
	TAG_ORDERED_SET = 'o',
	TAG_DICTIONARY = 'm',
};

/* ---------------------------------------------------------------------------------------------
 * To bytes
 */

struct writer {
	struct adxi_buf *buf; /* borrowed */
	size_t start;         /* where ours begin in it */
	const OSObject
		*open[ADXI_SERIALIZE_MAX_DEPTH]; /* containers around the one being written */
	unsigned depth;
};

static int write_value(struct writer *writer, const OSObject *object);

static int
write_u32(struct writer *writer, uint32_t value)
{
	value = htole32(value);
	return adxi_buf_append(writer->buf, &value, sizeof value);
}

static int
write_bytes(struct writer *writer, const void *bytes, size_t len)
{
	if (len > ADXI_SERIALIZE_MAX_BYTES - (writer->buf->len - writer->start))
		return -EMSGSIZE;
	(void)write_u32(writer, (uint32_t)len); /* the buffer remembers */
	return adxi_buf_append(writer->buf, bytes, len);
}

static int
write_number(struct writer *writer, const OSNumber *number)
{
	bool real = adxi_number_is_real(number);
	uint64_t value = OSNumber_unsigned64BitValue(number);
	double as_double = adxi_number_double(number);

	if (real)
		memcpy(&value, &as_double, sizeof value);
	value = htole64(value);
	(void)adxi_buf_append_byte(writer->buf, real ? TAG_REAL : TAG_NUMBER);
	(void)adxi_buf_append_byte(writer->buf, (uint8_t)OSNumber_numberOfBits(number));
	return adxi_buf_append(writer->buf, &value, sizeof value);
}

static int
write_array(struct writer *writer, const OSArray *array, enum tag tag)
{
	uint32_t i, count = adxi_array_count(array);
	int r;

	(void)adxi_buf_append_byte(writer->buf, (uint8_t)tag);
	r = write_u32(writer, count);
	for (i = 0; r == 0 && i < count; i++)
		r = write_value(writer, adxi_array_get(array, i));
	return r;
}

static int
write_dictionary(struct writer *writer, const OSDictionary *dict)
{
	uint32_t i, count = adxi_dict_count(dict);
	int r;

	(void)adxi_buf_append_byte(writer->buf, TAG_DICTIONARY);
	r = write_u32(writer, count);
	for (i = 0; r == 0 && i < count; i++) {
		OSObject *value = NULL;
		const OSObject *key = adxi_dict_pair(dict, i, &value);
		const OSString *text = OSDynamicCast(OSString, key);

		if (!text)
			return -EINVAL;
		r = write_bytes(writer, OSString_getCStringNoCopy(text), OSString_getLength(text));
		if (r == 0)
			r = write_value(writer, value);
	}
	return r;
}

static int
write_container(struct writer *writer, const OSObject *object)
{
	unsigned i;
	int r;

	for (i = 0; i < writer->depth; i++)
		if (writer->open[i] == object)
			return -ELOOP;
	if (writer->depth == ADXI_SERIALIZE_MAX_DEPTH)
		return -ELOOP;
	writer->open[writer->depth++] = object;
	if (OSDynamicCast(OSDictionary, object))
		r = write_dictionary(writer, (const OSDictionary *)object);
	else if (OSDynamicCast(OSOrderedSet, object))
		r = write_array(writer, (const OSArray *)object, TAG_ORDERED_SET);
	else if (OSDynamicCast(OSSet, object))
		r = write_array(writer, (const OSArray *)object, TAG_SET);
	else if (OSDynamicCast(OSArray, object))
		r = write_array(writer, (const OSArray *)object, TAG_ARRAY);
	else
		r = -EINVAL;
	writer->depth--;
	return r;
}

static int
write_value(struct writer *writer, const OSObject *object)
{
	if (writer->buf->len - writer->start > ADXI_SERIALIZE_MAX_BYTES)
		return -EMSGSIZE;
	if (OSDynamicCast(OSString, object)) {
		const OSString *text = (const OSString *)object;

		(void)adxi_buf_append_byte(writer->buf, TAG_STRING);
		return write_bytes(writer, OSString_getCStringNoCopy(text),
				   OSString_getLength(text));
	}
	if (OSDynamicCast(OSNumber, object))
		return write_number(writer, (const OSNumber *)object);
	if (OSDynamicCast(OSBoolean, object))
		return adxi_buf_append_byte(
			writer->buf,
			OSBoolean_getValue((const OSBoolean *)object) ? TAG_TRUE : TAG_FALSE);
	if (OSDynamicCast(OSData, object)) {
		const OSData *data = (const OSData *)object;

		(void)adxi_buf_append_byte(writer->buf, TAG_DATA);
		return write_bytes(writer, OSData_getBytesNoCopy(data), OSData_getLength(data));
	}
	return object ? write_container(writer, object) : -EINVAL;
}

int
adxi_serialize(const OSObject *object, struct adxi_buf *buf)
{
	struct writer writer = {.buf = buf, .start = buf->len};
	int r;

	r = adxi_buf_append(buf, header, sizeof header);
	if (r < 0)
		return r;
	r = object ? write_value(&writer, object) : adxi_buf_append_byte(buf, TAG_NULL);
	if (r < 0)
		return r;
	r = adxi_buf_error(buf);
	if (r < 0)
		return r;
	return buf->len - writer.start > ADXI_SERIALIZE_MAX_BYTES ? -EMSGSIZE : 0;
}

/* ---------------------------------------------------------------------------------------------
 * From bytes
 */

struct reader {
	const uint8_t *at;
	size_t left;
	unsigned depth;
};

static int read_value(struct reader *reader, OSObject **ret_object);

static const uint8_t *
read_bytes(struct reader *reader, size_t len)
{
	const uint8_t *bytes = reader->at;

	if (len > reader->left)
		return NULL;
	reader->at += len;
	reader->left -= len;
	return bytes;
}

static bool
read_u32(struct reader *reader, uint32_t *ret_value)
{
	const uint8_t *bytes = read_bytes(reader, sizeof *ret_value);

	if (!bytes)
		return false;
	memcpy(ret_value, bytes, sizeof *ret_value);
	*ret_value = le32toh(*ret_value);
	return true;
}

/* Length and bytes. */
static const uint8_t *
read_counted(struct reader *reader, uint32_t *ret_len)
{
	return read_u32(reader, ret_len) ? read_bytes(reader, *ret_len) : NULL;
}

static int
read_number(struct reader *reader, enum tag tag, OSObject **ret_object)
{
	const uint8_t *bits = read_bytes(reader, 1);
	const uint8_t *image = bits ? read_bytes(reader, 8) : NULL;
	OSNumber *number;
	uint64_t value;
	double real;

	if (!image)
		return -EBADMSG;
	memcpy(&value, image, sizeof value);
	value = le64toh(value);
	if (tag == TAG_REAL) {
		if (*bits != 32 && *bits != 64)
			return -EBADMSG;
		memcpy(&real, &value, sizeof real);
		number = adxi_number_real(real, *bits);
	} else {
		if (*bits != 8 && *bits != 16 && *bits != 32 && *bits != 64)
			return -EBADMSG;
		if (*bits < 64 && value >> *bits)
			return -EBADMSG;
		number = OSNumber_withNumber(value, *bits);
	}
	*ret_object = (OSObject *)number;
	return number ? 0 : -ENOMEM;
}

static int
read_string(struct reader *reader, OSString **ret_string)
{
	uint32_t len;
	const uint8_t *bytes = read_counted(reader, &len);

	if (!bytes || memchr(bytes, '\0', len))
		return -EBADMSG;
	*ret_string = adxi_string_bytes((const char *)bytes, len);
	return *ret_string ? 0 : -ENOMEM;
}

static int
read_data(struct reader *reader, OSObject **ret_object)
{
	uint32_t len;
	const uint8_t *bytes = read_counted(reader, &len);

	if (!bytes)
		return -EBADMSG;
	*ret_object = (OSObject *)OSData_withBytes(bytes, len);
	return *ret_object ? 0 : -ENOMEM;
}

static OSArray *
array_for(enum tag tag, uint32_t count)
{
	switch (tag) {
	case TAG_SET:
		return (OSArray *)OSSet_withCapacity(count);
	case TAG_ORDERED_SET:
		return (OSArray *)OSOrderedSet_withCapacity_f(count, NULL, NULL);
	default:
		return OSArray_withCapacity(count);
	}
}

static int
read_array(struct reader *reader, enum tag tag, OSObject **ret_object)
{
	adxi_cleanup(adxi_releasep) OSArray *array = NULL;
	bool seen[2] = {false, false};
	uint32_t i, count;
	int r;

	/* Each element takes a byte at least. */
	if (!read_u32(reader, &count) || count > reader->left)
		return -EBADMSG;
	array = array_for(tag, count);
	if (!array)
		return -ENOMEM;
	for (i = 0; i < count; i++) {
		adxi_cleanup(adxi_releasep) OSObject *item = NULL;

		r = read_value(reader, &item);
		if (r < 0)
			return r;
		/* Of all objects that come from bytes only the two booleans can be in a set
		 * already. */
		if (tag != TAG_ARRAY && OSDynamicCast(OSBoolean, item)) {
			bool value = OSBoolean_getValue((OSBoolean *)item);

			if (seen[value])
				return -EBADMSG;
			seen[value] = true;
		}
		if (!adxi_array_insert(array, adxi_array_count(array), (OSMetaClassBase *)item))
			return -ENOMEM;
	}
	*ret_object = (OSObject *)TAKE(array);
	return 0;
}

static int
read_dictionary(struct reader *reader, OSObject **ret_object)
{
	adxi_cleanup(adxi_releasep) OSDictionary *dict = NULL;
	uint32_t i, count;
	int r;

	/* Each pair takes a length and a tag at least. */
	if (!read_u32(reader, &count) || count > reader->left / 5)
		return -EBADMSG;
	dict = OSDictionary_withCapacity(count);
	if (!dict)
		return -ENOMEM;
	for (i = 0; i < count; i++) {
		adxi_cleanup(adxi_releasep) OSString *key = NULL;
		adxi_cleanup(adxi_releasep) OSObject *value = NULL;

		r = read_string(reader, &key);
		if (r < 0)
			return r;
		r = read_value(reader, &value);
		if (r < 0)
			return r;
		if (!OSDictionary_setObject(dict, (OSObject *)key, (OSMetaClassBase *)value))
			return -ENOMEM;
	}
	/* A key twice: who wrote this meant to be read differently by two readers. */
	if (adxi_dict_count(dict) != count)
		return -EBADMSG;
	*ret_object = (OSObject *)TAKE(dict);
	return 0;
}

static int
read_container(struct reader *reader, enum tag tag, OSObject **ret_object)
{
	int r;

	if (reader->depth == ADXI_SERIALIZE_MAX_DEPTH)
		return -EBADMSG;
	reader->depth++;
	r = tag == TAG_DICTIONARY ? read_dictionary(reader, ret_object)
				  : read_array(reader, tag, ret_object);
	reader->depth--;
	return r;
}

static int
read_value(struct reader *reader, OSObject **ret_object)
{
	const uint8_t *tag = read_bytes(reader, 1);
	OSString *string;
	int r;

	switch (tag ? *tag : 0) {
	case TAG_TRUE:
		*ret_object = (OSObject *)kOSBooleanTrue;
		return 0;
	case TAG_FALSE:
		*ret_object = (OSObject *)kOSBooleanFalse;
		return 0;
	case TAG_NUMBER:
	case TAG_REAL:
		return read_number(reader, (enum tag) * tag, ret_object);
	case TAG_STRING:
		r = read_string(reader, &string);
		if (r == 0)
			*ret_object = (OSObject *)string;
		return r;
	case TAG_DATA:
		return read_data(reader, ret_object);
	case TAG_ARRAY:
	case TAG_SET:
	case TAG_ORDERED_SET:
	case TAG_DICTIONARY:
		return read_container(reader, (enum tag) * tag, ret_object);
	default:
		return -EBADMSG;
	}
}

int
adxi_deserialize(const void *bytes, size_t len, OSObject **ret_object)
{
	struct reader reader = {.at = bytes, .left = len};
	const uint8_t *head = read_bytes(&reader, sizeof header);
	OSObject *object = NULL;
	int r;

	if (!head || memcmp(head, header, sizeof header) || len > ADXI_SERIALIZE_MAX_BYTES)
		return -EBADMSG;
	if (reader.left == 1 && *reader.at == TAG_NULL) {
		*ret_object = NULL;
		return 0;
	}
	r = read_value(&reader, &object);
	if (r < 0)
		return r;
	if (reader.left) {
		adxi_release(object);
		return -EBADMSG;
	}
	*ret_object = object;
	return 0;
}
