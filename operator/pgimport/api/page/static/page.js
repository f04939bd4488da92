// Shows changes at once, and uploads files. Without this script the page works by reloading it.
"use strict";

const RETRY_MILLISECONDS = 10000;
const { changes, release } = document.body.dataset;
let pressed = false; // a key, or a button of the pointer
let sending = false; // a form
guardForms();
if (changes) showChanges(changes);

// A second click would send a form a second time. A page that the browser kept must not show a password again.
function guardForms() {
  document.addEventListener("submit", (event) => {
    if (sending) return event.preventDefault();
    sending = true;
    setTimeout(() => { sending = false; }, RETRY_MILLISECONDS);
  });
  window.addEventListener("pagehide", () => document.querySelector("[data-secret]")?.remove());
  window.addEventListener("pageshow", (event) => {
    if (event.persisted && changes) location.reload(); // the session may have ended
    sending = false;
  });
}

function showChanges(url) {
  let stream = null;
  let stale = false; // something has changed since the view was loaded
  let loading = false;

  function refresh() {
    if (!stale || loading || document.hidden || isBusy()) return;
    stale = false;
    loading = true;
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

  function press(value) {
    pressed = value;
    setTimeout(refresh);
  }

  document.addEventListener("visibilitychange", connect);
  document.addEventListener("focusout", () => setTimeout(refresh));
  document.addEventListener("toggle", refresh, true);
  document.addEventListener("selectionchange", refresh);
  for (const type of ["pointerdown", "keydown"]) document.addEventListener(type, () => press(true), true);
  for (const type of ["pointerup", "pointercancel", "contextmenu", "keyup"]) {
    document.addEventListener(type, () => press(false), true);
  }
  window.addEventListener("blur", () => press(false));
  document.body.addEventListener("htmx:beforeSwap", (event) => {
    if (!event.detail.shouldSwap) return;
    if (isBusy()) {
      event.detail.shouldSwap = false; // somebody began to use it after the request was sent
      stale = true;
    } else if (!event.detail.serverResponse.includes(`data-release="${release}"`)) {
      event.detail.shouldSwap = false;
      location.reload(); // the view needs another release of this script
    }
  });
  document.body.addEventListener("htmx:afterRequest", (event) => {
    loading = false;
    if (event.detail.successful) return refresh();
    if (event.detail.xhr.status === 404) return location.reload(); // the object was deleted
    stale = true;
    setTimeout(refresh, RETRY_MILLISECONDS);
  });
  keepPlace();
  connect();
}

// A form that somebody fills in, a list of actions, a click and selected text stay as they are.
function isBusy() {
  const live = document.getElementById("live");
  const focused = document.activeElement;
  const selection = document.getSelection();
  return pressed || sending || (live.contains(focused) && focused.matches("input, select"))
    || live.querySelector("table details[open]") || (!selection.isCollapsed && selection.containsNode(live, true));
}

// What somebody opened, closed and scrolled stays so in the new view; htmx keeps the focus of elements with an id.
function keepPlace() {
  const announcement = document.getElementById("announcement");
  let places = [];
  let status = document.getElementById("live").dataset.status;
  document.body.addEventListener("htmx:beforeSwap", () => {
    places = [...document.querySelectorAll("#live [id]")]
      .map(({ id, open, scrollTop, scrollLeft }) => ({ id, open, scrollTop, scrollLeft }))
      .filter(({ open, scrollTop, scrollLeft }) => open !== undefined || scrollTop || scrollLeft);
  });
  document.body.addEventListener("htmx:afterSwap", () => {
    for (const { id, open, scrollTop, scrollLeft } of places) {
      const element = document.getElementById(id);
      if (!element) continue;
      if (open !== undefined) element.open = open;
      element.scrollTop = scrollTop;
      element.scrollLeft = scrollLeft;
    }
    const shown = document.getElementById("live").dataset.status;
    if (shown !== status) announcement.textContent = status = shown; // for screen readers
  });
}

const upload = document.querySelector("[data-upload]");
if (upload) {
  upload.hidden = false;
  const form = upload.closest("form");
  const state = upload.querySelector("[data-upload-state]");
  const bar = upload.querySelector("progress");
  const key = upload.querySelector("[name=upload_key]");
  const input = upload.querySelector("[type=file]");
  const allowSending = (allowed) => form.querySelectorAll("button").forEach((button) => { button.disabled = !allowed; });
  allowSending(true); // a browser may remember that they were disabled
  input.addEventListener("change", async () => {
    const [file] = input.files;
    const isChosen = () => input.files[0] === file; // until somebody chooses another file
    key.value = "";
    allowSending(!file); // a form that is sent before the end of an upload lacks the file, and ends the upload
    bar.hidden = !file;
    bar.value = 0;
    state.textContent = file ? "Uploading " + file.name + " …" : "";
    if (!file) return;
    try {
      const place = await begin(form.elements.project.value);
      if (!isChosen()) return;
      const sent = await send(file, place, bar, isChosen);
      if (!isChosen()) return;
      key.value = sent;
      form.elements.source_url.value = "";
      state.textContent = "Uploaded " + file.name + ". Start the import now.";
    } catch (error) {
      if (!isChosen()) return;
      bar.hidden = true;
      input.value = "";
      state.textContent = "The upload failed: " + error.message;
    }
    allowSending(true);
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

function send(file, place, bar, isChosen) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.upload.onprogress = (event) => {
      if (isChosen()) bar.value = (100 * event.loaded) / event.total;
      else request.abort();
    };
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
