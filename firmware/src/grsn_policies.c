/* Which policy runs, under which supervision, and how another takes its place: SPEC §10.7, §11. */
#include "grsn_app_private.h"

/* ---- the policy ---- */

int32_t grsn_app_is_open(const grsn_app_t *app)
{
    return app->engine.model.image != NULL;
}

/* The first bytes of the model hash stand before frames that only its host may send. */
static void sign_contract(grsn_app_t *app)
{
    for (uint32_t i = 0; i < GRSN_LINK_CONTRACT; i++) {
        app->link.contract[i] = grsn_app_is_open(app) ? grsn_engine_hash(&app->engine)[i] : 0;
    }
}

#if GRSN_APP_SUPERVISOR
int32_t grsn_app_is_supervised(const grsn_app_t *app)
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
void grsn_app_unseal(grsn_app_t *app)
{
    app->guard.is_sealed = 0;
}

static void begin_supervision(grsn_app_t *app)
{
    const grsn_model_t *model = &app->engine.model;
    grsn_guard_init(&app->guard);
    grsn_supervisor_init(&app->supervisor, grsn_app_now());
    grsn_supervisor_config_default(model->period_us, model->action_n, &app->config);
    if (grsn_app_is_open(app)) {
        read_section(app);
    }
    for (uint32_t i = 0; i < GRSN_APP_ACTION; i++) {
        app->output[i] = 0;
    }
    if (!grsn_app_is_open(app)) {
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
int32_t grsn_app_is_supervised(const grsn_app_t *app)
{
    (void)app;
    return 0;
}

void grsn_app_unseal(grsn_app_t *app)
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
    if (grsn_app_is_open(app)) {
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
grsn_result_t grsn_app_ready(const grsn_app_t *app, reply_t *reply)
{
    if (!grsn_app_is_open(app)) {
        reply->detail = app->refusal;
        return GRSN_REFUSED_NO_MODEL;
    }
    reply->detail = app->selftest;
    return app->selftest >= 0 ? GRSN_REFUSED_SELFTEST : GRSN_DONE;
}

/* ---- the supervisor ---- */

#if GRSN_APP_SUPERVISOR
/* The section is read where it is, and stays there. */
static grsn_result_t configure(grsn_app_t *app, request_t request, reply_t *reply)
{
    const grsn_result_t refusal = grsn_app_ready(app, reply);
    grsn_supervisor_config_t sound;
    if (refusal != GRSN_DONE) {
        return refusal;
    }
    if (grsn_app_is_supervised(app)) {
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
    grsn_put8(reply, now->state);
    grsn_put8(reply, now->reaction);
    grsn_put8(reply, now->overrun_run);
    grsn_put8(reply, now->invalid_run);
    grsn_put16(reply, now->conditions);
    grsn_put16(reply, now->reasons);
    grsn_put32(reply, now->steps);
    grsn_put32(reply, now->input_us);
    grsn_put16(reply, now->overruns);
    grsn_put16(reply, now->invalid);
    grsn_put16(reply, now->holds);
    grsn_put16(reply, now->safes);
    grsn_put16(reply, now->clipped);
    grsn_put16(reply, now->slewed);
    grsn_put32(reply, now->longest_us);
}

static grsn_result_t arm(grsn_app_t *app, reply_t *reply)
{
    const grsn_result_t refusal = grsn_app_ready(app, reply);
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

grsn_result_t grsn_command_supervise(grsn_app_t *app, uint8_t type, request_t request,
                                     reply_t *reply)
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
grsn_result_t grsn_command_supervise(grsn_app_t *app, uint8_t type, request_t request,
                                     reply_t *reply)
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
    grsn_put8(reply, (uint32_t)(app->store.active + 1));
    grsn_put8(reply, (uint32_t)(app->store.target + 1));
    grsn_put8(reply, app->store.on_trial);
    grsn_put32(reply, app->store.size);
    grsn_put32(reply, app->store.received);
    grsn_put32(reply, app->loading_crc);
    grsn_put32(reply, app->store.good_left);
    grsn_put32(reply, grsn_store_capacity());
}

static grsn_store_status_t activate(grsn_app_t *app, request_t request)
{
    const grsn_store_status_t status =
        grsn_store_activate(&app->store, grsn_link_u32(request.bytes), &app->engine.model,
                            app->engine.work, sizeof app->engine.work);
    if (status == GRSN_STORE_OK) {
        open_or_refuse(app, grsn_engine_adopt(&app->engine));
    } else if (grsn_app_is_open(app)) {
        grsn_engine_reset(&app->engine); /* the golden vectors ran in its memory */
        grsn_app_unseal(app);
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

grsn_result_t grsn_command_load(grsn_app_t *app, uint8_t type, request_t request, reply_t *reply)
{
    if (!load_is_well_formed(type, request.count)) {
        return GRSN_REFUSED_MALFORMED;
    }
    if (grsn_app_is_supervised(app) && type != GRSN_LOAD_STATUS) {
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
grsn_result_t grsn_command_load(grsn_app_t *app, uint8_t type, request_t request, reply_t *reply)
{
    (void)app;
    (void)type;
    (void)request;
    (void)reply;
    return GRSN_REFUSED_UNKNOWN;
}
#endif
