"""Stage 4: count the pairs, position by position."""
# Tangled from the essay microgpt.md. Change the essay, not this file.

import argparse, functools, gc, math, os, random, sys, time

def encode(document, characters):
    """Return the tokens of a document: a number per character, and BOS, the next free number, at both ends."""
    bos = len(characters)
    return [bos, *map(characters.index, document), bos]

def learn(lessons):
    """Return two tables: how often each token came after another, and how often at each position."""
    size = lessons[0][0] + 1
    pairs, places = [[1] * size for _ in range(size)], {}
    for tokens in lessons:
        for place, (token, target) in enumerate(zip(tokens, tokens[1:])):
            pairs[token][target] += 1
            places.setdefault((place, token), [0] * size)[target] += 1
    return pairs, places

def guess(model, tokens):
    """Return the share of each token after the last of these at its position, with ten more as at any position."""
    pairs, places = model
    row = pairs[tokens[-1]]
    here = places.get((len(tokens) - 1, tokens[-1]), [0] * len(row))
    return [(count + 10 * pair / sum(row)) / (sum(here) + 10) for count, pair in zip(here, row)]

def loss_on(lessons, model):
    """Return the mean surprise per token of some lessons."""
    surprises = [-math.log(guess(model, tokens[:i])[tokens[i]]) for tokens in lessons for i in range(1, len(tokens))]
    return sum(surprises) / len(surprises)

def write(model, bos):
    """Return the tokens of a new name, each drawn according to the probabilities of the model."""
    tokens = [bos]
    while tokens == [bos] or tokens[-1] != bos:
        tokens += random.choices(range(bos + 1), guess(model, tokens))
    return tokens[1:-1]

if __name__ == "__main__":
    random.seed(42)
    documents = open("docs/names.txt").read().split()
    random.shuffle(documents)
    characters, seen = sorted(set("".join(documents))), documents[:1000]
    unseen = [document for document in documents if document not in seen]
    model = learn([encode(document, characters) for document in seen])
    loss = loss_on([encode(document, characters) for document in unseen], model)
    print(f"loss on {len(unseen)} unseen names: {loss:.3f}")
    for _ in range(5):
        print("".join(characters[t] for t in write(model, len(characters))))
