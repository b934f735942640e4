#!/bin/sh
# SPDX-License-Identifier: MIT
# golden.sh check|regen IIG: every .iig here through iig, its output (or its errors) byte for byte.
# good/NAME.iig and Golden/Forms.iig make expected/NAME.{h,iig.cpp,json,fuzz.c}; bad/NAME.iig makes expected/NAME.txt.
# A file whose first lines hold `@framework NAME` is compiled with --framework-name NAME.
set -u
mode=$1
iig=$(realpath "$2")
cd "$(dirname "$0")" || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
export LC_ALL=C
failed=0

run() {
	framework=$(sed -n 's/.*@framework \([A-Za-z]*\).*/\1/p' "$1" | head -1)
	case $1 in Golden/*) framework=Golden ;; esac
	input=$1
	shift
	"$iig" --def "$input" ${framework:+--framework-name "$framework"} "$@" \
		-I . -I ../../../interfaces -I ../../../include
}

settle() { # expected, actual
	if [ "$mode" = regen ]; then
		cp "$2" "$1"
	elif ! diff -u "$1" "$2"; then
		echo "$1 differs: if the change is meant, run meson compile regen-goldens" >&2
		failed=1
	fi
}

for input in good/*.iig Golden/*.iig; do
	name=$(basename "$input" .iig)
	for again in 1 2; do
		run "$input" --header "$work/$name.h" --impl "$work/$name.iig.cpp" --json "$work/$name.json" \
			--emit-fuzzer "$work/$name.fuzz.c" || failed=1
		[ $again = 1 ] && cp "$work/$name.iig.cpp" "$work/first"
	done
	cmp "$work/first" "$work/$name.iig.cpp" || failed=1
	for suffix in h iig.cpp json fuzz.c; do
		settle "expected/$name.$suffix" "$work/$name.$suffix"
	done
done

for input in bad/*.iig; do
	name=$(basename "$input" .iig)
	if run "$input" --header "$work/bad.h" --impl "$work/bad.iig.cpp" 2> "$work/errors" > "$work/stdout"; then
		echo "$input: iig takes it" >&2
		failed=1
	fi
	if [ -e "$work/bad.h" ] || [ -e "$work/bad.iig.cpp" ] || [ -s "$work/stdout" ]; then
		echo "$input: something was written in spite of errors" >&2
		failed=1
		rm -f "$work"/bad.*
	fi
	settle "expected/$name.txt" "$work/errors"
done

# Output that cannot be written, and wrong usage.
if run good/Drive.iig --header "$work/none/Drive.h" --impl "$work/Drive.cpp" 2> "$work/errors"; then
	echo "an output folder that does not exist is accepted" >&2
	failed=1
fi
sed -i "s,$work,WORK," "$work/errors"
settle expected/unwritable.txt "$work/errors"
[ -e "$work/Drive.cpp" ] && { echo "half of an output was written" >&2; failed=1; }
"$iig" --def good/none.iig --check 2> "$work/errors" && failed=1
settle expected/unreadable.txt "$work/errors"
"$iig" --def good/Drive.iig 2> "$work/errors"
[ $? = 2 ] || { echo "wrong usage does not end with 2" >&2; failed=1; }

# Every error has its golden. (38 takes two signatures with one 64-bit hash.)
for number in $(sed -n 's/^IIG_ERROR(\([0-9]*\),.*/\1/p' ../../../src/iig/errors.def); do
	id=$(printf IIG%03d "$number")
	[ "$number" = 38 ] || grep -q "$id" expected/*.txt || { echo "$id has no golden" >&2; failed=1; }
done
exit $failed
