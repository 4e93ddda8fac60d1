/* grsn_supervisor.c: docs/SPEC.md §11. */
#include "grsn_supervisor.h"

#include <string.h>

typedef char grsn_supervisor_is_32_bytes[sizeof(grsn_supervisor_t) == 32 ? 1 : -1];

/* ---- the table ------------------------------------------------------------------------------- */

/* An entry: a reaction and a next state.  NONE: the condition is not heeded in this state. */
#define ENTRY(reaction, state) (0x80 | (reaction) << 4 | (state))
enum {
    NONE = 0,
    TEST = ENTRY(GRSN_STOP, GRSN_SELFTEST),
    IDLE = ENTRY(GRSN_STOP, GRSN_IDLE),
    RUNS = ENTRY(GRSN_ACT, GRSN_ARMED),
    HOLD = ENTRY(GRSN_KEEP, GRSN_HOLD),
    SAFE = ENTRY(GRSN_RETIRE, GRSN_SAFE),
    STOP = ENTRY(GRSN_STOP, GRSN_SAFE)
};

/* One row a state.  The first condition, from the left, that holds and has an entry decides; where
 * there is none, the last column does. */
static const uint8_t table[GRSN_SUPERVISOR_STATES][GRSN_CONDITIONS + 1] = {
    /* self-test                 un-          link  input over-
     * failed wrong corrupt tested reset lost  lost  run  invalid disarm stale arm  none hold */
    [GRSN_BOOT] =
        {STOP, STOP, STOP, TEST, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, TEST},
    [GRSN_SELFTEST] =
        {STOP, STOP, STOP, TEST, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, IDLE},
    [GRSN_IDLE] =
        {STOP, STOP, STOP, TEST, IDLE, IDLE, IDLE, IDLE, IDLE, IDLE, IDLE, RUNS, IDLE},
    [GRSN_ARMED] =
        {STOP, STOP, STOP, STOP, SAFE, SAFE, SAFE, SAFE, SAFE, IDLE, HOLD, RUNS, RUNS},
    [GRSN_HOLD] =
        {STOP, STOP, STOP, STOP, SAFE, SAFE, SAFE, SAFE, SAFE, IDLE, HOLD, RUNS, RUNS},
    [GRSN_SAFE] =
        {STOP, STOP, STOP, STOP, SAFE, SAFE, SAFE, SAFE, SAFE, SAFE, SAFE, RUNS, SAFE},
};

grsn_transition_t grsn_supervisor_next(uint8_t state, uint16_t conditions)
{
    const uint8_t *row = table[state < GRSN_SUPERVISOR_STATES ? state : GRSN_SAFE];
    uint8_t column = 0;
    while (column < GRSN_CONDITIONS && ((conditions >> column & 1u) == 0 || row[column] == NONE)) {
        column++;
    }
    grsn_transition_t next;
    next.state = row[column] & 0x0f;
    next.reaction = row[column] >> 4 & 0x07;
    next.condition = column < GRSN_CONDITIONS ? (uint16_t)(1u << column) : 0;
    return next;
}

/* ---- configuration --------------------------------------------------------------------------- */

enum {
    SECTION_VERSION = 1,
    HEADER_SIZE = 24,
    LIMIT_SIZE = 20 /* min, max, safe, slew, brake */
};
#define LONGEST_US ((uint32_t)1 << 30) /* ages are compared modulo 2^32 */
#define LONGEST_DEFAULT_US ((uint32_t)1 << 22)

static uint32_t u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

static int32_t i32(const uint8_t *bytes)
{
    const uint32_t bits = u32(bytes);
    return bits <= INT32_MAX ? (int32_t)bits : -(int32_t)(UINT32_MAX - bits) - 1;
}

/* Whether the bit of a choice is set, in words after the safe index. */
static int32_t is_allowed(const grsn_supervisor_config_t *config, uint32_t choice)
{
    return choice < config->n && (config->limits[4 + choice / 8] >> choice % 8 & 1) != 0;
}

static int32_t is_sound_limit(const uint8_t *limit)
{
    const int32_t least = i32(limit), most = i32(limit + 4), safe = i32(limit + 8);
    return least <= safe && safe <= most && u32(limit + 12) >= 1 && u32(limit + 16) >= 1;
}

