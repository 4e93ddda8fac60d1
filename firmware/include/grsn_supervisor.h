/* grsn_supervisor: decides whether the policy's action, the last one or the safe one is given.
 * docs/SPEC.md §11; what it guards against, and the proofs: docs/SAFETY.md.
 *
 * One table (grsn_supervisor_next) says for each of six states and twelve conditions what comes
 * next.  The rest of this file finds the conditions, from times, counts and reports, and keeps
 * every action inside its limits.
 *
 *     grsn_supervisor_config_read(section, size, &config);
 *     grsn_supervisor_init(&supervisor, now);
 *     grsn_supervisor_safe(&config, action);
 *     grsn_supervisor_clear(&supervisor, GRSN_UNTESTED);           the self-test has passed
 *     grsn_supervisor_arm(&supervisor, &config, now);              the host asked for it
 *     once per sampling period:
 *         grsn_supervisor_observation(&supervisor, &config, now, GRSN_OBSERVATION_GOOD);
 *         grsn_step(..., wanted);
 *         grsn_supervisor_step(&supervisor, &config, took);
 *         grsn_supervisor_update(&supervisor, &config, now);
 *         grsn_supervisor_output(&supervisor, &config, wanted, action);
 *
 * Pure: no clock, no port, no globals, no float.  Times are microseconds modulo 2^32, by any clock
 * that does not stop; grsn_supervisor_update is to be called at least once in 2^30 of them.
 */
#ifndef GRSN_SUPERVISOR_H
#define GRSN_SUPERVISOR_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum grsn_supervisor_state {
    GRSN_BOOT = 0,     /* nothing is known yet */
    GRSN_SELFTEST = 1, /* a policy is there, its golden vectors are not replayed yet */
    GRSN_IDLE = 2,     /* ready; waits to be armed */
    GRSN_ARMED = 3,    /* the policy acts */
    GRSN_HOLD = 4,     /* the input is late: the last action stays */
    GRSN_SAFE = 5      /* something failed: the safe action, until armed again */
} grsn_supervisor_state_t;
#define GRSN_SUPERVISOR_STATES 6

/* Conditions, one bit each.  Where several hold, the lowest bit that the state heeds decides. */
typedef enum grsn_condition {
    GRSN_SELFTEST_FAILED = 1 << 0, /* reported: a golden step differed */
    GRSN_WRONG_MODEL = 1 << 1,     /* reported: not the policy meant, or of another robot */
    GRSN_CORRUPT = 1 << 2,         /* reported: image or state are damaged */
    GRSN_UNTESTED = 1 << 3,        /* reported, and so after grsn_supervisor_init */
    GRSN_WAS_RESET = 1 << 4,       /* reported: the processor restarted in a run: no state */
    GRSN_LINK_LOST = 1 << 5,       /* reported: the line or the session has gone */
    GRSN_INPUT_LOST = 1 << 6,      /* found: no usable observation for lost_periods */
    GRSN_OVERRUN = 1 << 7,         /* found: overrun_run steps in a row missed their deadline */
    GRSN_INVALID = 1 << 8,         /* found: invalid_run observations in a row were not good */
    GRSN_DISARM = 1 << 9,          /* asked for */
    GRSN_STALE = 1 << 10,          /* found: no usable observation for stale_periods */
    GRSN_ARM = 1 << 11             /* asked for */
} grsn_condition_t;
#define GRSN_CONDITIONS 12

/* Those that grsn_supervisor_report and grsn_supervisor_clear take. */
#define GRSN_REPORTED                                                                              \
    (GRSN_SELFTEST_FAILED | GRSN_WRONG_MODEL | GRSN_CORRUPT | GRSN_WAS_RESET | GRSN_LINK_LOST |    \
     GRSN_UNTESTED)

/* What grsn_supervisor_output gives. */
typedef enum grsn_reaction {
    GRSN_STOP = 0,  /* the safe action, and the drive may be cut: no policy runs */
    GRSN_ACT = 1,   /* the policy's action, inside its limits */
    GRSN_KEEP = 2,  /* the last action */
    GRSN_RETIRE = 3 /* the safe action, approached no faster than the limits allow */
} grsn_reaction_t;

/* How good an observation was; what the host's guard says (docs/SPEC.md §11.3). */
typedef enum grsn_observation {
    GRSN_OBSERVATION_GOOD = 0,    /* finite and inside its range */
    GRSN_OBSERVATION_CLAMPED = 1, /* used, but was outside its range: counts as not good */
    GRSN_OBSERVATION_REFUSED = 2  /* not used: the input grows older */
} grsn_observation_t;

/* What an observation that is not good leads to. */
enum {
    GRSN_INVALID_CLAMPS = 0, /* the guard clamps what it can, and refuses the rest */
    GRSN_INVALID_HOLDS = 1,  /* the guard refuses it */
    GRSN_INVALID_STOPS = 2   /* the guard refuses it, and one is a run */
};

/* What is guarded and how hard; docs/SPEC.md §11.2.  From grsn_supervisor_config_read or from
 * grsn_supervisor_config_default. */
