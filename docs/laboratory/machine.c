/* The machine: it runs the code of a trace. Each instruction has five words: operation, destination, a, b, c.

   Everything is computed as Python does it: in doubles, one operation after the other, and by the same library. Where
   Python would raise, or a guard fails, the machine stops and says at which instruction: then Python has a look.
   The operations are numbered in tracing.py, and machine.py puts their names before this file. It is compiled twice:
   with LANES = 1 it runs a lesson of the training, with LANES = 8 it runs eight lessons at once, to evaluate a model. */

#include <math.h>
#include <stdint.h>

typedef struct { int32_t op, d, a, b, c; } instruction;
typedef double number __attribute__((vector_size(8 * LANES), aligned(8))); /* one double for each of the lessons */

/* Return whether Python computes x to the power of y, and the library's result is what it gives. */
static int power(double x, double y, double *result)
{
    if (x == 0 && y < 0)
        return 0;
    if (x < 0 && isfinite(x) && isfinite(y) && y != floor(y))
        return 0;
    *result = pow(x, y);
    return !(isinf(*result) && isfinite(x) && isfinite(y));
}

/* Return whether Python computes a function of x, and put the result there. */
static int function(int32_t op, double x, double *result)
{
    switch (op) {
    case EXP: *result = exp(x); return !(isinf(*result) && isfinite(x));
    case LOG: *result = x > 0 ? log(x) : x; return x > 0 || isnan(x);
    case SQRT: *result = sqrt(x); return !(x < 0);
    case TANH: *result = tanh(x); return 1;
    case SIN: *result = sin(x); return !isinf(x);
    case COS: *result = cos(x); return !isinf(x);
    case ERF: *result = erf(x); return 1;
    case ABS: *result = fabs(x); return 1;
    }
    return 0;
}

/* Return what an operation that cannot fail makes of two numbers. */
static double choice(int32_t op, double a, double b)
{
    switch (op) {
    case MAX: return b > a ? b : a;
    case MIN: return b < a ? b : a;
    case LT: return a < b;
    case LE: return a <= b;
    case GT: return a > b;
    case GE: return a >= b;
    case EQ: return a == b;
    case NE: return a != b;
    }
    return 0;
}

/* Run some code on a memory; return how many instructions were run: fewer than there are where it stops in one lane.
   `tokens` are those of the first lesson, all of the same length, then those of the second, and so on. */
int64_t run(const instruction *code, int64_t count, number *m, const int32_t *tokens, int64_t length)
{
    for (int64_t n = 0; n < count; n++) {
        const instruction i = code[n];
        switch (i.op) {
        case MULADD: m[i.d] = m[i.c] + m[i.a] * m[i.b]; break;
        case MUL: m[i.d] = m[i.a] * m[i.b]; break;
        case ADD: m[i.d] = m[i.a] + m[i.b]; break;
        case SUB: m[i.d] = m[i.a] - m[i.b]; break;
        case NEG: m[i.d] = -m[i.a]; break;
        case MOV: m[i.d] = m[i.a]; break;
        case LOAD:
            for (int l = 0; l < LANES; l++)
                m[i.d][l] = m[i.a + (int64_t)tokens[l * length + i.b] * i.c][l];
            break;
        case STORE:
            for (int l = 0; l < LANES; l++)
                m[i.a + (int64_t)tokens[l * length + i.b] * i.c][l] = m[i.d][l];
            break;
        case DIV:
            for (int l = 0; l < LANES; l++)
                if (m[i.b][l] == 0)
                    return n;
            m[i.d] = m[i.a] / m[i.b];
            break;
        case GUARD:
            for (int l = 0; l < LANES; l++)
                if ((m[i.a][l] != 0) != i.b)
                    return n;
            break;
        case POW:
            for (int l = 0; l < LANES; l++) {
                double result;
                if (!power(m[i.a][l], m[i.b][l], &result))
                    return n;
                m[i.d][l] = result;
            }
            break;
        case MAX: case MIN: case LT: case LE: case GT: case GE: case EQ: case NE:
            for (int l = 0; l < LANES; l++)
                m[i.d][l] = choice(i.op, m[i.a][l], m[i.b][l]);
            break;
        default:
            for (int l = 0; l < LANES; l++) {
                double result;
                if (!function(i.op, m[i.a][l], &result))
                    return n;
                m[i.d][l] = result;
            }
        }
    }
    return count;
}

/* Give each of the lanes the numbers of a memory. */
void spread(const double *from, double *to, int64_t count)
{
    for (int64_t n = 0; n < count; n++)
        for (int l = 0; l < LANES; l++)
            to[n * LANES + l] = from[n];
}

/* Run some code for many lessons of one length, a multiple of LANES; put what is in cell `result` into `results`, and
   into `done` whether the machine came to the end. */
void run_all(const instruction *code, int64_t count, number *m, const int32_t *tokens, int64_t lessons,
             int64_t length, int64_t result, double *results, int8_t *done)
{
    for (int64_t first = 0; first < lessons; first += LANES) {
        int complete = run(code, count, m, tokens + first * length, length) == count;
        for (int l = 0; l < LANES; l++) {
            results[first + l] = m[result][l];
            done[first + l] = (int8_t)complete;
        }
    }
}
