/* SPDX-License-Identifier: MIT */
/* Class records and dispatching calls of OSObject and the containers, in the shape of iig's glue. */

#include "object/classes.h"

static struct OSObject_Ops OSObject_ops = {
	.init = OSObject_init_Impl,
	.free = OSObject_free_Impl,
	.isEqualTo = OSObject_isEqualTo_Impl,
};
struct OSMetaClass OSObject_Class = {
	.abi = OS_METACLASS_ABI,
	.flags = OS_CLASS_CAN_REMOTE,
	.name = "OSObject",
	.super = NULL,
	.instance_size = sizeof(struct OSObject),
	.ops_size = sizeof(struct OSObject_Ops),
	.ops = (void **)&OSObject_ops,
};

bool
OSObject_init(OSObject *self)
{
	return ((const struct OSObject_Ops *)(const void *)((const OSMetaClassBase *)self)->meta->ops)->init(self);
}

void
OSObject_free(OSObject *self)
{
	((const struct OSObject_Ops *)(const void *)((const OSMetaClassBase *)self)->meta->ops)->free(self);
}

bool
OSObject_isEqualTo(const OSObject *self, const OSMetaClassBase *object)
{
	return ((const struct OSObject_Ops *)(const void *)((const OSMetaClassBase *)self)->meta->ops)->isEqualTo(self, object);
}

static struct OSContainer_Ops OSContainer_ops = {
};
struct OSMetaClass OSContainer_Class = {
	.abi = OS_METACLASS_ABI,
	.flags = OS_CLASS_SERIALIZABLE,
	.name = "OSContainer",
	.super = &OSObject_Class,
	.instance_size = sizeof(struct OSContainer),
	.ops_size = sizeof(struct OSContainer_Ops),
	.ops = (void **)&OSContainer_ops,
};

static struct OSString_Ops OSString_ops = {
	.super.super.free = (void (*)(OSObject *))OSString_free_Impl,
	.super.super.isEqualTo = (bool (*)(const OSObject *, const OSMetaClassBase *object))OSString_isEqualTo_Impl,
};
struct OSMetaClass OSString_Class = {
	.abi = OS_METACLASS_ABI,
	.flags = OS_CLASS_SERIALIZABLE,
	.name = "OSString",
	.super = &OSContainer_Class,
	.instance_size = sizeof(struct OSString),
	.ops_size = sizeof(struct OSString_Ops),
	.ops = (void **)&OSString_ops,
};

static struct OSNumber_Ops OSNumber_ops = {
	.super.super.isEqualTo = (bool (*)(const OSObject *, const OSMetaClassBase *object))OSNumber_isEqualTo_Impl,
};
struct OSMetaClass OSNumber_Class = {
	.abi = OS_METACLASS_ABI,
	.flags = OS_CLASS_SERIALIZABLE,
	.name = "OSNumber",
	.super = &OSContainer_Class,
	.instance_size = sizeof(struct OSNumber),
	.ops_size = sizeof(struct OSNumber_Ops),
	.ops = (void **)&OSNumber_ops,
};

static struct OSBoolean_Ops OSBoolean_ops = {
	.super.super.isEqualTo = (bool (*)(const OSObject *, const OSMetaClassBase *object))OSBoolean_isEqualTo_Impl,
};
struct OSMetaClass OSBoolean_Class = {
	.abi = OS_METACLASS_ABI,
	.flags = OS_CLASS_SERIALIZABLE,
	.name = "OSBoolean",
	.super = &OSContainer_Class,
	.instance_size = sizeof(struct OSBoolean),
	.ops_size = sizeof(struct OSBoolean_Ops),
	.ops = (void **)&OSBoolean_ops,
};

static struct OSData_Ops OSData_ops = {
	.super.super.free = (void (*)(OSObject *))OSData_free_Impl,
	.super.super.isEqualTo = (bool (*)(const OSObject *, const OSMetaClassBase *object))OSData_isEqualTo_Impl,
};
struct OSMetaClass OSData_Class = {
	.abi = OS_METACLASS_ABI,
	.flags = OS_CLASS_SERIALIZABLE,
	.name = "OSData",
	.super = &OSContainer_Class,
	.instance_size = sizeof(struct OSData),
	.ops_size = sizeof(struct OSData_Ops),
	.ops = (void **)&OSData_ops,
};

