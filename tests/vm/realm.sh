# SPDX-License-Identifier: MIT
# Sourced in the guest: a realm with usbhost on libusb, one driver and the client of e2e/.

# e2e DRIVER_BUNDLE CLIENT GROUP PRODUCT_ID NAME: NAME as plug has it
e2e()
{
    rm -f /run/e2e.log
    AMBIDEXT_HOSTS="$AMBIDEXT_HOSTS=--backend libusb" dext realm run --log /run/e2e.log --load "$1" -- \
        "$2" "$3" "$4" "$here/plug off $5" "$here/plug on $5" || {
        cat /run/e2e.log
        return 1
    }
    # What was accepted has completed: in the drivers' words and in usbhost's, one line a device or driver.
    n_freed=$(grep -c 'e2e: driver freed' /run/e2e.log) || true
    awk '/e2e: driver freed: .* accepted/ { if ($(NF - 3) != $(NF - 1)) bad = 1 }
        /e2e: driver freed: .*BUSY/ { bad = 1 }
        /transfers of this device:/ { match($0, /submitted=[0-9]+ completed=[0-9]+/)
            split(substr($0, RSTART, RLENGTH), pair, /[ =]/); n += 1; sum += pair[2]; if (pair[2] != pair[4]) bad = 1 }
        /\[USB007\]/ { bad = 1 } # an unplug is no mistake of the driver
        END { printf "e2e %s: %d transfers of %d plugged devices, each completed once\n", name, sum, n; exit bad || !n }' \
        name="$5" /run/e2e.log && [ "$n_freed" -gt 0 ] || {
        echo "e2e: a transfer is missing, a rule was told, or no driver was freed:"
        cat /run/e2e.log
        return 1
    }
}
