/* A firmware without a policy of its own: it waits for one over the link. */
#include <stddef.h>

#include "grsn_port.h"

const uint8_t *grsn_builtin_image(uint32_t *size)
{
    *size = 0;
    return NULL;
}
