/* Commands of every kind: information, state, and the way to the others.  SPEC §10.4. */
#include "grsn_app_private.h"

enum { BOARD_NAME = 16 };

/* ---- writing a reply ---- */

void grsn_put8(reply_t *reply, uint32_t value)
{
    reply->bytes[reply->count] = (uint8_t)(value & 0xffu);
    reply->count++;
}

void grsn_put16(reply_t *reply, uint32_t value)
{
    grsn_link_put_u16(reply->bytes + reply->count, value);
    reply->count += 2;
}

void grsn_put32(reply_t *reply, uint32_t value)
{
    grsn_link_put_u32(reply->bytes + reply->count, value);
    reply->count += 4;
}

void grsn_put_bytes(reply_t *reply, const uint8_t *bytes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        grsn_put8(reply, bytes[i]);
    }
}

/* ---- information ---- */

static void info_board(reply_t *reply)
{
    const uint16_t probe = 1;
    uint32_t n = 0;
    for (; n < BOARD_NAME && grsn_board.name[n] != '\0'; n++) {
        grsn_put8(reply, (uint8_t)grsn_board.name[n]);
    }
    for (; n < BOARD_NAME; n++) {
        grsn_put8(reply, 0);
    }
    grsn_put8(reply, GRSN_LIBRARY_MAJOR);
    grsn_put8(reply, GRSN_LIBRARY_MINOR);
    grsn_put8(reply, GRSN_LIBRARY_PATCH);
    grsn_put8(reply, *(const uint8_t *)&probe == 1 ? 1 : 2); /* byte order: little, big */
    grsn_put8(reply, grsn_engine_kind);
    grsn_put8(reply, grsn_board.counter_kind);
    grsn_put32(reply, grsn_board.counter_hz);
    grsn_put8(reply, GRSN_APP_STORE ? grsn_board.slots : 0);
    grsn_put8(reply, GRSN_APP_SUPERVISOR);
    grsn_put32(reply, grsn_board.slot_size);
    grsn_put32(reply, grsn_board.write_size);
    grsn_put32(reply, grsn_port_milliseconds());
}

static void info_model(grsn_app_t *app, reply_t *reply)
{
    const grsn_model_t *model = &app->engine.model;
    grsn_put8(reply, grsn_app_is_open(app) ? 1 : 0);
    grsn_put32(reply, (uint32_t)(grsn_app_is_open(app) ? app->selftest : app->refusal));
    if (grsn_app_is_open(app)) {
        grsn_put_bytes(reply, grsn_engine_hash(&app->engine), GRSN_HASH_SIZE);
        grsn_put16(reply, model->observation_n);
        grsn_put16(reply, model->action_n);
        grsn_put32(reply, model->saved_size);
        grsn_put32(reply, model->period_us);
        grsn_put32(reply, model->image_size);
        grsn_put16(reply, model->golden_steps);
    }
}

static void info_counters(const grsn_app_t *app, reply_t *reply)
{
    const grsn_link_counters_t *link = &app->link.counters;
    grsn_put32(reply, link->good);
    grsn_put32(reply, link->cut);
    grsn_put32(reply, link->too_long);
    grsn_put32(reply, link->checksum);
    grsn_put32(reply, link->malformed);
    grsn_put32(reply, link->version);
    grsn_put32(reply, app->counters.foreign);
    grsn_put32(reply, app->counters.duplicates);
    grsn_put32(reply, app->counters.stale);
    grsn_put32(reply, app->counters.missing);
    grsn_put32(reply, app->counters.steps);
}

/* A piece of the text, from an offset on. */
static grsn_result_t info_text(const grsn_app_t *app, request_t request, reply_t *reply)
{
    const uint32_t room = GRSN_LINK_PAYLOAD - 6u, offset = grsn_link_u32(request.bytes + 1);
    const uint8_t *text = NULL;
    uint32_t size = 0;
    if (grsn_app_is_open(app)) {
        text = grsn_engine_text(&app->engine, &size);
    }
    if (offset > size) {
        return GRSN_REFUSED_MALFORMED;
    }
    grsn_put8(reply, request.bytes[0]);
    grsn_put32(reply, size);
    for (uint32_t i = offset; i < size && i - offset < room; i++) {
        grsn_put8(reply, text[i]);
    }
    return GRSN_DONE;
}

