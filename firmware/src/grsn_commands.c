/* What each command does; payloads are laid out in docs/SPEC.md §10. */
#include "grsn_app_private.h"
#include "grsn_crc.h"

enum {
    BOARD_NAME = 16,
    EMPTY_READINGS = 8, /* of the counter, to learn what reading it costs */
    STEP_HEADER = 2,
    STEP_REPLY = 16,
    PROFILE_HEADER = 6,
    QUALITY_SHIFT = 5
};

/* ---- writing a reply ---- */

static void put8(reply_t *reply, uint32_t value)
{
    reply->bytes[reply->count] = (uint8_t)(value & 0xffu);
    reply->count++;
}

static void put16(reply_t *reply, uint32_t value)
{
    grsn_link_put_u16(reply->bytes + reply->count, value);
    reply->count += 2;
}

static void put32(reply_t *reply, uint32_t value)
{
    grsn_link_put_u32(reply->bytes + reply->count, value);
    reply->count += 4;
}

static void put_bytes(reply_t *reply, const uint8_t *bytes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        put8(reply, bytes[i]);
    }
}

/* ---- the policy ---- */

static int32_t is_open(const grsn_app_t *app)
{
    return app->engine.model.image != NULL;
}

/* The first bytes of the model hash stand before frames that only its host may send. */
static void sign_contract(grsn_app_t *app)
{
    for (uint32_t i = 0; i < GRSN_LINK_CONTRACT; i++) {
        app->link.contract[i] = is_open(app) ? grsn_engine_hash(&app->engine)[i] : 0;
    }
}

#if GRSN_APP_SUPERVISOR
static int32_t is_supervised(const grsn_app_t *app)
{
    return app->supervisor.state >= GRSN_ARMED;
}

/* Read a supervisor section, and take it if it is one for actions like this policy's. */
static int32_t take_section(grsn_app_t *app, const uint8_t *section, uint32_t size)
{
    const uint32_t actions = app->engine.model.action_n;
    grsn_supervisor_config_t config;
    if (grsn_supervisor_config_read(section, size, &config) != 0 ||
        (config.is_discrete ? actions != 1 : config.n != actions)) {
        return -1;
    }
    app->config = config;
    return 0;
}

/* The policy's own limits and time-outs, where its image has them; it is not run where they cannot
 * be read. */
static void read_section(grsn_app_t *app)
{
    uint32_t size = 0;
    const uint8_t *section = grsn_engine_supervisor(&app->engine, &size);
    if (section != NULL && take_section(app, section, size) != 0) {
        app->refusal = GRSN_ERROR_FORMAT;
        app->engine.model.image = NULL;
    }
}

/* The state changes otherwise than by a supervised step. */
static void unseal(grsn_app_t *app)
{
    app->guard.is_sealed = 0;
}

static void begin_supervision(grsn_app_t *app)
{
    const grsn_model_t *model = &app->engine.model;
    grsn_guard_init(&app->guard);
    grsn_supervisor_init(&app->supervisor, grsn_app_now());
    grsn_supervisor_config_default(model->period_us, model->action_n, &app->config);
    if (is_open(app)) {
        read_section(app);
    }
    for (uint32_t i = 0; i < GRSN_APP_ACTION; i++) {
        app->output[i] = 0;
    }
    if (!is_open(app)) {
        return; /* untested, as after the start */
    }
    if (app->selftest < 0) {
        grsn_supervisor_clear(&app->supervisor, GRSN_UNTESTED);
    } else {
        grsn_supervisor_report(&app->supervisor, GRSN_SELFTEST_FAILED);
    }
    for (uint32_t i = 0; i < 2; i++) { /* from boot over the self-test to idle, or to safe */
        (void)grsn_supervisor_update(&app->supervisor, &app->config, grsn_app_now());
    }
}
#else
static int32_t is_supervised(const grsn_app_t *app)
{
    (void)app;
    return 0;
}

static void unseal(grsn_app_t *app)
{
    (void)app;
}

