/* SPDX-License-Identifier: MIT */
#ifndef OBJECT_CLASSES_H
#define OBJECT_CLASSES_H

/**
 * @file object/classes.h
 * @brief OSObject and the containers: what iig makes of interfaces/DriverKit.
 *
 * Every object's struct is its super's and a pointer to its own storage (ivars), whose type is in
 * the class's own file.
 */

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

#endif /* OBJECT_CLASSES_H */
