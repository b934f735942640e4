/* SPDX-License-Identifier: MIT */
#ifndef AMBIDEXT_LIBKERN_OSTYPES_H
#define AMBIDEXT_LIBKERN_OSTYPES_H

#include <stdint.h>

typedef uint8_t UInt8;
typedef uint16_t UInt16;
typedef uint32_t UInt32;
typedef uint64_t UInt64;
typedef int8_t SInt8;
typedef int16_t SInt16;
typedef int32_t SInt32;
typedef int64_t SInt64;
typedef unsigned char Boolean;

#endif
