/* Sessions: every request happens exactly once, in order, whatever the line does. */
#include "grsn_app_private.h"
#include "grsn_crc.h"

/* A window is a power of two, so that replies are found by masking. */
typedef char grsn_link_window_is_a_power_of_two[GRSN_LINK_WINDOW >= 1 && GRSN_LINK_WINDOW <= 64 &&
                                                        (GRSN_LINK_WINDOW &
                                                         (GRSN_LINK_WINDOW - 1)) == 0
                                                    ? 1
                                                    : -1];

enum {
    TYPE_AT = 1,
    SEQUENCE_AT = 2,
    SESSION_AT = 4,
    LENGTH_AT = 8,
    WINDOW_MASK = GRSN_LINK_WINDOW - 1,
    HELLO_REQUEST = 4,
    HELLO_REPLY = 17,
    NOTICE = 8,
    SHORT_FRAME = GRSN_LINK_HEADER + HELLO_REPLY + GRSN_LINK_CRC
};

uint32_t grsn_app_now(void)
{
    return grsn_port_milliseconds() * 1000u;
}

/* ---- frames to the host ---- */

static void address(grsn_app_t *app, uint8_t *frame, uint8_t flags, uint8_t type, uint16_t sequence)
{
    frame[0] = (uint8_t)(GRSN_LINK_VERSION | GRSN_LINK_FLAG_REPLY | flags);
    frame[TYPE_AT] = type;
    grsn_link_put_u16(frame + SEQUENCE_AT, sequence);
    grsn_link_put_u32(frame + SESSION_AT, app->session);
}

/* So that a host that means another model knows at once why it gets no answer. */
static void put_contract(const grsn_app_t *app, uint8_t *bytes)
{
    for (uint32_t i = 0; i < GRSN_LINK_CONTRACT; i++) {
        bytes[i] = app->link.contract[i];
    }
}

/* A frame that is not kept: it says where the device stands, and changes nothing. */
static void notify(grsn_app_t *app, uint8_t type, uint16_t sequence)
{
    uint8_t frame[GRSN_LINK_HEADER + NOTICE + GRSN_LINK_CRC];
    address(app, frame, 0, type, sequence);
    grsn_link_put_u32(frame + GRSN_LINK_HEADER, app->boot);
    put_contract(app, frame + GRSN_LINK_HEADER + 4);
    grsn_link_seal(frame, NOTICE, app->link.contract);
    grsn_link_send(frame);
}

/* ---- hello ---- */

/* Never 0, and another one for every boot and every hello. */
static uint32_t new_session(const grsn_app_t *app, const uint8_t *nonce)
{
    uint8_t boot[4];
    grsn_link_put_u32(boot, app->boot);
    const uint32_t mixed = grsn_crc32c(grsn_crc32c(0, boot, 4), nonce, 4);
    return mixed != 0 ? mixed : 1;
}

/* A new host, or the same one again; the second time of the same hello changes nothing. */
static void hello(grsn_app_t *app, uint16_t sequence)
{
    const uint8_t *payload = app->link.frame + GRSN_LINK_HEADER;
    uint8_t frame[SHORT_FRAME];
    uint8_t *reply = frame + GRSN_LINK_HEADER;
    if (grsn_link_u16(app->link.frame + LENGTH_AT) != HELLO_REQUEST) {
        app->link.counters.malformed++;
        return;
    }
    const uint32_t nonce = grsn_link_u32(payload);
    if (app->session == 0 || nonce != app->nonce || sequence != app->hello) {
        app->session = new_session(app, payload);
        app->nonce = nonce;
        app->hello = sequence;
        app->expected = (uint16_t)(sequence + 1u);
        app->kept = 0;
        app->staged = 0;
    }
    address(app, frame, 0, GRSN_HELLO, sequence);
    reply[0] = GRSN_DONE;
    reply[1] = GRSN_LINK_VERSION;
    reply[2] = GRSN_LINK_WINDOW;
    grsn_link_put_u16(reply + 3, GRSN_LINK_PAYLOAD);
    grsn_link_put_u32(reply + 5, app->boot);
    grsn_link_put_u32(reply + 9, nonce);
    put_contract(app, reply + 13);
    grsn_link_seal(frame, HELLO_REPLY, app->link.contract);
    grsn_link_send(frame);
}

