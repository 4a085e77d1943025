"use strict";
// Pages whose items all stand in them: show those of one kind that hold a text, and copy a formula.

const items = [...document.querySelectorAll(".item")], buttons = [...document.querySelectorAll("[data-show]")];
const search = document.querySelector("input[type=search]");

function filter() {
  const kind = buttons.find(button => button.getAttribute("aria-pressed") === "true")?.dataset.show ?? "all";
  const text = search ? search.value.toLowerCase() : "";
  for (const item of items)
    item.hidden = (kind !== "all" && !item.dataset.kinds.split(" ").includes(kind)) || !item.textContent.toLowerCase().includes(text);
}

for (const button of buttons) button.addEventListener("click", () => {
  for (const other of buttons) other.setAttribute("aria-pressed", other === button);
  filter();
});
if (search) search.addEventListener("input", filter);

for (const button of document.querySelectorAll(".copy")) button.addEventListener("click", async () => {
  const source = button.parentElement.querySelector(".source");
  try { await navigator.clipboard.writeText(source.textContent); button.textContent = "copied"; }
  catch { getSelection().selectAllChildren(source); button.textContent = "press Ctrl-C"; }
  setTimeout(() => button.textContent = "copy", 1500);
});

document.body.dataset.ready = "yes";
