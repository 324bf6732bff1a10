/* The GPT of microgpt.py in C: the same losses and the same names, to the last bit. */
/* Tangled from the essay microgpt.md. Change the essay, not this file. */

typedef double real;

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct { const char *name; double value; bool whole; } Flag;

enum {
    N_EMBD, N_HEAD, N_LAYER, BLOCK_SIZE, NUM_STEPS, LEARNING_RATE, TEMPERATURE, SAMPLES, SEED,
    FLAGS
};
static Flag flags[] = {
    {"n_embd", 16, true}, {"n_head", 4, true}, {"n_layer", 1, true}, {"block_size", 16, true},
    {"num_steps", 1000, true}, {"learning_rate", 0.01, false}, {"temperature", 0.5, false},
    {"samples", 20, true}, {"seed", 42, true},
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

static double dot(const double *a, const double *b, long n) {
    double sum = a[0] * b[0];
    for (long i = 1; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static void dot_back(double gradient, double *a, double *b, long n) {
    for (long i = 0; i < n; i++) {
        a[grad + i] += b[i] * gradient;
        b[grad + i] += a[i] * gradient; /* in rmsnorm, a and b are the same */
    }
}

static void linear(double *y, const double *weights, const double *x, long rows, long columns) {
    for (long r = 0; r < rows; r++)
        y[r] = dot(weights + r * columns, x, columns);
}

static void linear_back(double *y, double *weights, double *x, long rows, long columns) {
    for (long r = rows; r-- > 0;) /* what was last comes first: the sum in x is rounded in this order */
        dot_back(y[grad + r], weights + r * columns, x, columns);
}

static void add(double *y, const double *x, long n) {
    for (long i = 0; i < n; i++)
        y[i] += x[i];
}

static double mean_square(const double *x, long n) { return dot(x, x, n) * (1.0 / n) + 1e-5; }

static void rmsnorm(double *y, const double *x, long n) {
    double factor = power(mean_square(x, n), -0.5);
    for (long i = 0; i < n; i++)
        y[i] = x[i] * factor;
}

static void rmsnorm_back(double *y, double *x, long n) {
    double square = mean_square(x, n), factor = power(square, -0.5), gradient = 0;
    for (long i = n; i-- > 0;) {
        x[grad + i] += factor * y[grad + i];
        gradient += x[i] * y[grad + i];
    }
    dot_back(1.0 / n * (-0.5 * power(square, -1.5) * gradient), x, x, n);
}

static void softmax_back(double *probabilities, double *exps, double *logits, long n) {
    double sum = total(exps, n), inverse = power(sum, -1), gradient = 0;
    for (long i = n; i-- > 0;)
        gradient += exps[i] * probabilities[grad + i];
    gradient *= -power(sum, -2);
    for (long i = 0; i < n; i++)
        logits[grad + i] += exps[i] * (inverse * probabilities[grad + i] + gradient);
}

typedef struct { double *wq, *wk, *wv, *wo, *fc1, *fc2; } Layer;
typedef struct { double *normed, *query, *key, *value, *scores, *exps, *weights, *found, /* of attention */
                 *x, *normed_again, *hidden, *y; } Pass; /* of the mlp, and what comes out */
typedef struct { double *sum, *x, *logits, *exps, *probabilities; } Ends; /* what is before the layers, and after */
static double *wte, *wpe, *lm_head;
static Layer *layers;
static Pass *passes; /* by layer and position */
static Ends *ends;   /* by position */

static double *matrix(double rows, double columns) {
    double *weights = take(rows * columns);
    for (long i = 0; weights && i < rows * columns; i++)
        weights[i] = gauss(0.08);
    return weights;
}

static void take_parameters(void) {
    double n = n_embd;
    wte = matrix(vocab_size, n), wpe = matrix(block_size, n), lm_head = matrix(vocab_size, n);
    for (Layer *l = layers; l < layers + n_layer; l++)
        *l = (Layer){.wq = matrix(n, n)}, l->wk = matrix(n, n), l->wv = matrix(n, n), l->wo = matrix(n, n),
        l->fc1 = matrix(4 * n, n), l->fc2 = matrix(n, 4 * n);
    parameter_count = taken < 1e15 ? taken : 0;
}

static void take_all(void) {
    double n = n_embd, vocab = vocab_size;
    take_parameters();
    for (long p = 0; p < block_size; p++) {
        double seen = n_head * (p + 1.0);
        ends[p] = (Ends){take(n), take(n), take(vocab), take(vocab), take(vocab)};
        for (long l = 0; l < n_layer; l++)
            passes[l * block_size + p] = (Pass){
                take(n), take(n), take(n), take(n), take(seen), take(seen), take(seen),
                take(n), take(n), take(n), take(4 * n), take(n)};
    }
}

static void new_model(void) {
    layers = reserve(n_layer, sizeof *layers);
    passes = reserve((double)n_layer * block_size, sizeof *passes);
    ends = reserve(block_size, sizeof *ends);
    lay_out(take_all);
}

static void attend(Pass *all, long newest, long head) { /* all: the passes of the tokens so far */
    long size = n_embd / n_head, start = head * size, row = head * (newest + 1);
    double *query = all[newest].query + start, *found = all[newest].found + start, root = power(size, -0.5);
    double *scores = all[newest].scores + row, *exps = all[newest].exps + row, *weights = all[newest].weights + row;
    for (long k = 0; k <= newest; k++)
        scores[k] = dot(query, all[k].key + start, size) * root;
    softmax(weights, exps, scores, newest + 1);
    memset(found, 0, size * sizeof *found);
    for (long k = 0; k <= newest; k++)
        for (long i = 0; i < size; i++)
            found[i] += weights[k] * all[k].value[start + i];
}

static void attend_back(Pass *all, long newest, long head) {
    long size = n_embd / n_head, start = head * size, row = head * (newest + 1);
    double *query = all[newest].query + start, *found = all[newest].found + start, root = power(size, -0.5);
    double *scores = all[newest].scores + row, *exps = all[newest].exps + row, *weights = all[newest].weights + row;
    for (long k = 0; k <= newest; k++)
        for (long i = size; i-- > 0;) {
            weights[grad + k] += all[k].value[start + i] * found[grad + i];
            all[k].value[grad + start + i] += weights[k] * found[grad + i];
        }
    softmax_back(weights, exps, scores, newest + 1);
    for (long k = newest; k >= 0; k--)
        dot_back(root * scores[grad + k], query, all[k].key + start, size);
}

static double *layer(const Layer *l, Pass *all, long position, const double *x) {
    Pass *p = &all[position];
    long n = n_embd;
    rmsnorm(p->normed, x, n);
    linear(p->query, l->wq, p->normed, n, n);
    linear(p->key, l->wk, p->normed, n, n);
    linear(p->value, l->wv, p->normed, n, n);
    for (long head = 0; head < n_head; head++)
        attend(all, position, head);
    linear(p->x, l->wo, p->found, n, n);
    add(p->x, x, n);
    rmsnorm(p->normed_again, p->x, n);
    linear(p->hidden, l->fc1, p->normed_again, 4 * n, n);
    for (long i = 0; i < 4 * n; i++)
        p->hidden[i] = p->hidden[i] > 0 ? p->hidden[i] : 0;
    linear(p->y, l->fc2, p->hidden, n, 4 * n);
    add(p->y, p->x, n);
    return p->y;
}

/* Return the logits of what follows the token at a position; the passes hold what came before it. */
static double *gpt(const int *tokens, long position) {
    Ends *end = &ends[position];
    memcpy(end->sum, wte + tokens[position] * n_embd, n_embd * sizeof *wte);
    add(end->sum, wpe + position * n_embd, n_embd);
    rmsnorm(end->x, end->sum, n_embd);
    double *x = end->x;
    for (long l = 0; l < n_layer; l++)
        x = layer(&layers[l], passes + l * block_size, position, x);
    linear(end->logits, lm_head, x, vocab_size, n_embd);
    return end->logits;
}

static void layer_back(const Layer *l, Pass *all, long position, double *x) {
    Pass *p = &all[position];
    long n = n_embd;
    add(p->x + grad, p->y + grad, n);
    linear_back(p->y, l->fc2, p->hidden, n, 4 * n);
    for (long i = 0; i < 4 * n; i++)
        p->hidden[grad + i] *= p->hidden[i] > 0;
    linear_back(p->hidden, l->fc1, p->normed_again, 4 * n, n);
    rmsnorm_back(p->normed_again, p->x, n);
    add(x + grad, p->x + grad, n);
    linear_back(p->x, l->wo, p->found, n, n);
    for (long head = n_head; head-- > 0;)
        attend_back(all, position, head);
    linear_back(p->value, l->wv, p->normed, n, n);
    linear_back(p->key, l->wk, p->normed, n, n);
    linear_back(p->query, l->wq, p->normed, n, n);
    rmsnorm_back(p->normed, x, n);
}

/* Walk back from the logits of a position; those after it have been walked already. */
static void gpt_back(const int *tokens, long position) {
    Ends *end = &ends[position];
    Pass *pass = passes + (n_layer - 1) * block_size;
    linear_back(end->logits, lm_head, pass[position].y, vocab_size, n_embd);
    for (long l = n_layer; l-- > 0; pass -= block_size)
        layer_back(&layers[l], pass, position, l ? pass[position - block_size].y : end->x);
    rmsnorm_back(end->x, end->sum, n_embd);
    add(wte + tokens[position] * n_embd + grad, end->sum + grad, n_embd);
    add(wpe + position * n_embd + grad, end->sum + grad, n_embd);
}

static void adam(long step, double rate) {
    static double *means, *squares;
    const double beta1 = 0.85, beta2 = 0.99, epsilon = 1e-8;
    double correction1 = 1 - power(beta1, step), correction2 = 1 - power(beta2, step), *p = numbers;
    if (!means)
        means = reserve(parameter_count, sizeof *means), squares = reserve(parameter_count, sizeof *squares);
    for (long i = 0; i < parameter_count; i++) {
        means[i] = beta1 * means[i] + (1 - beta1) * p[grad + i];
        squares[i] = beta2 * squares[i] + (1 - beta2) * power(p[grad + i], 2);
        p[i] -= rate * (means[i] / correction1) / (power(squares[i] / correction2, 0.5) + epsilon);
    }
}

/* Take a step on the n tokens of a document that are followed by another, and return the loss. */
static double learn(const int *tokens, long n, long step, double rate) {
    double logs = 0;
    memset(numbers + grad, 0, grad * sizeof *numbers);
    for (long p = 0; p < n; p++) {
        softmax(ends[p].probabilities, ends[p].exps, gpt(tokens, p), vocab_size);
        double probability = ends[p].probabilities[tokens[p + 1]];
        if (!(probability > 0))
            too_large();
        logs += log(probability);
    }
    for (long p = n; p-- > 0;) {
        double *probability = &ends[p].probabilities[tokens[p + 1]];
        probability[grad] = 1 / *probability * (-1.0 / n);
        softmax_back(ends[p].probabilities, ends[p].exps, ends[p].logits, vocab_size);
        gpt_back(tokens, p);
    }
    adam(step, rate);
    return logs * (-1.0 / n);
}

static void train(int *tokens) {
    double steps = flags[NUM_STEPS].value, first_rate = flags[LEARNING_RATE].value;
    for (long step = 0; step < steps; step++) {
        long n = encode(documents[step % document_count], tokens);
        double loss = learn(tokens, n, step + 1, first_rate * (1 - step / steps));
        printf("step %4ld / %4.0f | loss %.4f\n", step + 1, steps, loss);
    }
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
