/* Steps, and how their integers are packed.  SPEC §10.6. */
#include "grsn_app_private.h"
#include "grsn_crc.h"

enum {
    EMPTY_READINGS = 8, /* of the counter, to learn what reading it costs */
    STEP_HEADER = 2,
    STEP_REPLY = 16,
    PROFILE_HEADER = 6,
    QUALITY_SHIFT = 5
};

/* ---- observations and actions on the wire ---- */

/* How integers are packed: SPEC §10.4 "format". */
typedef struct format {
    uint8_t observation; /* bytes of an integer: 1, 2, 4 */
    uint8_t action;
    uint8_t with_state_crc;
    uint8_t quality; /* grsn_observation_t */
} format_t;

static int32_t read_format(uint8_t bits, format_t *format)
{
    const uint8_t observation = bits & 3u, action = (bits >> 2) & 3u;
    format->observation = (uint8_t)(1u << observation);
    format->action = (uint8_t)(1u << action);
    format->with_state_crc = (bits >> 4) & 1u;
    format->quality = (bits >> QUALITY_SHIFT) & 3u;
    return observation < 3 && action < 3 && format->quality < 3 && bits < 0x80u;
}

static int32_t integer(const uint8_t *bytes, uint8_t width)
{
    if (width == 1) {
        return (int8_t)bytes[0];
    }
    return width == 2 ? (int16_t)grsn_link_u16(bytes) : (int32_t)grsn_link_u32(bytes);
}

static void read_observation(grsn_app_t *app, const uint8_t *bytes, uint8_t width)
{
    for (uint32_t i = 0; i < app->engine.model.observation_n; i++) {
        app->observation[i] = integer(bytes + i * width, width);
    }
}

static void put_action(reply_t *reply, const int32_t *action, uint32_t count, uint8_t width)
{
    for (uint32_t i = 0; i < count; i++) {
        if (width == 1) {
            grsn_put8(reply, (uint32_t)action[i]);
        } else if (width == 2) {
            grsn_put16(reply, (uint32_t)action[i] & 0xffffu);
        } else {
            grsn_put32(reply, (uint32_t)action[i]);
        }
    }
}

/* ---- stepping ---- */

/* One step from `observation` to `action`; how far the counter moved. */
static uint32_t timed_step(grsn_app_t *app)
{
    grsn_app_unseal(app);
    grsn_port_mark(1);
    const uint32_t before = grsn_port_cycles();
    grsn_engine_step(&app->engine, app->observation, app->action);
    const uint32_t after = grsn_port_cycles();
    grsn_port_mark(0);
    app->counters.steps++;
    return after - before;
}

static uint32_t state_crc(grsn_app_t *app)
{
    uint8_t *saved = grsn_engine_saved(&app->engine);
    grsn_engine_state_get(&app->engine, saved);
    return grsn_crc32c(0, saved, (size_t)app->engine.model.saved_size);
}

#if GRSN_APP_SUPERVISOR
static uint32_t microseconds(uint32_t counts)
{
    const uint32_t hz = grsn_board.counter_hz;
    return hz == 0 ? 0 : (uint32_t)((uint64_t)counts * 1000000u / hz);
}

/* Damage ends the run: what is damaged is not stepped again. */
static int32_t is_damaged(grsn_app_t *app)
{
    if (grsn_guard_state(&app->guard, &app->engine.model, app->engine.work) != GRSN_OK) {
        grsn_supervisor_report(&app->supervisor, GRSN_CORRUPT);
    }
    return (app->supervisor.conditions & GRSN_CORRUPT) != 0;
}

/* After a step: remember the state, look at the next piece of the image. */
static void guard(grsn_app_t *app)
{
    grsn_guard_seal(&app->guard, &app->engine.model, app->engine.work);
    if (grsn_engine_kind == GRSN_ENGINE_VM &&
        grsn_guard_image(&app->guard, &app->engine.model) != GRSN_OK) {
        grsn_supervisor_report(&app->supervisor, GRSN_CORRUPT);
    }
}