static void begin_supervision(grsn_app_t *app)
{
    (void)app;
}
#endif

void grsn_app_test(grsn_app_t *app)
{
    app->staged = 0;
    app->selftest = -1;
    if (is_open(app)) {
        app->selftest = grsn_engine_selftest(&app->engine);
        grsn_engine_reset(&app->engine);
    }
    begin_supervision(app);
    sign_contract(app);
}

/* A policy whose vectors do not fit the application's arrays is not run. */
static void open_or_refuse(grsn_app_t *app, grsn_status_t status)
{
    const grsn_model_t *model = &app->engine.model;
    app->refusal = status;
    if (status == GRSN_OK && (model->observation_n > GRSN_APP_OBSERVATION ||
                              model->action_n > GRSN_APP_ACTION)) {
        app->engine.model.image = NULL;
        app->refusal = GRSN_ERROR_STATE;
    }
    grsn_app_test(app);
}

void grsn_app_boot(grsn_app_t *app)
{
    uint32_t size = 0;
#if GRSN_APP_STORE
    app->loading_crc = 0;
    if (grsn_store_boot(&app->store, &app->engine.model, app->engine.work,
                        sizeof app->engine.work) == GRSN_STORE_OK) {
        open_or_refuse(app, grsn_engine_adopt(&app->engine));
        return;
    }
#endif
    const uint8_t *image = grsn_builtin_image(&size);
    open_or_refuse(app, grsn_engine_open(&app->engine, image, size));
}

/* Whether the policy may be stepped. */
static grsn_result_t ready(const grsn_app_t *app, reply_t *reply)
{
    if (!is_open(app)) {
        reply->detail = app->refusal;
        return GRSN_REFUSED_NO_MODEL;
    }
    reply->detail = app->selftest;
    return app->selftest >= 0 ? GRSN_REFUSED_SELFTEST : GRSN_DONE;
}

/* ---- information ---- */

static void info_board(reply_t *reply)
{
    const uint16_t probe = 1;
    uint32_t n = 0;
    for (; n < BOARD_NAME && grsn_board.name[n] != '\0'; n++) {
        put8(reply, (uint8_t)grsn_board.name[n]);
    }
    for (; n < BOARD_NAME; n++) {
        put8(reply, 0);
    }
    put8(reply, GRSN_LIBRARY_MAJOR);
    put8(reply, GRSN_LIBRARY_MINOR);
    put8(reply, GRSN_LIBRARY_PATCH);
    put8(reply, *(const uint8_t *)&probe == 1 ? 1 : 2); /* byte order: little, big */
    put8(reply, grsn_engine_kind);
    put8(reply, grsn_board.counter_kind);
    put32(reply, grsn_board.counter_hz);
    put8(reply, GRSN_APP_STORE ? grsn_board.slots : 0);
    put8(reply, GRSN_APP_SUPERVISOR);
    put32(reply, grsn_board.slot_size);
    put32(reply, grsn_board.write_size);
    put32(reply, grsn_port_milliseconds());
}

static void info_model(grsn_app_t *app, reply_t *reply)
{
    const grsn_model_t *model = &app->engine.model;
    put8(reply, is_open(app) ? 1 : 0);
    put32(reply, (uint32_t)(is_open(app) ? app->selftest : app->refusal));
    if (is_open(app)) {
        put_bytes(reply, grsn_engine_hash(&app->engine), GRSN_HASH_SIZE);
        put16(reply, model->observation_n);
        put16(reply, model->action_n);
        put32(reply, model->saved_size);
        put32(reply, model->period_us);
        put32(reply, model->image_size);
        put16(reply, model->golden_steps);
    }
}

static void info_counters(const grsn_app_t *app, reply_t *reply)
{
    const grsn_link_counters_t *link = &app->link.counters;
    put32(reply, link->good);
    put32(reply, link->cut);
    put32(reply, link->too_long);
    put32(reply, link->checksum);
    put32(reply, link->malformed);
    put32(reply, link->version);
    put32(reply, app->counters.foreign);
    put32(reply, app->counters.duplicates);
    put32(reply, app->counters.stale);
    put32(reply, app->counters.missing);
    put32(reply, app->counters.steps);
}