static int32_t are_sound_limits(const grsn_supervisor_config_t *config, uint32_t size)
{
    if (size % LIMIT_SIZE != 0 || size / LIMIT_SIZE != config->n) {
        return 0;
    }
    for (uint32_t i = 0; i < config->n; i++) {
        if (!is_sound_limit(config->limits + LIMIT_SIZE * i)) {
            return 0;
        }
    }
    return 1;
}

static int32_t are_sound_choices(const grsn_supervisor_config_t *config, uint32_t size)
{
    if (size < 8 || size % 4 != 0 || size / 4 - 1 != (config->n - 1) / 32 + 1) {
        return 0;
    }
    for (uint32_t bit = config->n; bit < 8 * (size - 4); bit++) {
        if ((config->limits[4 + bit / 8] >> bit % 8 & 1) != 0) {
            return 0;
        }
    }
    return is_allowed(config, u32(config->limits));
}

static int32_t are_sound_times(const grsn_supervisor_config_t *config)
{
    return config->period_us >= 1 && config->deadline_us >= 1 && config->stale_periods >= 1 &&
           config->lost_periods > config->stale_periods && config->overrun_run >= 1 &&
           config->invalid_run >= 1 && config->on_invalid <= GRSN_INVALID_STOPS &&
           config->period_us <= LONGEST_US / config->lost_periods;
}

int32_t grsn_supervisor_config_read(const uint8_t *bytes, uint32_t size,
                                    grsn_supervisor_config_t *config)
{
    if (size <= HEADER_SIZE || bytes[0] != SECTION_VERSION || bytes[1] > 1 || bytes[7] != 0) {
        return -1;
    }
    config->is_discrete = bytes[1];
    config->stale_periods = bytes[2];
    config->lost_periods = bytes[3];
    config->overrun_run = bytes[4];
    config->invalid_run = bytes[5];
    config->on_invalid = bytes[6];
    config->period_us = u32(bytes + 8);
    config->deadline_us = u32(bytes + 12);
    config->robot = u32(bytes + 16);
    config->n = u32(bytes + 20);
    config->limits = bytes + HEADER_SIZE;
    if (config->n < 1 || !are_sound_times(config)) {
        return -1;
    }
    const int32_t sound = config->is_discrete ? are_sound_choices(config, size - HEADER_SIZE)
                                              : are_sound_limits(config, size - HEADER_SIZE);
    return sound ? 0 : -1;
}

void grsn_supervisor_config_default(uint32_t period_us, uint32_t action_n,
                                    grsn_supervisor_config_t *config)
{
    period_us = period_us < 1 ? 1 : period_us;
    config->period_us = period_us < LONGEST_DEFAULT_US ? period_us : LONGEST_DEFAULT_US;
    config->deadline_us = config->period_us;
    config->robot = 0;
    config->n = action_n;
    config->limits = NULL;
    config->is_discrete = 0;
    config->stale_periods = 2;
    config->lost_periods = 5;
    config->overrun_run = 3;
    config->invalid_run = 5;
    config->on_invalid = 0;
}

/* ---- running --------------------------------------------------------------------------------- */

static void count_u8(uint8_t *counter)
{
    *counter = (uint8_t)(*counter + (*counter < UINT8_MAX));
}

static void count_u16(uint16_t *counter, int32_t by)
{
    *counter = (uint16_t)(*counter + (*counter < UINT16_MAX ? by : 0));
}

static void set(grsn_supervisor_t *supervisor, uint16_t conditions)
{
    supervisor->conditions = (uint16_t)(supervisor->conditions | conditions);
}

static void unset(grsn_supervisor_t *supervisor, uint16_t conditions)
{
    supervisor->conditions = (uint16_t)(supervisor->conditions & ~(uint32_t)conditions);
}

/* Take the table's next state; `request` holds for this once. */
static uint8_t advance(grsn_supervisor_t *supervisor, uint16_t request)
{
    const uint16_t conditions = (uint16_t)(supervisor->conditions | request);
    const grsn_transition_t next = grsn_supervisor_next(supervisor->state, conditions);
    if (next.state == GRSN_SAFE && supervisor->state != GRSN_SAFE) {
        count_u16(&supervisor->safes, 1);
        supervisor->reasons = conditions;
    }
    if (next.state == GRSN_HOLD && supervisor->state != GRSN_HOLD) {
        count_u16(&supervisor->holds, 1);
    }
    supervisor->state = next.state;
    supervisor->reaction = next.reaction;
    return next.state;
}

