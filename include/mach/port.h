/* SPDX-License-Identifier: MIT */
#ifndef AMBIDEXT_MACH_PORT_H
#define AMBIDEXT_MACH_PORT_H

#include <stdint.h>

typedef uint32_t natural_t;
typedef int32_t integer_t;
typedef uint32_t mach_port_name_t;
typedef mach_port_name_t mach_port_t; /* here: a name in a library's own table */
typedef uint32_t mach_port_right_t;

#define MACH_PORT_NULL 0u
#define MACH_PORT_DEAD (~0u)
#define MACH_PORT_VALID(name) ((name) != MACH_PORT_NULL && (name) != MACH_PORT_DEAD)

#endif /* AMBIDEXT_MACH_PORT_H */
