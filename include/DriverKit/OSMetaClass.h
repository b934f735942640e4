/* SPDX-License-Identifier: MIT */
#ifndef AMBIDEXT_DRIVERKIT_OSMETACLASS_H
#define AMBIDEXT_DRIVERKIT_OSMETACLASS_H

/** @file DriverKit/OSMetaClass.h
 *  @brief The root class, casts, allocation, and the words that driver sources use around them. */

#include <DriverKit/IOTypes.h>
#include <ambidext/class.h>
#include <ambidext/iig_words.h>
#include <ambidext/classes.h>

/* ---------------------------------------------------------------------------------------------
 * Ownership, for static analysers only
 */

#ifdef __clang_analyzer__
#define ADX_OWNERSHIP(attribute) __attribute__((attribute))
#else
#define ADX_OWNERSHIP(attribute)
#endif
#define LIBKERN_RETURNS_RETAINED ADX_OWNERSHIP(os_returns_retained)
#define LIBKERN_RETURNS_NOT_RETAINED ADX_OWNERSHIP(os_returns_not_retained)
#define LIBKERN_CONSUMED ADX_OWNERSHIP(os_consumed)
#define LIBKERN_CONSUMES_THIS ADX_OWNERSHIP(os_consumes_this)
#define LIBKERN_RETURNS_RETAINED_ON_ZERO ADX_OWNERSHIP(os_returns_retained_on_zero)
#define LIBKERN_RETURNS_RETAINED_ON_NONZERO ADX_OWNERSHIP(os_returns_retained_on_non_zero)
#define DRIVERKIT_RETURNS_RETAINED LIBKERN_RETURNS_RETAINED
#define DRIVERKIT_RETURNS_NOT_RETAINED LIBKERN_RETURNS_NOT_RETAINED
#define DRIVERKIT_CONSUMED LIBKERN_CONSUMED
#define DRIVERKIT_CONSUMES_THIS LIBKERN_CONSUMES_THIS
#define DRIVERKIT_RETURNS_RETAINED_ON_ZERO LIBKERN_RETURNS_RETAINED_ON_ZERO
#define DRIVERKIT_RETURNS_RETAINED_ON_NONZERO LIBKERN_RETURNS_RETAINED_ON_NONZERO

#ifndef APPLE_KEXT_OVERRIDE
#define APPLE_KEXT_OVERRIDE override
#endif
#ifndef HIDDEN
#define HIDDEN __attribute__((visibility("hidden")))
#endif
#ifndef ALWAYS
#define ALWAYS __attribute__((always_inline)) inline
#endif
#ifndef OSSTR
#define OSSTR_(text) #text
#define OSSTR(text) OSSTR_(text)
#endif

/* Ops of the root: none. One word, so that C and C++ agree on the size. */
struct OSMetaClassBase_Ops {
	void *reserved;
};

#ifdef __cplusplus

extern "C" ADX_API bool OSObject_isEqualTo(const OSObject *self, const OSMetaClassBase *object);

/* Same members as the C struct. No virtual functions: local virtuals are in the class record's ops. */
class OSMetaClassBase {
public:
	const struct OSMetaClass *meta;
	int32_t refcount;
	uint32_t flags;
	struct OSRemote *remote;

	void retain() const { OSRetain(this); }
	void release() const { OSRelease(this); }
	uint32_t getRetainCount() const { return OSGetRetainCount(this); }
	bool isEqualTo(const OSMetaClassBase *object) const
	{
		return OSObject_isEqualTo(reinterpret_cast<const OSObject *>(this), object);
	}
	const OSMetaClass *getMetaClass() const { return meta; }
	const OSMetaClass *GetClass() const { return meta; }
	const char *GetClassName() const { return meta->name; }
	bool IsRemote() const { return OSIsRemote(this); }

	static OSMetaClassBase *safeMetaCast(const OSMetaClassBase *object, const OSMetaClass *to)
	{
		return OSMetaClassCast(object, to);
	}
	static OSMetaClassBase *requiredMetaCast(const OSMetaClassBase *object, const OSMetaClass *to)
	{
		return OSMetaClassRequiredCast(object, to);
	}
	static void *operator new(size_t, void *placed) { return placed; }
	static void operator delete(void *, void *) {}
	static void operator delete(void *) {}

protected:
	/* The allocator fills the members after construction; a constructor leaves them alone. */
	OSMetaClassBase() {}
};

#endif /* __cplusplus */

/* ---------------------------------------------------------------------------------------------
 * Types
 */

#define OSTypeID(type) (&type##_Class)
#define OSMTypeID(type) (&type##_Class)

#ifdef __cplusplus

#define OSTypeIDInst(instance) ((instance)->GetClass())
/** @p object as type, or NULL when it is of another class. */
#define OSDynamicCast(type, object) \
	((type *)OSMetaClassBase::safeMetaCast((object), OSTypeID(type)))
/** The same, but another class ends the process. */
#define OSRequiredCast(type, object) \
	((type *)OSMetaClassBase::requiredMetaCast((object), OSTypeID(type)))

#define OSSafeReleaseNULL(object)            \
	do {                                 \
		if (nullptr != (object)) {   \
			(object)->release(); \
			(object) = nullptr;  \
		}                            \
	} while (0)

#define SUPERDISPATCH ((OSDispatchMethod)&super::_Dispatch)
#define IMPL(cls, method) cls::method##_Impl(cls##_##method##_Args)
#define DEFN(cls, method) method##_Impl(cls##_##method##_Args)

#else /* C */

#define OSTypeIDInst(instance) (((const OSMetaClassBase *)(instance))->meta)
#define OSDynamicCast(type, object) \
	((type *)OSMetaClassCast((const OSMetaClassBase *)(object), OSTypeID(type)))
#define OSRequiredCast(type, object) \
	((type *)OSMetaClassRequiredCast((const OSMetaClassBase *)(object), OSTypeID(type)))

#define OSSafeReleaseNULL(object)                                     \
	do {                                                          \
		if ((object) != NULL) {                               \
			OSRelease((const OSMetaClassBase *)(object)); \
			(object) = NULL;                              \
		}                                                     \
	} while (0)

/* References in C, without the cast of OSRetain() and OSRelease(). NULL is allowed. */
#define OSObject_retain(object) OSRetain((const OSMetaClassBase *)(object))
#define OSObject_release(object) OSRelease((const OSMetaClassBase *)(object))

#define IMPL(cls, method) ADX_IMPL_(cls##_##method##_Impl, cls, cls##_##method##_Args)
#define ADX_IMPL_(...) ADX_IMPL__(__VA_ARGS__)
#define ADX_IMPL__(function, cls, ...) function(cls *self __VA_OPT__(, ) __VA_ARGS__)

#endif /* __cplusplus */

/** New instance with one reference; init() is the caller's to call. NULL: no memory. */
#define OSTypeAlloc(type)                                           \
	__extension__({                                             \
		OSObject *adx_new_ = NULL;                          \
		(void)OSObjectAllocate(OSTypeID(type), &adx_new_);  \
		(type *)adx_new_;                                   \
	})

#define OSObjectSafeReleaseNULL(object)                        \
	do {                                                   \
		if ((object) != NULL) {                        \
			OSObjectRelease((OSObjectPtr)(object)); \
			(object) = NULL;                       \
		}                                              \
	} while (0)

ADX_BEGIN_DECLS
/** Logs class, address, reference count of an object. NULL is allowed. */
ADX_API void OSObjectLog(OSObjectPtr object);
ADX_END_DECLS

#endif /* AMBIDEXT_DRIVERKIT_OSMETACLASS_H */
