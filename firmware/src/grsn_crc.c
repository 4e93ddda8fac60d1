#include "grsn_crc.h"

#include "grsn_primitives.h"

#if defined(__OPTIMIZE_SIZE__)

/* Bit by bit, without a table. */
uint32_t grsn_crc32c(uint32_t crc, const void *bytes, size_t count)
{
    const uint8_t *next = bytes;
    crc = ~crc;
    for (; count != 0; count--) {
        crc ^= *next++;
        for (uint32_t bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ ((crc & 1u) != 0 ? 0x82f63b78u : 0);
        }
    }
    return ~crc;
}

#else

/* Four bits at a time: 64 bytes of table instead of 1024. */
static const GRSN_FLASH uint32_t nibble[16] = {
    0x00000000u, 0x105ec76fu, 0x20bd8edeu, 0x30e349b1u, 0x417b1dbcu, 0x5125dad3u,
    0x61c69362u, 0x7198540du, 0x82f63b78u, 0x92a8fc17u, 0xa24bb5a6u, 0xb21572c9u,
    0xc38d26c4u, 0xd3d3e1abu, 0xe330a81au, 0xf36e6f75u,
};

uint32_t grsn_crc32c(uint32_t crc, const void *bytes, size_t count)
{
    const uint8_t *next = bytes;
    crc = ~crc;
    for (size_t i = 0; i < count; i++) {
        crc ^= next[i];
        crc = crc >> 4 ^ nibble[crc & 15u];
        crc = crc >> 4 ^ nibble[crc & 15u];
    }
    return ~crc;
}

#endif
