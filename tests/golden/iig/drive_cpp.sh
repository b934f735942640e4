#!/bin/sh
# SPDX-License-Identifier: MIT
# drive_cpp.sh INTERFACES: drive_test.c against the driver in C++, its glue as C++, all under the sanitizers.
# INTERFACES is the build folder with the framework's generated headers and glue.
set -eu
interfaces=$(realpath "$1")
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/Golden"
cp expected/Drive.h "$work/"
cp expected/Forms.h "$work/Golden/"
clang=$(command -v clang || command -v clang-14)
flags="-g -Wall -Wextra -Werror -Wno-unused-parameter -Wno-missing-field-initializers -D_GNU_SOURCE
	-fsanitize=address,undefined -fno-sanitize-recover=all -fblocks
	-I$work -I. -I$interfaces -I../../../include"

for source in drive_test.c fake.c "$interfaces/DriverKit/OSObject.iig.c" "$interfaces/DriverKit/OSAction.iig.c"; do
	"$clang" -std=gnu17 $flags -c "$source" -o "$work/$(basename "$source").o"
done
"$clang" -x c -std=gnu17 $flags -DIIG_PROXY=1 -c expected/Forms.iig.cpp -o "$work/forms.o"
for source in drive.cpp expected/Drive.iig.cpp; do
	"$clang" -x c++ -std=gnu++20 $flags -c "$source" -o "$work/$(basename "$source").o"
done
"${clang%clang*}clang++${clang##*clang}" -fsanitize=address,undefined "$work"/*.o -lcmocka -o "$work/drive_test"
"$work/drive_test"
