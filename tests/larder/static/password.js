// Lets a customer see what he typed. Without JavaScript the buttons stay hidden.
"use strict";

for (const button of document.querySelectorAll("button[data-reveals]")) {
  const input = document.getElementById(button.dataset.reveals);
  button.hidden = false;
  button.addEventListener("click", () => {
    const reveal = input.type === "password";
    input.type = reveal ? "text" : "password";
    button.textContent = reveal ? "Hide password" : "Show password";
    button.setAttribute("aria-pressed", String(reveal));
  });
}
