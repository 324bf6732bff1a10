/* The GPT of microgpt.py in C, as native.c has it, with many documents a step, and on several cores. */
/* Tangled from the essay microgpt.md. Change the essay, not this file. */

#ifdef FLOAT /* cc -DFLOAT: with numbers of 32 bits, twice as many in a vector */
typedef float real;
typedef unsigned bits;
#else
typedef double real;
typedef unsigned long long bits;
#endif
#if defined BYTES /* cc -DBYTES=32: how many a vector has */
#elif defined __AVX512F__
#define BYTES 64
#elif defined __AVX__
#define BYTES 32
#else
#define BYTES 16
#endif

enum { TOGETHER = 240 }; /* columns that are computed at once */

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct { const char *name; double value; bool whole; } Flag;

enum {
    N_EMBD, N_HEAD, N_LAYER, BLOCK_SIZE, NUM_STEPS, LEARNING_RATE, TEMPERATURE, SAMPLES, SEED,
    BATCH_SIZE, WORKERS, FLAGS
};
static Flag flags[] = {
    {"n_embd", 16, true}, {"n_head", 4, true}, {"n_layer", 1, true}, {"block_size", 16, true},
    {"num_steps", 1000, true}, {"learning_rate", 0.01, false}, {"temperature", 0.5, false},
    {"samples", 20, true}, {"seed", 42, true},
    {"batch_size", 128, true}, {"workers", 1, true},
};

static _Noreturn void fail(int status, const char *format, ...) {
    va_list details;
    va_start(details, format);
    fflush(stdout);
    fputs("microgpt: ", stderr);
    vfprintf(stderr, format, details);
    fputc('\n', stderr);
    exit(status);
}

static _Noreturn void too_large(void) { fail(1, "the numbers grew too large: try a smaller --learning_rate"); }

static void *enough(void *memory) {
    if (!memory)
        fail(1, "not enough memory for this text, or for a model of this size");
    return memory;
}

static const char *path = "docs/names.txt";
static long n_embd, n_head, n_layer, block_size, vocab_size;

static void set_flag(int flag, const char *text) {
    const char *name = flags[flag].name, *digits = flags[flag].whole ? "+-0123456789" : "+-.0123456789eE";
    char *end;
    double value = flags[flag].value = strtod(text, &end);
    if (end == text || *end || text[strspn(text, digits)])
        fail(2, "argument --%s: invalid %s value: '%s'", name, flags[flag].whole ? "int" : "float", text);
    if (flag == SEED && fabs(value) > 0x1p53)
        fail(2, "--seed must not be beyond 2^53"); /* of Python's it may have any size */
    if (flag != SEED && !(value > 1e-12 && value < 1e12))
        fail(2, "--%s must be a number greater than 0 and less than 1e12", name);
}

static void command_line(char **words) {
    for (bool named = false; *words; words++) {
        bool is_flag = !strncmp(*words, "--", 2);
        const char *name = is_flag ? *words + 2 : "";
        int flag = 0, length = strcspn(name, "=");
        while (flag < FLAGS && (strncmp(flags[flag].name, name, length) || flags[flag].name[length]))
            flag++;
        if (**words != '-' && !named)
            path = *words, named = true;
        else if (!is_flag || flag == FLAGS)
            fail(2, "unrecognized arguments: %s", *words);
        else
            set_flag(flag, name[length] ? name + length + 1 : words[1] ? *++words : "");
    }
    n_embd = flags[N_EMBD].value, n_head = flags[N_HEAD].value;
    n_layer = flags[N_LAYER].value, block_size = flags[BLOCK_SIZE].value;
    if (n_embd % n_head)
        fail(2, "--n_embd must be a multiple of --n_head");
}

typedef struct { int *characters; long length; } Document;
static Document *documents;
static long document_count;
static int characters[0x110000], token_of[0x110000]; /* as many as there are in Unicode */
static const int lead[] = {0, 0xc0, 0xe0, 0xf0}; /* what the first byte has besides, by how many bytes follow it */

