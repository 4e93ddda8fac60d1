/* The link's receiver on a bad line.
 *
 *   fuzz_link FRAMES SEED     sends so many frames through noise, each followed by a clean one, and
 *                             prints what became of them; ends with 1 where a rule was broken
 *
 * Built with -DGRSN_LIBFUZZER and -fsanitize=fuzzer it is a fuzzer of arbitrary bytes instead.
 *
 * Rules: what is accepted was sent, byte for byte; a frame after a delimiter is accepted whatever
 * came before it; nothing is read or written outside the receiver (the sanitisers see to that). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "grsn_link.h"
#include "grsn_port.h"

enum { RING = 256, LINE = 4096 };

/* ---- the line: what grsn_link_send hands over ---- */

static uint8_t line[LINE];
static uint32_t on_line;

void grsn_port_send(const uint8_t *bytes, uint32_t count)
{
    if (count <= LINE - on_line) {
        memcpy(line + on_line, bytes, count);
        on_line += count;
    }
}

static void build(uint8_t *frame, uint32_t sequence, const uint8_t *payload, uint32_t count)
{
    memset(frame, 0, GRSN_LINK_FRAME);
    frame[0] = (uint8_t)(GRSN_LINK_VERSION | ((sequence & 1u) != 0 ? GRSN_LINK_FLAG_MODEL : 0));
    frame[1] = (uint8_t)(sequence >> 16 & 0xffu);
    grsn_link_put_u16(frame + 2, sequence & 0xffffu);
    grsn_link_put_u32(frame + 4, 0x5eedu + sequence);
    memcpy(frame + GRSN_LINK_HEADER, payload, count);
}

#ifdef GRSN_LIBFUZZER

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Any bytes, then a delimiter and a good frame of the first of them. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static grsn_link_t link;
    uint8_t frame[GRSN_LINK_FRAME];
    const uint32_t count = size < 32 ? (uint32_t)size : 32u;
    grsn_link_event_t last = GRSN_LINK_NOTHING;
    grsn_link_init(&link);
    for (size_t i = 0; i < size; i++) {
        (void)grsn_link_receive(&link, data[i]);
    }
    build(frame, (uint32_t)size, data, count);
    grsn_link_seal(frame, count, link.contract);
    on_line = 0;
    grsn_link_send(frame);
    for (uint32_t i = 0; i < on_line; i++) {
        last = grsn_link_receive(&link, line[i]);
    }
    if (last != GRSN_LINK_GOOD ||
        memcmp(link.frame, frame, GRSN_LINK_HEADER + count + GRSN_LINK_CRC) != 0) {
        abort();
    }
    return 0;
}

#else

/* ---- noise ---- */

static uint64_t noise_state;

static uint32_t noise(void)
{
    noise_state ^= noise_state << 13;
    noise_state ^= noise_state >> 7;
    noise_state ^= noise_state << 17;
    return (uint32_t)(noise_state >> 32);
}

static int32_t one_in(uint32_t n)
{
    return noise() % n == 0;
}

typedef struct tally {
    unsigned long long sent, accepted, wrong, lost, bytes;
} tally_t;

typedef struct bench {
    grsn_link_t link;
    uint8_t frames[RING][GRSN_LINK_FRAME]; /* by sequence */
    uint32_t sizes[RING];
    uint32_t sequence;
    tally_t tally;
} bench_t;

/* One received byte; 1 where it ended a frame that was sent. */
static int32_t receive(bench_t *bench, uint8_t byte)
{
    bench->tally.bytes++;
    if (grsn_link_receive(&bench->link, byte) != GRSN_LINK_GOOD) {
        return 0;
    }
    const uint8_t *found = bench->link.frame;
    const uint32_t slot = found[2];
    const uint32_t count = GRSN_LINK_HEADER + (uint32_t)grsn_link_u16(found + 8) + GRSN_LINK_CRC;
    if (count != bench->sizes[slot] || memcmp(found, bench->frames[slot], count) != 0) {
        bench->tally.wrong++;
        return 0;
    }
    bench->tally.accepted++;
    return 1;
}

/* The next frame, encoded on the line: mostly short, some of every length, zeros in many. */
static void send_next(bench_t *bench)
{
    uint8_t payload[GRSN_LINK_PAYLOAD];
    const uint32_t slot = ++bench->sequence & (RING - 1);
    const uint32_t count = one_in(16) ? noise() % (GRSN_LINK_PAYLOAD + 1) : noise() % 40;
    for (uint32_t i = 0; i < count; i++) {
        payload[i] = one_in(3) ? 0 : (uint8_t)(noise() & 0xffu);
    }
    build(bench->frames[slot], bench->sequence, payload, count);
    grsn_link_seal(bench->frames[slot], count, bench->link.contract);
    bench->sizes[slot] = GRSN_LINK_HEADER + count + GRSN_LINK_CRC;
    on_line = 0;
    grsn_link_send(bench->frames[slot]);
    bench->tally.sent++;
}

/* Bit errors from 10^-2 to 10^-5, lost, doubled and inserted bytes, cuts. */
static void through_noise(bench_t *bench)
{
    static const uint32_t bytes_per_flip[] = {12, 125, 1250, 12500};
    const uint32_t flips = bytes_per_flip[noise() % 4];
    const uint32_t end = one_in(20) ? noise() % on_line : on_line;
    for (uint32_t i = one_in(20) ? noise() % on_line : 0; i < end; i++) {
        uint8_t byte = line[i];
        if (one_in(flips)) {
            byte ^= (uint8_t)(1u << noise() % 8);
        }
        if (!one_in(2000)) {
            (void)receive(bench, byte);
        }
        if (one_in(2000)) {
            (void)receive(bench, byte);
        }
        if (one_in(2000)) {
            (void)receive(bench, (uint8_t)(noise() & 0xffu));
        }
    }
}

static void clean(bench_t *bench)
{
    int32_t arrived = 0;
    for (uint32_t i = 0; i < on_line; i++) {
        arrived |= receive(bench, line[i]);
    }
    bench->tally.lost += arrived ? 0u : 1u;
}

int main(int count, char **words)
{
    static bench_t bench;
    const unsigned long long frames = count > 1 ? strtoull(words[1], NULL, 10) : 100000;
    noise_state = 0x9e3779b97f4a7c15u ^ (count > 2 ? strtoull(words[2], NULL, 10) : 0);
    grsn_link_init(&bench.link);
    memcpy(bench.link.contract, "\xf3\x04\x73\x3b", GRSN_LINK_CONTRACT);
    while (bench.tally.sent < 2 * frames) {
        send_next(&bench);
        through_noise(&bench);
        send_next(&bench);
        clean(&bench);
    }
    const grsn_link_counters_t *seen = &bench.link.counters;
    const unsigned long long damaged = (unsigned long long)seen->cut + seen->too_long +
                                       seen->checksum + seen->malformed + seen->version;
    printf("{\"noisy\": %llu, \"clean\": %llu, \"bytes\": %llu, \"accepted\": %llu, "
           "\"damaged\": %llu, \"cut\": %u, \"too_long\": %u, \"checksum\": %u, \"version\": %u, "
           "\"malformed\": %u, \"wrong_accepted\": %llu, \"clean_lost\": %llu}\n",
           frames, frames, bench.tally.bytes, bench.tally.accepted, damaged, seen->cut,
           seen->too_long, seen->checksum, seen->version, seen->malformed, bench.tally.wrong,
           bench.tally.lost);
    return bench.tally.wrong != 0 || bench.tally.lost != 0;
}

#endif
