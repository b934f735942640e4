/* SPDX-License-Identifier: MIT */
#ifndef AMBIDEXT_BASE_H
#define AMBIDEXT_BASE_H

/** @file ambidext/base.h
 *  @brief What every public header needs: linkage and visibility. */

#ifdef __cplusplus
#define ADX_BEGIN_DECLS extern "C" {
#define ADX_END_DECLS }
#else
#define ADX_BEGIN_DECLS
#define ADX_END_DECLS
#endif

/* Exported from our shared libraries, which are built with hidden visibility. */
#define ADX_API __attribute__((visibility("default")))

#endif /* AMBIDEXT_BASE_H */
