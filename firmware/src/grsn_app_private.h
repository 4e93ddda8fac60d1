/* What grsn_app.c and grsn_commands.c share. */
#ifndef GRSN_APP_PRIVATE_H
#define GRSN_APP_PRIVATE_H

#include "grsn_app.h"

/* A request's payload. */
typedef struct request {
    const uint8_t *bytes;
    uint32_t count;
} request_t;

/* A reply's payload, being written; the first byte, the result, is the caller's. */
typedef struct reply {
    uint8_t *bytes;
    uint32_t count;
    int32_t detail; /* goes with a refusal */
} reply_t;

/* Answer one request. */
grsn_result_t grsn_app_command(grsn_app_t *app, uint8_t type, request_t request, reply_t *reply);

/* Open the newest policy that is whole, and replay its golden vectors. */
void grsn_app_boot(grsn_app_t *app);

/* Replay the open policy's golden vectors, reset it, and begin its supervision anew. */
void grsn_app_test(grsn_app_t *app);

/* Whether a policy is open; whether the supervisor watches it; whether it may be stepped (and where
 * not, why, in the reply's detail). */
int32_t grsn_app_is_open(const grsn_app_t *app);
int32_t grsn_app_is_supervised(const grsn_app_t *app);
grsn_result_t grsn_app_ready(const grsn_app_t *app, reply_t *reply);

/* The state changes otherwise than by a supervised step. */
void grsn_app_unseal(grsn_app_t *app);

/* Commands by what they are about; each fills the reply behind its first byte. */
grsn_result_t grsn_command_reset(grsn_app_t *app, reply_t *reply);
grsn_result_t grsn_command_self_test(grsn_app_t *app, reply_t *reply);
grsn_result_t grsn_command_step(grsn_app_t *app, request_t request, reply_t *reply);
grsn_result_t grsn_command_profile(grsn_app_t *app, request_t request, reply_t *reply);
grsn_result_t grsn_command_supervise(grsn_app_t *app, uint8_t type, request_t request,
                                     reply_t *reply);
grsn_result_t grsn_command_load(grsn_app_t *app, uint8_t type, request_t request, reply_t *reply);

/* Append to a reply. */
void grsn_put8(reply_t *reply, uint32_t value);
void grsn_put16(reply_t *reply, uint32_t value);
void grsn_put32(reply_t *reply, uint32_t value);
void grsn_put_bytes(reply_t *reply, const uint8_t *bytes, uint32_t count);

/* Microseconds, modulo 2^32. */
uint32_t grsn_app_now(void);

#endif
