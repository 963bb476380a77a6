"use strict";
// Whatever comes from elsewhere is shown as text (textContent), never as HTML. Charts alone arrive as markup: the
// bridge made it and escaped what is in it, and the page's policy lets no script and no handler of it run.
const at = id => document.getElementById(id);
const number = value => value.toLocaleString("en");

function element(tag, className, ...children) {
  const made = document.createElement(tag);
  made.className = className;
  made.append(...children.map(child => child ?? "–"));
  return made;
}

function shown(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function chips(params) {
  return Object.entries(params).flatMap(([name, value]) =>
    [element("span", "chip mono", element("i", "", `${name} `), shown(value)), " "]);
}

// Charts: the mark under the pointer or in focus is told, in all charts that are linked. One mark is in the order of the
// Tab key, the arrow keys lead to the others.
const marked = event => event.target.closest?.(".mark");

function draw(where, markup) {
  if (where.drawn === markup) return;  // a mark in focus stays there
  where.drawn = markup;
  const unfolded = where.querySelector("details")?.open;
  where.replaceChildren(...new DOMParser().parseFromString(markup, "text/html").body.childNodes);
  if (unfolded) where.querySelector("details").open = true;
}

function tell(mark) {
  const index = [...mark.parentNode.children].indexOf(mark), group = mark.closest(".linked") ?? mark.closest(".chart").parentNode;
  group.querySelector(".when").textContent = mark.dataset.when;
  for (const told of group.querySelectorAll(".told")) {
    const marks = told.parentNode.querySelectorAll(".mark");
    marks.forEach((each, position) => each.classList.toggle("chosen", position === index));
    told.textContent = marks[index].dataset.told;
  }
}

function rest(mark) {
  if (!mark.matches(":focus")) tell(mark.parentNode.querySelector(":focus") ?? mark.parentNode.lastElementChild);
}

for (const [kind, act] of Object.entries({ pointerover: tell, pointerout: rest, focusin: tell, focusout: rest }))
  document.addEventListener(kind, event => marked(event) && act(marked(event)));
document.addEventListener("keydown", event => {
  const mark = marked(event), next = { ArrowLeft: "previousElementSibling", ArrowRight: "nextElementSibling",
    Home: "firstElementChild", End: "lastElementChild" }[event.key];
  const to = mark && next && (next.endsWith("Child") ? mark.parentNode : mark)[next];
  if (!to?.matches(".mark")) return;
  event.preventDefault();
  mark.tabIndex = -1;
  to.tabIndex = 0;
  to.focus();
});
