// Searches while the customer types. The server stays the only one who knows what fits: this
// fetches the page that the form would load, and takes the results out of it.
"use strict";

const PAUSE_MS = 80;

const form = document.querySelector("form[role=search]");
const count = document.getElementById("count");
const results = document.getElementById("results");
let running = new AbortController();
let pause = 0;

function address() {
  const query = new URLSearchParams();
  for (const [name, value] of new FormData(form)) {
    if (value) query.append(name, value);
  }
  return query.size ? `/meals?${query}` : "/meals";
}

async function search() {
  running.abort();
  running = new AbortController();
  const url = address();
  try {
    const response = await fetch(url, { signal: running.signal });
    if (!response.ok) throw new Error(`the search answered ${response.status}`);
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    count.textContent = page.getElementById("count").textContent;
    results.replaceChildren(...page.getElementById("results").childNodes);
    history.replaceState(null, "", url);
  } catch (error) {
    // A newer search took over. Anything else: let the browser load the page and show why.
    if (error.name !== "AbortError") location.assign(url);
  }
}

form.addEventListener("input", () => {
  clearTimeout(pause);
  pause = setTimeout(search, PAUSE_MS);
});
