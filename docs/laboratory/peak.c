/* Prints how many billion floating-point operations a second one core does at the most: multiply-adds of doubles in
   registers, with nothing to fetch and nothing to wait for. A multiply-add counts as two.

       cc -O3 -march=native -o peak docs/laboratory/peak.c && ./peak */

#include <stdio.h>
#include <time.h>

#ifdef __AVX512F__
enum { BYTES = 64 };
#elif defined __AVX__
enum { BYTES = 32 };
#else
enum { BYTES = 16 };
#endif
enum { CHAINS = 10, LANES = BYTES / sizeof(double), ROUNDS = 20 * 1000 * 1000 }; /* more chains than it takes to wait */
typedef double vector __attribute__((vector_size(BYTES)));

int main(void)
{
    vector sums[CHAINS] = {{0}}, factor = {0}, term = {0};
    double best = 0, check = 0;
    for (int lane = 0; lane < LANES; lane++) {
        factor[lane] = 0.999;
        term[lane] = 0.001;
    }
    for (int trial = 0; trial < 5; trial++) {
        clock_t start = clock();
        for (int round = 0; round < ROUNDS; round++)
            for (int chain = 0; chain < CHAINS; chain++)
                sums[chain] = sums[chain] * factor + term;
        double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
        double rate = 2e-9 * CHAINS * LANES * ROUNDS / seconds;
        best = rate > best ? rate : best;
    }
    for (int chain = 0; chain < CHAINS; chain++)
        check += sums[chain][0]; /* so that none of it may be left out */
    printf("%.1f\n", check > 0 ? best : 0);
    return 0;
}
