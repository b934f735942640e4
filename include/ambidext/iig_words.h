/* SPDX-License-Identifier: MIT */
#ifndef AMBIDEXT_IIG_WORDS_H
#define AMBIDEXT_IIG_WORDS_H

/** @file ambidext/iig_words.h
 *  @brief The words of .iig files. They mean something to iig alone, which defines them itself. */

#ifdef __IIG
#if !defined(IIG_SERIALIZABLE) && defined(SERIALIZABLE)
#define IIG_SERIALIZABLE SERIALIZABLE
#endif
#endif

#ifndef IIG_SERIALIZABLE
#define IIG_SERIALIZABLE
#endif
#ifndef IIG_KERNEL
#define IIG_KERNEL
#endif
#ifndef IIG_NATIVE
#define IIG_NATIVE
#endif
#ifndef IIG_LOCAL
#define IIG_LOCAL
#endif
#ifndef IIG_LOCALONLY
#define IIG_LOCALONLY
#endif
#ifndef IIG_REMOTE
#define IIG_REMOTE
#endif
#ifndef IIG_LOCALHOST
#define IIG_LOCALHOST
#endif
#ifndef IIG_INVOKEREPLY
#define IIG_INVOKEREPLY
#endif
#ifndef IIG_REPLY
#define IIG_REPLY
#endif
#ifndef IIG_TARGET
#define IIG_TARGET
#endif
#ifndef IIG_TYPE
#define IIG_TYPE(prototype)
#endif
#ifndef IIG_QUEUENAME
#define IIG_QUEUENAME(name)
#endif
#ifndef IIG_EXTENDS
#define IIG_EXTENDS(class_name)
#endif
#ifndef IIG_CONCRETE
#define IIG_CONCRETE
#endif
#ifndef IIG_PORTMAKESEND
#define IIG_PORTMAKESEND
#endif
#ifndef IIG_PORTCOPYSEND
#define IIG_PORTCOPYSEND
#endif

#endif /* AMBIDEXT_IIG_WORDS_H */
