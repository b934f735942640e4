/* SPDX-License-Identifier: MIT */
#ifndef AMBIDEXT_DRIVERKIT_OSSHAREDPTR_H
#define AMBIDEXT_DRIVERKIT_OSSHAREDPTR_H

/** @file DriverKit/OSSharedPtr.h
 *  @brief A pointer that holds one reference. C++ only. */

#include <DriverKit/OSMetaClass.h>

#ifdef __cplusplus

template <class T> using OSPtr = T *;

/* Tags. OSRetain is the function of that name: taking a reference is what the tag asks for. */
using OS_retain_t = void (*)(const OSMetaClassBase *);
struct OS_no_retain_t {
};
inline constexpr OS_no_retain_t OSNoRetain{};

template <class T> class OSSharedPtr
{
public:
	using element_type = T;

	constexpr OSSharedPtr() noexcept : pointer(nullptr) {}
	constexpr OSSharedPtr(decltype(nullptr)) noexcept : pointer(nullptr) {}
	explicit OSSharedPtr(T *object, OS_retain_t) noexcept : pointer(object)
	{
		if (pointer)
			pointer->retain();
	}
	constexpr explicit OSSharedPtr(T *object, OS_no_retain_t) noexcept : pointer(object) {}

	OSSharedPtr(const OSSharedPtr &other) noexcept : OSSharedPtr(other.pointer, &OSRetain) {}
	OSSharedPtr(OSSharedPtr &&other) noexcept : pointer(other.detach()) {}
	template <class U>
	OSSharedPtr(const OSSharedPtr<U> &other) noexcept : OSSharedPtr(other.get(), &OSRetain)
	{
	}
	template <class U> OSSharedPtr(OSSharedPtr<U> &&other) noexcept : pointer(other.detach()) {}
	template <class U>
	OSSharedPtr(OSSharedPtr<U> &&other, OS_no_retain_t) noexcept : pointer(other.detach())
	{
	}
	~OSSharedPtr() { reset(); }

	OSSharedPtr &operator=(const OSSharedPtr &other) noexcept
	{
		return reset(other.pointer, &OSRetain);
	}
	OSSharedPtr &operator=(OSSharedPtr &&other) noexcept
	{
		return reset(other.detach(), OSNoRetain);
	}
	template <class U> OSSharedPtr &operator=(const OSSharedPtr<U> &other) noexcept
	{
		return reset(other.get(), &OSRetain);
	}
	template <class U> OSSharedPtr &operator=(OSSharedPtr<U> &&other) noexcept
	{
		return reset(other.detach(), OSNoRetain);
	}
	OSSharedPtr &operator=(decltype(nullptr)) noexcept
	{
		reset();
		return *this;
	}

	T *get() const noexcept { return pointer; }
	T *operator->() const noexcept { return pointer; }
	T &operator*() const noexcept { return *pointer; }
	explicit operator bool() const noexcept { return pointer != nullptr; }

	void reset() noexcept { reset(nullptr, OSNoRetain); }
	OSSharedPtr &reset(T *object, OS_retain_t) noexcept
	{
		if (object)
			object->retain();
		return reset(object, OSNoRetain);
	}
	OSSharedPtr &reset(T *object, OS_no_retain_t) noexcept
	{
		T *old = pointer;

		pointer = object;
		if (old)
			old->release();
		return *this;
	}

	/* Give the reference up without releasing it. */
	T *detach() noexcept
	{
		T *object = pointer;

		pointer = nullptr;
		return object;
	}
	OSPtr<T> detachAsOSPtr() noexcept { return detach(); }

	/* An out-parameter: X::Create(a, pointer.attach()). What was held before is released. */
	class attacher
	{
	public:
		explicit attacher(OSSharedPtr &owner) noexcept : target(owner) { target.reset(); }
		operator T **() const noexcept { return &target.pointer; }
		operator OSSharedPtr *() const noexcept { return &target; }

	private:
		OSSharedPtr &target;
	};
	attacher attach() noexcept { return attacher(*this); }

	void swap(OSSharedPtr &other) noexcept
	{
		T *object = pointer;

		pointer = other.pointer;
		other.pointer = object;
	}

private:
	T *pointer; /* one reference, or NULL */
};

