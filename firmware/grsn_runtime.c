/* grsn_runtime.c: the virtual machine as one file, for builds where every byte of code counts.
 *
 * Reader, proof, step, states, self-test and checksum, without the float codec and the words of
 * grsn_strerror.  Fewest bytes with GCC: -Os -fno-ivopts -fno-schedule-insns2, which
 * tools/count_machine.py measures; sections of an encoder or a decoder are then not checked.
 */
#define GRSN_CODEC 0

#include "src/grsn_crc.c"
#include "src/grsn_proof.c"
#include "src/grsn_image.c"
#include "src/grsn_vm.c"
