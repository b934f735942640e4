# SPDX-License-Identifier: MIT
# Sourced in the guest: USB devices made by the kernel itself, on its software host controller.

# gadgets N: N free ports, each for one gadget; dummy_udc.0 to dummy_udc.N-1
gadgets()
{
    modprobe -a libcomposite usb_f_ss_lb || return
    busybox mountpoint -q /sys/kernel/config || busybox mount -t configfs none /sys/kernel/config || return
    modprobe dummy_hcd is_super_speed=1 num="$1"
}

# gadget NAME PORT PRODUCT_ID SPEED FUNCTION [ATTRIBUTE=VALUE]: plugs in 1d6b:PRODUCT_ID. SPEED as in max_speed of configfs;
# FUNCTION as in functions/, "SourceSink.0" and so on; the attribute is the function's
gadget()
{
    local g=/sys/kernel/config/usb_gadget/$1
    mkdir "$g" || return
    echo 0x1d6b >"$g/idVendor"
    echo "0x$3" >"$g/idProduct"
    echo "$4" >"$g/max_speed"
    mkdir "$g/strings/0x409" "$g/configs/c.1" "$g/configs/c.1/strings/0x409"
    echo ambidext >"$g/strings/0x409/manufacturer"
    echo "$1" >"$g/strings/0x409/product"
    echo "serial-$1" >"$g/strings/0x409/serialnumber"
    mkdir "$g/functions/$5"
    [ $# -lt 6 ] || echo "${6#*=}" >"$g/functions/$5/${6%%=*}"
    ln -s "$g/functions/$5" "$g/configs/c.1/"
    echo "dummy_udc.$2" >"/run/gadget-$1"
    cat "/run/gadget-$1" >"$g/UDC"
}