/* One step under supervision; the action that may be given is in `output`. */
static uint32_t supervised_step(grsn_app_t *app, uint8_t quality)
{
    const uint32_t began = grsn_app_now();
    const int32_t steps = quality != GRSN_OBSERVATION_REFUSED && !is_damaged(app);
    uint32_t counts = 0;
    grsn_supervisor_observation(&app->supervisor, &app->config, began,
                                (grsn_observation_t)quality);
    if (steps) {
        counts = timed_step(app);
        const uint32_t clocked = grsn_app_now() - began, counted = microseconds(counts);
        grsn_supervisor_step(&app->supervisor, &app->config,
                             counted > clocked ? counted : clocked);
        guard(app);
    }
    (void)grsn_supervisor_update(&app->supervisor, &app->config, grsn_app_now());
    grsn_supervisor_output(&app->supervisor, &app->config,
                           steps ? app->action : NULL, app->output);
    return counts;
}

static const int32_t *given_action(const grsn_app_t *app)
{
    return grsn_app_is_supervised(app) ? app->output : app->action;
}

static uint32_t supervision(const grsn_app_t *app)
{
    return (uint32_t)app->supervisor.state | (uint32_t)app->supervisor.reaction << 4;
}
#else
static uint32_t supervised_step(grsn_app_t *app, uint8_t quality)
{
    (void)quality;
    return timed_step(app);
}

static const int32_t *given_action(const grsn_app_t *app)
{
    return app->action;
}

static uint32_t supervision(const grsn_app_t *app)
{
    (void)app;
    return 0;
}
#endif

/* A policy on trial is confirmed by its good steps, or given up for one that is not; how that
 * stands after `count` of them. */
static uint32_t trial(grsn_app_t *app, uint32_t count, uint32_t overruns_before)
{
#if GRSN_APP_STORE && GRSN_APP_SUPERVISOR
    const int32_t good = app->supervisor.overruns == overruns_before;
    grsn_store_status_t status = GRSN_STORE_OK;
    for (uint32_t i = 0; i < count && status == GRSN_STORE_OK && app->store.on_trial; i++) {
        status = grsn_store_count(&app->store, good);
    }
    if (status == GRSN_STORE_REVERTED) {
        grsn_app_boot(app);
    }
    return (uint32_t)(app->store.on_trial ? 1 : 0) | (status == GRSN_STORE_CONFIRMED ? 2u : 0u) |
           (status == GRSN_STORE_REVERTED ? 4u : 0u);
#else
    (void)app;
    (void)count;
    (void)overruns_before;
    return 0;
#endif
}

static uint32_t overruns(const grsn_app_t *app)
{
#if GRSN_APP_SUPERVISOR
    return app->supervisor.overruns;
#else
    (void)app;
    return 0;
#endif
}

typedef struct spent {
    uint32_t total;
    uint32_t longest;
} spent_t;

/* Step through `count` observations; actions go behind what the reply holds. */
static spent_t step_all(grsn_app_t *app, const uint8_t *bytes, uint32_t count, format_t format,
                        reply_t *reply)
{
    const uint32_t stride = app->engine.model.observation_n * format.observation;
    spent_t spent = {0, 0};
    for (uint32_t t = 0; t < count; t++) {
        read_observation(app, bytes + t * stride, format.observation);
        const uint32_t counts =
            grsn_app_is_supervised(app) ? supervised_step(app, format.quality) : timed_step(app);
        spent.total += counts;
        spent.longest = counts > spent.longest ? counts : spent.longest;
        put_action(reply, given_action(app), app->engine.model.action_n, format.action);
    }
    return spent;
}