static grsn_result_t info(grsn_app_t *app, request_t request, reply_t *reply)
{
    if (request.count != 1 || request.bytes[0] > 2) {
        return GRSN_REFUSED_MALFORMED;
    }
    put8(reply, request.bytes[0]);
    if (request.bytes[0] == 0) {
        info_board(reply);
    } else if (request.bytes[0] == 1) {
        info_model(app, reply);
    } else {
        info_counters(app, reply);
    }
    return GRSN_DONE;
}

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
            put8(reply, (uint32_t)action[i]);
        } else if (width == 2) {
            put16(reply, (uint32_t)action[i] & 0xffffu);
        } else {
            put32(reply, (uint32_t)action[i]);
        }
    }
}

/* ---- stepping ---- */

/* One step from `observation` to `action`; how far the counter moved. */
static uint32_t timed_step(grsn_app_t *app)
{
    unseal(app);
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
    return is_supervised(app) ? app->output : app->action;
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
            is_supervised(app) ? supervised_step(app, format.quality) : timed_step(app);
        spent.total += counts;
        spent.longest = counts > spent.longest ? counts : spent.longest;
        put_action(reply, given_action(app), app->engine.model.action_n, format.action);
    }
    return spent;
}

static grsn_result_t step(grsn_app_t *app, request_t request, reply_t *reply)
{
    const grsn_result_t refusal = ready(app, reply);
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
    if (count > 1 && is_supervised(app)) {
        return GRSN_REFUSED_ARMED; /* an observation of the past would get an action too late */
    }
    const uint32_t before = overruns(app);
    reply_t actions = {reply->bytes, STEP_REPLY, 0};
    const spent_t spent =
        step_all(app, request.bytes + STEP_HEADER, count, format, &actions);
    const uint32_t crc = format.with_state_crc ? state_crc(app) : 0;
    put8(reply, count);
    put8(reply, supervision(app));
    put8(reply, trial(app, count, before));
    put32(reply, spent.total);
    put32(reply, spent.longest);
    put32(reply, crc);
    reply->count = actions.count;
    return GRSN_DONE;
}

static grsn_result_t reset_state(grsn_app_t *app, reply_t *reply)
{
    const grsn_result_t refusal = ready(app, reply);
    if (refusal == GRSN_DONE) {
        grsn_engine_reset(&app->engine);
        unseal(app);
    }
    return refusal;
}

static grsn_result_t self_test(grsn_app_t *app, reply_t *reply)
{
    if (!is_open(app)) {
        return ready(app, reply);
    }
    if (is_supervised(app)) {
        return GRSN_REFUSED_ARMED;
    }
    grsn_app_test(app);
    put32(reply, (uint32_t)app->selftest);
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
    put32(reply, steps);
    put32(reply, least);
    put32(reply, most);
    put32(reply, low);
    put32(reply, high);
    put32(reply, empty_reading());
}

static grsn_result_t profile(grsn_app_t *app, request_t request, reply_t *reply)
{
    const grsn_result_t refusal = ready(app, reply);
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
    if (is_supervised(app)) {
        return GRSN_REFUSED_ARMED;
    }
    put_profile(app, request.bytes + PROFILE_HEADER, kept, steps, format.observation, reply);
    return GRSN_DONE;
}

/* ---- state ---- */

static grsn_result_t state_get(grsn_app_t *app, request_t request, reply_t *reply)
{
    const grsn_result_t refusal = ready(app, reply);
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
    put32(reply, size);
    put_bytes(reply, saved + offset, count);
    return GRSN_DONE;
}