static grsn_result_t info(grsn_app_t *app, request_t request, reply_t *reply)
{
    if (request.count == 5 && request.bytes[0] == 3) {
        return info_text(app, request, reply);
    }
    if (request.count != 1 || request.bytes[0] > 2) {
        return GRSN_REFUSED_MALFORMED;
    }
    grsn_put8(reply, request.bytes[0]);
    if (request.bytes[0] == 0) {
        info_board(reply);
    } else if (request.bytes[0] == 1) {
        info_model(app, reply);
    } else {
        info_counters(app, reply);
    }
    return GRSN_DONE;
}

/* ---- state ---- */

static grsn_result_t state_get(grsn_app_t *app, request_t request, reply_t *reply)
{
    const grsn_result_t refusal = grsn_app_ready(app, reply);
    if (refusal != GRSN_DONE) {
        return refusal;
    }
    const uint32_t size = app->engine.model.saved_size;
    if (request.count != 6) {
        return GRSN_REFUSED_MALFORMED;
    }
    const uint32_t offset = grsn_link_u32(request.bytes), count = grsn_link_u16(request.bytes + 4);
    if (offset > size || count > size - offset) {
        return GRSN_REFUSED_MALFORMED;
    }
    if (count > GRSN_LINK_PAYLOAD - 5u) {
        return GRSN_REFUSED_TOO_LARGE;
    }
    uint8_t *saved = grsn_engine_saved(&app->engine);
    grsn_engine_state_get(&app->engine, saved);
    grsn_put32(reply, size);
    grsn_put_bytes(reply, saved + offset, count);
    return GRSN_DONE;
}

/* Pieces come in order, with no other command between them; the last one sets the state. */
static grsn_result_t state_set(grsn_app_t *app, request_t request, uint32_t staged, reply_t *reply)
{
    const grsn_result_t refusal = grsn_app_ready(app, reply);
    if (refusal != GRSN_DONE) {
        return refusal;
    }
    if (grsn_app_is_supervised(app)) {
        return GRSN_REFUSED_ARMED;
    }
    const uint32_t size = app->engine.model.saved_size;
    if (request.count < 4) {
        return GRSN_REFUSED_MALFORMED;
    }
    const uint32_t offset = grsn_link_u32(request.bytes), count = request.count - 4;
    if ((offset != 0 && offset != staged) || offset > size || count > size - offset) {
        return GRSN_REFUSED_MALFORMED;
    }
    uint8_t *saved = grsn_engine_saved(&app->engine);
    for (uint32_t i = 0; i < count; i++) {
        saved[offset + i] = request.bytes[4 + i];
    }
    app->staged = offset + count;
    if (app->staged < size) {
        return GRSN_DONE;
    }
    app->staged = 0;
    reply->detail = grsn_engine_state_set(&app->engine, saved, size);
    grsn_app_unseal(app);
    return reply->detail == GRSN_OK ? GRSN_DONE : GRSN_REFUSED_STATE;
}

/* ---- dispatch ---- */

grsn_result_t grsn_app_command(grsn_app_t *app, uint8_t type, request_t request, reply_t *reply)
{
    const uint32_t staged = app->staged;
    app->staged = 0;
    switch (type) {
    case GRSN_INFO:
        return info(app, request, reply);
    case GRSN_RESET_STATE:
        return request.count == 0 ? grsn_command_reset(app, reply) : GRSN_REFUSED_MALFORMED;
    case GRSN_STEP:
        return grsn_command_step(app, request, reply);
    case GRSN_STATE_GET:
        return state_get(app, request, reply);
    case GRSN_STATE_SET:
        return state_set(app, request, staged, reply);
    case GRSN_PROFILE:
        return grsn_command_profile(app, request, reply);
    case GRSN_SELF_TEST:
        return request.count == 0 ? grsn_command_self_test(app, reply) : GRSN_REFUSED_MALFORMED;
    case GRSN_CONFIGURE:
    case GRSN_ARM_POLICY:
    case GRSN_DISARM_POLICY:
    case GRSN_STATUS:
        return grsn_command_supervise(app, type, request, reply);
    case GRSN_LOAD_BEGIN:
    case GRSN_LOAD_WRITE:
    case GRSN_LOAD_STATUS:
    case GRSN_LOAD_ACTIVATE:
    case GRSN_LOAD_CONFIRM:
    case GRSN_LOAD_REVERT:
        return grsn_command_load(app, type, request, reply);
    default:
        return GRSN_REFUSED_UNKNOWN;
    }
}
