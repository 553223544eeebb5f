// The calls of the service. Addresses are relative: the page also works behind a proxy that serves it under a prefix.

const MOST_TRIES = 6;
const BUSY = new Set([429, 503]);
const MEASURED_FORMS = new Set(["json", "ndjson", "table", "geojson"]); // others have no place for measurements

/** What the service, or the way to it, had to say against a request. */
export class ServiceError extends Error {
  constructor(message, { code = "unreachable", status = 0, requestId = null, retryAfterSeconds = null } = {}) {
    super(message);
    this.name = "ServiceError";
    Object.assign(this, { code, status, requestId, retryAfterSeconds });
  }
}

/** Bundles of the folder; see `/v1/models`. */
export const listModels = async () => (await (await get("v1/models")).json()).models;

/** Whether requests are answered by verified bundles, and what is wrong where they are not. */
export async function readState() {
  const version = (await (await get("version")).json()).service;
  try {
    await get("readyz");
    return { version, problem: null };
  } catch (error) {
    return { version, problem: error.message };
  }
}

/**
 * Ask for a picture of an image that the browser can show.
 * @returns {Promise<{blob: Blob, factor: number, height: number, width: number}>} sizes are those of the image
 */
export async function preview(file, options, watch) {
  return patiently(watch, async () => {
    const response = await post("v1/preview", file, options, watch.signal);
    const [factor, height, width] = ["Preview-Factor", "Image-Height", "Image-Width"].map((name) =>
      Number(response.headers.get(`X-${name}`)),
    );
    return { blob: await response.blob(), factor, height, width };
  });
}

/**
 * Ask for the objects of an image.
 * @param {File} file
 * @param {object} options of the request, by name
 * @param {{signal: AbortSignal, onWait: function(number), onProgress: function(object)}} watch
 * @param {boolean} [tellsProgress] whether the answer comes as lines that tell how far it is
 * @returns {Promise<{answer: object, text: string}>} the JSON answer, and its text as it was sent
 */
export async function segment(file, options, watch, tellsProgress = false) {
  const query = { ...inForm(options, tellsProgress ? "ndjson" : "json"), rle: "kaggle" };
  return patiently(watch, async () => {
    const response = await post("v1/segment", file, query, watch.signal);
    const text = tellsProgress ? await readLines(response, watch.onProgress) : await response.text();
    const answer = JSON.parse(text);
    if (answer.error) throw toError(answer, answer.status, answer.retry_after_seconds);
    return { answer, text };
  });
}

/** Ask for another form of the answer, as bytes, with the measurements where it has a place for them. */
export async function download(file, options, form, watch) {
  return patiently(watch, async () => (await post("v1/segment", file, inForm(options, form), watch.signal)).blob());
}

const inForm = (options, form) => ({ ...options, ...(MEASURED_FORMS.has(form) && { measurements: true }), format: form });

/** Ask again as long as the service says that it is busy, and wait as long as it says. */
async function patiently({ signal, onWait }, ask) {
  for (let tries = 1; ; tries++) {
    try {
      return await ask();
    } catch (error) {
      if (!BUSY.has(error.status) || tries === MOST_TRIES) throw error;
      const seconds = error.retryAfterSeconds ?? 2 ** tries;
      onWait?.(seconds);
      await pause(seconds * 1000, signal);
    }
  }
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => (clearTimeout(timer), reject(signal.reason)), { once: true });
  });
}

/** Hand on each line that tells how far the work is; give the last one. */
async function readLines(response, onProgress) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const pieces = [];
  let last = "";
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    const [end, ...rest] = part.value.split("\n");
    pieces.push(end);
    for (const piece of rest) {
      last = pieces.splice(0).join("");
      if (last.startsWith('{"progress"')) onProgress?.(JSON.parse(last).progress);
      pieces.push(piece);
    }
  }
  if (!last || last.startsWith('{"progress"')) throw new ServiceError("The answer ended early.");
  return last;
}

async function post(path, file, options, signal) {
  const body = new FormData();
  body.append("image", file, file.name);
  return send(`${path}?${new URLSearchParams(options)}`, { method: "POST", body, signal });
}

const get = (path) => send(path, {});

async function send(address, request) {
  let response;
  try {
    response = await fetch(address, request);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServiceError("The service cannot be reached. Is it running, and is the network up?");
  }
  if (response.ok) return response;
  const seconds = response.headers.get("Retry-After");
  const body = await response.json().catch(() => ({}));
  throw toError(body, response.status, seconds === null ? null : Number(seconds));
}

function toError({ error }, status, retryAfterSeconds = null) {
  if (!error) return new ServiceError(`The service answered with status ${status}.`, { code: "unknown", status, retryAfterSeconds });
  return new ServiceError(error.message, { code: error.code, status, requestId: error.request_id, retryAfterSeconds });
}