/* Return the next character of a file, or EOF after the last one, or -2 if it is not UTF-8. */
static int next_character(FILE *file) {
    static const int smallest[] = {EOF, 0x80, 0x800, 0x10000};
    int first = getc(file), following = first < 0x80 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
    int character = first - lead[following];
    for (int i = 0; i < following; i++) {
        int byte = getc(file);
        character = (byte & 0xc0) == 0x80 && character >= 0 ? character * 64 + (byte & 0x3f) : -2;
    }
    bool surrogate = character >= 0xd800 && character < 0xe000;
    return character < smallest[following] || character >= 0x110000 || surrogate ? -2 : character;
}

static void put_character(int character) {
    int following = (character >= 0x80) + (character >= 0x800) + (character >= 0x10000);
    putchar(lead[following] + (character >> 6 * following));
    while (following--)
        putchar(0x80 + (character >> 6 * following & 0x3f));
}

static bool is_blank(int c) { /* as str.strip() sees it */
    return (c >= 9 && c <= 13) || (c >= 28 && c <= 32) || c == 0x85 || c == 0xa0 || c == 0x1680
        || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

static void *room(void *memory, long count, size_t size) { /* for one thing more; it doubles */
    return count & (count - 1) ? memory : enough(realloc(memory, (2 * count + 1) * size));
}

static void add_document(int *start, int *end) {
    while (start < end && is_blank(*start))
        start++;
    while (start < end && is_blank(end[-1]))
        end--;
    if (start == end)
        return;
    documents = room(documents, document_count, sizeof *documents);
    documents[document_count++] = (Document){start, end - start};
}

/* Read the documents of a text file: its lines, without blanks around them and without the empty ones. */
static void read_documents(void) {
    FILE *file = fopen(path, "rb");
    static int *text; /* documents are parts of it */
    long length = 0;
    int character = file ? next_character(file) : EOF;
    if (character == 0xfeff) /* with which some editors begin UTF-8 */
        character = next_character(file);
    for (; character > 0; character = next_character(file)) {
        text = room(text, length, sizeof *text);
        text[length++] = character;
    }
    text = room(text, length, sizeof *text);
    text[length++] = '\n';
    if (!file || ferror(file) || character != EOF)
        fail(2, "cannot read %s (%s): expected a UTF-8 text file with one document per line", path,
             character == EOF ? strerror(errno) : character ? "it is not UTF-8" : "it contains NUL characters");
    fclose(file);
    for (int *line = text, *end = text; end < text + length; end++)
        if (*end == '\n' || *end == '\r') { /* of \r\n, the second ends an empty line */
            add_document(line, end);
            line = end + 1;
        }
    if (!document_count)
        fail(2, "%s is empty: expected a text file with one document per line", path);
}

/* Number the characters that occur, in their order, and BOS after them. */
static void number_characters(void) {
    for (Document *d = documents; d < documents + document_count; d++)
        for (long i = 0; i < d->length; i++)
            token_of[d->characters[i]] = 1;
    for (int character = 0; character < 0x110000; character++)
        if (token_of[character])
            characters[token_of[character] = vocab_size++] = character;
    vocab_size++;
}

/* Write the tokens of a document, cut off after block_size, and return how many of them are followed by another. */
static long encode(Document document, int *tokens) {
    long length = document.length < block_size ? document.length : block_size;
    tokens[0] = tokens[length + 1] = vocab_size - 1;
    for (long i = 0; i < length; i++)
        tokens[i + 1] = token_of[document.characters[i]];
    return length < block_size ? length + 1 : block_size;
}

static uint32_t twister[624]; /* the Mersenne Twister of 1998, as Python has it */

static uint32_t next_bits(void) {
    static int used = 624;
    if (used == 624) {
        for (int i = 0; i < 624; i++) {
            uint32_t y = (twister[i] & 0x80000000) | (twister[(i + 1) % 624] & 0x7fffffff);
            twister[i] = twister[(i + 397) % 624] ^ y >> 1 ^ y % 2 * 0x9908b0df;
        }
        used = 0;
    }
    uint32_t y = twister[used++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9d2c5680;
    y ^= y << 15 & 0xefc60000;
    return y ^ y >> 18;
}

static void seed(uint64_t number) {
    uint32_t key[] = {number, number >> 32}, length = key[1] ? 2 : 1;
    twister[0] = 19650218;
    for (int i = 1; i < 624; i++)
        twister[i] = 1812433253 * (twister[i - 1] ^ twister[i - 1] >> 30) + i;
    for (uint32_t round = 0, i = 1; round < 624 + 623; round++) {
        uint32_t mixed = twister[i - 1] ^ twister[i - 1] >> 30, j = round % length;
        twister[i] = round < 624 ? (twister[i] ^ mixed * 1664525) + key[j] + j : (twister[i] ^ mixed * 1566083941) - i;
        if (++i == 624) {
            twister[0] = twister[623];
            i = 1;
        }
    }
    twister[0] = 0x80000000;
}

static double random_number(void) { /* from 0 to below 1, with 53 random bits */
    double high = next_bits() >> 5, low = next_bits() >> 6;
    return (high * 67108864 + low) / 9007199254740992;
}

static double gauss(double sigma) { /* they come in pairs, and the second is kept */
    static double kept;
    static bool is_kept;
    if (!(is_kept = !is_kept))
        return kept * sigma;
    double angle = random_number() * (2 * 3.141592653589793), radius = sqrt(-2 * log(1 - random_number()));
    kept = sin(angle) * radius;
    return cos(angle) * radius * sigma;
}

static void shuffle(void) {
    for (long i = document_count - 1, j, bits; i > 0; i--) {
        for (bits = 1; i + 1 >= 1L << bits; bits++);
        while ((j = next_bits() >> (32 - bits)) > i); /* too large: draw again, or some would come more often */
        Document other = documents[i];
        documents[i] = documents[j], documents[j] = other;
    }
}

/* Memory for so many things, all 0; a count may be larger than any whole number of C, so it is a double. */
static void *reserve(double count, size_t size) {
    char *memory = count * size < 1e15 ? enough(calloc(count * size + 64, 1)) : enough(NULL);
    return memory + 64 - (uintptr_t)memory % 64; /* where a line of the cache begins */
}

static real *numbers; /* holds all the numbers */
static double taken; /* how many have found their place */
static long grad, parameter_count; /* the gradient of x[i] is x[grad + i] */

static real *take(double count) { /* returns NULL as long as we only count */
    taken += count;
    return numbers ? numbers + (long)(taken - count) : NULL;
}

static void lay_out(void (*take_all)(void)) { /* count, then get the memory, then take it */
    take_all();
    grad = taken < 1e15 ? taken : 0;
    numbers = reserve(2 * taken, sizeof *numbers);
    taken = 0;
    take_all();
}

static double total(const double *x, long n) {
    double sum = x[0];
    for (long i = 1; i < n; i++)
        sum += x[i];
    return sum;
}

/* Python calls pow. If the compiler could see y, it would write x * x for it, which is rounded otherwise. */
static double power(double x, volatile double y) {
    double result = pow(x, y);
    if (isinf(result) && !isinf(x))
        too_large();
    return result;
}

static void softmax(double *probabilities, double *exps, const double *logits, long n) {
    double largest = logits[0];
    for (long i = 1; i < n; i++)
        largest = logits[i] > largest ? logits[i] : largest;
    for (long i = 0; i < n; i++)
        exps[i] = exp(logits[i] - largest);
    double inverse = power(total(exps, n), -1);
    for (long i = 0; i < n; i++)
        probabilities[i] = exps[i] * inverse;
}

enum { LANES = BYTES / sizeof(real) };
typedef real Vector __attribute__((vector_size(BYTES), may_alias));
typedef bits Bits __attribute__((vector_size(BYTES), may_alias));
typedef real Anywhere __attribute__((vector_size(BYTES), may_alias, aligned(sizeof(real))));
static long filled, longest, wide; /* columns with tokens; of the longest document; of a row, in whole vectors */

static long padded(long n) { return (n + LANES - 1) / LANES * LANES; }

static inline Vector *at(const real *x, long row, long column) { return (Vector *)(x + row * wide + column); }

static inline Vector load(const real *x) { return *(const Anywhere *)x; }

/* y = a · b, whose rows are so many vectors; a[i][k] is a[i * down + k * along], so that a may lie on its side. */
static inline __attribute__((always_inline)) void tiles(Vector *restrict y, const real *restrict a, long down,
    long along, const Vector *restrict b, long rows, long inner, long vectors, const int tile) {
    for (long v = 0; v < vectors; v++)
        for (long i = 0; i < rows; i += tile) {
            i = i < rows - tile ? i : rows - tile; /* the last tile may overlap the one before */
            Vector sums[8] = {{0}}; /* in registers; eight, since each has to wait for its own last addition */
            for (long k = 0; k < inner; k++)
                for (int m = 0; m < tile; m++)
                    sums[m] += a[(i + m) * down + k * along] * b[k * vectors + v];
            for (int m = 0; m < tile; m++)
                y[(i + m) * vectors + v] = sums[m];
        }
}

static void product(real *y, const real *a, long down, long along, const real *b, long rows, long inner, long n) {
    if (rows >= 8)
        tiles((Vector *)y, a, down, along, (const Vector *)b, rows, inner, n / LANES, 8);
    else
        tiles((Vector *)y, a, down, along, (const Vector *)b, rows, inner, n / LANES, 1);
}

static real *turned; /* where a product needs it with rows and columns exchanged */

/* Write x with rows and columns exchanged; the rows are so far apart, and y has room for whole vectors. */
static void turn(real *restrict y, long y_row, const real *restrict x, long x_row, long rows, long columns) {
    for (long i = 0; i < rows; i += LANES)
        for (long t = 0; t < columns; t++)
            for (int k = 0; k < LANES; k++)
                y[t * y_row + i + k] = x[(i + k) * x_row + t];
}

static void linear(real *y, const real *weights, const real *x, long rows, long columns) {
    product(y, weights, padded(columns), 1, x, rows, columns, wide);
}

static void linear_back(real *y, real *weights, real *x, long rows, long columns) {
    product(x + grad, weights, 1, padded(columns), y + grad, columns, rows, wide);
    turn(turned, padded(columns), x, wide, columns, filled);
    product(weights + grad, y + grad, wide, 1, turned, rows, filled, padded(columns)); /* the sum over all positions */
}

static void add(real *restrict y, const real *restrict x, long rows) {
    for (long i = 0; i < rows * wide; i++)
        y[i] += x[i];
}

static inline Vector inverse_root(Vector x) { /* a guess from the bits, and Newton's steps */
    Vector y = (Vector)((bits)(sizeof(real) == 4 ? 0x5f3759df : 0x5fe6eb50c7b537a9) - ((Bits)x >> 1));
    for (int steps = sizeof(real) == 4 ? 3 : 4; steps > 0; steps--)
        y *= (real)1.5 - x * (real)0.5 * y * y;
    return y;
}

static inline Vector dots(const real *a, const real *b, long rows, long apart, long t) {
    Vector sum = {0};
    for (long i = 0; i < rows * apart; i += apart)
        sum += *at(a, i, t) * *at(b, i, t);
    return sum;
}

static inline Vector factor_of(const real *x, long t) {
    return inverse_root(dots(x, x, n_embd, 1, t) / (real)n_embd + (real)1e-5);
}

static void rmsnorm(real *y, const real *x) {
    for (long t = 0; t < wide; t += LANES) {
        Vector factor = factor_of(x, t);
        for (long i = 0; i < n_embd; i++)
            *at(y, i, t) = *at(x, i, t) * factor;
    }
}

static void rmsnorm_back(const real *y, const real *x) {
    for (long t = 0; t < wide; t += LANES) {
        Vector factor = factor_of(x, t), mean = dots(y, y + grad, n_embd, 1, t) / (real)n_embd;
        for (long i = 0; i < n_embd; i++)
            *at(x + grad, i, t) += factor * (*at(y + grad, i, t) - *at(y, i, t) * mean);
    }
}

static inline Vector either(Bits is_first, Vector first, Vector second) {
    return (Vector)((is_first & (Bits)first) | (~is_first & (Bits)second));
}

/* exp(x) for x up to 0, without a call or a branch: 2 to a whole power, times the series of the rest. */
static inline Vector exponential(Vector x) {
    const int fraction = sizeof(real) == 4 ? 23 : 52, terms = sizeof(real) == 4 ? 7 : 13; /* bits; of the series */
    const real magic = 3LL << (fraction - 1); /* added to a small number, it leaves the nearest whole one at the end */
    Vector whole = x * (real)1.4426950408889634 + magic, result = {0};
    Vector rest = x - (whole - magic) * (real)0x1.62e4p-1; /* ln 2 in two parts, the first of few bits */
    rest -= (whole - magic) * (real)0x1.7f7d1cf79abcap-20;
    double factorial = sizeof(real) == 4 ? 5040 : 6227020800; /* of 7 or 13; the compiler computes all of them */
    result += (real)(1 / factorial);
    for (int i = terms; i > 0; i--)
        result = result * rest + (real)(1 / (factorial /= i));
    result = (Vector)((Bits)result + ((Bits)whole << fraction));
    return either((Bits)(x > (real)(sizeof(real) == 4 ? -80 : -700)), result, (Vector){0});
}

/* Make probabilities of the logits, in place; between the rows of one softmax there are those of others. */
static void softmax_all(real *logits, long rows, long others) {
    for (long t = 0; t < others * wide; t += LANES) {
        Vector largest = *at(logits, 0, t), sum = {0};
        for (long i = others; i < rows * others; i += others)
            largest = either((Bits)(*at(logits, i, t) > largest), *at(logits, i, t), largest);
        for (long i = 0; i < rows * others; i += others)
            sum += *at(logits, i, t) = exponential(*at(logits, i, t) - largest);
        sum = (real)1 / sum;
        for (long i = 0; i < rows * others; i += others)
            *at(logits, i, t) *= sum;
    }
}

/* Make of the gradients of probabilities those of the logits before they were multiplied by `factor`, in place. */
static void softmax_all_back(const real *probabilities, long rows, long others, real factor) {
    for (long t = 0; t < others * wide; t += LANES) {
        Vector mean = dots(probabilities, probabilities + grad, rows, others, t);
        for (long i = 0; i < rows * others; i += others) {
            Vector *gradient = at(probabilities + grad, i, t);
            *gradient = factor * *at(probabilities, i, t) * (*gradient - mean);
        }
    }
}

typedef struct { real *wqkv, *wo, *fc1, *fc2, /* wq, wk and wv are one matrix, with three times as many rows */
                 *normed, *query, *weights, *found, *x, *normed_again, *hidden, *y; } Layer;
static real *wte, *wpe, *lm_head, *sum, *first_x, *logits;
static Layer *layers;
static long stored, widest; /* parameters, in rows that are padded to whole vectors; columns there is room for */

static int *token, *next; /* of each column: its token, and the one to guess */
static real *place, *share; /* its position in the document, and the share of its surprise in the loss */

static void begin(void) { filled = longest = 0; }

static void append(const int *tokens, long n) { /* the n tokens of a document that are followed by another */
    for (long t = 0; t < n; t++, filled++) {
        token[filled] = tokens[t], next[filled] = tokens[t + 1];
        place[filled] = t, share[filled] = 1.0 / n;
    }
    longest = n > longest ? n : longest;
}

static real *columns_of(double rows) { return take(rows * widest); }

static real *matrix(double rows, double columns) {
    real *weights = take(rows * padded(columns));
    for (long r = 0; weights && r < rows; r++)
        for (long c = 0; c < columns; c++)
            weights[r * padded(columns) + c] = gauss(0.08);
    parameter_count += weights ? rows * columns : 0;
    return weights;
}

static void take_all(void) {
    double n = n_embd;
    wte = matrix(vocab_size, n), wpe = matrix(block_size, n), lm_head = matrix(vocab_size, n);
    for (Layer *l = layers; l < layers + n_layer; l++)
        l->wqkv = matrix(3 * n, n), l->wo = matrix(n, n), l->fc1 = matrix(4 * n, n), l->fc2 = matrix(n, 4 * n);
    stored = numbers ? taken : 0;
    for (Layer *l = layers; l < layers + n_layer; l++)
        *l = (Layer){l->wqkv, l->wo, l->fc1, l->fc2, columns_of(n), columns_of(3 * n),
                     columns_of(n_head * block_size + 1.0), columns_of(n), columns_of(n), columns_of(n),
                     columns_of(4 * n), columns_of(n)};
    sum = columns_of(n), first_x = columns_of(n), logits = columns_of(vocab_size);
    turned = columns_of(padded(4 * n));
}

static void new_model(void) {
    widest = padded(block_size > TOGETHER ? block_size : TOGETHER);
    layers = reserve(n_layer, sizeof *layers);
    token = reserve(widest, sizeof *token), next = reserve(widest, sizeof *next);
    place = reserve(widest, sizeof *place), share = reserve(widest, sizeof *share);
    lay_out(take_all);
}

/* y[d], for all heads: the dot product of what each column has in a and what the column d places before has in b. */
static void scores(real *y, const real *a, const real *b) {
    for (long head = 0, size = n_embd / n_head; head < n_head; head++)
        for (long t = 0; t < wide; t += LANES)
            for (long d = 0; d < longest; d++) {
                Vector sum = {0};
                for (long row = head * size; row < (head + 1) * size; row++)
                    sum += *at(a, row, t) * load(b + row * wide + t - d);
                *at(y, d * n_head + head, t) = sum;
            }
    memset(at(y, longest * n_head, 0), 0, wide * sizeof *y); /* for `mix`, which may look beyond the last one */
}

/* Add up the columns of x that are d places before, for all d, each times its weight, or, with `later`, those after. */
static void mix(real *y, const real *weights, const real *x, bool later) {
    for (long row = 0, size = n_embd / n_head; row < n_embd; row++)
        for (long t = 0; t < wide; t += LANES) {
            const real *weight = weights + row / size * wide + t, *number = x + row * wide + t;
            Vector sum = {0};
            for (long d = 0; d < longest; d++)
                sum += load(weight + d * n_head * wide + later * d) * load(number + (later ? d : -d));
            *at(y, row, t) = sum;
        }
}

static void attend(Layer *l) {
    real *query = l->query, *key = query + n_embd * wide, *value = key + n_embd * wide, *weights = l->weights;
    const real root = 1 / sqrt(n_embd / n_head);
    scores(weights, query, key);
    const Vector nothing = (Vector){0} - (real)INFINITY;
    for (long d = 0; d < longest; d++)
        for (long head = 0; head < n_head; head++)
            for (long t = 0; t < wide; t += LANES) {
                Vector *weight = at(weights, d * n_head + head, t);
                *weight = either((Bits)(*at(place, 0, t) < (real)d), nothing, *weight * root);
            }
    softmax_all(weights, longest, n_head);
    mix(l->found, weights, value, false);
}

static void attend_back(Layer *l) {
    real *query = l->query, *key = query + n_embd * wide, *value = key + n_embd * wide, *weights = l->weights;
    const real root = 1 / sqrt(n_embd / n_head);
    mix(value + grad, weights, l->found + grad, true);
    scores(weights + grad, l->found + grad, value);
    softmax_all_back(weights, longest, n_head, root);
    mix(query + grad, weights + grad, key, false);
    mix(key + grad, weights + grad, query, true);
}

static real *layer(Layer *l, const real *x) {
    rmsnorm(l->normed, x);
    linear(l->query, l->wqkv, l->normed, 3 * n_embd, n_embd);
    attend(l);
    linear(l->x, l->wo, l->found, n_embd, n_embd);
    add(l->x, x, n_embd);
    rmsnorm(l->normed_again, l->x);
    linear(l->hidden, l->fc1, l->normed_again, 4 * n_embd, n_embd);
    for (real *h = l->hidden; h < l->hidden + 4 * n_embd * wide; h++)
        *h = *h > 0 ? *h : 0;
    linear(l->y, l->fc2, l->hidden, n_embd, 4 * n_embd);
    add(l->y, l->x, n_embd);
    return l->y;
}

static void layer_back(Layer *l, real *x) {
    linear_back(l->y, l->fc2, l->hidden, n_embd, 4 * n_embd);
    for (real *h = l->hidden; h < l->hidden + 4 * n_embd * wide; h++)
        h[grad] = *h > 0 ? h[grad] : 0;
    linear_back(l->hidden, l->fc1, l->normed_again, 4 * n_embd, n_embd);
    memcpy(l->x + grad, l->y + grad, n_embd * wide * sizeof *x);
    rmsnorm_back(l->normed_again, l->x);
    linear_back(l->x, l->wo, l->found, n_embd, n_embd);
    attend_back(l);
    linear_back(l->query, l->wqkv, l->normed, 3 * n_embd, n_embd);
    memcpy(x + grad, l->x + grad, n_embd * wide * sizeof *x);
    rmsnorm_back(l->normed, x);
}

/* Compute the logits after each of the tokens at hand. */
static void forward(void) {
    wide = padded(filled);
    for (long t = filled; t < wide; t++)
        token[t] = next[t] = place[t] = share[t] = 0;
    long row = padded(n_embd);
    for (long t = 0; t < wide; t++)
        for (long i = 0; i < row; i += LANES)
            *(Vector *)(turned + t * row + i) = load(wte + token[t] * row + i) + load(wpe + (long)place[t] * row + i);
    turn(sum, wide, turned, row, wide, n_embd);
    rmsnorm(first_x, sum);
    real *x = first_x;
    for (Layer *l = layers; l < layers + n_layer; l++)
        x = layer(l, x);
    linear(logits, lm_head, x, vocab_size, n_embd);
}

static double *gpt(const int *tokens, long position) { /* it computes all before it again, which is simple */
    static double *newest;
    newest = newest ? newest : reserve(vocab_size, sizeof *newest);
    begin();
    append(tokens, position + 1);
    forward();
    for (long i = 0; i < vocab_size; i++)
        newest[i] = logits[i * wide + position];
    return newest;
}

/* Walk back from the gradients of the logits. */
static void backward(void) {
    linear_back(logits, lm_head, layers[n_layer - 1].y, vocab_size, n_embd);
    for (long l = n_layer; l-- > 0;)
        layer_back(&layers[l], l ? layers[l - 1].y : first_x);
    memset(sum + grad, 0, n_embd * wide * sizeof *sum);
    rmsnorm_back(first_x, sum);
    long row = padded(n_embd);
    turn(turned, row, sum + grad, wide, row, filled);
    memset(wte + grad, 0, (vocab_size + block_size) * row * sizeof *wte); /* those of all other matrices are not added up */
    for (long t = 0; t < filled; t++)
        for (long i = 0; i < row; i += LANES) {
            *(Vector *)(wte + grad + token[t] * row + i) += load(turned + t * row + i);
            *(Vector *)(wpe + grad + (long)place[t] * row + i) += load(turned + t * row + i);
        }
}

static void adam(long step, double rate) {
    static real *memory;
    memory = memory ? memory : reserve(2 * stored, sizeof *memory);
    Vector *mean = (Vector *)memory, *square = mean + stored / LANES, *p = (Vector *)numbers;
    const real beta1 = 0.85, beta2 = 0.99, epsilon = 1e-8, tiny = 1e-30;
    const real first_rate = rate / (1 - pow(beta1, step)), correction = 1 / (1 - pow(beta2, step));
    for (const Vector *gradient = p + grad / LANES; p < (Vector *)(numbers + stored); p++, gradient++) {
        *mean = beta1 * *mean + ((1 - beta1) * *gradient + tiny);
        *square = beta2 * *square + ((1 - beta2) * *gradient * *gradient + tiny);
        Vector corrected = *square++ * correction, root = corrected * inverse_root(corrected);
        *p -= first_rate * *mean++ / (root + epsilon);
    }
}

/* Compute the gradients of the documents at hand, and return the sum of their losses. */
static double backpropagate(void) {
    double loss = 0;
    forward();
    softmax_all(logits, vocab_size, 1);
    for (long i = 0; i < vocab_size; i++)
        for (long t = 0; t < wide; t += LANES)
            *at(logits + grad, i, t) = *at(logits, i, t) * *at(share, 0, t);
    for (long t = 0; t < filled; t++) {
        real *probability = &logits[next[t] * wide + t];
        if (!(*probability > 0))
            too_large();
        loss -= log(*probability) * share[t];
        probability[grad] -= share[t];
    }
    backward();
    return loss;
}

static long batch_size, workers, worker; /* this process is number `worker` of them */
static pid_t first; /* is number 0, which prints */
static _Atomic long *arrived; /* in common memory: how often a worker has come to a meeting */
static double *losses; /* in common memory, of each worker */
static real *totals; /* and its gradients */

static void *common(double size) { /* memory that stays one and the same where a process becomes two */
    void *memory = size < 1e15 ? mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) : NULL;
    return enough(memory == MAP_FAILED ? NULL : memory);
}

static void start_workers(void) {
    batch_size = flags[BATCH_SIZE].value, workers = flags[WORKERS].value, first = getpid();
    if (workers > batch_size) /* they would only wait for the others */
        fail(2, "--workers must not be greater than --batch_size");
    arrived = common(sizeof *arrived), losses = common((double)workers * sizeof *losses);
    totals = common((double)workers * stored * sizeof *totals);
    fflush(stdout); /* or what still waits to be written would be written twice */
    for (long number = 1; number < workers && !worker; number++) {
        pid_t child = fork();
        if (child < 0)
            fail(1, "cannot start worker %ld (%s): try fewer --workers", number, strerror(errno));
        worker = child ? 0 : number;
    }
    if (worker)
        fclose(stderr); /* the first one speaks for all */
}

/* Wait until all workers have come here. */
static void meet(void) {
    static long meetings;
    meetings++;
    for (atomic_fetch_add(arrived, 1); atomic_load(arrived) < meetings * workers; sched_yield()) {
        int status = 0;
        if (worker && getppid() != first)
            _exit(1);
        if (!worker && waitpid(-1, &status, WNOHANG) > 0 && WIFSIGNALED(status))
            fail(1, "a worker was ended by signal %d", WTERMSIG(status));
        if (status)
            too_large(); /* nothing else can fail after the start */
    }
}

static void add_to(real *restrict total, const real *restrict gradients) {
    for (long p = 0; p < stored; p++)
        total[p] += gradients[p];
}

/* Add up this worker's gradients for the documents of a step, and return the sum of their losses. */
static double add_gradients(int *tokens, long step, real *total) {
    double loss = 0;
    memset(total, 0, stored * sizeof *total);
    for (long i = worker; i < batch_size;) {
        for (begin(); i < batch_size && filled + block_size <= widest; i += workers)
            append(tokens, encode(documents[(step * batch_size + i) % document_count], tokens));
        loss += backpropagate();
        add_to(total, numbers + grad);
    }
    return loss;
}

/* Take a step on a batch with all workers, and return its mean loss. */
static double learn(int *tokens, long step, double rate) {
    losses[worker] = add_gradients(tokens, step, totals + worker * stored);
    meet();
    double loss = 0;
    memset(numbers + grad, 0, stored * sizeof *numbers);
    for (long w = 0; w < workers; w++) {
        loss += losses[w];
        add_to(numbers + grad, totals + w * stored);
    }
    for (long p = 0; p < stored; p++)
        numbers[grad + p] /= batch_size;
    meet();
    adam(step + 1, rate);
    return loss / batch_size;
}

static void train(int *tokens) {
    double steps = flags[NUM_STEPS].value, first_rate = flags[LEARNING_RATE].value;
    start_workers();
    for (long step = 0; step < steps; step++) {
        double loss = learn(tokens, step, first_rate * (1 - step / steps));
        if (!worker)
            printf("step %4ld / %4.0f | loss %.4f\n", step + 1, steps, loss);
    }
    if (worker)
        _exit(0);
}

/* Draw a token, each as often as softmax says; p[i] becomes the sum of all up to i. */
static int draw(double *logits) {
    static double *p, *exps;
    if (!p)
        p = reserve(vocab_size, sizeof *p), exps = reserve(vocab_size, sizeof *exps);
    for (long i = 0; i < vocab_size; i++)
        logits[i] *= 1 / flags[TEMPERATURE].value;
    softmax(p, exps, logits, vocab_size);
    for (long i = 1; i < vocab_size; i++)
        p[i] += p[i - 1];
    if (!(p[vocab_size - 1] > 0))
        too_large();
    double point = random_number() * p[vocab_size - 1];
    int token = 0;
    while (token < vocab_size - 1 && p[token] <= point)
        token++;
    return token;
}

/* Print a new document. */
static void sample(int *tokens) {
    tokens[0] = vocab_size - 1;
    for (long position = 0; position < block_size; position++) {
        int token = tokens[position + 1] = draw(gpt(tokens, position));
        if (token == vocab_size - 1)
            return;
        put_character(characters[token]);
    }
}

int main(int count, char **words) {
    command_line(words + (count > 0));
    read_documents();
    seed(fabs(flags[SEED].value));
    shuffle();
    number_characters();
    new_model();
    printf("num docs: %ld\nvocab size: %ld\nnum params: %ld\n", document_count, vocab_size, parameter_count);
    static int *tokens; /* BOS, the characters, BOS */
    tokens = reserve(flags[BLOCK_SIZE].value + 2, sizeof *tokens);
    train(tokens);
    printf("\n--- inference (new, hallucinated names) ---\n");
    for (long number = 1; number <= flags[SAMPLES].value; number++) {
        printf("sample %2ld: ", number);
        sample(tokens);
        putchar('\n');
    }
    if (fflush(stdout) || ferror(stdout))
        fail(1, "cannot write: %s", strerror(errno));
}
