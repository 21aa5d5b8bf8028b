/* SPDX-License-Identifier: Apache-2.0 */
/** Finding and loading Python and the bridge. */
#ifndef MATRIX_CORE_LOAD_H
#define MATRIX_CORE_LOAD_H

#include <stddef.h>

#include "bridge.h"

typedef int bridge_main(const struct matrix_bridge_core *core);

/**
 * Loads what the bridge needs, and the bridge; fills `core->home` and `core->hosted`. Returns NULL,
 * or the code of an error with the reason in `message`.
 */
const char *core_load_bridge(struct matrix_bridge_core *core, bridge_main **bridge, char *message,
                             size_t size);
/** Keeps this library mapped whatever the host unloads: its thread runs in it. */
void core_pin_library(void);

#endif
