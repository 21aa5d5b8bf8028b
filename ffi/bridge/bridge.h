/* SPDX-License-Identifier: Apache-2.0 */
/**
 * What libmatrix.so (the core, no Python in it) and bridge.so (Python in it) know of each other.
 *
 * The core's runtime thread loads libpython and bridge.so, then calls matrix_bridge_main() and
 * stays in it until the runtime has stopped. Messages to the runtime and frames from it are
 * described in docs/internals.md.
 */
#ifndef MATRIX_BRIDGE_H
#define MATRIX_BRIDGE_H

#include <stddef.h>
#include <stdint.h>

#define MATRIX_BRIDGE_ABI 2

/** What a frame carries; the numbers are part of the protocol. */
enum matrix_frame_kind {
    MATRIX_FRAME_RESULT = 1,   /* target: request; flags bit 0: ok */
    MATRIX_FRAME_PROGRESS = 2, /* target: request */
    MATRIX_FRAME_EVENT = 3,    /* target: subscription */
    MATRIX_FRAME_CALL =
        4, /* target: call id, extra: the request it is for; void when that has ended */
    MATRIX_FRAME_LOG = 5,    /* flags: level */
    MATRIX_FRAME_MARK = 6,   /* target: client, extra: mark; goes back as "consumed" */
    MATRIX_FRAME_CLOSED = 7, /* the context holds nothing of the runtime any more */
    MATRIX_FRAME_RUN = 8     /* room events, see struct matrix_run; extra: deliveries */
};

#define MATRIX_FRAME_OK 1u
#define MATRIX_FRAME_HISTORIC 1u /* of a run: is_historic */
#define MATRIX_FRAME_FILLED 2u   /* of a run: is_filled */

/** In front of each payload, host byte order; payload and one NUL follow, then the next frame,
 * unaligned. */
struct matrix_frame {
    uint32_t size; /* bytes of the payload, JSON text, without the NUL */
    uint16_t kind;
    uint16_t flags;
    uint64_t context;
    uint64_t target;
    uint64_t extra;
};

/** The payload of MATRIX_FRAME_RUN, which is no JSON: events of one room as the homeserver sent
 * them. The core makes the record `event` of each when a host asks for it. Behind this struct,
 * unaligned:
 *
 *     struct matrix_delivery[deliveries]   in order; `event` never goes back
 *     uint32_t[events]                     bytes of each event's JSON text
 *     room_id and a NUL, user_id (the client's own) and a NUL, the texts one after the other
 */
struct matrix_run {
    uint32_t deliveries;
    uint32_t events;
    uint32_t room_id_size;
    uint32_t user_id_size;
};

struct matrix_delivery {
    uint64_t target; /* subscription */
    uint64_t event;  /* counted from 0 */
};

/** The core, as the bridge sees it. Every function is safe on any thread and never calls back into
 * Python. */
struct matrix_bridge_core {
    uint32_t abi;     /* MATRIX_BRIDGE_ABI */
    int request_fd;   /* readable while messages to the runtime wait */
    const char *home; /* absolute path of lib/libmatrix */
    int hosted;       /* the process is Python itself: use its interpreter */
    /* All waiting messages as one JSON list; valid until the next take. Returns its bytes; 0: none.
     */
    size_t (*take)(const char **json);
    /* Frames to their contexts' queues. Returns 1 when an event went to a context above its limit,
     * else 0. */
    int (*post)(const void *frames, size_t size);
    /* Whether a context is above its event limit; when it no longer is, the message "drained" is
     * sent once. */
    int (*is_full)(uint64_t context);
    /* Whether JSON text is surely within the limits of events; 0 leaves it open. */
    int (*is_tame)(const char *text, size_t size);
    /* Python is up; from here on the process's exit stops the runtime first. */
    void (*ready)(void);
    /* Python could not start, or the runtime has died. Every open request ends with this error. */
    void (*failed)(const char *code, const char *message);
    /* The process is exiting: leave soon. */
    int (*stopping)(void);
};

/** Starts Python, runs the runtime until it stops. Returns 0 when it was asked to stop. The one
 * export of bridge.so. */
int matrix_bridge_main(const struct matrix_bridge_core *core);

#endif
