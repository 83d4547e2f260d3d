// The kitchen: a list of recipes whose panels open and close.
//
// Law: what a closed panel held is garbage. All listeners sit on the list, which lives as long as
// the page; a ticket and its panel are known to `open` only, and leave it together.
// The fault "leak:kitchen" breaks that law on purpose, so that a leak detector has one to find.
"use strict";

class Ticket {
  constructor(meal) {
    this.meal = meal;
    this.persons = 1;
    this.steps = meal.steps.map((text) => ({ text, done: false }));
  }
}

class Kitchen {
  constructor(list, faults) {
    this.list = list;
    this.meals = new Map();
    this.open = new Map();
    this.history = [];
    this.leaks = faults.includes("leak:kitchen");
    list.addEventListener("click", (event) => this.onClick(event));
    list.addEventListener("input", (event) => this.onInput(event));
  }

  async load() {
    const response = await fetch("/api/recipes");
    if (!response.ok) throw new Error(`the recipes answered ${response.status}`);
    for (const meal of (await response.json()).meals) {
      this.meals.set(meal.slug, meal);
      const row = stamp("row");
      row.dataset.slug = meal.slug;
      row.querySelector("h2").textContent = meal.name;
      row.querySelector("button").setAttribute("aria-label", `Open ${meal.name}`);
      this.list.append(row);
    }
  }

  onClick(event) {
    const button = event.target.closest("button");
    if (!button) return;
    const row = button.closest("li[data-slug]");
    const meal = this.meals.get(row.dataset.slug);
    const opens = !this.open.has(meal.slug);
    if (opens) this.openPanel(row, meal);
    else this.closePanel(meal);
    button.textContent = opens ? "Close" : "Open";
    button.setAttribute("aria-label", `${button.textContent} ${meal.name}`);
    button.setAttribute("aria-expanded", String(opens));
  }

  onInput(event) {
    const { slug } = event.target.closest("li[data-slug]").dataset;
    const { ticket, panel } = this.open.get(slug);
    if (event.target.type === "number") {
      ticket.persons = Math.min(12, Math.max(1, event.target.valueAsNumber || 1));
      listIngredients(ticket, panel);
    } else {
      ticket.steps[Number(event.target.value)].done = event.target.checked;
    }
  }

  openPanel(row, meal) {
    const ticket = new Ticket(meal);
    const panel = stamp("panel");
    panel.setAttribute("aria-label", `Recipe for ${meal.name}`);
    listIngredients(ticket, panel);
    panel.querySelector(".steps").append(
      ...ticket.steps.map((step, number) => {
        const item = stamp("step");
        item.querySelector("input").value = number;
        item.querySelector("span").textContent = step.text;
        return item;
      }),
    );
    row.append(panel);
    this.open.set(meal.slug, { ticket, panel });
  }

  closePanel(meal) {
    const closed = this.open.get(meal.slug);
    this.open.delete(meal.slug);
    closed.panel.remove();
    if (this.leaks) this.history.push(closed);
  }
}

function stamp(id) {
  return document.getElementById(id).content.firstElementChild.cloneNode(true);
}

function listIngredients(ticket, panel) {
  panel.querySelector(".ingredients").replaceChildren(
    ...ticket.meal.ingredients.map(({ name, amount, unit }) => {
      const item = document.createElement("li");
      const total = Math.round(amount * ticket.persons * 100) / 100;
      item.textContent = [total, unit, name].filter(Boolean).join(" ");
      return item;
    }),
  );
}

const state = document.getElementById("state");
const kitchen = new Kitchen(
  document.getElementById("kitchen"),
  document.body.dataset.faults.split(" "),
);
window.kitchen = kitchen;
kitchen.load().then(
  () => (state.textContent = `${kitchen.meals.size} recipes`),
  () => (state.textContent = "The recipes could not be fetched. Reload the page to try again."),
);