void grsn_supervisor_init(grsn_supervisor_t *supervisor, uint32_t now)
{
    memset(supervisor, 0, sizeof *supervisor);
    supervisor->state = GRSN_BOOT;
    supervisor->reaction = GRSN_STOP;
    supervisor->conditions = GRSN_UNTESTED;
    supervisor->input_us = now;
}

void grsn_supervisor_report(grsn_supervisor_t *supervisor, uint16_t conditions)
{
    set(supervisor, conditions & GRSN_REPORTED);
}

void grsn_supervisor_clear(grsn_supervisor_t *supervisor, uint16_t conditions)
{
    unset(supervisor, conditions & GRSN_REPORTED);
}

/* The age of the input.  What is lost stays lost until armed again: the clock wraps around. */
static void look_at_age(grsn_supervisor_t *supervisor, const grsn_supervisor_config_t *config,
                        uint32_t now)
{
    const uint32_t age = now - supervisor->input_us;
    if (supervisor->state != GRSN_ARMED && supervisor->state != GRSN_HOLD) {
        return;
    }
    if (age >= config->period_us * config->lost_periods) {
        set(supervisor, GRSN_STALE | GRSN_INPUT_LOST);
    } else if (age >= config->period_us * config->stale_periods) {
        set(supervisor, GRSN_STALE);
    } else if ((supervisor->conditions & GRSN_INPUT_LOST) == 0) {
        unset(supervisor, GRSN_STALE);
    }
}

uint8_t grsn_supervisor_arm(grsn_supervisor_t *supervisor, const grsn_supervisor_config_t *config,
                            uint32_t now)
{
    const uint8_t before = supervisor->state;
    if (grsn_supervisor_update(supervisor, config, now) == GRSN_SAFE && before != GRSN_SAFE) {
        return GRSN_SAFE; /* a failure that the host has not seen is not armed over */
    }
    if (supervisor->state == GRSN_IDLE || supervisor->state == GRSN_SAFE) {
        unset(supervisor, GRSN_LINK_LOST | GRSN_INPUT_LOST | GRSN_STALE | GRSN_OVERRUN |
                              GRSN_INVALID);
        supervisor->overrun_run = 0;
        supervisor->invalid_run = 0;
        supervisor->input_us = now;
    }
    return advance(supervisor, GRSN_ARM);
}

uint8_t grsn_supervisor_disarm(grsn_supervisor_t *supervisor,
                               const grsn_supervisor_config_t *config, uint32_t now)
{
    look_at_age(supervisor, config, now);
    return advance(supervisor, GRSN_DISARM);
}

void grsn_supervisor_observation(grsn_supervisor_t *supervisor,
                                 const grsn_supervisor_config_t *config, uint32_t now,
                                 grsn_observation_t quality)
{
    look_at_age(supervisor, config, now); /* an age that this observation ends has still been */
    if (quality == GRSN_OBSERVATION_GOOD || quality == GRSN_OBSERVATION_CLAMPED) {
        supervisor->input_us = now;
    }
    if (quality == GRSN_OBSERVATION_GOOD) {
        supervisor->invalid_run = 0;
        return;
    }
    count_u16(&supervisor->invalid, 1);
    count_u8(&supervisor->invalid_run);
    if (supervisor->invalid_run >= config->invalid_run || config->on_invalid == GRSN_INVALID_STOPS) {
        set(supervisor, GRSN_INVALID);
    }
}

void grsn_supervisor_step(grsn_supervisor_t *supervisor, const grsn_supervisor_config_t *config,
                          uint32_t took_us)
{
    supervisor->steps++;
    if (took_us > supervisor->longest_us) {
        supervisor->longest_us = took_us;
    }
    if (took_us <= config->deadline_us) {
        supervisor->overrun_run = 0;
        return;
    }
    count_u16(&supervisor->overruns, 1);
    count_u8(&supervisor->overrun_run);
    if (supervisor->overrun_run >= config->overrun_run) {
        set(supervisor, GRSN_OVERRUN);
    }
}

uint8_t grsn_supervisor_update(grsn_supervisor_t *supervisor,
                               const grsn_supervisor_config_t *config, uint32_t now)
{
    look_at_age(supervisor, config, now);
    return advance(supervisor, 0);
}

/* ---- actions --------------------------------------------------------------------------------- */

static int32_t clip(int32_t x, int32_t least, int32_t most)
{
    return x < least ? least : x > most ? most : x;
}

