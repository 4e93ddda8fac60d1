/* The honest opponent: a plain C float GRU with a linear read-out, as one would write it by hand.
 *
 * Build: cc -std=c99 -O3 -march=native -ffast-math -DN_STEPS=… gru_float.c -lm
 * Prints nanoseconds per step over N_STEPS steps of random observations.  Gate order r, z, n as in
 * torch.nn.GRUCell; weights are random, the time does not depend on them.
 */
#define _POSIX_C_SOURCE 199309L
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

enum { X = 8, H = 64, A = 2, N_OBSERVATIONS = 1024 };

static float w_x[3 * H][X], w_h[3 * H][H], b_x[3 * H], b_h[3 * H], w_out[A][H];
static float observations[N_OBSERVATIONS][X];

static float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

static int step(const float *restrict x, float *restrict h)
{
    float from_x[3 * H], from_h[3 * H];
    for (int i = 0; i < 3 * H; i++) {
        float sum = b_x[i];
        for (int j = 0; j < X; j++) {
            sum += w_x[i][j] * x[j];
        }
        from_x[i] = sum;
        sum = b_h[i];
        for (int j = 0; j < H; j++) {
            sum += w_h[i][j] * h[j];
        }
        from_h[i] = sum;
    }
    for (int i = 0; i < H; i++) {
        const float r = sigmoid(from_x[i] + from_h[i]);
        const float z = sigmoid(from_x[H + i] + from_h[H + i]);
        const float n = tanhf(from_x[2 * H + i] + r * from_h[2 * H + i]);
        h[i] = n + z * (h[i] - n);
    }
    float best = -INFINITY;
    int action = 0;
    for (int a = 0; a < A; a++) {
        float value = 0.0f;
        for (int j = 0; j < H; j++) {
            value += w_out[a][j] * h[j];
        }
        if (value > best) {
            best = value;
            action = a;
        }
    }
    return action;
}

static float next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (float)(int32_t)*seed / 2147483648.0f;
}

static void fill(float *values, int n, float scale, uint32_t *seed)
{
    for (int i = 0; i < n; i++) {
        values[i] = scale * next_random(seed);
    }
}

int main(void)
{
    uint32_t seed = 1;
    fill(&w_x[0][0], 3 * H * X, 0.35f, &seed);
    fill(&w_h[0][0], 3 * H * H, 0.125f, &seed);
    fill(b_x, 3 * H, 0.1f, &seed);
    fill(b_h, 3 * H, 0.1f, &seed);
    fill(&w_out[0][0], A * H, 0.125f, &seed);
    fill(&observations[0][0], N_OBSERVATIONS * X, 1.0f, &seed);

    float h[H] = {0.0f};
    long actions = 0;
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (long t = 0; t < N_STEPS; t++) {
        actions += step(observations[t % N_OBSERVATIONS], h);
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    const double ns = 1e9 * (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec);
    printf("%.3f %ld\n", ns / (double)N_STEPS, actions);
    return 0;
}
