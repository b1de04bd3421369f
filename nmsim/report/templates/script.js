// The page is whole without this: it adds sorting, values under the pointer, and opens what is folded for print.
"use strict";
const number = (cell) => (cell.dataset.value === undefined ? null : Number(cell.dataset.value));
const before = (a, b, sign) => {
  const [x, y] = [number(a), number(b)];
  if (x !== null && y !== null) return sign * (x - y);
  if (x !== null || y !== null) return x === null ? 1 : -1; // what has no number comes last
  return sign * a.textContent.localeCompare(b.textContent, "en", { numeric: true });
};
for (const table of document.querySelectorAll("table")) {
  const [body, heads] = [table.tBodies[0], [...table.tHead.rows[0].cells]];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.title = "Sort by this column";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
      body.append(...[...body.rows].sort((a, b) => before(a.cells[column], b.cells[column], sign)));
    });
  });
}
const tip = document.getElementById("tip");
document.addEventListener("pointerover", (event) => {
  const mark = event.target.closest("g:has(> title), g[data-says]");
  tip.hidden = !mark;
  if (!mark) return;
  const title = mark.querySelector(":scope > title");
  if (title) { mark.dataset.says = title.textContent; title.remove(); } // or the browser shows it a second time
  tip.textContent = mark.dataset.says;
  tip.style.left = Math.max(8, Math.min(event.clientX + 12, innerWidth - tip.offsetWidth - 8)) + "px";
  tip.style.top = Math.max(8, event.clientY - tip.offsetHeight - 10) + "px";
});
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((part) => { part.open = true; }));
