/* grsn_app: what a board does: answers a host's commands over the link.  docs/SPEC.md §10.
 *
 * The same on every board; a board is grsn_port.h.  All memory is in grsn_app_t, sized by macros.
 *
 *     static grsn_app_t app;
 *     grsn_port_init();
 *     grsn_app_init(&app);
 *     for (;;) {
 *         grsn_app_poll(&app);
 *     }
 */
#ifndef GRSN_APP_H
#define GRSN_APP_H

#include "grsn_engine.h"
#include "grsn_link.h"
#include "grsn_port.h"

/* Requests that may be on their way at once, a power of two up to 64: so many replies are kept, to
 * be sent again.  A port whose UART loses bytes while a step runs keeps it at 1. */
#ifndef GRSN_LINK_WINDOW
#define GRSN_LINK_WINDOW 4
#endif

/* Integers that an observation and an action may have. */
#ifndef GRSN_APP_OBSERVATION
#define GRSN_APP_OBSERVATION 64
#endif
#ifndef GRSN_APP_ACTION
#define GRSN_APP_ACTION 32
#endif

/* 0 leaves out the model slots (grsn_store.h), the supervisor (grsn_supervisor.h). */
#ifndef GRSN_APP_STORE
#define GRSN_APP_STORE 1
#endif
#ifndef GRSN_APP_SUPERVISOR
#define GRSN_APP_SUPERVISOR 1
#endif

#if GRSN_APP_STORE
#include "grsn_store.h"
#endif
#if GRSN_APP_SUPERVISOR
#include "grsn_guard.h"
#include "grsn_supervisor.h"
/* Bytes of a supervisor section, as GRSN_CONFIGURE brings it. */
#ifndef GRSN_APP_CONFIG
#define GRSN_APP_CONFIG GRSN_LINK_PAYLOAD
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

enum { GRSN_LIBRARY_MAJOR = 0, GRSN_LIBRARY_MINOR = 1, GRSN_LIBRARY_PATCH = 0 };

/* Types of frames; payloads: docs/SPEC.md §10. */
typedef enum grsn_command {
    GRSN_HELLO = 0x01,
    GRSN_INFO = 0x02,
    GRSN_RESET_STATE = 0x03,
    GRSN_STEP = 0x04,
    GRSN_STATE_GET = 0x05,
    GRSN_STATE_SET = 0x06,
    GRSN_PROFILE = 0x07,
    GRSN_SELF_TEST = 0x08,
    GRSN_CONFIGURE = 0x09,
    GRSN_ARM_POLICY = 0x0a,
    GRSN_DISARM_POLICY = 0x0b,
    GRSN_STATUS = 0x0c,
    GRSN_LOAD_BEGIN = 0x10,
    GRSN_LOAD_WRITE = 0x11,
    GRSN_LOAD_STATUS = 0x12,
    GRSN_LOAD_ACTIVATE = 0x13,
    GRSN_LOAD_CONFIRM = 0x14,
    GRSN_LOAD_REVERT = 0x15,
    GRSN_MISSING = 0x7e,   /* from the device: send again from `sequence` on */
    GRSN_NO_SESSION = 0x7f /* from the device: say hello first; the state may be another */
} grsn_command_t;

/* First byte of every reply.  Where it is not GRSN_DONE, four bytes of detail follow. */
typedef enum grsn_result {
    GRSN_DONE = 0,
    GRSN_REFUSED_UNKNOWN = 1,   /* no such command, or not in this build */
    GRSN_REFUSED_MALFORMED = 2, /* a payload of the wrong length, or a field out of range */
    GRSN_REFUSED_NO_MODEL = 3,  /* no policy is there; detail: why the last was refused */
    GRSN_REFUSED_SELFTEST = 4,  /* the policy's self-test failed; detail: the step */
    GRSN_REFUSED_TOO_LARGE = 5, /* the reply would not fit in a frame */
    GRSN_REFUSED_STATE = 6,     /* detail: grsn_status_t */
    GRSN_REFUSED_STORE = 7,     /* detail: grsn_store_status_t */
    GRSN_REFUSED_ARMED = 8,     /* not while armed */
    GRSN_REFUSED_ARM = 9        /* not armed; detail: the conditions against it */
} grsn_result_t;

/* Events since the start, modulo 2^32, in the order of GRSN_INFO's page. */
typedef struct grsn_app_counters {
    uint32_t foreign;    /* frames of no session, or of another */
    uint32_t duplicates; /* requests answered again from memory */
    uint32_t stale;      /* requests too old to be answered again */
    uint32_t missing;    /* requests ahead of one that has not come */
    uint32_t steps;      /* policy steps, those of GRSN_PROFILE included */
} grsn_app_counters_t;

typedef struct grsn_app {
    grsn_link_t link;
    uint8_t replies[GRSN_LINK_WINDOW][GRSN_LINK_FRAME]; /* by sequence modulo the window */
    uint32_t boot;      /* of this start */
    uint32_t session;   /* of the host that said hello last; 0: none */
    uint32_t nonce;     /* of its hello */
    uint16_t expected;  /* sequence of the next request */
    uint16_t hello;     /* sequence of its hello */
    uint8_t kept;       /* replies that can be sent again */
    uint32_t staged;    /* bytes of a state that GRSN_STATE_SET has brought so far */
    int32_t refusal;    /* why no policy is open: a status */
    int32_t selftest;   /* grsn_selftest's result; meaningless while no policy is open */
    grsn_app_counters_t counters;
    int32_t observation[GRSN_APP_OBSERVATION];
    int32_t action[GRSN_APP_ACTION];
    grsn_engine_t engine;
#if GRSN_APP_STORE
    grsn_store_t store;
    uint32_t loading_crc; /* of the image that is announced */
#endif
#if GRSN_APP_SUPERVISOR
    grsn_guard_t guard;
    grsn_supervisor_t supervisor;
    grsn_supervisor_config_t config;
    uint8_t section[GRSN_APP_CONFIG];
    int32_t output[GRSN_APP_ACTION]; /* the action that was given last */
#endif
} grsn_app_t;

/* Open the newest policy that is whole, and replay its golden vectors. */
void grsn_app_init(grsn_app_t *app);

/* Take what was received, up to one frame, and answer it.  Waits for nothing but grsn_port_idle. */
void grsn_app_poll(grsn_app_t *app);

#ifdef __cplusplus
}
#endif

#endif
