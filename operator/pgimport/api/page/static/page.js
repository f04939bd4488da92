// Shows changes at once, and uploads files. Without this script the page works by reloading it.
"use strict";

const RETRY_MILLISECONDS = 10000;
const changes = document.body.dataset.changes;
if (changes) showChanges(changes);

function showChanges(url) {
  let stream = null;
  let stale = false;

  function refresh() {
    if (!stale || document.hidden || isBusy()) return;
    stale = false;
    htmx.trigger(document.body, "changed");
  }

  function notice() {
    stale = true;
    refresh();
  }

  // A browser opens few connections to a server, so a hidden page keeps none. Each stream first sends what it missed.
  function connect() {
    if (document.hidden) {
      stream?.close();
      stream = null;
    }
    if (document.hidden || stream) return;
    const opened = new EventSource(url);
    stream = opened;
    opened.addEventListener("changed", notice);
    opened.addEventListener("error", () => {
      if (opened.readyState !== EventSource.CLOSED || stream !== opened) return; // else the browser connects again
      stream = null;
      notice();
      setTimeout(connect, RETRY_MILLISECONDS);
    });
  }

  document.addEventListener("visibilitychange", connect);
  document.addEventListener("focusout", () => setTimeout(refresh));
  document.addEventListener("toggle", refresh, true);
  document.body.addEventListener("htmx:beforeSwap", (event) => {
    if (!isBusy()) return;
    event.detail.shouldSwap = false; // somebody began to use it after the request was sent
    stale = true;
  });
  keepOpen();
  connect();
}

// A form that somebody fills in, or an open list of actions, stays as it is.
function isBusy() {
  const live = document.getElementById("live");
  const focused = document.activeElement;
  return (live.contains(focused) && focused.matches("input, select")) || live.querySelector("table details[open]");
}

function keepOpen() {
  let open = [];
  document.body.addEventListener("htmx:beforeSwap", () => {
    open = [...document.querySelectorAll("#live details[id][open]")].map((details) => details.id);
  });
  document.body.addEventListener("htmx:afterSwap", () => {
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  });
}

const upload = document.querySelector("[data-upload]");
if (upload) {
  upload.hidden = false;
  const form = upload.closest("form");
  const state = upload.querySelector("[data-upload-state]");
  const bar = upload.querySelector("progress");
  const key = upload.querySelector("[name=upload_key]");
  upload.querySelector("[type=file]").addEventListener("change", async (event) => {
    const [file] = event.target.files;
    key.value = "";
    if (!file) return;
    bar.hidden = false;
    bar.value = 0;
    state.textContent = "Uploading " + file.name + " …";
    try {
      key.value = await send(file, await begin(form.elements.project.value), bar);
      form.elements.source_url.value = "";
      state.textContent = "Uploaded " + file.name + ". Start the import now.";
    } catch (error) {
      bar.hidden = true;
      event.target.value = "";
      state.textContent = "The upload failed: " + error.message;
    }
  });
}

async function begin(project) {
  const answer = await fetch("/ui/imports/new/upload", { method: "POST", body: new URLSearchParams({ project }) });
  if (answer.redirected) throw new Error("the session has ended; sign in again");
  if (!answer.ok) {
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    throw new Error(page.querySelector("[role=alert]")?.textContent ?? "status " + answer.status);
  }
  return answer.json();
}

function send(file, place, bar) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.upload.onprogress = (event) => { bar.value = (100 * event.loaded) / event.total; };
    request.onload = () => {
      if (request.status < 300) return resolve(place.object_key);
      let text = "status " + request.status;
      try { text = JSON.parse(request.responseText).error ?? text; } catch { /* not the API's own text */ }
      return reject(new Error(text));
    };
    request.onerror = () => reject(new Error("the connection ended, or the store does not accept uploads from this page"));
    request.open("PUT", place.upload_url);
    request.send(file.slice()); // has no media type, whose header a CORS rule of the store would have to allow
  });
}