/* The distance from `low` up to `high`, which need not fit int32. */
static uint32_t distance(int32_t low, int32_t high)
{
    return (uint32_t)high - (uint32_t)low;
}

/* x + by, by <= INT32_MAX - x; and x - by likewise: sums of an int32 and an uint32. */
static int32_t raise(int32_t x, uint32_t by)
{
    return (int32_t)((int64_t)x + (int64_t)by);
}

static int32_t lower(int32_t x, uint32_t by)
{
    return (int32_t)((int64_t)x - (int64_t)by);
}

/* How far one step may go from `last` over a way of `way`, of which `home` lead back to the safe
 * value: by `brake` on the way back, and by `slew` beyond it. */
static uint32_t stride(uint32_t way, uint32_t home, uint32_t slew, uint32_t brake)
{
    if (way <= home || brake <= home) {
        return way < brake ? way : brake;
    }
    const uint32_t reach = slew < UINT32_MAX - home ? home + slew : UINT32_MAX;
    const uint32_t most = brake < reach ? brake : reach;
    return way < most ? way : most;
}

/* Go from `last` towards `to`, both inside the limits, as far as one step may. */
static int32_t approach(int32_t last, int32_t to, int32_t safe, uint32_t slew, uint32_t brake)
{
    if (to >= last) {
        const uint32_t way = distance(last, to);
        return raise(last, last >= safe ? (way < slew ? way : slew)
                                        : stride(way, distance(last, safe), slew, brake));
    }
    const uint32_t way = distance(to, last);
    return lower(last, last <= safe ? (way < slew ? way : slew)
                                    : stride(way, distance(safe, last), slew, brake));
}

/* Where the next action comes from. */
static grsn_reaction_t source_of(const grsn_supervisor_t *supervisor, const int32_t *wanted)
{
    const grsn_reaction_t reaction = (grsn_reaction_t)supervisor->reaction;
    return reaction == GRSN_ACT && wanted == NULL ? GRSN_KEEP : reaction;
}

static void next_values(grsn_supervisor_t *supervisor, const grsn_supervisor_config_t *config,
                        const int32_t *wanted, int32_t *action)
{
    const grsn_reaction_t source = source_of(supervisor, wanted);
    int32_t is_clipped = 0, is_slewed = 0;
    for (uint32_t i = 0; i < config->n; i++) {
        const uint8_t *limit = config->limits + LIMIT_SIZE * i;
        const int32_t least = i32(limit), most = i32(limit + 4), safe = i32(limit + 8);
        const int32_t last = clip(action[i], least, most);
        int32_t to = source == GRSN_KEEP ? last : safe;
        if (source == GRSN_ACT) {
            to = clip(wanted[i], least, most);
            is_clipped |= to != wanted[i];
        }
        action[i] = approach(last, to, safe, u32(limit + 12), u32(limit + 16));
        is_slewed |= action[i] != to;
    }
    count_u16(&supervisor->clipped, is_clipped);
    count_u16(&supervisor->slewed, is_slewed);
}

static void next_choice(grsn_supervisor_t *supervisor, const grsn_supervisor_config_t *config,
                        const int32_t *wanted, int32_t *action)
{
    const grsn_reaction_t source = source_of(supervisor, wanted);
    const int32_t safe = i32(config->limits);
    const int32_t choice = source == GRSN_ACT ? *wanted : source == GRSN_KEEP ? *action : safe;
    const int32_t allowed = choice >= 0 && is_allowed(config, (uint32_t)choice);
    count_u16(&supervisor->clipped, !allowed);
    *action = allowed ? choice : safe;
}

void grsn_supervisor_safe(const grsn_supervisor_config_t *config, int32_t *action)
{
    if (config->is_discrete) {
        *action = i32(config->limits);
        return;
    }
    for (uint32_t i = 0; i < config->n; i++) {
        action[i] = config->limits == NULL ? 0 : i32(config->limits + LIMIT_SIZE * i + 8);
    }
}

void grsn_supervisor_output(grsn_supervisor_t *supervisor, const grsn_supervisor_config_t *config,
                            const int32_t *wanted, int32_t *action)
{
    if (config->limits == NULL) {
        const int32_t acts = source_of(supervisor, wanted) == GRSN_ACT;
        for (uint32_t i = 0; acts && i < config->n; i++) {
            action[i] = wanted[i];
        }
    } else if (config->is_discrete) {
        next_choice(supervisor, config, wanted, action);
    } else {
        next_values(supervisor, config, wanted, action);
    }
}
