// Shows changes at once, and uploads files. Without this script the page works by reloading it.
"use strict";

const changes = document.body.dataset.changes;
if (changes) {
  const stream = new EventSource(changes);
  stream.addEventListener("changed", () => {
    // A form that somebody fills in, or an open list of actions, stays as it is.
    const live = document.getElementById("live");
    const busy = live.contains(document.activeElement) && document.activeElement.matches("input, select, summary");
    if (!document.hidden && !busy && !live.querySelector("table details[open]")) {
      htmx.trigger(document.body, "changed");
    }
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
    request.send(file);
  });
}
