/* SPDX-License-Identifier: MIT */
#ifndef USBHOST_MODEL_MODEL_H
#define USBHOST_MODEL_MODEL_H

/**
 * @file usbhost/model/model.h
 * @brief What the model back end offers beside usbhost/backend.h: for tests, and for a host that
 * lists models.
 *
 * Options of usb_backend_model.open:
 *   clock=virtual   time stands still until usb_model_pass(); no thread is started
 *   models=DIR:DIR  where NAME.so is looked for; default $AMBIDEXT_MODELS, else the installed
 *                   directory
 */

#include <stdint.h>

#include <ambidext/usb_model.h>

#include "usbhost/backend.h"

/**
 * Plug in a device whose model is linked in, not loaded.
 *
 * @param model    borrowed until the device is released
 * @param options  "key=value,…" or NULL
 * @return as ops->attach
 */
int usb_model_plug(struct usb_backend *backend, const struct usb_model *model, const char *options,
		   uint32_t *ret_location, const char **ret_why);

/** Let time pass on a virtual clock and do what is due, each thing at its time. One thread at a
 * time. */
void usb_model_pass(struct usb_backend *backend, uint64_t ns);

/** Check a model's table as plugging does. -EINVAL with *ret_why. */
int usb_model_check(const struct usb_model *model, const char **ret_why);

#endif /* USBHOST_MODEL_MODEL_H */