static struct OSCollection_Ops OSCollection_ops = {
};
struct OSMetaClass OSCollection_Class = {
	.abi = OS_METACLASS_ABI,
	.flags = OS_CLASS_SERIALIZABLE,
	.name = "OSCollection",
	.super = &OSContainer_Class,
	.instance_size = sizeof(struct OSCollection),
	.ops_size = sizeof(struct OSCollection_Ops),
	.ops = (void **)&OSCollection_ops,
};

uint32_t
OSCollection_getCount(const OSCollection *self)
{
	return ((const struct OSCollection_Ops *)(const void *)((const OSMetaClassBase *)self)->meta->ops)->getCount(self);
}

uint32_t
OSCollection_getCapacity(const OSCollection *self)
{
	return ((const struct OSCollection_Ops *)(const void *)((const OSMetaClassBase *)self)->meta->ops)->getCapacity(self);
}

uint32_t
OSCollection_ensureCapacity(OSCollection *self, uint32_t newCapacity)
{
	return ((const struct OSCollection_Ops *)(const void *)((const OSMetaClassBase *)self)->meta->ops)->ensureCapacity(self, newCapacity);
}

void
OSCollection_flushCollection(OSCollection *self)
{
	((const struct OSCollection_Ops *)(const void *)((const OSMetaClassBase *)self)->meta->ops)->flushCollection(self);
}

bool
OSCollection_iterateObjects_f(const OSCollection *self, void *context, OSCollectionIterateObjectsCallback callback)
{
	return ((const struct OSCollection_Ops *)(const void *)((const OSMetaClassBase *)self)->meta->ops)->iterateObjects_f(self, context, callback);
}

OSCollection *
OSCollection_copyCollection(const OSCollection *self, OSDictionary *cycleDict)
{
	return ((const struct OSCollection_Ops *)(const void *)((const OSMetaClassBase *)self)->meta->ops)->copyCollection(self, cycleDict);
}

static struct OSArray_Ops OSArray_ops = {
	.super.super.super.free = (void (*)(OSObject *))OSArray_free_Impl,
	.super.super.super.isEqualTo = (bool (*)(const OSObject *, const OSMetaClassBase *object))OSArray_isEqualTo_Impl,
	.super.getCount = (uint32_t (*)(const OSCollection *))OSArray_getCount_Impl,
	.super.getCapacity = (uint32_t (*)(const OSCollection *))OSArray_getCapacity_Impl,
	.super.ensureCapacity = (uint32_t (*)(OSCollection *, uint32_t newCapacity))OSArray_ensureCapacity_Impl,
	.super.flushCollection = (void (*)(OSCollection *))OSArray_flushCollection_Impl,
	.super.iterateObjects_f = (bool (*)(const OSCollection *, void *context, OSCollectionIterateObjectsCallback callback))OSArray_iterateObjects_f_Impl,
	.super.copyCollection = (OSCollection * (*)(const OSCollection *, OSDictionary *cycleDict))OSArray_copyCollection_Impl,
};
struct OSMetaClass OSArray_Class = {
	.abi = OS_METACLASS_ABI,
	.flags = OS_CLASS_SERIALIZABLE,
	.name = "OSArray",
	.super = &OSCollection_Class,
	.instance_size = sizeof(struct OSArray),
	.ops_size = sizeof(struct OSArray_Ops),
	.ops = (void **)&OSArray_ops,
};

