/* supervisor_exhaustive.c: every int8 x int8 pair of last and wanted action, against the rule said
 * with other words: the change is at most `slew` away from the safe value and `brake` towards it. */
#include <stdio.h>
#include <stdlib.h>

#include "grsn_supervisor.h"

/* Bounds of the next action as two plain sums in 64 bits. */
static void reachable(int64_t last, int64_t safe, int64_t slew, int64_t brake, int64_t *lo,
                      int64_t *hi)
{
    *hi = last + slew;
    *lo = last - slew;
    if (last > safe) {
        *lo = last - brake > safe ? last - brake : safe - slew > last - brake ? safe - slew
                                                                              : last - brake;
    } else if (last < safe) {
        *hi = last + brake < safe ? last + brake : safe + slew < last + brake ? safe + slew
                                                                              : last + brake;
    }
}

static int64_t nearest(int64_t x, int64_t lo, int64_t hi)
{
    return x < lo ? lo : x > hi ? hi : x;
}

/* Number of pairs whose result differs from the rule, of 65,536 for each reaction. */
int32_t pairs_wrong(const uint8_t *section, uint32_t size, int32_t slew, int32_t brake)
{
    grsn_supervisor_config_t config;
    int32_t wrong = 0;
    if (grsn_supervisor_config_read(section, size, &config) != 0) {
        return -1;
    }
    const int32_t least = (int8_t)section[24], most = (int8_t)section[28];
    const int32_t safe = (int8_t)section[32];
    for (int32_t i = 0; i < 3 * 65536; i++) {
        const int32_t last = (int8_t)(i & 255), wanted = (int8_t)(i >> 8 & 255);
        grsn_supervisor_t supervisor;
        int32_t action = last;
        int64_t lo, hi;
        grsn_supervisor_init(&supervisor, 0);
        supervisor.reaction = (uint8_t)(1 + (i >> 16));
        grsn_supervisor_output(&supervisor, &config, &wanted, &action);
        const int64_t from = nearest(last, least, most);
        const int64_t to = supervisor.reaction == GRSN_ACT ? nearest(wanted, least, most)
                           : supervisor.reaction == GRSN_KEEP ? from
                                                              : safe;
        reachable(from, safe, slew, brake, &lo, &hi);
        wrong += action != nearest(to, lo, hi) || action < least || action > most;
    }
    return wrong;
}
