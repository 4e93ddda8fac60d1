/* grsn_crc: CRC-32C (Castagnoli), as in iSCSI: of "123456789" it is 0xe3069283. */
#ifndef GRSN_CRC_H
#define GRSN_CRC_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The CRC of some bytes, of which `crc` is that of the bytes before; 0 at the start. */
uint32_t grsn_crc32c(uint32_t crc, const void *bytes, size_t count);

#ifdef __cplusplus
}
#endif

#endif
