"""Stage 3: count the pairs."""
# Tangled from the essay microgpt.md. Change the essay, not this file.

import argparse, functools, gc, math, os, random, sys, time

def encode(document, characters):
    """Return the tokens of a document: a number per character, and BOS, the next free number, at both ends."""
    bos = len(characters)
    return [bos, *map(characters.index, document), bos]

def learn(lessons):
    """Return a row for each token: the counts of those that came after it, plus one."""
    size = lessons[0][0] + 1
    counts = [[1] * size for _ in range(size)]
    for tokens in lessons:
        for token, target in zip(tokens, tokens[1:]):
            counts[token][target] += 1
    return counts

def guess(model, tokens):
    """Return the share of each token among those that came after the last of these."""
    row = model[tokens[-1]]
    return [count / sum(row) for count in row]

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
