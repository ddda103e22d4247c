// Requests to the server that this page comes from.

const KEPT = "hybrid-key";

export class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

export function setKey(key) {
  sessionStorage.setItem(KEPT, key);
}

export async function call(path, body, signal) {
  const headers = {};
  const key = sessionStorage.getItem(KEPT);
  if (key) headers.authorization = `Bearer ${key}`;
  if (body) headers["content-type"] = "application/json";
  const options = { method: body ? "POST" : "GET", headers, signal, body: body && JSON.stringify(body) };
  const answer = await fetch(path, options);
  const record = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(answer.status, record.detail || `status ${answer.status}`);
  return record;
}

export const at = (index, what) => `/v1/indexes/${encodeURIComponent(index)}/${what}`;
