// Unfolding and copying of chunks. All links work without this script, which only shows its own buttons.

"use strict";

const chunks = fetch(new URL("chunks.json", document.currentScript.src)).then((response) => response.json());

function setUp() {
  for (const button of document.querySelectorAll("button.copy, button.unfold")) button.hidden = false;
  const search = document.querySelector(".md-search[role=dialog]");
  if (search) search.setAttribute("aria-label", "Search");
}

async function unfold(button) {
  const open = button.getAttribute("aria-expanded") === "true";
  button.setAttribute("aria-expanded", String(!open));
  const line = button.closest(".line");
  if (open) {
    line.querySelector(".unfolded").remove();
    return;
  }
  const code = document.createElement("span");
  code.className = "unfolded";
  code.textContent = (await chunks)[button.dataset.chunk];
  if (button.getAttribute("aria-expanded") === "true") line.append(code);
}

async function copy(button) {
  await navigator.clipboard.writeText(button.dataset.code);
  button.textContent = "copied";
  setTimeout(() => { button.textContent = "copy"; }, 2000);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button.unfold, button.copy");
  if (button) (button.classList.contains("unfold") ? unfold : copy)(button);
});

setUp();
