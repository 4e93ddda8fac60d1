/* grsn_strerror.c: what a status means, in words; apart, so that a device need not carry them. */
#include "grsn.h"

const char *grsn_strerror(grsn_status_t status)
{
    static const char *const texts[] = {
        "ok",          "not aligned",     "truncated",       "not a policy image",
        "byte order",  "image version",   "damaged (CRC)",   "malformed",
        "not proven",  "state refused",
    };
    const int32_t index = -(int32_t)status;
    return index >= 0 && index < (int32_t)(sizeof texts / sizeof *texts) ? texts[index] : "unknown";
}
