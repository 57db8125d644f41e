// Sends the form without leaving the page, and shows what the server counts. Without this file the form is a form.

const form = document.getElementById("upload"), chosen = document.getElementById("chosen");
const bar = document.getElementById("bar"), status = document.getElementById("status");
const message = document.getElementById("message"), button = form.querySelector("button");

function sizeText(n) {
  let unit = 0;
  for (; n >= 1024 && unit < 3; unit++) n /= 1024;
  return `${Number(n.toFixed(1))} ${["bytes", "KiB", "MiB", "GiB"][unit]}`;
}

// The stream of this form's upload, once it is open: the server may count from now on.
function follow() {
  const source = new EventSource(form.action.replace(/.*upload=/, "/progress/"));
  source.addEventListener("progress", (event) => {
    const state = JSON.parse(event.data);
    if (!state.total) return;
    bar.value = state.received / state.total;
    status.textContent = `${sizeText(state.received)} of ${sizeText(state.total)}`
      + (state.last ? `; ${state.last} is here` : "");
  });
  const ended = new Promise((resolve) => {
    for (const name of ["done", "failed"]) {
      source.addEventListener(name, (event) => { source.close(); resolve(JSON.parse(event.data).message); });
    }
  });
  return new Promise((resolve) => {
    source.onopen = source.onerror = () => resolve({ source, ended });
  });
}

// The server answers with the page as it is now; what has changed in it is taken over here. An answer that is no page is
// the server's before the app saw the request: too much at once.
async function show(response) {
  const text = await response.text();
  const page = new DOMParser().parseFromString(text, "text/html");
  if (!page.getElementById("upload")) {
    message.textContent = text;
    return;
  }
  for (const id of ["files", "message"]) document.getElementById(id).innerHTML = page.getElementById(id).innerHTML;
  form.action = page.getElementById("upload").getAttribute("action");
}

async function send() {
  const { source, ended } = await follow();
  try {
    const response = await fetch(form.action, { method: "POST", body: new FormData(form),
      headers: { accept: "text/html" } });
    await show(response);
    return response.ok;
  } catch {
    const told = await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 1000))]);
    message.textContent = told || "The connection broke off.";
    return false;
  } finally {
    source.close();
  }
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const files = [...chosen.files], most = Number(form.dataset.maxFile);
  const large = files.find((file) => file.size > most);
  message.textContent = large ? `${large.name} is larger than ${sizeText(most)}.` : "";
  if (large) return;
  button.disabled = true;
  bar.hidden = false;
  bar.value = 0;
  const done = await send();
  status.textContent = done ? `${files.length === 1 ? files[0].name : files.length + " files"} sent.` : "";
  if (done) chosen.value = "";
  bar.hidden = true;
  button.disabled = false;
});
