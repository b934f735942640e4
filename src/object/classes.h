/* SPDX-License-Identifier: MIT */
#ifndef OBJECT_CLASSES_H
#define OBJECT_CLASSES_H

/**
 * @file object/classes.h
 * @brief OSObject and the containers as C sees them: what iig makes of interfaces/DriverKit.
 *
 * Every object's struct is its super's and a pointer to its own storage; classes.h gives that storage's
 * types no members, the class's own file does.
 */

#if __has_include(<DriverKit/OSSerialization.h>)
#include <DriverKit/OSObject.h>
#include <DriverKit/OSContainer.h>
#include <DriverKit/OSString.h>
#include <DriverKit/OSNumber.h>
#include <DriverKit/OSBoolean.h>
#include <DriverKit/OSData.h>
#include <DriverKit/OSCollection.h>
#include <DriverKit/OSArray.h>
#include <DriverKit/OSSet.h>
#include <DriverKit/OSOrderedSet.h>
#include <DriverKit/OSDictionary.h>
#include <DriverKit/OSSerialization.h>
#else
#include "object/classes_by_hand.h"
#endif

#endif /* OBJECT_CLASSES_H */