/* ---- requests ---- */

/* Do what is asked, and keep the reply. */
static void execute(grsn_app_t *app, uint16_t sequence)
{
    const uint8_t *frame = app->link.frame;
    const uint8_t flags = frame[0] & GRSN_LINK_FLAG_MODEL;
    uint8_t *kept = app->replies[sequence & WINDOW_MASK];
    uint8_t contract[GRSN_LINK_CONTRACT]; /* the request's: a command may change the model */
    put_contract(app, contract);
    const request_t request = {frame + GRSN_LINK_HEADER, grsn_link_u16(frame + LENGTH_AT)};
    reply_t reply = {kept + GRSN_LINK_HEADER, 1, 0};
    const grsn_result_t result = grsn_app_command(app, frame[TYPE_AT], request, &reply);
    if (result != GRSN_DONE) {
        grsn_link_put_u32(reply.bytes + 1, (uint32_t)reply.detail);
        reply.count = 5;
    }
    reply.bytes[0] = (uint8_t)result;
    address(app, kept, flags, frame[TYPE_AT], sequence);
    grsn_link_seal(kept, reply.count, contract);
    app->expected = (uint16_t)(sequence + 1u);
    app->kept = (uint8_t)(app->kept + (app->kept < GRSN_LINK_WINDOW ? 1u : 0u));
    grsn_link_send(kept);
    if (result == GRSN_DONE) {
        grsn_port_watchdog();
    }
}

/* A request is the next one, one that was answered before, one too many, or too old. */
static void take(grsn_app_t *app)
{
    const uint8_t *frame = app->link.frame;
    const uint16_t sequence = grsn_link_u16(frame + SEQUENCE_AT);
    if ((frame[0] & GRSN_LINK_FLAG_REPLY) != 0) {
        app->counters.foreign++; /* an echo on the line, or another device */
        return;
    }
    if (frame[TYPE_AT] == GRSN_HELLO) {
        hello(app, sequence);
        return;
    }
    if (app->session == 0 || grsn_link_u32(frame + SESSION_AT) != app->session) {
        app->counters.foreign++;
        notify(app, GRSN_NO_SESSION, sequence);
        return;
    }
    const uint16_t ahead = (uint16_t)(sequence - app->expected);
    const uint16_t behind = (uint16_t)(app->expected - sequence);
    if (ahead == 0) {
        execute(app, sequence);
    } else if (behind <= app->kept) {
        app->counters.duplicates++;
        grsn_link_send(app->replies[sequence & WINDOW_MASK]);
    } else if (ahead < 0x8000u) {
        app->counters.missing++;
        notify(app, GRSN_MISSING, app->expected);
    } else {
        app->counters.stale++;
    }
}

/* ---- the application ---- */

void grsn_app_init(grsn_app_t *app)
{
    static const grsn_app_counters_t none = {0, 0, 0, 0, 0};
    grsn_link_init(&app->link);
    app->counters = none;
    app->boot = grsn_port_boot_id();
    app->session = 0;
    app->nonce = 0;
    app->expected = 0;
    app->hello = 0;
    app->kept = 0;
    app->staged = 0;
    grsn_app_boot(app);
}

#if GRSN_APP_SUPERVISOR
/* Time goes on while nothing comes: that is what the supervisor is for. */
static void watch(grsn_app_t *app)
{
    (void)grsn_supervisor_update(&app->supervisor, &app->config, grsn_app_now());
}
#else
static void watch(grsn_app_t *app)
{
    (void)app;
}
#endif

void grsn_app_poll(grsn_app_t *app)
{
    int32_t byte = grsn_port_receive();
    while (byte >= 0) {
        const grsn_link_event_t event = grsn_link_receive(&app->link, (uint8_t)byte);
        if (event == GRSN_LINK_GOOD) {
            take(app);
            return;
        }
        if (event == GRSN_LINK_DAMAGED) {
            if (app->session != 0) {
                notify(app, GRSN_MISSING, app->expected);
            }
            return;
        }
        byte = grsn_port_receive();
    }
    watch(app);
    grsn_port_idle();
}