template <class T>
void
swap(OSSharedPtr<T> &a, OSSharedPtr<T> &b) noexcept
{
	a.swap(b);
}

template <class T, class U>
bool
operator==(const OSSharedPtr<T> &a, const OSSharedPtr<U> &b)
{
	return a.get() == b.get();
}
template <class T, class U>
bool
operator!=(const OSSharedPtr<T> &a, const OSSharedPtr<U> &b)
{
	return a.get() != b.get();
}
template <class T, class U>
bool
operator==(const OSSharedPtr<T> &a, const U *b)
{
	return a.get() == b;
}
template <class T, class U>
bool
operator!=(const OSSharedPtr<T> &a, const U *b)
{
	return a.get() != b;
}
template <class T, class U>
bool
operator==(const U *a, const OSSharedPtr<T> &b)
{
	return a == b.get();
}
template <class T, class U>
bool
operator!=(const U *a, const OSSharedPtr<T> &b)
{
	return a != b.get();
}
template <class T>
bool
operator==(const OSSharedPtr<T> &a, decltype(nullptr))
{
	return a.get() == nullptr;
}
template <class T>
bool
operator!=(const OSSharedPtr<T> &a, decltype(nullptr))
{
	return a.get() != nullptr;
}
template <class T>
bool
operator==(decltype(nullptr), const OSSharedPtr<T> &b)
{
	return b.get() == nullptr;
}
template <class T>
bool
operator!=(decltype(nullptr), const OSSharedPtr<T> &b)
{
	return b.get() != nullptr;
}

template <class To, class From>
OSSharedPtr<To>
OSStaticPtrCast(const OSSharedPtr<From> &from) noexcept
{
	return OSSharedPtr<To>(static_cast<To *>(from.get()), &OSRetain);
}
template <class To, class From>
OSSharedPtr<To>
OSStaticPtrCast(OSSharedPtr<From> &&from) noexcept
{
	return OSSharedPtr<To>(static_cast<To *>(from.detach()), OSNoRetain);
}
template <class To, class From>
OSSharedPtr<To>
OSConstPtrCast(const OSSharedPtr<From> &from) noexcept
{
	return OSSharedPtr<To>(const_cast<To *>(from.get()), &OSRetain);
}
template <class To, class From>
OSSharedPtr<To>
OSConstPtrCast(OSSharedPtr<From> &&from) noexcept
{
	return OSSharedPtr<To>(const_cast<To *>(from.detach()), OSNoRetain);
}
/* Empty when the object is of another class; a moved-from pointer then keeps it. */
template <class To, class From>
OSSharedPtr<To>
OSDynamicPtrCast(const OSSharedPtr<From> &from) noexcept
{
	return OSSharedPtr<To>(
		static_cast<To *>(OSMetaClassBase::safeMetaCast(from.get(), To::sGetMetaClass())),
		&OSRetain);
}
template <class To, class From>
OSSharedPtr<To>
OSDynamicPtrCast(OSSharedPtr<From> &&from) noexcept
{
	To *object =
		static_cast<To *>(OSMetaClassBase::safeMetaCast(from.get(), To::sGetMetaClass()));

	if (object)
		from.detach();
	return OSSharedPtr<To>(object, OSNoRetain);
}

/* init() is not called. */
template <class T>
OSSharedPtr<T>
OSMakeShared()
{
	OSObject *object = nullptr;

	(void)OSObjectAllocate(T::sGetMetaClass(), &object);
	return OSSharedPtr<T>(reinterpret_cast<T *>(object), OSNoRetain);
}

#endif /* __cplusplus */

#endif /* AMBIDEXT_DRIVERKIT_OSSHAREDPTR_H */
