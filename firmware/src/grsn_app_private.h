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

/* Microseconds, modulo 2^32. */
uint32_t grsn_app_now(void);

#endif
