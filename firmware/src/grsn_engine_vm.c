#include "grsn_engine.h"

const uint8_t grsn_engine_kind = GRSN_ENGINE_VM;

static uint32_t words(uint32_t bytes)
{
    return (bytes + 3u) / 4u;
}

/* Scratch memory lies behind the state; a saved state uses it between two steps. */
static uint32_t *scratch(grsn_engine_t *engine)
{
    return engine->work + words(engine->model.state_size);
}

grsn_status_t grsn_engine_adopt(grsn_engine_t *engine)
{
    const grsn_model_t *model = &engine->model;
    const uint32_t beside =
        model->scratch_size > model->saved_size ? model->scratch_size : model->saved_size;
    const uint32_t room = GRSN_ENGINE_WORK / 4;
    if (model->state_size > GRSN_ENGINE_WORK || beside > GRSN_ENGINE_WORK ||
        words(model->state_size) + words(beside) > room) {
        engine->model.image = NULL;
        return GRSN_ERROR_STATE;
    }
    grsn_engine_reset(engine);
    return GRSN_OK;
}

grsn_status_t grsn_engine_open(grsn_engine_t *engine, const uint8_t *image, uint32_t size)
{
    const grsn_status_t status =
        image == NULL ? GRSN_ERROR_TRUNCATED : grsn_open(&engine->model, image, size);
    if (status != GRSN_OK) {
        engine->model.image = NULL;
        return status;
    }
    return grsn_engine_adopt(engine);
}

void grsn_engine_reset(grsn_engine_t *engine)
{
    grsn_reset(&engine->model, engine->work);
}

void grsn_engine_step(grsn_engine_t *engine, const int32_t *observation, int32_t *action)
{
    grsn_step(&engine->model, engine->work, scratch(engine), observation, action);
}

void grsn_engine_state_get(grsn_engine_t *engine, uint8_t *saved)
{
    grsn_state_get(&engine->model, engine->work, saved);
}

grsn_status_t grsn_engine_state_set(grsn_engine_t *engine, const uint8_t *saved, uint32_t size)
{
    return grsn_state_set(&engine->model, engine->work, saved, size);
}

int32_t grsn_engine_selftest(grsn_engine_t *engine)
{
    return grsn_selftest(&engine->model, engine->work, scratch(engine));
}

uint8_t *grsn_engine_saved(grsn_engine_t *engine)
{
    return (uint8_t *)scratch(engine);
}

const uint8_t *grsn_engine_hash(const grsn_engine_t *engine)
{
    return grsn_model_hash(&engine->model);
}

const uint8_t *grsn_engine_text(const grsn_engine_t *engine, uint32_t *size)
{
    *size = 0;
    return grsn_section(&engine->model, GRSN_SECTION_TEXT, size);
}

const uint8_t *grsn_engine_supervisor(const grsn_engine_t *engine, uint32_t *size)
{
    *size = 0;
    return grsn_section(&engine->model, GRSN_SECTION_SUPERVISOR, size);
}