/* Pieces come in order, with no other command between them; the last one sets the state. */
static grsn_result_t state_set(grsn_app_t *app, request_t request, uint32_t staged, reply_t *reply)
{
    const grsn_result_t refusal = ready(app, reply);
    if (refusal != GRSN_DONE) {
        return refusal;
    }
    if (is_supervised(app)) {
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
    unseal(app);
    return reply->detail == GRSN_OK ? GRSN_DONE : GRSN_REFUSED_STATE;
}

/* ---- the supervisor ---- */

#if GRSN_APP_SUPERVISOR
/* The section is read where it is, and stays there. */
static grsn_result_t configure(grsn_app_t *app, request_t request, reply_t *reply)
{
    const grsn_result_t refusal = ready(app, reply);
    grsn_supervisor_config_t sound;
    if (refusal != GRSN_DONE) {
        return refusal;
    }
    if (is_supervised(app)) {
        return GRSN_REFUSED_ARMED;
    }
    if (request.count > GRSN_APP_CONFIG ||
        grsn_supervisor_config_read(request.bytes, request.count, &sound) != 0) {
        return GRSN_REFUSED_MALFORMED;
    }
    for (uint32_t i = 0; i < request.count; i++) {
        app->section[i] = request.bytes[i];
    }
    return take_section(app, app->section, request.count) == 0 ? GRSN_DONE
                                                               : GRSN_REFUSED_MALFORMED;
}

static void put_status(const grsn_app_t *app, reply_t *reply)
{
    const grsn_supervisor_t *now = &app->supervisor;
    put8(reply, now->state);
    put8(reply, now->reaction);
    put8(reply, now->overrun_run);
    put8(reply, now->invalid_run);
    put16(reply, now->conditions);
    put16(reply, now->reasons);
    put32(reply, now->steps);
    put32(reply, now->input_us);
    put16(reply, now->overruns);
    put16(reply, now->invalid);
    put16(reply, now->holds);
    put16(reply, now->safes);
    put16(reply, now->clipped);
    put16(reply, now->slewed);
    put32(reply, now->longest_us);
}

static grsn_result_t arm(grsn_app_t *app, reply_t *reply)
{
    const grsn_result_t refusal = ready(app, reply);
    if (refusal != GRSN_DONE) {
        return refusal;
    }
    grsn_supervisor_safe(&app->config, app->output);
    if (grsn_supervisor_arm(&app->supervisor, &app->config, grsn_app_now()) != GRSN_ARMED) {
        reply->detail = app->supervisor.conditions;
        return GRSN_REFUSED_ARM;
    }
    put_status(app, reply);
    return GRSN_DONE;
}

static grsn_result_t supervise(grsn_app_t *app, uint8_t type, request_t request, reply_t *reply)
{
    if (type == GRSN_CONFIGURE) {
        return configure(app, request, reply);
    }
    if (request.count != 0) {
        return GRSN_REFUSED_MALFORMED;
    }
    if (type == GRSN_ARM_POLICY) {
        return arm(app, reply);
    }
    if (type == GRSN_DISARM_POLICY) {
        (void)grsn_supervisor_disarm(&app->supervisor, &app->config, grsn_app_now());
    }
    put_status(app, reply);
    return GRSN_DONE;
}
#else
static grsn_result_t supervise(grsn_app_t *app, uint8_t type, request_t request, reply_t *reply)
{
    (void)app;
    (void)type;
    (void)request;
    (void)reply;
    return GRSN_REFUSED_UNKNOWN;
}
#endif

/* ---- model slots ---- */

#if GRSN_APP_STORE
static void put_loading(const grsn_app_t *app, reply_t *reply)
{
    put8(reply, (uint32_t)(app->store.active + 1));
    put8(reply, (uint32_t)(app->store.target + 1));
    put8(reply, app->store.on_trial);
    put32(reply, app->store.size);
    put32(reply, app->store.received);
    put32(reply, app->loading_crc);
    put32(reply, app->store.good_left);
    put32(reply, grsn_store_capacity());
}

static grsn_store_status_t activate(grsn_app_t *app, request_t request)
{
    const grsn_store_status_t status =
        grsn_store_activate(&app->store, grsn_link_u32(request.bytes), &app->engine.model,
                            app->engine.work, sizeof app->engine.work);
    if (status == GRSN_STORE_OK) {
        open_or_refuse(app, grsn_engine_adopt(&app->engine));
    } else if (is_open(app)) {
        grsn_engine_reset(&app->engine); /* the golden vectors ran in its memory */
        unseal(app);
    }
    return status;
}

static int32_t load_is_well_formed(uint8_t type, uint32_t count)
{
    if (type == GRSN_LOAD_BEGIN) {
        return count == 8 + GRSN_HASH_SIZE;
    }
    if (type == GRSN_LOAD_WRITE) {
        return count > 4;
    }
    return count == (type == GRSN_LOAD_ACTIVATE ? 4u : 0u);
}

static grsn_store_status_t store_command(grsn_app_t *app, uint8_t type, request_t request)
{
    switch (type) {
    case GRSN_LOAD_BEGIN:
        app->loading_crc = grsn_link_u32(request.bytes + 4);
        return grsn_store_begin(&app->store, grsn_link_u32(request.bytes), app->loading_crc,
                                request.bytes + 8);
    case GRSN_LOAD_WRITE:
        return grsn_store_write(&app->store, grsn_link_u32(request.bytes), request.bytes + 4,
                                request.count - 4);
    case GRSN_LOAD_ACTIVATE:
        return activate(app, request);
    case GRSN_LOAD_CONFIRM:
        return grsn_store_confirm(&app->store);
    case GRSN_LOAD_REVERT:
        return grsn_store_revert(&app->store);
    default:
        return GRSN_STORE_OK;
    }
}

static grsn_result_t load(grsn_app_t *app, uint8_t type, request_t request, reply_t *reply)
{
    if (!load_is_well_formed(type, request.count)) {
        return GRSN_REFUSED_MALFORMED;
    }
    if (is_supervised(app) && type != GRSN_LOAD_STATUS) {
        return GRSN_REFUSED_ARMED;
    }
    const grsn_store_status_t status = store_command(app, type, request);
    if (status == GRSN_STORE_REVERTED) {
        grsn_app_boot(app);
    } else if (status < GRSN_STORE_OK) {
        reply->detail = status;
        return GRSN_REFUSED_STORE;
    }
    put_loading(app, reply);
    return GRSN_DONE;
}
#else
static grsn_result_t load(grsn_app_t *app, uint8_t type, request_t request, reply_t *reply)
{
    (void)app;
    (void)type;
    (void)request;
    (void)reply;
    return GRSN_REFUSED_UNKNOWN;
}
#endif

/* ---- dispatch ---- */

grsn_result_t grsn_app_command(grsn_app_t *app, uint8_t type, request_t request, reply_t *reply)
{
    const uint32_t staged = app->staged;
    app->staged = 0;
    switch (type) {
    case GRSN_INFO:
        return info(app, request, reply);
    case GRSN_RESET_STATE:
        return request.count == 0 ? reset_state(app, reply) : GRSN_REFUSED_MALFORMED;
    case GRSN_STEP:
        return step(app, request, reply);
    case GRSN_STATE_GET:
        return state_get(app, request, reply);
    case GRSN_STATE_SET:
        return state_set(app, request, staged, reply);
    case GRSN_PROFILE:
        return profile(app, request, reply);
    case GRSN_SELF_TEST:
        return request.count == 0 ? self_test(app, reply) : GRSN_REFUSED_MALFORMED;
    case GRSN_CONFIGURE:
    case GRSN_ARM_POLICY:
    case GRSN_DISARM_POLICY:
    case GRSN_STATUS:
        return supervise(app, type, request, reply);
    case GRSN_LOAD_BEGIN:
    case GRSN_LOAD_WRITE:
    case GRSN_LOAD_STATUS:
    case GRSN_LOAD_ACTIVATE:
    case GRSN_LOAD_CONFIRM:
    case GRSN_LOAD_REVERT:
        return load(app, type, request, reply);
    default:
        return GRSN_REFUSED_UNKNOWN;
    }
}
