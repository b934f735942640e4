/* SPDX-License-Identifier: MIT */
#include "base/ioreturn.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>

#include <USBDriverKit/IOUSBHostFamilyDefinitions.h>

struct code {
	int value;
	const char *name;
	const char *text;
};

static const struct code codes[] = {
#define CODE(constant, text) { constant, #constant, text },
#include "base/ioreturn.def"
};

static const struct {
	int error;
	IOReturn code;
} errors[] = {
#define ERRNO(number, constant) { number, constant },
#include "base/ioreturn.def"
};

struct family {
	unsigned number;
	const char *name;
};

#define IOKIT_SYSTEM 0x38u

static const struct family systems[] = {
	{ 0x00, "kern" }, { 0x04, "mach" }, { IOKIT_SYSTEM, "iokit" }, { 0x3e, "local" },
};

static const struct family subsystems[] = {
	{ 0, "common" },
	{ 1, "usb" },
	{ 2, "firewire" },
	{ 4, "block_storage" },
	{ 5, "graphics" },
	{ 6, "networking" },
	{ 8, "bluetooth" },
	{ 9, "pmu" },
	{ 10, "acpi" },
	{ 11, "smbus" },
	{ 12, "ahci" },
	{ 13, "powermanagement" },
	{ 14, "hidsystem" },
	{ 16, "scsi" },
	{ 17, "usbaudio" },
	{ 18, "wirelesscharging" },
	{ 28, "nvme" },
	{ 29, "thunderbolt" },
	{ 30, "graphics_acceleration" },
	{ 31, "keystore" },
	{ 32, "smc" },
	{ 33, "apfs" },
	{ 34, "acpiec" },
	{ 35, "timesync_avb" },
	{ 0x2a, "platform" },
	{ 0x45, "audio_video" },
	{ 0x46, "cec" },
	{ 0x47, "arc" },
	{ 0x80, "baseband" },
	{ 0xfe, "HDA" },
	{ 0x147, "hsic" },
	{ 0x174, "sdio" },
	{ 0x208, "wlan" },
	{ 0x209, "appleembeddedsleepwakehandler" },
	{ 0x20a, "appleppm" },
	{ 0xffe, "vendor_specific" },
	{ 0xfff, "reserved" },
};

static const char *
family_name(const struct family *families, size_t n, unsigned number)
{
	for (size_t i = 0; i < n; i++)
		if (families[i].number == number)
			return families[i].name;
	return NULL;
}

static const struct code *
find(int value)
{
	for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
		if (codes[i].value == value)
			return &codes[i];
	return NULL;
}

static const char *
take_apart(int value)
{
	static _Thread_local char text[96];
	unsigned system = (unsigned)err_get_system(value);
	unsigned sub = (unsigned)err_get_sub(value);
	const char *system_name = family_name(systems, sizeof systems / sizeof systems[0], system);
	const char *sub_name = NULL;
	char system_digits[16], sub_digits[16];

	if (system == IOKIT_SYSTEM)
		sub_name = family_name(subsystems, sizeof subsystems / sizeof subsystems[0], sub);
	if (system_name == NULL) {
		(void)snprintf(system_digits, sizeof system_digits, "system %#x", system);
		system_name = system_digits;
	}
	if (sub_name == NULL) {
		(void)snprintf(sub_digits, sizeof sub_digits, "%#x", sub);
		sub_name = sub_digits;
	}
	(void)snprintf(text, sizeof text, "%s/%s code %#x (0x%08x)", system_name, sub_name,
		       (unsigned)err_get_code(value), (unsigned)value);
	return text;
}

const char *
adxi_ioreturn_name(int code)
{
	const struct code *found = find(code);

	return found != NULL ? found->name : take_apart(code);
}

const char *
adxi_ioreturn_text(int code)
{
	const struct code *found = find(code);

	return found != NULL ? found->text : take_apart(code);
}

IOReturn
adxi_ioreturn_from_errno(int error)
{
	int number = error < 0 && error != INT32_MIN ? -error : error;

	if (number == 0)
		return kIOReturnSuccess;
	for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
		if (errors[i].error == number)
			return errors[i].code;
	return kIOReturnError;
}
