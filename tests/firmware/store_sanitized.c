/* store_sanitized.c: the power cuts of store_harness.c as a program, for the sanitizers. */
#include <stdint.h>

int32_t cut_update(uint32_t cut, int32_t how, uint32_t seed, uint32_t piece);

int main(void)
{
    int32_t broken = 0;
    for (int32_t how = 0; how < 4; how++) {
        for (uint32_t cut = 1; cut < 130; cut++) {
            broken += cut_update(cut, how, cut, 64) != 0;
        }
    }
    return broken;
}