grsn_result_t grsn_command_step(grsn_app_t *app, request_t request, reply_t *reply)
{
    const grsn_result_t refusal = grsn_app_ready(app, reply);
    format_t format;
    if (refusal != GRSN_DONE) {
        return refusal;
    }
    if (request.count < STEP_HEADER || !read_format(request.bytes[1], &format)) {
        return GRSN_REFUSED_MALFORMED;
    }
    const grsn_model_t *model = &app->engine.model;
    const uint32_t count = request.bytes[0];
    if (count == 0 ||
        request.count != STEP_HEADER + count * model->observation_n * format.observation) {
        return GRSN_REFUSED_MALFORMED;
    }
    if (STEP_REPLY + count * model->action_n * format.action > GRSN_LINK_PAYLOAD) {
        return GRSN_REFUSED_TOO_LARGE;
    }
    if (count > 1 && grsn_app_is_supervised(app)) {
        return GRSN_REFUSED_ARMED; /* an observation of the past would get an action too late */
    }
    const uint32_t before = overruns(app);
    reply_t actions = {reply->bytes, STEP_REPLY, 0};
    const spent_t spent =
        step_all(app, request.bytes + STEP_HEADER, count, format, &actions);
    const uint32_t crc = format.with_state_crc ? state_crc(app) : 0;
    grsn_put8(reply, count);
    grsn_put8(reply, supervision(app));
    grsn_put8(reply, trial(app, count, before));
    grsn_put32(reply, spent.total);
    grsn_put32(reply, spent.longest);
    grsn_put32(reply, crc);
    reply->count = actions.count;
    return GRSN_DONE;
}

grsn_result_t grsn_command_reset(grsn_app_t *app, reply_t *reply)
{
    const grsn_result_t refusal = grsn_app_ready(app, reply);
    if (refusal == GRSN_DONE) {
        grsn_engine_reset(&app->engine);
        grsn_app_unseal(app);
    }
    return refusal;
}

grsn_result_t grsn_command_self_test(grsn_app_t *app, reply_t *reply)
{
    if (!grsn_app_is_open(app)) {
        return grsn_app_ready(app, reply);
    }
    if (grsn_app_is_supervised(app)) {
        return GRSN_REFUSED_ARMED;
    }
    grsn_app_test(app);
    grsn_put32(reply, (uint32_t)app->selftest);
    return GRSN_DONE;
}

/* ---- profiling ---- */

/* What two readings of the counter cost by themselves. */
static uint32_t empty_reading(void)
{
    uint32_t least = UINT32_MAX;
    for (uint32_t i = 0; i < EMPTY_READINGS; i++) {
        const uint32_t before = grsn_port_cycles();
        const uint32_t counts = grsn_port_cycles() - before;
        least = counts < least ? counts : least;
    }
    return least;
}

static void put_profile(grsn_app_t *app, const uint8_t *bytes, uint32_t kept, uint32_t steps,
                        uint8_t width, reply_t *reply)
{
    const uint32_t stride = app->engine.model.observation_n * width;
    uint32_t least = UINT32_MAX, most = 0, low = 0, high = 0, at = 0;
    for (uint32_t t = 0; t < steps; t++) {
        read_observation(app, bytes + at * stride, width);
        at = at + 1 < kept ? at + 1 : 0;
        const uint32_t counts = timed_step(app);
        least = counts < least ? counts : least;
        most = counts > most ? counts : most;
        low += counts;
        high += low < counts ? 1u : 0u;
    }
    grsn_put32(reply, steps);
    grsn_put32(reply, least);
    grsn_put32(reply, most);
    grsn_put32(reply, low);
    grsn_put32(reply, high);
    grsn_put32(reply, empty_reading());
}

grsn_result_t grsn_command_profile(grsn_app_t *app, request_t request, reply_t *reply)
{
    const grsn_result_t refusal = grsn_app_ready(app, reply);
    format_t format;
    if (refusal != GRSN_DONE) {
        return refusal;
    }
    if (request.count < PROFILE_HEADER || !read_format(request.bytes[0], &format)) {
        return GRSN_REFUSED_MALFORMED;
    }
    const uint32_t kept = request.bytes[1], steps = grsn_link_u32(request.bytes + 2);
    const uint32_t size = kept * app->engine.model.observation_n * format.observation;
    if (kept == 0 || steps == 0 || steps > UINT16_MAX || request.count != PROFILE_HEADER + size) {
        return GRSN_REFUSED_MALFORMED;
    }
    if (grsn_app_is_supervised(app)) {
        return GRSN_REFUSED_ARMED;
    }
    put_profile(app, request.bytes + PROFILE_HEADER, kept, steps, format.observation, reply);
    return GRSN_DONE;
}
