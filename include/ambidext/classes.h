/* SPDX-License-Identifier: MIT */
#ifndef AMBIDEXT_CLASSES_H
#define AMBIDEXT_CLASSES_H

/** @file ambidext/classes.h
 *  @brief Forward declarations of the framework's classes in C, C++ and to iig. */

#include <ambidext/iig_words.h>
#include <ambidext/class.h>

#ifdef __cplusplus
#define ADX_CLASS(name) class name
#define ADX_CLASS_BY_VALUE(name) class IIG_SERIALIZABLE name
#else
#define ADX_CLASS(name) typedef struct name name
#define ADX_CLASS_BY_VALUE(name) typedef struct name name
#endif

ADX_CLASS_BY_VALUE(OSContainer);
ADX_CLASS_BY_VALUE(OSString);
ADX_CLASS_BY_VALUE(OSNumber);
ADX_CLASS_BY_VALUE(OSBoolean);
ADX_CLASS_BY_VALUE(OSData);
ADX_CLASS_BY_VALUE(OSCollection);
ADX_CLASS_BY_VALUE(OSArray);
ADX_CLASS_BY_VALUE(OSSet);
ADX_CLASS_BY_VALUE(OSOrderedSet);
ADX_CLASS_BY_VALUE(OSDictionary);
ADX_CLASS(OSSerialization);

typedef OSString OSSymbol;

typedef OSContainer *OSContainerPtr;
typedef OSString *OSStringPtr;
typedef OSSymbol *OSSymbolPtr;
typedef OSNumber *OSNumberPtr;
typedef OSBoolean *OSBooleanPtr;
typedef OSData *OSDataPtr;
typedef OSCollection *OSCollectionPtr;
typedef OSArray *OSArrayPtr;
typedef OSSet *OSSetPtr;
typedef OSOrderedSet *OSOrderedSetPtr;
typedef OSDictionary *OSDictionaryPtr;
typedef OSSerialization *OSSerializationPtr;

ADX_CLASS(IODispatchQueue);
ADX_CLASS(IODispatchSource);
ADX_CLASS(IOTimerDispatchSource);
ADX_CLASS(IOInterruptDispatchSource);
ADX_CLASS(IODataQueueDispatchSource);
ADX_CLASS(IOServiceNotificationDispatchSource);
ADX_CLASS(IOServiceStateNotificationDispatchSource);
ADX_CLASS(IOMemoryDescriptor);
ADX_CLASS(IOBufferMemoryDescriptor);
ADX_CLASS(IOMemoryMap);
ADX_CLASS(IOService);
ADX_CLASS(IOUserClient);
ADX_CLASS(IOUserServer);

ADX_CLASS(IOUSBHostDevice);
ADX_CLASS(IOUSBHostInterface);
ADX_CLASS(IOUSBHostPipe);

#endif /* AMBIDEXT_CLASSES_H */