static struct OSSet_Ops OSSet_ops = {
	.super.super.super.super.isEqualTo = (bool (*)(const OSObject *, const OSMetaClassBase *object))OSSet_isEqualTo_Impl,
	.super.super.copyCollection = (OSCollection * (*)(const OSCollection *, OSDictionary *cycleDict))OSSet_copyCollection_Impl,
};
struct OSMetaClass OSSet_Class = {
	.abi = OS_METACLASS_ABI,
	.flags = OS_CLASS_SERIALIZABLE,
	.name = "OSSet",
	.super = &OSArray_Class,
	.instance_size = sizeof(struct OSSet),
	.ops_size = sizeof(struct OSSet_Ops),
	.ops = (void **)&OSSet_ops,
};

static struct OSOrderedSet_Ops OSOrderedSet_ops = {
	.super.super.super.super.super.free = (void (*)(OSObject *))OSOrderedSet_free_Impl,
	.super.super.super.copyCollection = (OSCollection * (*)(const OSCollection *, OSDictionary *cycleDict))OSOrderedSet_copyCollection_Impl,
};
struct OSMetaClass OSOrderedSet_Class = {
	.abi = OS_METACLASS_ABI,
	.flags = OS_CLASS_SERIALIZABLE,
	.name = "OSOrderedSet",
	.super = &OSSet_Class,
	.instance_size = sizeof(struct OSOrderedSet),
	.ops_size = sizeof(struct OSOrderedSet_Ops),
	.ops = (void **)&OSOrderedSet_ops,
};

static struct OSDictionary_Ops OSDictionary_ops = {
	.super.super.super.free = (void (*)(OSObject *))OSDictionary_free_Impl,
	.super.super.super.isEqualTo = (bool (*)(const OSObject *, const OSMetaClassBase *object))OSDictionary_isEqualTo_Impl,
	.super.getCount = (uint32_t (*)(const OSCollection *))OSDictionary_getCount_Impl,
	.super.getCapacity = (uint32_t (*)(const OSCollection *))OSDictionary_getCapacity_Impl,
	.super.ensureCapacity = (uint32_t (*)(OSCollection *, uint32_t newCapacity))OSDictionary_ensureCapacity_Impl,
	.super.flushCollection = (void (*)(OSCollection *))OSDictionary_flushCollection_Impl,
	.super.iterateObjects_f = (bool (*)(const OSCollection *, void *context, OSCollectionIterateObjectsCallback callback))OSDictionary_iterateObjects_f_Impl,
	.super.copyCollection = (OSCollection * (*)(const OSCollection *, OSDictionary *cycleDict))OSDictionary_copyCollection_Impl,
};
struct OSMetaClass OSDictionary_Class = {
	.abi = OS_METACLASS_ABI,
	.flags = OS_CLASS_SERIALIZABLE,
	.name = "OSDictionary",
	.super = &OSCollection_Class,
	.instance_size = sizeof(struct OSDictionary),
	.ops_size = sizeof(struct OSDictionary_Ops),
	.ops = (void **)&OSDictionary_ops,
};

static struct OSSerialization_Ops OSSerialization_ops = {
	.super.super.free = (void (*)(OSObject *))OSSerialization_free_Impl,
};
struct OSMetaClass OSSerialization_Class = {
	.abi = OS_METACLASS_ABI,
	.flags = 0,
	.name = "OSSerialization",
	.super = &OSContainer_Class,
	.instance_size = sizeof(struct OSSerialization),
	.ops_size = sizeof(struct OSSerialization_Ops),
	.ops = (void **)&OSSerialization_ops,
};

__attribute__((constructor)) static void
classes_register(void)
{
	OSMetaClassRegister(&OSObject_Class);
	OSMetaClassRegister(&OSContainer_Class);
	OSMetaClassRegister(&OSString_Class);
	OSMetaClassRegister(&OSNumber_Class);
	OSMetaClassRegister(&OSBoolean_Class);
	OSMetaClassRegister(&OSData_Class);
	OSMetaClassRegister(&OSCollection_Class);
	OSMetaClassRegister(&OSArray_Class);
	OSMetaClassRegister(&OSSet_Class);
	OSMetaClassRegister(&OSOrderedSet_Class);
	OSMetaClassRegister(&OSDictionary_Class);
	OSMetaClassRegister(&OSSerialization_Class);
}
