// What all curves of losses share; it needs no model.

/**
 * Return the mean of the last losses, fifty at most.
 * @param {number[]} losses
 * @param {number} [end] how many losses count, from the first one
 * @param {number} [most] losses in the mean
 */
export function meanOfLast(losses, end = losses.length, most = 50) {
  const last = losses.slice(Math.max(0, end - most), end);
  return last.reduce((a, b) => a + b) / last.length;
}
