#!/bin/sh
# SPDX-License-Identifier: MIT
# compile.sh INTERFACES: every expected output through gcc as C, clang as C, and clang++; INTERFACES is the build
# folder with the framework's generated headers. Each flavour of a framework's glue too.
set -eu
interfaces=$(realpath "$1")
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/Golden"
cp expected/*.h "$work/"
mv "$work/Forms.h" "$work/Golden/"
flags="-Wall -Wextra -Werror -D_GNU_SOURCE -I$work -I$interfaces -I../../../include"
clang=$(command -v clang || command -v clang-14)

for glue in expected/*.iig.cpp; do
	for flavour in "" -DKERNEL=1 -DIIG_PROXY=1; do
		# Odd.iig is for C++ alone; only a framework's glue has flavours.
		case $glue$flavour in
		*Odd*-D* | *Drive*-D* | *Transfer*-D*) continue ;;
		*Odd*)
			"$clang" -x c++ -std=gnu++20 -fblocks $flags -c "$glue" -o "$work/clang++.o"
			g++ -x c++ -std=gnu++20 $flags -c "$glue" -o "$work/g++.o"
			continue
			;;
		esac
		gcc -x c -std=gnu17 $flags -Wshadow -Wmissing-prototypes -Wundef $flavour -c "$glue" -o "$work/gcc.o"
		"$clang" -x c -std=gnu17 -fblocks $flags $flavour -c "$glue" -o "$work/clang.o"
		"$clang" -x c++ -std=gnu++20 -fblocks $flags $flavour -c "$glue" -o "$work/clang++.o"
		g++ -x c++ -std=gnu++20 $flags $flavour -c "$glue" -o "$work/g++.o"
		for object in gcc clang clang++ g++; do
			# Records must be there before any constructor runs.
			if nm "$work/$object.o" | grep -E '_GLOBAL__sub_I|__cxx_global_var_init'; then
				echo "$glue: $object initializes at run time" >&2
				exit 1
			fi
		done
	done
done

# Calls of undeclared implementations must not compile (rule T39).
cat > "$work/T39.cpp" <<'END'
#include "Drive.h"
kern_return_t Engine::Undeclared_Impl() { return 0; }
END
if "$clang" -x c++ -std=gnu++20 -fblocks -I"$work" -I"$interfaces" -I../../../include -fsyntax-only "$work/T39.cpp" 2> "$work/log"
then
	echo "an implementation of an undeclared method compiles" >&2
	exit 1
fi
grep -q Undeclared_Impl "$work/log"
