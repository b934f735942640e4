/* SPDX-License-Identifier: MIT */
#ifndef AMBIDEXT_LIBKERN_OSBYTEORDER_H
#define AMBIDEXT_LIBKERN_OSBYTEORDER_H

/** @file libkern/OSByteOrder.h
 *  @brief Byte order: swaps, and access to memory that need not be aligned. */

#include <stdint.h>
#include <string.h>

enum {
	OSUnknownByteOrder,
	OSLittleEndian,
	OSBigEndian,
};

#define OSSwapConstInt16(x) __builtin_bswap16((uint16_t)(x))
#define OSSwapConstInt32(x) __builtin_bswap32((uint32_t)(x))
#define OSSwapConstInt64(x) __builtin_bswap64((uint64_t)(x))
#define OSSwapInt16(x) OSSwapConstInt16(x)
#define OSSwapInt32(x) OSSwapConstInt32(x)
#define OSSwapInt64(x) OSSwapConstInt64(x)

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define ADX_BIG16(x) OSSwapConstInt16(x)
#define ADX_BIG32(x) OSSwapConstInt32(x)
#define ADX_BIG64(x) OSSwapConstInt64(x)
#define ADX_LITTLE16(x) ((uint16_t)(x))
#define ADX_LITTLE32(x) ((uint32_t)(x))
#define ADX_LITTLE64(x) ((uint64_t)(x))
#define OSHostByteOrder() OSLittleEndian
#else
#define ADX_BIG16(x) ((uint16_t)(x))
#define ADX_BIG32(x) ((uint32_t)(x))
#define ADX_BIG64(x) ((uint64_t)(x))
#define ADX_LITTLE16(x) OSSwapConstInt16(x)
#define ADX_LITTLE32(x) OSSwapConstInt32(x)
#define ADX_LITTLE64(x) OSSwapConstInt64(x)
#define OSHostByteOrder() OSBigEndian
#endif

#define OSSwapBigToHostInt16(x) ADX_BIG16(x)
#define OSSwapBigToHostInt32(x) ADX_BIG32(x)
#define OSSwapBigToHostInt64(x) ADX_BIG64(x)
#define OSSwapHostToBigInt16(x) ADX_BIG16(x)
#define OSSwapHostToBigInt32(x) ADX_BIG32(x)
#define OSSwapHostToBigInt64(x) ADX_BIG64(x)
#define OSSwapLittleToHostInt16(x) ADX_LITTLE16(x)
#define OSSwapLittleToHostInt32(x) ADX_LITTLE32(x)
#define OSSwapLittleToHostInt64(x) ADX_LITTLE64(x)
#define OSSwapHostToLittleInt16(x) ADX_LITTLE16(x)
#define OSSwapHostToLittleInt32(x) ADX_LITTLE32(x)
#define OSSwapHostToLittleInt64(x) ADX_LITTLE64(x)

#define OSSwapBigToHostConstInt16(x) ADX_BIG16(x)
#define OSSwapBigToHostConstInt32(x) ADX_BIG32(x)
#define OSSwapBigToHostConstInt64(x) ADX_BIG64(x)
#define OSSwapHostToBigConstInt16(x) ADX_BIG16(x)
#define OSSwapHostToBigConstInt32(x) ADX_BIG32(x)
#define OSSwapHostToBigConstInt64(x) ADX_BIG64(x)
#define OSSwapLittleToHostConstInt16(x) ADX_LITTLE16(x)
#define OSSwapLittleToHostConstInt32(x) ADX_LITTLE32(x)
#define OSSwapLittleToHostConstInt64(x) ADX_LITTLE64(x)
#define OSSwapHostToLittleConstInt16(x) ADX_LITTLE16(x)
#define OSSwapHostToLittleConstInt32(x) ADX_LITTLE32(x)
#define OSSwapHostToLittleConstInt64(x) ADX_LITTLE64(x)

/* OSReadBigInt16(base, byteOffset), OSWriteBigInt16(base, byteOffset, data), and so on. */
#define ADX_BYTE_ACCESS(order, bits)                                                       \
	static inline uint##bits##_t OSRead##order##Int##bits(const volatile void *base,   \
							      uintptr_t byteOffset)        \
	{                                                                                  \
		uint##bits##_t value_;                                                     \
                                                                                           \
		memcpy(&value_, (const void *)((uintptr_t)base + byteOffset), sizeof value_); \
		return OSSwap##order##ToHostInt##bits(value_);                             \
	}                                                                                  \
	static inline void OSWrite##order##Int##bits(volatile void *base,                  \
						     uintptr_t byteOffset,                 \
						     uint##bits##_t data)                  \
	{                                                                                  \
		uint##bits##_t value_ = OSSwapHostTo##order##Int##bits(data);              \
                                                                                           \
		memcpy((void *)((uintptr_t)base + byteOffset), &value_, sizeof value_);    \
	}
ADX_BYTE_ACCESS(Big, 16)
ADX_BYTE_ACCESS(Big, 32)
ADX_BYTE_ACCESS(Big, 64)
ADX_BYTE_ACCESS(Little, 16)
ADX_BYTE_ACCESS(Little, 32)
ADX_BYTE_ACCESS(Little, 64)
#undef ADX_BYTE_ACCESS

#endif /* AMBIDEXT_LIBKERN_OSBYTEORDER_H */
