// Kaggle's run lengths: pairs `start length`, 1-based, column-major (top to bottom, then left to right).

const DIGIT_ZERO = 48;

/**
 * Read the run lengths of one object.
 * @param {string} text such as "1 3 10 2"; empty for no run
 * @returns {Float64Array} start (from 0) and length of each run, one after the other. Doubles hold every start exactly,
 *     also in images of more than 2**32 pixels.
 * @throws {RangeError} where the text is no list of pairs of positive whole numbers in ascending order
 */
export function readRuns(text) {
  const numbers = new Float64Array(Math.ceil(text.length / 2));
  let count = 0;
  let value = 0;
  let digits = 0;
  for (let index = 0; index <= text.length; index++) {
    const digit = text.charCodeAt(index) - DIGIT_ZERO; // NaN behind the end
    if (digit >= 0 && digit <= 9) {
      value = value * 10 + digit;
      digits++;
    } else if (index < text.length && text[index] !== " ") {
      throw new RangeError(`run lengths hold ${JSON.stringify(text[index])}`);
    } else if (digits) {
      numbers[count++] = value;
      value = digits = 0;
    }
  }
  if (count % 2) throw new RangeError("run lengths end with a start that has no length");
  const runs = numbers.subarray(0, count);
  let end = 0;
  for (let index = 0; index < count; index += 2) {
    runs[index] -= 1;
    if (runs[index] < end || runs[index + 1] < 1) throw new RangeError("run lengths overlap or are not in ascending order");
    end = runs[index] + runs[index + 1];
  }
  return runs;
}

/**
 * Paint objects into a label image, shrunk by a whole factor.
 *
 * A pixel of the result has the label of the middle pixel of its block of the image; an object that holds no such
 * pixel gets the one that its first pixel lies in, so that none is lost.
 * @param {string[]} texts run lengths by object; the first one gets label 1
 * @param {number} height rows of the image
 * @param {number} width columns of the image
 * @param {number} [factor] rows and columns of the image for one of the result
 * @returns {{labels: Int32Array, height: number, width: number}} row-major, 0 for background
 * @throws {RangeError} where runs leave the image; see also `readRuns`
 */
export function paintLabels(texts, height, width, factor = 1) {
  const painted = { height: Math.ceil(height / factor), width: Math.ceil(width / factor) };
  painted.labels = new Int32Array(painted.height * painted.width);
  texts.forEach((text, index) => {
    const runs = readRuns(text);
    if (runs.length && runs.at(-2) + runs.at(-1) > height * width) throw new RangeError("run lengths leave the image");
    paintObject(painted, runs, index + 1, height, width, factor);
  });
  return painted;
}

function paintObject(painted, runs, label, height, width, factor) {
  const middle = factor >> 1;
  let isSeen = false;
  for (let index = 0; index < runs.length; index += 2) {
    let column = Math.floor(runs[index] / height);
    let top = runs[index] - column * height;
    let left = runs[index + 1];
    while (left > 0) {
      const bottom = Math.min(top + left, height); // behind the last row of the run in this column
      const block = Math.floor(column / factor);
      if (column === Math.min(block * factor + middle, width - 1)) {
        isSeen = paintColumn(painted, block, top, bottom, label, height, factor) || isSeen;
      }
      left -= bottom - top;
      top = 0;
      column++;
    }
  }
  if (!isSeen && runs.length) {
    const column = Math.floor(runs[0] / height);
    const row = runs[0] - column * height;
    painted.labels[Math.floor(row / factor) * painted.width + Math.floor(column / factor)] = label;
  }
}

/** Paint the blocks of one column whose middle row lies from `top` to before `bottom`; say whether there were any. */
function paintColumn({ labels, height: blocks, width: stride }, block, top, bottom, label, height, factor) {
  const middle = factor >> 1;
  const first = Math.max(Math.ceil((top - middle) / factor), 0);
  let row = first;
  while (row < blocks && Math.min(row * factor + middle, height - 1) < bottom) labels[row++ * stride + block] = label;
  return row > first;
}