typedef struct grsn_supervisor_config {
    uint32_t period_us;     /* sampling period, >= 1 */
    uint32_t deadline_us;   /* longest that a step may take, >= 1 */
    uint32_t robot;         /* robot that the policy is for; 0: any */
    uint32_t n;             /* integers of the action; where discrete: number of choices */
    const uint8_t *limits;  /* borrowed: limits of each integer, or the choices; NULL: none */
    uint8_t is_discrete;    /* 1: the action is one integer, an index */
    uint8_t stale_periods;  /* age of the input from which the last action is held */
    uint8_t lost_periods;   /* age from which the safe action is given; > stale_periods */
    uint8_t overrun_run;    /* missed deadlines in a row until the safe action */
    uint8_t invalid_run;    /* observations in a row that are not good until the safe action */
    uint8_t on_invalid;     /* GRSN_INVALID_... */
} grsn_supervisor_config_t;

/* The supervisor, and its status as it is sent and logged: 32 bytes.  Fields are read, never
 * written, by the caller.  Counters stop at their largest value. */
typedef struct grsn_supervisor {
    uint8_t state;           /* grsn_supervisor_state_t */
    uint8_t reaction;        /* grsn_reaction_t */
    uint8_t overrun_run;     /* deadlines missed in a row, now */
    uint8_t invalid_run;     /* observations in a row that were not good, now */
    uint16_t conditions;     /* that hold now, requests excepted */
    uint16_t reasons;        /* that held when GRSN_SAFE was last entered */
    uint32_t steps;          /* policy steps */
    uint32_t input_us;       /* time of the last usable observation, or of arming */
    uint16_t overruns;       /* deadlines missed */
    uint16_t invalid;        /* observations that were not good */
    uint16_t holds;          /* times that GRSN_HOLD was entered */
    uint16_t safes;          /* times that GRSN_SAFE was entered */
    uint16_t clipped;        /* actions that a limit or the allowed set changed */
    uint16_t slewed;         /* actions that the largest change per step altered */
    uint32_t longest_us;     /* longest step */
} grsn_supervisor_t;

/* One entry of the table. */
typedef struct grsn_transition {
    uint8_t state;      /* next grsn_supervisor_state_t */
    uint8_t reaction;   /* grsn_reaction_t in that state */
    uint16_t condition; /* the bit that decided; 0 where none did */
} grsn_transition_t;

/* ---- the table ------------------------------------------------------------------------------- */

/* What comes after `state` when `conditions` hold: a pure function of both.  A state that does not
 * exist is as GRSN_SAFE. */
grsn_transition_t grsn_supervisor_next(uint8_t state, uint16_t conditions);

/* ---- configuration --------------------------------------------------------------------------- */

/* Read the supervisor section of a policy image, docs/SPEC.md §11.2: 0, or -1 where a byte of it
 * cannot be.  The bytes stay readable while the configuration is used. */
int32_t grsn_supervisor_config_read(const uint8_t *bytes, uint32_t size,
                                    grsn_supervisor_config_t *config);

/* For a policy without that section: the default times, no limits, and no safe action: the last
 * action stays where the safe one is called for, and the reaction alone says so.  Periods below 1
 * and above 2^22 microseconds count as the nearer of both. */
void grsn_supervisor_config_default(uint32_t period_us, uint32_t action_n,
                                    grsn_supervisor_config_t *config);

/* ---- running --------------------------------------------------------------------------------- */

/* After a start, or with a new policy: GRSN_BOOT, untested, all counters zero. */
void grsn_supervisor_init(grsn_supervisor_t *supervisor, uint32_t now);

/* A condition holds from now on, or no longer; bits of GRSN_REPORTED, others are ignored. */
void grsn_supervisor_report(grsn_supervisor_t *supervisor, uint16_t conditions);
void grsn_supervisor_clear(grsn_supervisor_t *supervisor, uint16_t conditions);

/* The host asks for the policy to act, or to stop.  Arming counts as a usable observation, ends all
 * runs of misses, and forgets a lost link; it succeeds where no other condition stands against it:
 * the caller sees the state that is returned. */
uint8_t grsn_supervisor_arm(grsn_supervisor_t *supervisor, const grsn_supervisor_config_t *config,
                            uint32_t now);
uint8_t grsn_supervisor_disarm(grsn_supervisor_t *supervisor,
                               const grsn_supervisor_config_t *config, uint32_t now);

/* An observation came. */
void grsn_supervisor_observation(grsn_supervisor_t *supervisor,
                                 const grsn_supervisor_config_t *config, uint32_t now,
                                 grsn_observation_t quality);

/* A policy step ended `took_us` after it was due. */
void grsn_supervisor_step(grsn_supervisor_t *supervisor, const grsn_supervisor_config_t *config,
                          uint32_t took_us);

/* Look at the clock and take the next state, which is returned. */
uint8_t grsn_supervisor_update(grsn_supervisor_t *supervisor,
                               const grsn_supervisor_config_t *config, uint32_t now);

/* ---- actions --------------------------------------------------------------------------------- */

/* The action to begin with: the safe one; 0 where the configuration has none. */
void grsn_supervisor_safe(const grsn_supervisor_config_t *config, int32_t *action);

/* The next action, once per sampling period: `action` holds the last one and takes the next.
 * wanted: the policy's action, or NULL where no step ran in this period: the last action stays.
 * Whatever wanted and action hold, the result lies inside the limits, and differs from the last
 * action (brought inside the limits) by no more than the largest change. */
void grsn_supervisor_output(grsn_supervisor_t *supervisor, const grsn_supervisor_config_t *config,
                            const int32_t *wanted, int32_t *action);

#ifdef __cplusplus
}
#endif

#endif
