#!/bin/sh
# SPDX-License-Identifier: MIT
# In the guest: two gadgets that are a source each, then in_guest. usbfs lends 16 MiB to all of its users as it comes.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../tests/vm/gadget.sh"
gadgets 2
gadget source 0 0011 super-speed SourceSink.0
gadget bare 1 0021 super-speed SourceSink.1
echo 256 >/sys/module/usbcore/parameters/usbfs_memory_mb
udevadm settle
exec "$here/in_guest"
